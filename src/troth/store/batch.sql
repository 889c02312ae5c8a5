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

-- name: claim
-- First writer wins. The order of insertion is the lock order of references.
insert into event_refs (scope, reference_hash, event_id)
select scope, reference_hash, event_id
from unnest($1::smallint[], $2::bytea[], $3::uuid[]) as wanted(scope, reference_hash, event_id)
order by scope, reference_hash
on conflict do nothing
returning reference_hash

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

-- name: lock_customers
-- Locks in sorted order and reads the rows as they are once locked.
select c.bucket, c.id, c.created_at, c.seq, c.tier, c.tier_since, c.orders, c.counts, c.attributes, c.tags,
       c.last_activity_at, c.due_at, c.personal_key, c.personal
from unnest($1::smallint[], $2::uuid[]) as asked(bucket, id)
join customers c using (bucket, id)
order by c.bucket, c.id
for no key update of c

-- name: read_customers
-- The same rows without a lock, for answers that write nothing.
select c.bucket, c.id, c.created_at, c.seq, c.tier, c.tier_since, c.orders, c.counts, c.attributes, c.tags,
       c.last_activity_at, c.due_at, c.personal_key, c.personal
from unnest($1::smallint[], $2::uuid[]) as asked(bucket, id)
join customers c using (bucket, id)

-- name: load
-- What belongs to locked customers, in a snapshot taken after the locks: wallets, key, whether the name holds.
select asked.id, i.customer_id is not null as is_named, k.sealed, b.wallet, b.program, b.pending, b.available,
       b.reserved, b.spent, b.expired, b.debt, b.forgiven, b.qualifying
from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::smallint[], $5::text[])
     as asked(bucket, id, personal_key, name_bucket, external_id)
left join identities i on i.bucket = asked.name_bucket and i.external_id = asked.external_id
                      and i.customer_id = asked.id
left join personal_keys k on k.bucket = asked.bucket and k.id = asked.personal_key
left join balances b on b.bucket = asked.bucket and b.customer_id = asked.id

-- name: uses
-- What limited rules have used up, for the periods in question.
select u.customer_id, u.rule, u.period, u.times, u.points
from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[]) as asked(bucket, customer_id, rule, period)
join limit_uses u using (bucket, customer_id, rule, period)

-- name: due_lots
-- Open lots of one customer past their date, a page at a time in consumption order.
select event_id, n, wallet, earned_at, expires_at, points, remaining
from lots
where bucket = $1 and customer_id = $2 and remaining > 0 and expires_at <= $3
  and (wallet, expires_at, earned_at, event_id, n) > ($4, $5, $6, $7, $8)
order by wallet, expires_at, earned_at, event_id, n
limit $9

-- name: next_due
-- When the first of the lots that are not due yet ends.
select min(expires_at) from lots where bucket = $1 and customer_id = $2 and remaining > 0 and expires_at > $3

-- name: close_lots
-- Lots whose points have expired.
update lots l set remaining = 0
from unnest($1::smallint[], $2::uuid[], $3::smallint[]) as done(bucket, event_id, n)
where l.bucket = done.bucket and l.event_id = done.event_id and l.n = done.n

-- name: write
-- Everything a batch leaves behind, in one statement. Events and postings are only ever inserted.
with written_events as (
    insert into events (bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent,
                        depth, caused, points, outcome, revision, properties, inputs, after, warnings, personal_key,
                        personal)
    select * from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[],
                         $7::text[], $8::text[], $9::text[], $10::boolean[], $11::uuid[], $12::smallint[],
                         $13::smallint[],
                         $14::bigint[], $15::text[], $16::integer[], $17::jsonb[], $18::json[], $19::json[],
                         $20::json[], $21::uuid[], $22::bytea[])
), written_postings as (
    insert into postings (bucket, event_id, n, customer_id, seq, wallet, from_state, to_state, points, qualifying,
                          lot_event, lot_n, occurred_at, reason, rule, base, multiplier, cap)
    select * from unnest($23::smallint[], $24::uuid[], $25::integer[], $26::uuid[], $27::bigint[], $28::text[],
                         $29::text[], $30::text[], $31::bigint[], $32::boolean[], $33::uuid[], $34::smallint[],
                         $35::timestamptz[], $36::text[], $37::text[], $38::numeric[], $39::numeric[], $40::text[])
), written_lots as (
    insert into lots (bucket, event_id, n, customer_id, wallet, earned_at, expires_at, points, remaining)
    select * from unnest($41::smallint[], $42::uuid[], $43::smallint[], $44::uuid[], $45::text[], $46::timestamptz[],
                         $47::timestamptz[], $48::bigint[], $49::bigint[])
), written_balances as (
    insert into balances (bucket, customer_id, wallet, program, pending, available, reserved, spent, expired, debt,
                          forgiven, qualifying)
    select * from unnest($50::smallint[], $51::uuid[], $52::text[], $53::bigint[], $54::bigint[], $55::bigint[],
                         $56::bigint[], $57::bigint[], $58::bigint[], $59::bigint[], $60::bigint[], $61::bigint[])
    on conflict (bucket, customer_id, wallet) do update
    set program = excluded.program, pending = excluded.pending, available = excluded.available,
        reserved = excluded.reserved, spent = excluded.spent, expired = excluded.expired, debt = excluded.debt,
        forgiven = excluded.forgiven, qualifying = excluded.qualifying
)
insert into customers as c (bucket, id, created_at, seq, tier, tier_since, orders, counts, attributes, tags,
                            last_activity_at, due_at, personal_key, personal)
select * from unnest($62::smallint[], $63::uuid[], $64::timestamptz[], $65::bigint[], $66::text[], $67::timestamptz[],
                     $68::integer[], $69::jsonb[], $70::jsonb[], $71::jsonb[], $72::timestamptz[], $73::timestamptz[],
                     $74::uuid[], $75::bytea[])
on conflict (bucket, id) do update
set seq = excluded.seq, tier = excluded.tier, tier_since = excluded.tier_since, orders = excluded.orders,
    counts = excluded.counts, attributes = excluded.attributes, tags = excluded.tags,
    last_activity_at = excluded.last_activity_at, due_at = excluded.due_at, personal_key = excluded.personal_key,
    personal = excluded.personal

-- name: write_uses
-- Limit uses after the batch.
insert into limit_uses (bucket, customer_id, rule, period, times, points)
select * from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[], $5::integer[], $6::bigint[])
on conflict (bucket, customer_id, rule, period) do update set times = excluded.times, points = excluded.points
