-- The schema as it is now, with schema_doors.sql. Migrations build the same; tests/laws/test_schema.py compares them.
-- Every table of the hot path begins with bucket, and bucket is the first column of each of its keys.
-- No foreign keys, sequences or triggers on the hot path: the writing transaction keeps the tables in step.

-- Identity

-- One row per reference, for ever. scope is the first byte of the hash, so a lookup names one bucket.
-- It also holds order claims and system references; the kind is part of the hashed text.
create table event_refs (
    scope          smallint not null,
    reference_hash bytea    not null check (octet_length(reference_hash) = 32),
    event_id       uuid     not null,  -- the event that answers for this reference
    primary key (scope, reference_hash)
);

-- The only place where the integrator's id stands in clear. Erasure deletes the row.
create table identities (
    bucket          smallint not null,  -- hash of the external id
    external_id     text collate "C" not null check (char_length(external_id) between 1 and 255),
    customer_id     uuid     not null,
    customer_bucket smallint not null,
    primary key (bucket, external_id)
);

-- Customers: the row that is locked, and what was folded of their events (a cache but for id, keys and created_at)
create table customers (
    bucket           smallint    not null check (bucket between 0 and 255),
    id               uuid        not null,
    created_at       timestamptz not null,  -- when first recorded
    seq              bigint      not null check (seq >= 0),  -- the last sequence number given to an event
    tier             text,
    tier_since       timestamptz,
    orders           integer     not null default 0,  -- orders opened and not fully refunded
    counts           jsonb       not null default '{}',  -- event type → events recorded
    attributes       jsonb       not null default '{}',  -- those that are not personal
    tags             jsonb       not null default '[]',
    last_activity_at timestamptz,  -- latest occurred_at of an event of an activity type
    due_at           timestamptz,  -- never later than when the next thing of this customer falls due
    personal_key     uuid,
    personal         bytea,  -- sealed: external id and personal attributes
    tiers            jsonb       not null default '{}',  -- what tiers are judged by beside lifetime points
    calendar         jsonb       not null default '{}',  -- joined when; which calendar events were told
    waiting          integer     not null default 0 check (waiting >= 0),  -- order events that wait for their order
    primary key (bucket, id)
) with (fillfactor = 80);
-- Whom the worker looks at.
create index customers_due on customers (due_at) where due_at is not null;

-- One sealing key per customer, itself sealed by the master key. Erasure deletes the row.
create table personal_keys (
    bucket smallint not null,
    id     uuid     not null,
    sealed bytea    not null,
    primary key (bucket, id)
);

-- Points per state; program is where points come from, so a wallet sums to zero. A cache of postings.
create table balances (
    bucket      smallint not null,
    customer_id uuid     not null,
    wallet      text     not null,
    program     bigint   not null,
    pending     bigint   not null check (pending >= 0),
    available   bigint   not null check (available between 0 and 9007199254740991),
    reserved    bigint   not null check (reserved >= 0),
    spent       bigint   not null check (spent >= 0),
    expired     bigint   not null check (expired >= 0),
    debt        bigint   not null check (debt <= 0),
    forgiven    bigint   not null check (forgiven <= 0),
    qualifying  bigint   not null,  -- of lifetime, what counts for tiers
    primary key (bucket, customer_id, wallet),
    check (program + pending + available + reserved + spent + expired + debt + forgiven = 0),
    check (available = 0 or debt = 0)
) with (fillfactor = 80);

-- What a rule's limits have used up per customer and period. A cache of postings.
create table limit_uses (
    bucket      smallint not null,
    customer_id uuid     not null,
    rule        text     not null,
    period      text     not null,  -- day 2026-11-20, week 2026-W47, month 2026-11, year 2026, ever
    times       integer  not null check (times >= 0),
    points      bigint   not null check (points >= 0),
    primary key (bucket, customer_id, rule, period)
);

-- Events and the ledger: write-once

-- id is a UUIDv7: its milliseconds are recorded_at, its first 8 random bits the bucket. Partitions are months of id.
create table events (
    bucket        smallint    not null,
    id            uuid        not null,
    customer_id   uuid        not null,
    seq           bigint      not null check (seq > 0),
    type          text        not null,
    occurred_at   timestamptz not null,
    source        text        not null,
    source_detail text,
    actor         text,
    signed        boolean     not null,
    parent        uuid,  -- the event that caused it
    depth         smallint    not null check (depth between 0 and 5),
    caused        smallint    not null,  -- events caused by it; they carry the next seqs
    points        bigint      not null,  -- net change of pending + available + debt of the main wallet by its postings
    outcome       text        not null check (outcome in ('applied', 'waiting_for_order')),
    revision      integer     not null,  -- the program revision that judged it
    properties    jsonb       not null,  -- coerced; declared numbers as decimal text
    inputs        json,  -- what its rules read beyond properties; null: nothing
    after         json        not null,  -- wallets and tier after it and everything it caused
    warnings      json,
    personal_key  uuid,
    personal      bytea,  -- sealed: reference, personal properties, ip, user agent
    order_key     uuid,  -- of an order's events: the first half of its claim's hash
    clock         timestamptz,  -- the program's present, when a test clock stood; null: recorded_at
    primary key (bucket, id)
) partition by range (id);
-- Ends with the order, so that its events are picked out of a history without reading the others.
create index events_history on events (bucket, customer_id, seq, order_key);
create index events_log on events (id);

-- One movement of points between two states.
create table postings (
    bucket      smallint    not null,
    event_id    uuid        not null,
    n           integer     not null,
    customer_id uuid        not null,
    seq         bigint      not null,  -- of its event
    wallet      text        not null,
    from_state  text        not null,
    to_state    text        not null check (to_state <> from_state),
    points      bigint      not null check (points > 0),
    qualifying  boolean     not null,
    lot_event   uuid,  -- the lot: its earning event and number; null: debt and forgiven lie in none
    lot_n       smallint,
    occurred_at timestamptz not null,  -- of the event, or the due time
    reason      text        not null,
    rule        text,  -- awards: the rule,
    base        numeric,  -- what its formula gave,
    multiplier  numeric,  -- the tier multiplier used,
    cap         text,  -- the limit that cut it
    order_id    uuid,  -- the order it belongs to, by its opening event
    earned_at   timestamptz,  -- when it counts for tiers; null: at occurred_at
    expires_at  timestamptz,  -- awards: when their lot ends, as known then
    primary key (bucket, event_id, n)
) partition by range (event_id);
create index postings_history on postings (bucket, customer_id, seq, order_id);  -- the order: as above

-- Points that were earned together and end together. remaining is a cache of postings.
create table lots (
    bucket      smallint    not null,
    event_id    uuid        not null,
    n           smallint    not null,
    customer_id uuid        not null,
    wallet      text        not null,
    earned_at   timestamptz not null,
    expires_at  timestamptz,  -- first instant at which the points are gone; null: never
    points      bigint      not null check (points > 0),  -- that ever came into it
    remaining   bigint      not null,  -- available
    order_id    uuid,  -- the order that earned it, by its opening event
    rules       text[],  -- of an order's lot: whose awards it holds
    expiry      text,  -- how it ends: 12, 12e to month end, 12a after activity; null: never, or on a stated date
    hold_until  timestamptz,
    release_at  timestamptz,  -- when what is pending becomes available; null: nothing, or not accepted yet
    pending     bigint      not null default 0 check (pending >= 0),
    expired     bigint      not null default 0 check (expired >= 0),
    qualifying  boolean     not null default true,  -- whether what is pending counts for tiers once released
    primary key (bucket, event_id, n),
    check (remaining >= 0),
    check (pending + remaining + expired <= points)
);
-- Consumption order; also finds what is due.
create index lots_open on lots (bucket, customer_id, wallet, expires_at, earned_at) where remaining > 0;
create index lots_pending on lots (bucket, customer_id, release_at) where pending > 0 and release_at is not null;

-- Orders and spending: caches of events

-- state is what the next event of the order is judged from; null: nothing has happened since it was opened.
create table orders (
    bucket      smallint not null,
    customer_id uuid     not null,
    id          uuid     not null,  -- the opening event
    state       json,
    decides_at  timestamptz,  -- when it is accepted or rejected by itself
    primary key (bucket, customer_id, id)
) with (fillfactor = 80);
create index orders_due on orders (bucket, customer_id, decides_at) where decides_at is not null;

-- Order events that came before their order.
create table waiting_events (
    bucket      smallint not null,
    customer_id uuid     not null,
    order_key   uuid     not null,
    event_id    uuid     not null,
    primary key (bucket, customer_id, order_key, event_id)
);
create index waiting_events_order on waiting_events (order_key);  -- whoever opens it: reads list them

-- Points set aside for a payment under way.
create table reservations (
    bucket      smallint not null,
    customer_id uuid     not null,
    id          uuid     not null,  -- the event that made it
    state       json     not null,
    due_at      timestamptz,  -- when it times out; null: it has ended
    primary key (bucket, customer_id, id)
);
create index reservations_due on reservations (bucket, customer_id, due_at) where due_at is not null;

-- Claimed rewards.
create table redemptions (
    bucket      smallint not null,
    customer_id uuid     not null,
    id          uuid     not null,  -- the event that claimed it
    reward      text     not null,
    status      text     not null check (status in ('created', 'fulfilled', 'cancelled')),
    state       json     not null,
    primary key (bucket, customer_id, id)
);
create index redemptions_reward on redemptions (bucket, customer_id, reward);

-- What customers share: claims of a reward's stock. Locked last, in name order, by those that need them.
create table program_counters (
    name text   primary key,
    used bigint not null check (used >= 0)
);

-- Pools of codes, sealed by the master key; each is given once and never again.
create table reward_codes (
    reward    text   not null,
    n         bigint not null,  -- order of import
    code_hash bytea  not null check (octet_length(code_hash) = 32),
    code      bytea  not null,
    event_id  uuid,  -- the claim that was given it
    primary key (reward, n),
    unique (reward, code_hash)
);
create index reward_codes_free on reward_codes (reward, n) where event_id is null;

-- Keys

-- API keys; their text is never stored. Few rows, read once per process and KEY_CACHE_SECONDS: no bucket.
create table api_keys (
    id             uuid        primary key,
    hash           bytea       not null unique check (octet_length(hash) = 32),
    name           text        not null check (char_length(name) between 1 and 100),
    kind           text        not null check (kind in ('secret', 'publishable')),
    mode           text        not null check (mode in ('development', 'production')),
    scopes         text[]      not null,
    origins        text[]      not null,
    addresses      text[]      not null,
    signing_secret bytea,  -- sealed by the master key; null: the key signs nothing
    created_at     timestamptz not null,
    expires_at     timestamptz,  -- first instant at which it is refused; null: never
    revoked_at     timestamptz
);

-- Program

-- Every program that was ever live. json, not jsonb: the order in which properties are declared means something.
create table program_revisions (
    number            integer     primary key check (number > 0),
    document          json        not null,
    item_revisions    json        not null,  -- item, as rules/base → revision of its last change
    semantics_version integer     not null,  -- what the engine made of programs then
    author            text        not null,
    note              text        not null,
    published_at      timestamptz not null
);

-- The number of the live revision; every batch reads it. Publishing locks this one row.
create table program_live (
    only_row boolean primary key check (only_row),
    revision integer not null check (revision >= 0),  -- 0: nothing published yet
    dated    integer not null default 0,  -- the revision whose dates every customer's due_at knows
    sends    boolean not null default false  -- some webhook is enabled: what happens is put into the outbox
);

-- The one shared draft. The row stays when the draft is thrown away, so that a version never comes back.
create table program_draft (
    only_row   boolean     primary key check (only_row),
    version    integer     not null check (version > 0),
    base       integer     not null,  -- the revision it began from
    document   json,  -- null: no draft
    author     text        not null,
    updated_at timestamptz not null
);

-- Development only: the program's present, standing still until it is set again. now null: real time.
create table program_clock (
    only_row boolean     primary key check (only_row),
    now      timestamptz,
    used     timestamptz  -- the newest present that something was judged at
);
insert into program_clock (only_row) values (true);

-- Rights

-- What the serving role may do. Rights on a partitioned parent reach its partitions; a partition itself grants nothing.
-- Written once: the ledger, the events, and every program that was ever live.
grant usage on schema troth to troth_app;
grant select on migrations to troth_app;
grant select, insert on events, postings, program_revisions to troth_app;
-- Claims may be given back, and erasure forgets who a customer was.
grant select, insert, delete on event_refs, identities, personal_keys to troth_app;
-- Caches of events and postings, which rebuild may drop, and settings.
grant select, insert, update, delete on balances, limit_uses, lots to troth_app;
grant select, insert, update, delete on orders, waiting_events, reservations, redemptions to troth_app;
grant select, insert, update on customers, api_keys, program_live, program_draft to troth_app;
grant select, insert, update on program_counters, reward_codes, program_clock to troth_app;
