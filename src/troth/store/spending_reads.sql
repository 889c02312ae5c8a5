-- What became of points, for people and integrators: histories, lots, reservations, redemptions and orders, by key.

-- name: posting_page
-- A customer's points history, newest first.
select p.event_id, p.seq, p.n, p.wallet, p.from_state, p.to_state, p.points, p.qualifying, p.lot_event, p.lot_n,
       p.occurred_at, p.reason, p.order_id, p.rule, p.base, p.multiplier, p.cap, p.earned_at, p.expires_at
from postings p
where p.bucket = $1 and p.customer_id = $2 and (p.seq, p.n) < ($3, $4)
order by p.seq desc, p.n desc
limit $5;

-- name: lot_page
-- Lots that hold points, the first to end first; those that never end, or not yet known when, come last. Activity moves
-- the end of some ($3: now), so those are left in. One branch per index.
select l.event_id, l.n, l.wallet, l.order_id, l.rules, l.earned_at, l.expiry, l.hold_until, l.qualifying, l.release_at,
       l.expires_at, l.points, l.pending, l.remaining, l.expired
from (
    select * from lots
    where bucket = $1 and customer_id = $2 and remaining > 0
      and (expires_at is null or expires_at > $3 or expiry like '%a%')
    union all
    select * from lots where bucket = $1 and customer_id = $2 and pending > 0 and remaining = 0
) as l
where (coalesce(l.expires_at, 'infinity'), l.earned_at, l.event_id, l.n)
    > (coalesce($4::timestamptz, 'infinity'), $5::timestamptz, $6::uuid, $7::integer)
order by coalesce(l.expires_at, 'infinity'), l.earned_at, l.event_id, l.n
limit $8;

-- name: reservation
-- One reservation, of this customer only.
select state from reservations where bucket = $1 and customer_id = $2 and id = $3;

-- name: reservation_page
-- A customer's reservations, newest first: ids begin with the time.
select state from reservations where bucket = $1 and customer_id = $2 and id < $3 order by id desc limit $4;

-- name: redemption
-- One redemption, of this customer only.
select state from redemptions where bucket = $1 and customer_id = $2 and id = $3;

-- name: redemption_page
-- A customer's redemptions, newest first.
select state from redemptions where bucket = $1 and customer_id = $2 and id < $3 order by id desc limit $4;

-- name: order
-- What is known of one order; no row: nothing but its opening event.
select id, state from orders where bucket = $1 and customer_id = $2 and id = $3;

-- name: order_page
-- A customer's orders, newest first by receipt.
select id, state from orders where bucket = $1 and customer_id = $2 and id < $3 order by id desc limit $4;

-- name: order_events
-- Events that name an order, the newest ones when there are more than a page. The scan follows the customer's history
-- in the index, which tells the order; other events are not read.
select id
from events
where bucket = $1 and customer_id = $2 and order_key = $3
order by seq desc
limit $4;

-- name: order_postings
-- What was posted for an order since it was opened, newest first; found as its events are.
select p.event_id, p.seq, p.n, p.wallet, p.from_state, p.to_state, p.points, p.qualifying, p.lot_event, p.lot_n,
       p.occurred_at, p.reason, p.order_id, p.rule, p.base, p.multiplier, p.cap, p.earned_at, p.expires_at
from postings p
where p.bucket = $1 and p.customer_id = $2 and p.seq >= $3 and p.order_id = $4
order by p.seq desc, p.n desc
limit $5;

-- name: waiting_events
-- Who waits for an order, whichever customer's event it is.
select event_id from waiting_events where order_key = $1 order by event_id limit $2;
