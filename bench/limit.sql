-- The limit: one statement that writes the rows of one purchase with one award, for a customer drawn at random.
-- It looks up, locks and counts the customer as any writer must; it validates and decides nothing. Texts come as
-- parameters, since a client has to send them; they are those of an event that the measured server recorded.
\set customer random(:first, :last)
with named as (
    select customer_bucket as bucket, customer_id as id
    from identities
    where bucket = get_byte(sha256(convert_to(:customer, 'UTF8')), 0) and external_id = :customer
), customer as (
    update customers c
    set seq = c.seq + 1, tier = 'bronze', tier_since = c.tier_since, orders = c.orders + 1,
        counts = cast(:counts as jsonb), attributes = c.attributes, tags = c.tags, last_activity_at = now(),
        due_at = least(c.due_at, now() + interval '365 days'), personal_key = c.personal_key, personal = c.personal
    from named
    where c.bucket = named.bucket and c.id = named.id
    returning c.bucket, c.id, c.seq, c.personal_key
), event as (
    select bucket, id as customer_id, seq, personal_key, uuidv7() as id, now() as at from customer
), claimed as (
    insert into event_refs (scope, reference_hash, event_id)
    select get_byte(hash, 0), hash, event.id
    from event, lateral (values (sha256(uuid_send(event.id))), (sha256('o' || uuid_send(event.id)))) as keys (hash)
), recorded as (
    insert into events (bucket, id, customer_id, seq, type, occurred_at, source, source_detail, actor, signed, parent,
                        depth, caused, points, outcome, revision, properties, inputs, after, warnings, personal_key,
                        personal, order_key)
    select bucket, id, customer_id, seq, 'purchase', at, 'api', 'bench', null, false, null, 0, 0, 42, 'applied', 2,
           cast(:properties as jsonb), null, cast(:after as json), null, personal_key, cast(:personal as bytea), id
    from event
), posted as (
    insert into postings (bucket, event_id, n, customer_id, seq, wallet, from_state, to_state, points, qualifying,
                          lot_event, lot_n, occurred_at, reason, rule, base, multiplier, cap, order_id, expires_at)
    select bucket, id, 0, customer_id, seq, 'points', 'program', 'available', 42, true, id, 0, at, 'award', 'base',
           42.42, 1, null, id, at + interval '365 days'
    from event
), earned as (
    insert into lots (bucket, event_id, n, customer_id, wallet, earned_at, expires_at, points, remaining, order_id,
                      rules, expiry)
    select bucket, id, 0, customer_id, 'points', at, at + interval '365 days', 42, 42, id, '{base}', '12' from event
), opened as (
    insert into orders (bucket, customer_id, id) select bucket, customer_id, id from event
)
insert into balances as b (bucket, customer_id, wallet, program, pending, available, reserved, spent, expired, debt,
                           forgiven, qualifying)
select bucket, customer_id, 'points', -42, 0, 42, 0, 0, 0, 0, 0, 42 from event
on conflict (bucket, customer_id, wallet) do update
set program = b.program + excluded.program, available = b.available + excluded.available,
    qualifying = b.qualifying + excluded.qualifying;
