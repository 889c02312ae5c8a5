-- Holds, orders, reservations, rewards, tiers that time takes away, the calendar, and a clock for tests.

-- Customers
alter table customers
    add column tiers    jsonb   not null default '{}',
    add column calendar jsonb   not null default '{}',
    add column waiting  integer not null default 0 check (waiting >= 0);
update customers c
set tiers = jsonb_build_object('reached', (
    select jsonb_agg(r.level order by r.first) from (
        select e.properties ->> 'to_tier' as level, min(e.seq) as first
        from events e
        where e.bucket = c.bucket and e.customer_id = c.id and e.type = 'tier_upgraded'
        group by 1) r))
where exists (
    select from events e where e.bucket = c.bucket and e.customer_id = c.id and e.type = 'tier_upgraded');
update customers c
set calendar = jsonb_build_object(
    'joined_at', to_char(j.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'opted_in', j.opted_in)
from (
    select e.bucket, e.customer_id, bool_or(e.type = 'opt_in') as opted_in,
           coalesce((array_agg(e.occurred_at order by e.seq) filter (where e.type = 'opt_in'))[1],
                    (array_agg(e.occurred_at order by e.seq))[1]) as at
    from events e
    where e.source <> 'system'
    group by e.bucket, e.customer_id) j
where c.bucket = j.bucket and c.id = j.customer_id;
update customers set due_at = created_at;  -- the next look at each of them finds what its calendar holds
create index customers_due on customers (due_at) where due_at is not null;

-- Events and the ledger
alter table events
    add column order_key uuid,
    add column clock     timestamptz;
alter table postings
    alter column lot_event drop not null,
    alter column lot_n drop not null,
    add column order_id   uuid,
    add column earned_at  timestamptz,
    add column expires_at timestamptz;
update postings p set expires_at = l.expires_at
from lots l
where l.bucket = p.bucket and l.event_id = p.lot_event and l.n = p.lot_n and l.expires_at is not null
  and p.rule is not null;

-- Lots
alter table lots
    drop constraint lots_check,
    add column order_id   uuid,
    add column rules      text[],
    add column expiry     text,
    add column hold_until timestamptz,
    add column release_at timestamptz,
    add column pending    bigint not null default 0 check (pending >= 0),
    add column expired    bigint not null default 0 check (expired >= 0),
    add column qualifying boolean not null default true,
    add check (remaining >= 0),
    add check (pending + remaining + expired <= points);
update lots set expired = points - remaining where remaining < points;
create index lots_pending on lots (bucket, customer_id, release_at) where pending > 0 and release_at is not null;

-- Orders
create table orders (
    bucket      smallint not null,
    customer_id uuid     not null,
    id          uuid     not null,
    state       json,
    decides_at  timestamptz,
    primary key (bucket, customer_id, id)
) with (fillfactor = 80);
create index orders_due on orders (bucket, customer_id, decides_at) where decides_at is not null;

create table waiting_events (
    bucket      smallint not null,
    customer_id uuid     not null,
    order_key   uuid     not null,
    event_id    uuid     not null,
    primary key (bucket, customer_id, order_key, event_id)
);
create index waiting_events_order on waiting_events (order_key);

-- Spending
create table reservations (
    bucket      smallint not null,
    customer_id uuid     not null,
    id          uuid     not null,
    state       json     not null,
    due_at      timestamptz,
    primary key (bucket, customer_id, id)
);
create index reservations_due on reservations (bucket, customer_id, due_at) where due_at is not null;

create table redemptions (
    bucket      smallint not null,
    customer_id uuid     not null,
    id          uuid     not null,
    reward      text     not null,
    status      text     not null check (status in ('created', 'fulfilled', 'cancelled')),
    state       json     not null,
    primary key (bucket, customer_id, id)
);
create index redemptions_reward on redemptions (bucket, customer_id, reward);

create table program_counters (
    name text   primary key,
    used bigint not null check (used >= 0)
);

create table reward_codes (
    reward    text   not null,
    n         bigint not null,
    code_hash bytea  not null check (octet_length(code_hash) = 32),
    code      bytea  not null,
    event_id  uuid,
    primary key (reward, n),
    unique (reward, code_hash)
);
create index reward_codes_free on reward_codes (reward, n) where event_id is null;

-- The program
alter table program_live add column dated integer not null default 0;

-- The test clock
create table program_clock (
    only_row boolean primary key check (only_row),
    now      timestamptz,
    used     timestamptz
);
insert into program_clock (only_row) values (true);

grant select, insert, update, delete on orders, waiting_events, reservations, redemptions to troth_app;
grant select, insert, update on program_counters, reward_codes, program_clock to troth_app;
