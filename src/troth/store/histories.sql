-- One customer's history, in pages to both sides of a place. Nothing here locks or writes.

-- name: older
-- Events before a seq, the nearest first.
select e.id, e.seq
from events e
where e.bucket = $1 and e.customer_id = $2 and e.seq < $3
  and ($4::text[] is null or e.type = any($4))
  and (not $5::boolean or e.points <> 0)
  and ($6::timestamptz is null or e.occurred_at >= $6)
  and ($7::timestamptz is null or e.occurred_at < $7)
order by e.seq desc
offset $8 limit $9;

-- name: newer
-- Events after a seq, the nearest first.
select e.id, e.seq
from events e
where e.bucket = $1 and e.customer_id = $2 and e.seq > $3
  and ($4::text[] is null or e.type = any($4))
  and (not $5::boolean or e.points <> 0)
  and ($6::timestamptz is null or e.occurred_at >= $6)
  and ($7::timestamptz is null or e.occurred_at < $7)
order by e.seq
offset $8 limit $9;
