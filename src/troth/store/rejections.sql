-- Rejections: what doors refused, kept for a while, replayable.

-- name: insert_rejections
-- Everything refused since the last flush, or the last checkpoint of an import; one whose answer was lost is repeated.
insert into rejections (id, received_at, expires_at, source, source_detail, type, codes, sealed, line, command)
select id, received_at, expires_at, source, source_detail, type, string_to_array(codes, ' '), sealed, line, command
from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::bytea[], $9::bigint[], $10::text[])
    as new(id, received_at, expires_at, source, source_detail, type, codes, sealed, line, command)
on conflict (id) do nothing;

-- name: page_rejections
-- Newest first; a filter that is null narrows nothing.
select id, received_at, expires_at, source, source_detail, type, codes, sealed, replayed_at, outcome, event_id,
       line, command
from rejections
where id < $1
  and ($2::text is null or source = $2 or source_detail = $2)
  and ($3::text is null or $3 = any(codes))
  and ($4::text is null or type = $4)
  and ($5::timestamptz is null or received_at >= $5)
  and ($6::timestamptz is null or received_at < $6)
  and ($7::boolean is null or (replayed_at is not null) = $7)
  and ($8::text is null or command = $8)
order by id desc
limit $9;

-- name: next_rejections
-- Those not replayed yet, oldest first, for replaying many: events, or one command.
select id, received_at, expires_at, source, source_detail, type, codes, sealed, replayed_at, outcome, event_id,
       line, command
from rejections
where id > $1
  and ($2::text is null or source = $2 or source_detail = $2)
  and ($3::text is null or $3 = any(codes))
  and ($4::text is null or type = $4)
  and ($5::timestamptz is null or received_at >= $5)
  and ($6::timestamptz is null or received_at < $6)
  and replayed_at is null
  and command is not distinct from $7::text
order by id
limit $8;

-- name: read_rejection
-- One of them.
select id, received_at, expires_at, source, source_detail, type, codes, sealed, replayed_at, outcome, event_id,
       line, command
from rejections
where id = $1;

-- name: mark_replayed
-- What became of it.
update rejections set replayed_at = $2, outcome = $3, event_id = $4 where id = $1;

-- name: drop_rejections
-- Those whose time is over, and the oldest beyond what is kept, a bounded number at a time.
with gone as (
    delete from rejections
    where id in (
        (select id from rejections where expires_at <= $1 order by expires_at limit $2)
        union all
        (select id from rejections order by id desc offset $3 limit $2))
    returning 1
)
select count(*) from gone;
