-- The schema beside the engine: what comes in by foreign doors, what leaves, files and jobs. It belongs to schema.sql.
-- Nothing here is shared between customers in the transaction that records events but the outbox, which has a bucket.

-- Sources: who sends from outside, in a format of their own

-- A configured door. Few rows, read whole once per process and SOURCE_CACHE_SECONDS: no bucket.
create table sources (
    id             text        primary key check (id ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    kind           text        not null check (kind in ('segment', 'shopify', 'woocommerce', 'webhook', 'antavo')),
    name           text        not null check (char_length(name) between 1 and 100),
    enabled        boolean     not null,
    settings       jsonb       not null,  -- as the kind reads them
    seal           uuid        not null,  -- what the sealed secrets are bound to
    secrets        bytea       not null,  -- sealed by the master key
    found_by       bytea       unique check (octet_length(found_by) = 32),  -- hash of the secret that names the source
    previous       bytea,  -- the secrets before the last rotation, sealed; null: none
    previous_by    bytea       check (octet_length(previous_by) = 32),
    previous_until timestamptz,  -- first instant at which they are refused
    made_at        timestamptz not null,
    changed_at     timestamptz not null
);

-- What came through a source. Written by background flushes only, never on the way of a request.
create table source_counts (
    source           text        primary key,
    received         bigint      not null,  -- events; accepted + duplicates + refused + dropped + waiting
    accepted         bigint      not null,
    duplicates       bigint      not null,
    refused          bigint      not null,
    dropped          bigint      not null,  -- by setting, or waited in vain
    waiting          bigint      not null,  -- put into the inbox
    unsigned         bigint      not null,  -- requests whose secret or signature was wrong
    last_received_at timestamptz,
    errors           jsonb       not null  -- the newest ones, newest first
);

-- Payloads that wait for what they lack: a name for an anonymous visitor, the order of a refund.
create table source_inbox (
    source      text        not null,
    id          uuid        not null,
    key_hash    bytea       not null check (octet_length(key_hash) = 32),  -- what it waits for
    item_hash   bytea       not null check (octet_length(item_hash) = 32),  -- its reference: a resend waits once
    received_at timestamptz not null,
    expires_at  timestamptz not null,
    sealed      bytea       not null,  -- key and payload
    primary key (source, id),
    unique (source, key_hash, item_hash)
);
create index source_inbox_expires on source_inbox (expires_at);

-- Who an anonymous visitor turned out to be, so that what comes late finds its customer.
create table source_names (
    source     text        not null,
    key_hash   bytea       not null check (octet_length(key_hash) = 32),
    seal       uuid        not null,
    sealed     bytea       not null,  -- the customer
    expires_at timestamptz not null,
    primary key (source, key_hash)
);
create index source_names_expires on source_names (expires_at);

-- The newest payloads that a webhook's source was sent, for those who set up its mapping.
create table source_payloads (
    source      text        not null,
    id          uuid        not null,
    received_at timestamptz not null,
    sealed      bytea       not null,  -- headers and body
    primary key (source, id)
);

-- What a door refused, to be looked at, mended and replayed. Nothing personal in clear.
create table rejections (
    id            uuid        primary key,
    received_at   timestamptz not null,
    expires_at    timestamptz not null,
    source        text        not null,  -- as events name it: api, client, segment, …
    source_detail text,  -- the key's name, the source's id, or the import's
    type          text,  -- as sent, when it looks like a name
    codes         text[]      not null,
    sealed        bytea       not null,  -- problems, the event and the payload it came in
    replayed_at   timestamptz,
    outcome       text,  -- of the last replay
    event_id      uuid,  -- what the replay recorded, or found recorded
    line          bigint check (line > 0),  -- of an import's file
    command       text  -- what was called, as the API's description names it; null: an event was sent
);
create index rejections_expires on rejections (expires_at);
-- Webhooks

-- What happened and is to be told: written with it, deleted once each webhook has its deliveries. Nothing personal.
create table outbox (
    bucket   smallint not null check (bucket between 0 and 255),
    id       uuid     not null,  -- the event; of a published program an id of its own
    revision integer,  -- the program that was published; null: an event
    primary key (bucket, id)
);

-- Where messages go. Few rows, read at each look: no bucket.
create table webhooks (
    id               uuid        primary key,
    url              text        not null,
    topics           text[]      not null,  -- names, families (points.*), or *
    format           text        not null check (format in ('standard', 'segment')),
    description      text        not null,
    headers          bytea,  -- sealed by the master key: further headers as JSON; null: none
    secret           bytea       not null,  -- sealed: the signing secret, or the receiver's write key
    old_secret       bytea,  -- sealed: signs beside it
    old_secret_until timestamptz,
    enabled          boolean     not null,
    disabled_at      timestamptz,  -- by the relay,
    disabled_reason  text,  -- with its reason
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    failures         integer     not null default 0,  -- failed attempts in a row
    failing_since    timestamptz,  -- the first of them
    delivered        bigint      not null default 0,
    given_up         bigint      not null default 0
) with (fillfactor = 50);

-- One message for one webhook, and every attempt to deliver it. Beside the hot path: no bucket.
create table webhook_deliveries (
    webhook_id uuid        not null,
    id         uuid        not null,  -- a UUIDv7: its milliseconds are when it was made
    message_id uuid        not null,  -- the same for every attempt, and for every webhook
    topic      text        not null,
    event_id   uuid,  -- what is told; null: data
    data       json,
    status     text        not null check (status in ('waiting', 'delivered', 'failed')),
    next_at    timestamptz not null,  -- waiting: when it is tried, or when whoever tries it has lost it
    claimed    boolean     not null default false,  -- somebody tries it
    tries      integer     not null default 0,
    earlier    integer     not null default 0,  -- of them, before it was redelivered
    until      timestamptz not null,  -- a failure later than this is the last one
    ended_at   timestamptz,
    attempts   jsonb       not null default '[]',
    primary key (webhook_id, id)
) with (fillfactor = 50);
create index webhook_deliveries_waiting on webhook_deliveries (webhook_id, next_at, id) where status = 'waiting';
create index webhook_deliveries_failed on webhook_deliveries (webhook_id, id) where status = 'failed';

-- Files: uploads and what jobs produce, sealed; every process sees them and every backup holds them.
create table files (
    id         uuid        primary key,
    name       text        not null check (char_length(name) between 1 and 255),
    media_type text        not null,
    size       bigint,  -- bytes; null: not complete yet
    sha256     bytea       check (octet_length(sha256) = 32),
    sealed_key bytea       not null,  -- seals the pieces; itself sealed by the master key
    created_at timestamptz not null,
    created_by text        not null,
    expires_at timestamptz  -- null: kept
);
create index files_expiring on files (expires_at) where expires_at is not null;

create table file_pieces (
    file_id uuid   not null,
    place   bigint not null check (place >= 0),  -- offset of its first byte
    size    integer not null check (size > 0),  -- bytes of it, unsealed
    content bytea  not null,
    primary key (file_id, place)
);
alter table file_pieces alter column content set storage external;  -- what is sealed cannot be compressed

-- What takes longer than a request: whoever holds the lease runs it; a lease that has run out is anybody's.
create table jobs (
    id           uuid        primary key,  -- UUIDv7: sorted by when it was made
    kind         text        not null check (kind in ('import', 'export')),
    status       text        not null check (status in
        ('waiting', 'running', 'paused', 'cancelled', 'finished', 'finished_with_errors', 'failed')),
    wish         text        check (wish in ('pause', 'cancel')),  -- asked of the one who runs it
    asked        jsonb       not null,  -- what is to be done, as its kind reads it
    progress     jsonb       not null default '{}',  -- counters and checkpoint, as its kind writes them
    input_file   uuid,
    output_file  uuid,  -- an export's result, an import's rejected rows
    created_at   timestamptz not null,
    created_by   text        not null,
    started_at   timestamptz,
    finished_at  timestamptz,
    problem      text,  -- why it failed
    worker       uuid,
    leased_until timestamptz,  -- another process may go on with it afterwards
    attempts     integer     not null default 0,  -- taken so often since its last checkpoint
    check ((status = 'running') = (worker is not null and leased_until is not null))
);
create index jobs_open on jobs (id) where status in ('waiting', 'running');
create index jobs_listed on jobs (kind, id);

-- How files of a kind are imported, by name.
create table import_templates (
    name       text        primary key check (char_length(name) between 1 and 100),
    options    jsonb       not null,  -- as an import takes them
    created_at timestamptz not null,
    updated_at timestamptz not null,
    created_by text        not null
);

-- Rights

grant select, insert, update, delete on files, file_pieces, jobs, import_templates to troth_app;
grant select, insert, update, delete on sources, source_counts, source_inbox, source_names, rejections to troth_app;
grant select, insert, update, delete on outbox, webhooks, webhook_deliveries to troth_app;
grant select, insert, update, delete on source_payloads to troth_app;
