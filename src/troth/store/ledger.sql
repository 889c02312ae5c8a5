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
    for no key update of c skip locked  -- whoever holds one will change it, and may want a reference claimed here
), gate as materialized (
    select 1 / ((select count(*) from claimed) = cardinality($2)
                and (select count(*) from locked) = cardinality($5))::integer as is_open
), written_events as (
    insert into events (bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent,
                        depth, caused, points, outcome, revision, properties, inputs, after, warnings, personal_key,
                        personal, order_key, clock)
    select bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent, depth, caused,
           points, outcome, $26::integer, properties, inputs, after, warnings, personal_key, personal, order_key, clock
    from unnest($7::smallint[], $8::uuid[], $9::uuid[], $10::bigint[], $11::text[], $12::timestamptz[], $13::text[],
                $14::text[], $15::text[], $16::boolean[], $17::uuid[], $18::smallint[], $19::smallint[], $20::bigint[],
                $21::jsonb[], $22::json[], $23::json[], $24::json[], $25::uuid[], $27::bytea[], $28::text[],
                $29::uuid[], $30::timestamptz[])
         as e(bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent, depth,
              caused, points, properties, inputs, after, warnings, personal_key, personal, outcome, order_key, clock)
    where (select is_open from gate) = 1
), written_postings as (
    insert into postings (bucket, event_id, n, customer_id, seq, wallet, from_state, to_state, points, qualifying,
                          lot_event, lot_n, occurred_at, reason, rule, base, multiplier, cap, order_id, earned_at,
                          expires_at)
    select ($7::smallint[])[place], ($8::uuid[])[place], n, ($9::uuid[])[place], ($10::bigint[])[place], wallet,
           from_state, to_state, points, qualifying, lot_event, lot_n, ($12::timestamptz[])[place], reason, rule, base,
           multiplier, cap, order_id, earned_at, expires_at
    from unnest($31::integer[], $32::integer[], $33::text[], $34::text[], $35::text[], $36::bigint[], $37::boolean[],
                $38::uuid[], $39::smallint[], $40::text[], $41::text[], $42::numeric[], $43::numeric[], $44::text[],
                $45::uuid[], $46::timestamptz[], $47::timestamptz[])
         as p(place, n, wallet, from_state, to_state, points, qualifying, lot_event, lot_n, reason, rule, base,
              multiplier, cap, order_id, earned_at, expires_at)
    where (select is_open from gate) = 1
), written_lots as (
    insert into lots (bucket, event_id, n, customer_id, wallet, earned_at, expires_at, points, remaining, order_id,
                      rules, expiry, hold_until, release_at, pending, expired, qualifying)
    select ($75::smallint[])[place], event_id, n, ($76::uuid[])[place], wallet, earned_at, expires_at, points,
           remaining, order_id, string_to_array(rules, ','), expiry, hold_until, release_at, pending, expired,
           qualifying
    from unnest($48::integer[], $49::uuid[], $50::smallint[], $51::text[], $52::timestamptz[], $53::timestamptz[],
                $54::bigint[], $55::bigint[], $56::uuid[], $57::text[], $58::text[], $59::timestamptz[],
                $60::timestamptz[], $61::bigint[], $62::bigint[], $63::boolean[])
         as l(place, event_id, n, wallet, earned_at, expires_at, points, remaining, order_id, rules, expiry, hold_until,
              release_at, pending, expired, qualifying)
    where (select is_open from gate) = 1
), changed_lots as (
    update lots l
    set points = d.points, pending = d.pending, remaining = d.remaining, expired = d.expired,
        expires_at = d.expires_at, release_at = d.release_at
    from unnest($92::smallint[], $93::uuid[], $94::smallint[], $95::bigint[], $96::bigint[], $97::bigint[],
                $98::bigint[], $99::timestamptz[], $100::timestamptz[])
         as d(bucket, event_id, n, points, pending, remaining, expired, expires_at, release_at)
    where l.bucket = d.bucket and l.event_id = d.event_id and l.n = d.n and (select is_open from gate) = 1
), written_orders as (
    insert into orders (bucket, customer_id, id, state, decides_at)
    select ($75::smallint[])[place], ($76::uuid[])[place], id, state, decides_at
    from unnest($101::integer[], $102::uuid[], $103::json[], $104::timestamptz[]) as o(place, id, state, decides_at)
    where (select is_open from gate) = 1
    on conflict (bucket, customer_id, id) do update set state = excluded.state, decides_at = excluded.decides_at
), written_balances as (
    insert into balances (bucket, customer_id, wallet, program, pending, available, reserved, spent, expired, debt,
                          forgiven, qualifying)
    select ($75::smallint[])[place], ($76::uuid[])[place], wallet, program, pending, available, reserved, spent,
           expired, debt, forgiven, qualifying
    from unnest($64::integer[], $65::text[], $66::bigint[], $67::bigint[], $68::bigint[], $69::bigint[], $70::bigint[],
                $71::bigint[], $72::bigint[], $73::bigint[], $74::bigint[])
         as b(place, wallet, program, pending, available, reserved, spent, expired, debt, forgiven, qualifying)
    where (select is_open from gate) = 1
    on conflict (bucket, customer_id, wallet) do update
    set program = excluded.program, pending = excluded.pending, available = excluded.available,
        reserved = excluded.reserved, spent = excluded.spent, expired = excluded.expired, debt = excluded.debt,
        forgiven = excluded.forgiven, qualifying = excluded.qualifying
), written_uses as (
    insert into limit_uses (bucket, customer_id, rule, period, times, points)
    select ($75::smallint[])[place], ($76::uuid[])[place], rule, period, times, points
    from unnest($87::integer[], $88::text[], $89::text[], $90::integer[], $91::bigint[])
         as u(place, rule, period, times, points)
    where (select is_open from gate) = 1
    on conflict (bucket, customer_id, rule, period) do update set times = excluded.times, points = excluded.points
), told as (
    insert into outbox (bucket, id)
    select ($7::smallint[])[place], ($8::uuid[])[place]
    from unnest($105::integer[]) as o(place)
    where (select is_open from gate) = 1
)
update customers c
set seq = f.seq, tier = f.tier, tier_since = f.tier_since, orders = f.orders, counts = f.counts,
    last_activity_at = f.last_activity_at, due_at = f.due_at, tiers = coalesce(f.tiers, c.tiers),
    calendar = coalesce(f.calendar, c.calendar), waiting = f.waiting
from unnest($75::smallint[], $76::uuid[], $77::bigint[], $78::text[], $79::timestamptz[], $80::integer[], $81::jsonb[],
            $82::timestamptz[], $83::timestamptz[], $84::jsonb[], $85::jsonb[], $86::integer[])
     as f(bucket, id, seq, tier, tier_since, orders, counts, last_activity_at, due_at, tiers, calendar, waiting)
where c.bucket = f.bucket and c.id = f.id and (select is_open from gate) = 1

-- name: add_customers
-- The rows of new customers, in their final state.
insert into customers (bucket, id, created_at, seq, tier, tier_since, orders, counts, attributes, tags,
                       last_activity_at, due_at, personal_key, personal, tiers, calendar, waiting)
select * from unnest($1::smallint[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::text[], $6::timestamptz[],
                     $7::integer[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::timestamptz[], $12::timestamptz[],
                     $13::uuid[], $14::bytea[], $15::jsonb[], $16::jsonb[], $17::integer[])

-- name: write_profiles
-- Attributes and tags of customers that profile events have changed.
update customers c
set attributes = p.attributes, tags = p.tags, personal = p.personal
from unnest($1::smallint[], $2::uuid[], $3::jsonb[], $4::jsonb[], $5::bytea[])
     as p(bucket, id, attributes, tags, personal)
where c.bucket = p.bucket and c.id = p.id

-- name: add_waiting
-- Order events that came before their order.
insert into waiting_events (bucket, customer_id, order_key, event_id)
select * from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[])

-- name: drop_waiting
-- Their order was opened, or they were turned into what it holds.
delete from waiting_events w
using unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[]) as gone(bucket, customer_id, order_key, event_id)
where w.bucket = gone.bucket and w.customer_id = gone.customer_id and w.order_key = gone.order_key
  and w.event_id = gone.event_id

-- name: write_reservations
-- Points set aside, and what became of them.
insert into reservations (bucket, customer_id, id, state, due_at)
select * from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::json[], $5::timestamptz[])
on conflict (bucket, customer_id, id) do update set state = excluded.state, due_at = excluded.due_at

-- name: write_redemptions
-- Claimed rewards, and what became of them.
insert into redemptions (bucket, customer_id, id, reward, status, state)
select * from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::json[])
on conflict (bucket, customer_id, id) do update set status = excluded.status, state = excluded.state

-- name: write_counters
-- Counters that this transaction holds.
update program_counters c set used = s.used
from unnest($1::text[], $2::bigint[]) as s(name, used)
where c.name = s.name

-- name: give_codes
-- Codes that claims were given; their counter is held.
update reward_codes r set event_id = g.event_id
from unnest($1::text[], $2::bigint[], $3::uuid[]) as g(reward, n, event_id)
where r.reward = g.reward and r.n = g.n and r.event_id is null

-- name: touch_clock
-- The test clock is where it was read, and stays there until this transaction ends; it never goes back behind this.
update program_clock set used = now where now = $1
