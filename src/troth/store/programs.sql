-- name: live_revision
-- The number alone, to see whether the cached program is still the live one.
select revision from program_live;

-- name: live
-- The whole live revision in one round trip.
select r.number, r.document, r.item_revisions, r.semantics_version, r.author, r.note, r.published_at
from program_live l
join program_revisions r on r.number = l.revision;

-- name: ensure_live_row
-- The row to lock must be there before the first publication.
insert into program_live (only_row, revision) values (true, 0) on conflict do nothing;

-- name: lock_live
-- One publishes at a time; batches read the row without waiting.
select revision from program_live for no key update;

-- name: set_live
-- From the commit on, every batch of every process is judged under this revision.
update program_live set revision = $1;

-- name: other_wallet_in_use
-- A wallet that holds points but is not among $1; read only when a wallet is added or taken away.
select wallet from balances where wallet <> all ($1::text[]) limit 1;

-- name: insert_revision
-- Written once; a later program is a later row.
insert into program_revisions (number, document, item_revisions, semantics_version, author, note, published_at)
values ($1, $2, $3, $4, $5, $6, $7);

-- name: revision
-- One revision as it was published.
select number, document, item_revisions, semantics_version, author, note, published_at
from program_revisions
where number = $1;

-- name: history
-- Newest first, without the documents; $1 is the revision to go on below.
select number, semantics_version, author, note, published_at
from program_revisions
where number < $1
order by number desc
limit $2;

-- name: draft
-- The draft, if there is one.
select version, base, document, author, updated_at
from program_draft
where document is not null;

-- name: put_draft
-- Insert or replace, when the version is the one the editor saw (null: whatever it is). A draft begun anew takes the
-- new base; one that goes on keeps its own.
insert into program_draft as d (only_row, version, base, document, author, updated_at)
select true, 1, $1, $2, $3, $4
where $5::integer is null or exists (select from program_draft where version = $5 and document is not null)
on conflict (only_row) do update
set version = d.version + 1, base = case when d.document is null then excluded.base else d.base end,
    document = excluded.document, author = excluded.author, updated_at = excluded.updated_at
where $5::integer is null or (d.version = $5 and d.document is not null)
returning version, base, document, author, updated_at;

-- name: drop_draft
-- The row stays, so that no later draft takes a version that was used before.
update program_draft
set document = null, version = version + 1
where document is not null and ($1::integer is null or version = $1)
returning version;
