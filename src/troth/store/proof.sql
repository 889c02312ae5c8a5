-- Whole buckets, for proving: read in one snapshot each.

-- name: events
-- Every event of a bucket in the order in which it was judged.
select customer_id, id, seq, type, occurred_at, source, properties, inputs, after, parent, depth, caused, outcome,
       revision, order_key, clock
from events where bucket = $1 order by customer_id, seq

-- name: postings
-- Every posting of a bucket beside its event.
select customer_id, event_id, n, wallet, from_state, to_state, points, qualifying, lot_event, lot_n, occurred_at,
       reason, order_id, rule, base, multiplier, cap, earned_at, expires_at
from postings where bucket = $1 order by customer_id, seq, event_id, n

-- name: customers
-- The folded rows of a bucket.
select id, created_at, seq, tier, tier_since, orders, counts, attributes, tags, last_activity_at, due_at, tiers,
       calendar, waiting
from customers where bucket = $1

-- name: balances
-- The balances of a bucket.
select customer_id, wallet, program, pending, available, reserved, spent, expired, debt, forgiven, qualifying
from balances where bucket = $1

-- name: lots
-- The lots of a bucket.
select customer_id, event_id, n, wallet, order_id, rules, earned_at, expiry, hold_until, qualifying, release_at,
       expires_at, points, pending, remaining, expired
from lots where bucket = $1

-- name: uses
-- The limit uses of a bucket.
select customer_id, rule, period, times, points from limit_uses where bucket = $1

-- name: orders
-- The orders of a bucket.
select customer_id, id, state from orders where bucket = $1

-- name: waiting
-- The events of a bucket that wait for their orders.
select customer_id, order_key, event_id from waiting_events where bucket = $1

-- name: reservations
-- The reservations of a bucket.
select customer_id, state from reservations where bucket = $1

-- name: redemptions
-- The redemptions of a bucket.
select customer_id, state from redemptions where bucket = $1

-- name: stock
-- Counters of stock beside the claims that they count.
select coalesce(c.name, 'reward:' || r.reward) as name, coalesce(c.used, 0) as used, coalesce(r.claimed, 0) as claimed
from (select name, used from program_counters where name like 'reward:%') c
full join (select reward, count(*) as claimed from redemptions where status <> 'cancelled' group by reward) r
    on c.name = 'reward:' || r.reward
where coalesce(c.used, 0) <> coalesce(r.claimed, 0)

-- name: add_stock
-- Counters that claims lack.
insert into program_counters (name, used)
select distinct 'reward:' || reward, 0 from redemptions order by 1
on conflict do nothing

-- name: lock_stock
-- Nobody claims while they are mended; the next statement sees what was claimed until then.
select name from program_counters where name like 'reward:%' order by name for update

-- name: mend_stock
-- Counters as the claims say.
update program_counters c
set used = (select count(*) from redemptions r where 'reward:' || r.reward = c.name and r.status <> 'cancelled')
where c.name like 'reward:%'

-- name: lost_references
-- Events that no reference answers for, and references that name no event. Both are always none.
select 'event without a reference' as what, e.id from events e
where not exists (select from event_refs r where r.event_id = e.id)
union all
select 'reference without an event', r.event_id from event_refs r
where not exists (select from events e where e.id = r.event_id)
limit 100

-- name: mend_customer
-- A folded row as the events say.
update customers
set seq = $3, tier = $4, tier_since = $5, orders = $6, counts = $7, attributes = $8, tags = $9,
    last_activity_at = $10, due_at = $11, tiers = $12, calendar = $13, waiting = $14
where bucket = $1 and id = $2

-- name: drop_balances
-- Rebuilt from postings right after.
delete from balances where bucket = $1 and customer_id = $2

-- name: drop_uses
-- Rebuilt from postings right after.
delete from limit_uses where bucket = $1 and customer_id = $2

-- name: add_balance
-- A balance as the postings say.
insert into balances (bucket, customer_id, wallet, program, pending, available, reserved, spent, expired, debt,
                      forgiven, qualifying)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: add_use
-- A limit use as the awards say.
insert into limit_uses (bucket, customer_id, rule, period, times, points) values ($1, $2, $3, $4, $5, $6)

-- name: drop_lots
-- Rebuilt from postings right after.
delete from lots where bucket = $1 and customer_id = $2

-- name: add_lot
-- A lot as the postings say.
insert into lots (bucket, event_id, n, customer_id, wallet, order_id, rules, earned_at, expiry, hold_until, qualifying,
                  release_at, expires_at, points, pending, remaining, expired)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)

-- name: drop_orders
-- Rebuilt from events right after.
delete from orders where bucket = $1 and customer_id = $2

-- name: add_order
-- An order as its events say.
insert into orders (bucket, customer_id, id, state, decides_at) values ($1, $2, $3, $4, $5)

-- name: drop_waiting
-- Rebuilt from events right after.
delete from waiting_events where bucket = $1 and customer_id = $2

-- name: add_waiting
-- An event whose order is not open.
insert into waiting_events (bucket, customer_id, order_key, event_id) values ($1, $2, $3, $4)

-- name: drop_reservations
-- Rebuilt from events right after.
delete from reservations where bucket = $1 and customer_id = $2

-- name: add_reservation
-- A reservation as its events say.
insert into reservations (bucket, customer_id, id, state, due_at) values ($1, $2, $3, $4, $5)

-- name: drop_redemptions
-- Rebuilt from events right after.
delete from redemptions where bucket = $1 and customer_id = $2

-- name: add_redemption
-- A redemption as its events say.
insert into redemptions (bucket, customer_id, id, reward, status, state) values ($1, $2, $3, $4, $5, $6)

-- name: lock_customer
-- Nobody records anything for the customer while its caches are rebuilt.
select from customers where bucket = $1 and id = $2 for no key update

-- name: customer_events
-- One customer's events, read again under the lock.
select customer_id, id, seq, type, occurred_at, source, properties, inputs, after, parent, depth, caused, outcome,
       revision, order_key, clock
from events where bucket = $1 and customer_id = $2 order by seq

-- name: customer_postings
-- One customer's postings.
select customer_id, event_id, n, wallet, from_state, to_state, points, qualifying, lot_event, lot_n, occurred_at,
       reason, order_id, rule, base, multiplier, cap, earned_at, expires_at
from postings where bucket = $1 and customer_id = $2 order by seq, event_id, n
