-- What a batch leaves behind: the only statements that insert events and postings. pipeline/write.py alone runs them.

-- name: write
-- Everything in one statement. postings, lots and balances name their event or customer by its place in the arrays.
with written_events as (
    insert into events (bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent,
                        depth, caused, points, outcome, revision, properties, inputs, after, warnings, personal_key,
                        personal)
    select bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent, depth, caused,
           points, 'applied', $20::integer, properties, inputs, after, warnings, personal_key, personal
    from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[], $7::text[],
                $8::text[], $9::text[], $10::boolean[], $11::uuid[], $12::smallint[], $13::smallint[], $14::bigint[],
                $15::jsonb[], $16::json[], $17::json[], $18::json[], $19::uuid[], $21::bytea[])
         as e(bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent, depth,
              caused, points, properties, inputs, after, warnings, personal_key, personal)
), written_postings as (
    insert into postings (bucket, event_id, n, customer_id, seq, wallet, from_state, to_state, points, qualifying,
                          lot_event, lot_n, occurred_at, reason, rule, base, multiplier, cap)
    select ($1::smallint[])[place], ($2::uuid[])[place], n, ($3::uuid[])[place], ($4::bigint[])[place], wallet,
           from_state, to_state, points, qualifying, lot_event, lot_n, ($6::timestamptz[])[place], reason, rule, base,
           multiplier, cap
    from unnest($22::integer[], $23::integer[], $24::text[], $25::text[], $26::text[], $27::bigint[], $28::boolean[],
                $29::uuid[], $30::smallint[], $31::text[], $32::text[], $33::numeric[], $34::numeric[], $35::text[])
         as p(place, n, wallet, from_state, to_state, points, qualifying, lot_event, lot_n, reason, rule, base,
              multiplier, cap)
), written_lots as (
    insert into lots (bucket, event_id, n, customer_id, wallet, earned_at, expires_at, points, remaining)
    select ($1::smallint[])[place], ($2::uuid[])[place], n, ($3::uuid[])[place], wallet, ($6::timestamptz[])[place],
           expires_at, points, remaining
    from unnest($36::integer[], $37::smallint[], $38::text[], $39::timestamptz[], $40::bigint[], $41::bigint[])
         as l(place, n, wallet, expires_at, points, remaining)
), written_balances as (
    insert into balances (bucket, customer_id, wallet, program, pending, available, reserved, spent, expired, debt,
                          forgiven, qualifying)
    select ($53::smallint[])[place], ($54::uuid[])[place], wallet, program, pending, available, reserved, spent,
           expired, debt, forgiven, qualifying
    from unnest($42::integer[], $43::text[], $44::bigint[], $45::bigint[], $46::bigint[], $47::bigint[], $48::bigint[],
                $49::bigint[], $50::bigint[], $51::bigint[], $52::bigint[])
         as b(place, wallet, program, pending, available, reserved, spent, expired, debt, forgiven, qualifying)
    on conflict (bucket, customer_id, wallet) do update
    set program = excluded.program, pending = excluded.pending, available = excluded.available,
        reserved = excluded.reserved, spent = excluded.spent, expired = excluded.expired, debt = excluded.debt,
        forgiven = excluded.forgiven, qualifying = excluded.qualifying
)
update customers c
set seq = f.seq, tier = f.tier, tier_since = f.tier_since, orders = f.orders, counts = f.counts,
    last_activity_at = f.last_activity_at, due_at = f.due_at
from unnest($53::smallint[], $54::uuid[], $55::bigint[], $56::text[], $57::timestamptz[], $58::integer[], $59::jsonb[],
            $60::timestamptz[], $61::timestamptz[])
     as f(bucket, id, seq, tier, tier_since, orders, counts, last_activity_at, due_at)
where c.bucket = f.bucket and c.id = f.id

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

-- name: close_lots
-- Lots whose points have expired.
update lots l set remaining = 0
from unnest($1::smallint[], $2::uuid[], $3::smallint[]) as done(bucket, event_id, n)
where l.bucket = done.bucket and l.event_id = done.event_id and l.n = done.n


-- name: write_uses
-- Limit uses after the batch.
insert into limit_uses (bucket, customer_id, rule, period, times, points)
select * from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[], $5::integer[], $6::bigint[])
on conflict (bucket, customer_id, rule, period) do update set times = excluded.times, points = excluded.points
