-- Webhooks as they are set up. Every change of them holds the live program's row, so that `sends` is never behind.

-- name: lock_sends
-- One changes webhooks at a time; batches read the row without waiting.
select sends from program_live for no key update

-- name: set_sends
-- From the commit on, every batch writes the outbox, or none does.
update program_live p set sends = s.sends
from (select exists (select from webhooks where enabled) as sends) as s
where p.sends <> s.sends

-- name: count
-- There may only be so many.
select count(*) from webhooks

-- name: insert
-- A new one.
insert into webhooks (id, url, topics, format, description, headers, secret, enabled, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)

-- name: find
-- One of them, whole.
select id, url, topics, format, description, headers, secret, old_secret, old_secret_until, enabled, disabled_at,
       disabled_reason, created_at, updated_at, failures, failing_since, delivered, given_up
from webhooks
where id = $1

-- name: page
-- Oldest first.
select id, url, topics, format, description, headers, secret, old_secret, old_secret_until, enabled, disabled_at,
       disabled_reason, created_at, updated_at, failures, failing_since, delivered, given_up
from webhooks
where id > $1
order by id
limit $2

-- name: update
-- What its owner may change. Enabling it again begins anew; switching it off is no fault of its receiver.
update webhooks
set url = $2, topics = $3, format = $4, description = $5, headers = $6, secret = $7, enabled = $8, updated_at = $9,
    failures = case when $8 and not enabled then 0 else failures end,
    failing_since = case when $8 and not enabled then null else failing_since end,
    disabled_at = case when $8 then null else disabled_at end,
    disabled_reason = case when $8 then null else disabled_reason end
where id = $1

-- name: rotate
-- The secret until now signs beside the new one for a while.
update webhooks
set old_secret = case when $4::timestamptz > $3 then secret end, old_secret_until = $4, secret = $2, updated_at = $3
where id = $1

-- name: delete
-- Its deliveries are swept later.
delete from webhooks where id = $1

-- name: disable
-- By the relay, with its reason; false when somebody else did it.
update webhooks set enabled = false, disabled_at = $2, disabled_reason = $3, updated_at = $2
where id = $1 and enabled
returning id

-- name: enabled
-- Whom the outbox is told to.
select id, topics from webhooks where enabled order by id

-- name: totals
-- For measurements.
select coalesce(sum(delivered), 0)::bigint as delivered, coalesce(sum(given_up), 0)::bigint as given_up,
       count(*) filter (where enabled) as enabled,
       count(*) filter (where failing_since is not null and enabled) as failing
from webhooks
