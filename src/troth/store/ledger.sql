-- What a batch leaves behind: the only statements that insert events and postings. pipeline/write.py alone runs them.

-- name: write
-- Everything in one statement, or nothing: it fails (division by zero) unless each reference is still free and each
-- customer's row is still the version that was judged. Outside a transaction it is one of its own.
-- postings, lots and balances name their event or customer by its place in the arrays.
with claimed as (
    insert into event_refs (scope, reference_hash, event_id)
    select scope, reference_hash, event_id
    from unnest($1::smallint[], $2::bytea[], $3::uuid[]) as wanted(scope, reference_hash, event_id)
    order by scope, reference_hash
    on conflict do nothing
    returning reference_hash
), locked as (
    select c.id
    from unnest($4::smallint[], $5::uuid[], $6::xid[]) as judged(bucket, id, version)
    join customers c on c.bucket = judged.bucket and c.id = judged.id and c.xmin = judged.version
    where (select count(*) from claimed) >= 0  -- decided before the first row: no lock before the last claim
    order by c.bucket, c.id
    for no key update of c
), gate as materialized (
    select 1 / ((select count(*) from claimed) = cardinality($2)
                and (select count(*) from locked) = cardinality($5))::integer as is_open
), written_events as (
    insert into events (bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent,
                        depth, caused, points, outcome, revision, properties, inputs, after, warnings, personal_key,
                        personal)
    select bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent, depth, caused,
           points, 'applied', $26::integer, properties, inputs, after, warnings, personal_key, personal
    from unnest($7::smallint[], $8::uuid[], $9::uuid[], $10::bigint[], $11::text[], $12::timestamptz[], $13::text[],
                $14::text[], $15::text[], $16::boolean[], $17::uuid[], $18::smallint[], $19::smallint[], $20::bigint[],
                $21::jsonb[], $22::json[], $23::json[], $24::json[], $25::uuid[], $27::bytea[])
         as e(bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent, depth,
              caused, points, properties, inputs, after, warnings, personal_key, personal)
    where (select is_open from gate) = 1
), written_postings as (
    insert into postings (bucket, event_id, n, customer_id, seq, wallet, from_state, to_state, points, qualifying,
                          lot_event, lot_n, occurred_at, reason, rule, base, multiplier, cap)
    select ($7::smallint[])[place], ($8::uuid[])[place], n, ($9::uuid[])[place], ($10::bigint[])[place], wallet,
           from_state, to_state, points, qualifying, lot_event, lot_n, ($12::timestamptz[])[place], reason, rule, base,
           multiplier, cap
    from unnest($28::integer[], $29::integer[], $30::text[], $31::text[], $32::text[], $33::bigint[], $34::boolean[],
                $35::uuid[], $36::smallint[], $37::text[], $38::text[], $39::numeric[], $40::numeric[], $41::text[])
         as p(place, n, wallet, from_state, to_state, points, qualifying, lot_event, lot_n, reason, rule, base,
              multiplier, cap)
    where (select is_open from gate) = 1
), written_lots as (
    insert into lots (bucket, event_id, n, customer_id, wallet, earned_at, expires_at, points, remaining)
    select ($7::smallint[])[place], ($8::uuid[])[place], n, ($9::uuid[])[place], wallet, ($12::timestamptz[])[place],
           expires_at, points, remaining
    from unnest($42::integer[], $43::smallint[], $44::text[], $45::timestamptz[], $46::bigint[], $47::bigint[])
         as l(place, n, wallet, expires_at, points, remaining)
    where (select is_open from gate) = 1
), written_balances as (
    insert into balances (bucket, customer_id, wallet, program, pending, available, reserved, spent, expired, debt,
                          forgiven, qualifying)
    select ($59::smallint[])[place], ($60::uuid[])[place], wallet, program, pending, available, reserved, spent,
           expired, debt, forgiven, qualifying
    from unnest($48::integer[], $49::text[], $50::bigint[], $51::bigint[], $52::bigint[], $53::bigint[], $54::bigint[],
                $55::bigint[], $56::bigint[], $57::bigint[], $58::bigint[])
         as b(place, wallet, program, pending, available, reserved, spent, expired, debt, forgiven, qualifying)
    where (select is_open from gate) = 1
    on conflict (bucket, customer_id, wallet) do update
    set program = excluded.program, pending = excluded.pending, available = excluded.available,
        reserved = excluded.reserved, spent = excluded.spent, expired = excluded.expired, debt = excluded.debt,
        forgiven = excluded.forgiven, qualifying = excluded.qualifying
), written_uses as (
    insert into limit_uses (bucket, customer_id, rule, period, times, points)
    select ($59::smallint[])[place], ($60::uuid[])[place], rule, period, times, points
    from unnest($68::integer[], $69::text[], $70::text[], $71::integer[], $72::bigint[])
         as u(place, rule, period, times, points)
    where (select is_open from gate) = 1
    on conflict (bucket, customer_id, rule, period) do update set times = excluded.times, points = excluded.points
), closed_lots as (  -- lots whose points have expired
    update lots l set remaining = 0
    from unnest($73::smallint[], $74::uuid[], $75::smallint[]) as done(bucket, event_id, n)
    where l.bucket = done.bucket and l.event_id = done.event_id and l.n = done.n and (select is_open from gate) = 1
)
update customers c
set seq = f.seq, tier = f.tier, tier_since = f.tier_since, orders = f.orders, counts = f.counts,
    last_activity_at = f.last_activity_at, due_at = f.due_at
from unnest($59::smallint[], $60::uuid[], $61::bigint[], $62::text[], $63::timestamptz[], $64::integer[], $65::jsonb[],
            $66::timestamptz[], $67::timestamptz[])
     as f(bucket, id, seq, tier, tier_since, orders, counts, last_activity_at, due_at)
where c.bucket = f.bucket and c.id = f.id and (select is_open from gate) = 1

-- name: add_customers
-- The rows of new customers, in their final state.
insert into customers (bucket, id, created_at, seq, tier, tier_since, orders, counts, attributes, tags,
                       last_activity_at, due_at, personal_key, personal)
select * from unnest($1::smallint[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::text[], $6::timestamptz[],
                     $7::integer[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::timestamptz[], $12::timestamptz[],
                     $13::uuid[], $14::bytea[])

-- name: write_profiles
-- Attributes and tags of customers that profile events have changed.
update customers c
set attributes = p.attributes, tags = p.tags, personal = p.personal
from unnest($1::smallint[], $2::uuid[], $3::jsonb[], $4::jsonb[], $5::bytea[])
     as p(bucket, id, attributes, tags, personal)
where c.bucket = p.bucket and c.id = p.id
