-- Files in pieces of at most 1 MiB. A file is complete when its size is known; its pieces do not change afterwards.

-- name: add_file
-- Its pieces follow in statements of their own: no transaction is as long as an upload.
insert into files (id, name, media_type, sealed_key, created_at, created_by, expires_at)
values ($1, $2, $3, $4, $5, $6, $7);

-- name: add_piece
-- A piece written twice, because the answer to the first try was lost, is the same piece.
insert into file_pieces (file_id, place, size, content)
values ($1, $2, $3, $4)
on conflict (file_id, place) do update set size = excluded.size, content = excluded.content;

-- name: finish_file
-- From now on it can be read as a whole.
update files
set size = $2, sha256 = $3, expires_at = $4
where id = $1;

-- name: file
-- What is not complete is found too: rejected rows are read while their import runs.
select id, name, media_type, size, sha256, sealed_key, created_at, created_by, expires_at
from files
where id = $1;

-- name: files
-- Of one page of jobs.
select id, name, media_type, size, sha256, sealed_key, created_at, created_by, expires_at
from files
where id = any($1::uuid[]);

-- name: piece
-- The piece that holds this byte, by its key.
select place, size, content
from file_pieces
where file_id = $1 and place <= $2
order by place desc
limit 1;

-- name: end_of_file
-- Where the next piece of an unfinished file goes.
select place + size
from file_pieces
where file_id = $1
order by place desc
limit 1;

-- name: cut_file
-- What was written after the last checkpoint of a job is written again.
delete from file_pieces
where file_id = $1 and place >= $2;

-- name: drop_file
-- The key goes with the row: what a backup still holds of the pieces can be opened by nobody.
with dropped as (
    delete from files where id = $1 returning id
)
delete from file_pieces where file_id in (select id from dropped);

-- name: drop_expired
-- Few at once, since each may have thousands of pieces.
with dropped as (
    delete from files where id in (
        select id from files where expires_at <= $1 order by expires_at limit $2 for update skip locked
    )
    returning id
), pieces as (
    delete from file_pieces where file_id in (select id from dropped)
)
select count(*) from dropped;
