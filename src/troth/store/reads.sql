-- Reads for people and integrators: pages by key, never by offset. Nothing here locks or writes.

-- name: log_page
-- The activity log, newest first: the scan follows the index on id downwards and stops when the page is full.
select e.id
from events e
where e.id < $1
  and ($2::text is null or e.type = $2)
  and ($3::text is null or e.source = $3)
  and ($4::timestamptz is null or e.occurred_at >= $4)
  and ($5::timestamptz is null or e.occurred_at < $5)
  and ($6::boolean is null or (e.points <> 0) = $6)
order by e.id desc
limit $7;

-- name: history_page
-- The same for one customer, in the order in which the events were judged.
select e.id, e.seq
from events e
where e.bucket = $1 and e.customer_id = $2 and e.seq < $3
  and ($4::text is null or e.type = $4)
  and ($5::text is null or e.source = $5)
  and ($6::timestamptz is null or e.occurred_at >= $6)
  and ($7::timestamptz is null or e.occurred_at < $7)
  and ($8::boolean is null or (e.points <> 0) = $8)
order by e.seq desc
limit $9;

-- name: chosen
-- Events that other keys than the log's led to, by the same filters.
select e.id, e.seq
from unnest($1::smallint[], $2::uuid[]) as asked (bucket, id)
join events e using (bucket, id)
where ($3::uuid is null or e.customer_id = $3)
  and ($4::text is null or e.type = $4)
  and ($5::text is null or e.source = $5)
  and ($6::timestamptz is null or e.occurred_at >= $6)
  and ($7::timestamptz is null or e.occurred_at < $7)
  and ($8::boolean is null or (e.points <> 0) = $8)
order by e.id desc;

-- name: customer_page
-- Customers by external id; each bucket gives its first ones by its own index, so no bucket is read through.
select found.external_id, found.customer_id, found.customer_bucket
from generate_series(0, 255) as buckets (bucket)
cross join lateral (
    select i.external_id, i.customer_id, i.customer_bucket
    from identities i
    where i.bucket = buckets.bucket::smallint
      and i.external_id > $1 and i.external_id >= $2 and ($3::text is null or i.external_id < $3)
    order by i.external_id
    limit $4
) as found
order by found.external_id
limit $4;
