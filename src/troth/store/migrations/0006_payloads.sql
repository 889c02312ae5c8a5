-- What webhooks brought last, to be looked at while a mapping is made.

-- The newest payloads that a webhook's source was sent, for those who set up its mapping.
create table source_payloads (
    source      text        not null,
    id          uuid        not null,
    received_at timestamptz not null,
    sealed      bytea       not null,  -- headers and body
    primary key (source, id)
);

grant select, insert, update, delete on source_payloads to troth_app;
