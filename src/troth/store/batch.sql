-- The statements of one batch, in the order they run. Arrays are rows: unnest turns them back, joins name the bucket.

-- name: tune_session
-- Every statement below reads few rows by key; on young tables the planner would rather scan, and cache that plan.
select set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false)

-- name: resolve
-- Which customer each external id names, and the program revision that is live now.
select (select revision from program_live) as live, i.customer_id, i.customer_bucket
from unnest($1::smallint[], $2::text[]) with ordinality as asked(bucket, external_id, place)
left join identities i using (bucket, external_id)
order by place

-- name: read
-- Everything that is known of customers by their external ids, and the live program revision, in one snapshot. The
-- version tells under the lock whether it still holds: whoever changes anything of a customer updates its row.
select (select revision from program_live) as live, asked.external_id, c.bucket, c.id, c.xmin as version, c.created_at,
       c.seq, c.tier, c.tier_since, c.orders, c.counts, c.attributes, c.tags, c.last_activity_at, c.due_at,
       c.personal_key, c.personal, c.tiers, c.calendar, c.waiting, (select now from program_clock) as clock, k.sealed,
       b.wallet, b.program, b.pending, b.available, b.reserved, b.spent, b.expired, b.debt, b.forgiven, b.qualifying,
       (select sends from program_live) as sends
from unnest($1::smallint[], $2::text[]) as asked(bucket, external_id)
left join identities i using (bucket, external_id)
left join customers c on c.bucket = i.customer_bucket and c.id = i.customer_id
left join personal_keys k on k.bucket = c.bucket and k.id = c.personal_key
left join balances b on b.bucket = c.bucket and b.customer_id = c.id

-- name: claim
-- First writer wins, then the known customers are locked in sorted order: references before customers, everywhere.
with claimed as (
    insert into event_refs (scope, reference_hash, event_id)
    select scope, reference_hash, event_id
    from unnest($1::smallint[], $2::bytea[], $3::uuid[]) as wanted(scope, reference_hash, event_id)
    order by scope, reference_hash
    on conflict do nothing
    returning reference_hash
), locked as (
    select c.id, c.xmin
    from unnest($4::smallint[], $5::uuid[]) as asked(bucket, id)
    join customers c using (bucket, id)
    where (select count(*) from claimed) >= 0  -- decided before the first row: no lock before the last claim
    order by c.bucket, c.id
    for no key update of c
)
select reference_hash, null::uuid as id, null::xid as version from claimed
union all
select null, id, xmin from locked

-- name: claimed
-- Which event answers for each of these references.
select r.reference_hash, r.event_id
from unnest($1::smallint[], $2::bytea[]) as asked(scope, reference_hash)
join event_refs r using (scope, reference_hash)

-- name: give_back
-- A refused event does not consume its reference: only claims that still name this transaction's own event go.
delete from event_refs r
using unnest($1::smallint[], $2::bytea[], $3::uuid[]) as mine(scope, reference_hash, event_id)
where r.scope = mine.scope and r.reference_hash = mine.reference_hash and r.event_id = mine.event_id

-- name: add_identities
-- Names of new customers; who else names them at this moment waits here.
insert into identities (bucket, external_id, customer_id, customer_bucket)
select bucket, external_id, customer_id, bucket
from unnest($1::smallint[], $2::text[], $3::uuid[]) as new(bucket, external_id, customer_id)
order by bucket, external_id
on conflict do nothing
returning customer_id

-- name: add_keys
-- Sealing keys of new customers.
insert into personal_keys (bucket, id, sealed)
select * from unnest($1::smallint[], $2::uuid[], $3::bytea[])

-- name: forget_customers
-- Takes back names and keys that this transaction gave, when none of their events was recorded.
with forgotten_keys as (
    delete from personal_keys k using unnest($1::smallint[], $2::uuid[]) as new(bucket, id)
    where k.bucket = new.bucket and k.id = new.id
)
delete from identities i using unnest($1::smallint[], $3::text[], $4::uuid[]) as new(bucket, external_id, customer_id)
where i.bucket = new.bucket and i.external_id = new.external_id and i.customer_id = new.customer_id

-- name: uses
-- What limited rules have used up, for the periods in question.
select u.customer_id, u.rule, u.period, u.times, u.points
from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[]) as asked(bucket, customer_id, rule, period)
join limit_uses u using (bucket, customer_id, rule, period)
