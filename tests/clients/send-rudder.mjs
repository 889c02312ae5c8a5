// Sends orders with @rudderstack/rudder-sdk-node: node send-rudder.mjs ADDRESS WRITE_KEY ORDERS [CUSTOMERS]
import rudder from '@rudderstack/rudder-sdk-node'

const [address, writeKey, orders, customers = '1'] = process.argv.slice(2)
const RudderAnalytics = rudder.default ?? rudder
const analytics = new RudderAnalytics(writeKey, { dataPlaneUrl: address, flushAt: 100, flushInterval: 100, retryCount: 10 })
const sent = []
for (let n = 0; n < Number(orders); n++) {
  const message = {
    userId: `c${n % Number(customers)}`,
    event: 'Order Completed',
    messageId: `m${n}`,
    properties: { order_id: `o${n}`, total: (n % 2) + 0.5 },
  }
  sent.push(new Promise((resolve) => analytics.track(message, (error) => resolve(error ?? null))))
}
await analytics.flush()
for (const error of await Promise.all(sent)) if (error) console.error(String(error))
