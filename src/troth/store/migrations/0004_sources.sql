-- Sources, what waits in them, and what doors refused.

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

-- What a door refused, to be looked at, mended and replayed. Nothing personal in clear.
create table rejections (
    id            uuid        primary key,
    received_at   timestamptz not null,
    expires_at    timestamptz not null,
    source        text        not null,  -- as events name it: api, client, segment, …
    source_detail text,  -- the key's name, or the source's id
    type          text,  -- as sent, when it looks like a name
    codes         text[]      not null,
    sealed        bytea       not null,  -- problems, the event and the payload it came in
    replayed_at   timestamptz,
    outcome       text,  -- of the last replay
    event_id      uuid  -- what the replay recorded, or found recorded
);
create index rejections_expires on rejections (expires_at);

grant select, insert, update, delete on sources, source_counts, source_inbox, source_names, rejections to troth_app;
