-- Webhooks: what is to be told, to whom, and each message on its way.
create table outbox (
    bucket   smallint not null check (bucket between 0 and 255),
    id       uuid     not null,
    revision integer,
    primary key (bucket, id)
);

create table webhooks (
    id               uuid        primary key,
    url              text        not null,
    topics           text[]      not null,
    format           text        not null check (format in ('standard', 'segment')),
    description      text        not null,
    headers          bytea,
    secret           bytea       not null,
    old_secret       bytea,
    old_secret_until timestamptz,
    enabled          boolean     not null,
    disabled_at      timestamptz,
    disabled_reason  text,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    failures         integer     not null default 0,
    failing_since    timestamptz,
    delivered        bigint      not null default 0,
    given_up         bigint      not null default 0
) with (fillfactor = 50);

create table webhook_deliveries (
    webhook_id uuid        not null,
    id         uuid        not null,
    message_id uuid        not null,
    topic      text        not null,
    event_id   uuid,
    data       json,
    status     text        not null check (status in ('waiting', 'delivered', 'failed')),
    next_at    timestamptz not null,
    claimed    boolean     not null default false,
    tries      integer     not null default 0,
    earlier    integer     not null default 0,
    until      timestamptz not null,
    ended_at   timestamptz,
    attempts   jsonb       not null default '[]',
    primary key (webhook_id, id)
) with (fillfactor = 50);
create index webhook_deliveries_waiting on webhook_deliveries (webhook_id, next_at, id) where status = 'waiting';
create index webhook_deliveries_failed on webhook_deliveries (webhook_id, id) where status = 'failed';

alter table program_live add column sends boolean not null default false;

grant select, insert, update, delete on outbox, webhooks, webhook_deliveries to troth_app;
