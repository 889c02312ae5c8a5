-- Files and jobs: what is uploaded and produced, and what takes longer than a request.

create table files (
    id         uuid        primary key,
    name       text        not null check (char_length(name) between 1 and 255),
    media_type text        not null,
    size       bigint,
    sha256     bytea       check (octet_length(sha256) = 32),
    sealed_key bytea       not null,
    created_at timestamptz not null,
    created_by text        not null,
    expires_at timestamptz
);
create index files_expiring on files (expires_at) where expires_at is not null;

create table file_pieces (
    file_id uuid   not null,
    place   bigint not null check (place >= 0),
    size    integer not null check (size > 0),
    content bytea  not null,
    primary key (file_id, place)
);
alter table file_pieces alter column content set storage external;

-- Jobs
create table jobs (
    id           uuid        primary key,
    kind         text        not null check (kind in ('import', 'export')),
    status       text        not null check (status in
        ('waiting', 'running', 'paused', 'cancelled', 'finished', 'finished_with_errors', 'failed')),
    wish         text        check (wish in ('pause', 'cancel')),
    asked        jsonb       not null,
    progress     jsonb       not null default '{}',
    input_file   uuid,
    output_file  uuid,
    created_at   timestamptz not null,
    created_by   text        not null,
    started_at   timestamptz,
    finished_at  timestamptz,
    problem      text,
    worker       uuid,
    leased_until timestamptz,
    attempts     integer     not null default 0,
    check ((status = 'running') = (worker is not null and leased_until is not null))
);
create index jobs_open on jobs (id) where status in ('waiting', 'running');
create index jobs_listed on jobs (kind, id);

create table import_templates (
    name       text        primary key check (char_length(name) between 1 and 100),
    options    jsonb       not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    created_by text        not null
);

grant select, insert, update, delete on files, file_pieces, jobs, import_templates to troth_app;
