-- Whole buckets, for proving: read in one snapshot each.

-- name: begin_snapshot
-- Events and caches of a bucket are compared as of one moment, beside live traffic.
begin isolation level repeatable read

-- name: events
-- Every event of a bucket in the order in which it was judged.
select customer_id, id, seq, type, occurred_at, properties, inputs, after, parent, depth, caused, revision
from events where bucket = $1 order by customer_id, seq

-- name: postings
-- Every posting of a bucket beside its event.
select customer_id, event_id, n, wallet, from_state, to_state, points, qualifying, lot_event, lot_n, occurred_at,
       reason, rule, base, multiplier, cap
from postings where bucket = $1 order by customer_id, seq, event_id, n

-- name: customers
-- The folded rows of a bucket.
select id, created_at, seq, tier, tier_since, orders, counts, attributes, tags, last_activity_at, due_at
from customers where bucket = $1

-- name: balances
-- The balances of a bucket.
select customer_id, wallet, program, pending, available, reserved, spent, expired, debt, forgiven, qualifying
from balances where bucket = $1

-- name: lots
-- The lots of a bucket.
select customer_id, event_id, n, wallet, earned_at, expires_at, points, remaining from lots where bucket = $1

-- name: uses
-- The limit uses of a bucket.
select customer_id, rule, period, times, points from limit_uses where bucket = $1

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
    last_activity_at = $10, due_at = $11
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
insert into lots (bucket, event_id, n, customer_id, wallet, earned_at, expires_at, points, remaining)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: lock_customer
-- Nobody records anything for the customer while its caches are rebuilt.
select from customers where bucket = $1 and id = $2 for no key update

-- name: customer_events
-- One customer's events, read again under the lock.
select customer_id, id, seq, type, occurred_at, properties, inputs, after, parent, depth, caused, revision
from events where bucket = $1 and customer_id = $2 order by seq

-- name: customer_postings
-- One customer's postings.
select customer_id, event_id, n, wallet, from_state, to_state, points, qualifying, lot_event, lot_n, occurred_at,
       reason, rule, base, multiplier, cap
from postings where bucket = $1 and customer_id = $2 order by seq, event_id, n
