// Sends orders with @segment/analytics-node: node send-segment.mjs ADDRESS WRITE_KEY ORDERS [CUSTOMERS]
import { Analytics } from '@segment/analytics-node'

const [address, writeKey, orders, customers = '1'] = process.argv.slice(2)
const analytics = new Analytics({ writeKey, host: address, flushAt: 20, flushInterval: 50, maxRetries: 20 })
analytics.on('error', (error) => console.error(String(error.reason ?? error)))
for (let n = 0; n < Number(orders); n++) {
  analytics.track({
    userId: `c${n % Number(customers)}`,
    event: 'Order Completed',
    messageId: `m${n}`,
    properties: { order_id: `o${n}`, total: (n % 2) + 0.5 },
  })
}
await analytics.closeAndFlush({ timeout: 60_000 })
