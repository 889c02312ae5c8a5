-- Messages on their way: claimed for a while, tried, recorded. Who claims and dies loses them when that while is over.

-- name: insert
-- One for each webhook that is told.
insert into webhook_deliveries (webhook_id, id, message_id, topic, event_id, data, status, next_at, until)
select webhook_id, id, message_id, topic, event_id, data, 'waiting', $1, $2
from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[], $8::json[])
     as d(webhook_id, id, message_id, topic, event_id, data)

-- name: due_webhooks
-- Enabled webhooks for which something is to be tried.
select w.id
from webhooks w
where w.enabled
  and exists (select from webhook_deliveries d where d.webhook_id = w.id and d.status = 'waiting' and d.next_at <= $1)
order by w.id

-- name: claim
-- A lease: next_at moves behind it, and tries tells a later claim from this one. Others' claims are skipped.
with due as (
    select webhook_id, id
    from webhook_deliveries
    where webhook_id = $1 and status = 'waiting' and next_at <= $2
    order by next_at, id
    limit $3
    for update skip locked
)
update webhook_deliveries d
set next_at = $4, claimed = true, tries = d.tries + 1
from due
where d.webhook_id = due.webhook_id and d.id = due.id
returning d.id, d.message_id, d.topic, d.event_id, d.data, d.tries, d.earlier, d.until

-- name: give_back
-- Claimed and not begun, as if it had not been claimed.
update webhook_deliveries d
set next_at = $2, claimed = false, tries = d.tries - 1
from unnest($3::uuid[], $4::integer[]) as mine(id, tries)
where d.webhook_id = $1 and d.id = mine.id and d.tries = mine.tries and d.claimed and d.status = 'waiting'

-- name: record
-- What came of attempts, and of their webhook: failures in a row end with a success. Only the newest claim decides, but
-- a success always counts. The oldest attempts are forgotten beyond $10.
with recorded as (
    update webhook_deliveries d
    set status = r.status, next_at = coalesce(r.next_at, d.next_at), claimed = false,
        ended_at = case when r.status = 'waiting' then null else $2::timestamptz end,
        attempts = case when jsonb_array_length(d.attempts) >= $10 then d.attempts - 0 else d.attempts end || r.attempt
    from unnest($3::uuid[], $4::integer[], $5::text[], $6::timestamptz[], $7::jsonb[])
         as r(id, tries, status, next_at, attempt)
    where d.webhook_id = $1 and d.id = r.id and d.status = 'waiting' and (d.tries = r.tries or r.status = 'delivered')
    returning d.status
)
update webhooks w
set failures = case when $8 then 0 else w.failures end + $9::integer,
    failing_since = case when $9 = 0 then null when $8 then $2 else coalesce(w.failing_since, $2) end,
    delivered = w.delivered + (select count(*) from recorded where status = 'delivered'),
    given_up = w.given_up + (select count(*) from recorded where status = 'failed')
where w.id = $1
returning w.failures, w.failing_since

-- name: page
-- Of one webhook, the newest first.
select id, message_id, topic, event_id, status, next_at, claimed, tries, ended_at, null::jsonb as attempts
from webhook_deliveries
where webhook_id = $1 and id < $2
  and ($3::text is null or status = $3)
  and ($4::text is null or topic = $4)
order by id desc
limit $5

-- name: find
-- One, with every attempt.
select id, message_id, topic, event_id, status, next_at, claimed, tries, ended_at, attempts
from webhook_deliveries
where webhook_id = $1 and id = $2

-- name: redeliver
-- Tried again as if it were new, under the same message id; one that is under way just now goes on.
update webhook_deliveries
set status = 'waiting', next_at = case when claimed and status = 'waiting' then next_at else $3 end, until = $4,
    ended_at = null, earlier = tries
where webhook_id = $1 and id = $2
returning id

-- name: sweep
-- What is older than its time, and what belongs to no webhook any more, a bounded number at a time.
delete from webhook_deliveries
where (webhook_id, id) in (
    select d.webhook_id, d.id
    from webhook_deliveries d
    where d.id < $1 or not exists (select from webhooks w where w.id = d.webhook_id)
    limit $2
)

-- name: backlog
-- For measurements: how many wait, counted no further than $1, and how long the most urgent one has been due.
select (select count(*) from (select from webhook_deliveries where status = 'waiting' limit $1) as w) as waiting,
       (select min(first.next_at)
        from webhooks w
        cross join lateral (
            select d.next_at from webhook_deliveries d
            where d.webhook_id = w.id and d.status = 'waiting' order by d.next_at limit 1
        ) as first
        where w.enabled) as next_at

-- name: traits
-- What a customer is like, without anything personal.
select c.id, c.attributes, c.tags, c.tier
from unnest($1::smallint[], $2::uuid[]) as asked(bucket, id)
join customers c using (bucket, id)
