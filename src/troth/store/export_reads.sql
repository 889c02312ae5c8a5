-- Whole tables for exports, a page at a time: one bucket, by key, so that a plan names partitions and follows an index.
-- Events and postings end before an id ($3) that nothing new can come before. Nothing here locks or writes.

-- name: event_page
-- Events of a bucket, in the order in which they were recorded.
select e.id
from events e
where e.bucket = $1 and e.id > $2 and e.id < $3
  and ($5::text is null or e.type = $5)
  and ($6::text is null or e.source = $6)
  and ($7::timestamptz is null or e.occurred_at >= $7)
  and ($8::timestamptz is null or e.occurred_at < $8)
  and ($9::boolean is null or (e.points <> 0) = $9)
order by e.id
limit $4;

-- name: customer_event_page
-- The same for one customer, along the customer's history.
select e.id, e.seq
from events e
where e.bucket = $1 and e.customer_id = $10 and e.seq > $2 and e.id < $3
  and ($5::text is null or e.type = $5)
  and ($6::text is null or e.source = $6)
  and ($7::timestamptz is null or e.occurred_at >= $7)
  and ($8::timestamptz is null or e.occurred_at < $8)
  and ($9::boolean is null or (e.points <> 0) = $9)
order by e.seq
limit $4;

-- name: posting_page
-- Postings of a bucket, in the order in which they were recorded.
select p.customer_id, p.event_id, p.seq, p.n, p.wallet, p.from_state, p.to_state, p.points, p.qualifying, p.lot_event,
       p.lot_n, p.occurred_at, p.reason, p.order_id, p.rule, p.base, p.multiplier, p.cap, p.earned_at, p.expires_at
from postings p
where p.bucket = $1 and p.event_id >= $2 and (p.event_id, p.n) > ($2, $5) and p.event_id < $3
  and ($6::text is null or p.wallet = $6)
  and ($7::timestamptz is null or p.occurred_at >= $7)
  and ($8::timestamptz is null or p.occurred_at < $8)
  and ($9::text is null or p.reason = $9)
order by p.event_id, p.n
limit $4;

-- name: customer_posting_page
-- The same for one customer, along the customer's history.
select p.customer_id, p.event_id, p.seq, p.n, p.wallet, p.from_state, p.to_state, p.points, p.qualifying, p.lot_event,
       p.lot_n, p.occurred_at, p.reason, p.order_id, p.rule, p.base, p.multiplier, p.cap, p.earned_at, p.expires_at
from postings p
where p.bucket = $1 and p.customer_id = $10 and (p.seq, p.n) > ($2, $5) and p.event_id < $3
  and ($6::text is null or p.wallet = $6)
  and ($7::timestamptz is null or p.occurred_at >= $7)
  and ($8::timestamptz is null or p.occurred_at < $8)
  and ($9::text is null or p.reason = $9)
order by p.seq, p.n
limit $4;

-- name: order_page
-- Orders of a bucket, customer by customer; $6 is the last customer wanted.
select o.customer_id, o.id, o.state
from orders o
where o.bucket = $1 and (o.customer_id, o.id) > ($2, $5) and o.customer_id <= $6 and o.id < $3
order by o.customer_id, o.id
limit $4;

-- name: name_page
-- Names of a bucket that begin with a prefix ($4, up to $5), in their order.
select i.external_id, i.customer_id, i.customer_bucket
from identities i
where i.bucket = $1 and i.external_id > $2 and i.external_id >= $4 and ($5::text is null or i.external_id < $5)
order by i.external_id
limit $3;

-- name: owners
-- What it takes to name these customers.
select c.id, c.personal, c.personal_key, k.sealed
from unnest($1::smallint[], $2::uuid[]) as asked (bucket, id)
join customers c using (bucket, id)
left join personal_keys k on k.bucket = c.bucket and k.id = c.personal_key;
