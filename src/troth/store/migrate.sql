-- name: take_migration_lock
-- One migrates at a time; the others then find nothing to do. The number is "troth" in ASCII.
select pg_advisory_lock(500136113256);

-- name: release_migration_lock
-- Releases at once, also on a connection that lives on.
select pg_advisory_unlock(500136113256);

-- name: has_role
-- Roles belong to the whole server, so another database may have made it already.
select exists (select from pg_roles where rolname = $1);

-- name: create_bookkeeping
-- The migrations applied to this database; made by the migrator itself, since it is read before the first one.
create table if not exists migrations (
    number     integer     primary key,
    name       text        not null,
    digest     text        not null,  -- SHA-256 of the file, so that a changed one is noticed
    applied_at timestamptz not null default now()
);

-- name: read_applied
-- In order, to compare with the files.
select number, name, digest from migrations order by number;

-- name: record_applied
-- In the migration's own transaction: applied and recorded, or neither.
insert into migrations (number, name, digest) values ($1, $2, $3);
