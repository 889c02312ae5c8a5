-- Sources: who sends from outside, their counters, and what waits in their inboxes.

-- name: list_sources
-- All of them: there are few, and each process keeps them in memory.
select s.id, s.kind, s.name, s.enabled, s.settings, s.seal, s.secrets, s.found_by, s.previous, s.previous_by,
       s.previous_until, s.made_at, s.changed_at
from sources s
order by s.id collate "C";

-- name: insert_source
-- Nothing is inserted when the id is taken, or there are as many as there may be.
insert into sources (id, kind, name, enabled, settings, seal, secrets, found_by, made_at, changed_at)
select $1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $9
where (select count(*) from sources) < $10
on conflict (id) do nothing
returning id;

-- name: update_source
-- Everything but the secrets.
update sources set name = $2, enabled = $3, settings = $4::jsonb, changed_at = $5 where id = $1 returning id;

-- name: rotate_source
-- The secrets until now are accepted for a while longer.
update sources
set previous = secrets, previous_by = found_by, previous_until = $4, secrets = $2, found_by = $3, changed_at = $5
where id = $1
returning id;

-- name: delete_source
-- With all that waits for it. Its events and rejections stay.
with counts as (delete from source_counts where source = $1),
     inbox as (delete from source_inbox where source = $1),
     names as (delete from source_names where source = $1),
     payloads as (delete from source_payloads where source = $1)
delete from sources where id = $1 returning id;

-- name: read_counts
-- What came through the sources, as far as it has been written.
select source, received, accepted, duplicates, refused, dropped, waiting, unsigned, last_received_at, errors
from source_counts;

-- name: add_counts
-- One row per source that received anything since the last flush; in order of id, so that two flushes never deadlock.
insert into source_counts as kept (source, received, accepted, duplicates, refused, dropped, waiting, unsigned,
                                   last_received_at, errors)
select new.source, received, accepted, duplicates, refused, dropped, waiting, unsigned, last_at, new.errors::jsonb
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::timestamptz[], $10::text[])
     as new(source, received, accepted, duplicates, refused, dropped, waiting, unsigned, last_at, errors)
where exists (select from sources where id = new.source)
order by new.source
on conflict (source) do update set
    received = kept.received + excluded.received,
    accepted = kept.accepted + excluded.accepted,
    duplicates = kept.duplicates + excluded.duplicates,
    refused = kept.refused + excluded.refused,
    dropped = kept.dropped + excluded.dropped,
    waiting = kept.waiting + excluded.waiting,
    unsigned = kept.unsigned + excluded.unsigned,
    last_received_at = greatest(kept.last_received_at, excluded.last_received_at),
    errors = (select coalesce(jsonb_agg(error order by place), '[]')
              from (select error, place
                    from jsonb_array_elements(excluded.errors || kept.errors) with ordinality as each(error, place)
                    order by place
                    limit $11) as newest);

-- name: put_waiting
-- As many as there is room for; what waits already (the same reference for the same key) waits once.
with room as (
    select greatest(0, $8 - count(*)) as places
    from (select 1 from source_inbox where source = $1 limit $8) as present
)
insert into source_inbox (source, id, key_hash, item_hash, received_at, expires_at, sealed)
select $1, new.id, new.key_hash, new.item_hash, $2, $3, new.sealed
from unnest($4::uuid[], $5::bytea[], $6::bytea[], $7::bytea[])
     with ordinality as new(id, key_hash, item_hash, sealed, place), room
where new.place <= room.places
order by new.key_hash, new.item_hash
on conflict (source, key_hash, item_hash) do nothing
returning id;

-- name: held_waiting
-- Which of these wait now, however they came in.
select key_hash, item_hash
from source_inbox join unnest($2::bytea[], $3::bytea[]) as asked(key_hash, item_hash) using (key_hash, item_hash)
where source = $1;

-- name: read_waiting
-- What waits for any of these keys, oldest first.
select id, key_hash, received_at, expires_at, sealed
from source_inbox join unnest($2::bytea[]) as asked(key_hash) using (key_hash)
where source = $1
order by received_at, id
limit $3;

-- name: oldest_waiting
-- What waits in a source, oldest first, to be tried again.
select id, key_hash, received_at, expires_at, sealed
from source_inbox
where source = $1 and id > $2
order by id
limit $3;

-- name: page_waiting
-- What waits in a source, newest first.
select id, key_hash, received_at, expires_at, sealed
from source_inbox
where source = $1 and id < $2
order by id desc
limit $3;

-- name: remove_waiting
-- What was applied, or refused for good.
delete from source_inbox where source = $1 and id = any($2::uuid[]);

-- name: drop_expired_waiting
-- What waited in vain, a bounded number at a time; it is counted.
with gone as (
    delete from source_inbox
    where (source, id) in (select source, id from source_inbox where expires_at <= $1 order by expires_at limit $2)
    returning source
), counted as (
    update source_counts set dropped = dropped + n, waiting = waiting - n
    from (select source, count(*) as n from gone group by source) as sums
    where source_counts.source = sums.source
)
select count(*) from gone;

-- name: put_names
-- Who these visitors turned out to be; the newest says.
insert into source_names as kept (source, key_hash, seal, sealed, expires_at)
select $1, key_hash, seal, sealed, $2
from unnest($3::bytea[], $4::uuid[], $5::bytea[]) as new(key_hash, seal, sealed)
order by key_hash
on conflict (source, key_hash) do update
set seal = excluded.seal, sealed = excluded.sealed, expires_at = excluded.expires_at;

-- name: read_names
-- Whom these visitors turned out to be.
select key_hash, seal, sealed
from source_names join unnest($2::bytea[]) as asked(key_hash) using (key_hash)
where source = $1;

-- name: drop_expired_names
-- Visitors who were named long ago.
with gone as (
    delete from source_names
    where (source, key_hash) in
        (select source, key_hash from source_names where expires_at <= $1 order by expires_at limit $2)
    returning 1
)
select count(*) from gone;

-- name: insert_payloads
-- What a source was sent, as long as there is such a source.
insert into source_payloads (source, id, received_at, sealed)
select new.source, new.id, new.received_at, new.sealed
from unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::bytea[]) as new(source, id, received_at, sealed)
where exists (select from sources where id = new.source);

-- name: trim_payloads
-- The newest ones of each source stay.
delete from source_payloads
where (source, id) in (
    select each.source, each.id
    from (select source, id, row_number() over (partition by source order by id desc) as place
          from source_payloads
          where source = any($1::text[])) as each
    where each.place > $2
);

-- name: read_payloads
-- What a source was sent last, newest first.
select source, id, received_at, sealed from source_payloads where source = $1 order by id desc limit $2;
