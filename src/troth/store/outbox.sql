-- The outbox: what happened and is to be told. ledger.sql puts events in; here they are taken out.

-- name: any_webhook
-- Batches read this flag along with the customers; who writes without such a read asks here.
select sends from program_live

-- name: tell_program
-- In the transaction that publishes.
insert into outbox (bucket, id, revision)
select $1, $2, $3 from program_live where sends

-- name: claim
-- From some bucket on, so that no bucket has to wait for those before it; what another worker holds is left to it.
select bucket, id, revision
from outbox
where bucket >= $1 and bucket < $2
order by bucket, id
limit $3
for update skip locked

-- name: drop
-- Told: each webhook has its deliveries, in the same transaction.
delete from outbox o
using unnest($1::smallint[], $2::uuid[]) as told(bucket, id)
where o.bucket = told.bucket and o.id = told.id

-- name: happened
-- What tells which topics an event has.
select e.id, e.type, e.seq, e.outcome, e.order_key is not null as is_of_order,
       array(select distinct p.reason from postings p where p.bucket = e.bucket and p.event_id = e.id) as reasons
from unnest($1::smallint[], $2::uuid[]) as asked(bucket, id)
join events e using (bucket, id)

-- name: backlog
-- For measurements: how many wait, counted no further than $1, and the oldest of each bucket by its key.
select (select count(*) from (select from outbox limit $1) as waiting) as waiting,
       (select min(first.id::text)
        from generate_series(0, 255) as buckets(bucket)
        cross join lateral (
            select o.id from outbox o where o.bucket = buckets.bucket::smallint order by o.id limit 1
        ) as first) as oldest
