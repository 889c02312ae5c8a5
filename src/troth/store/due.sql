-- Whom the worker looks at.

-- name: claim_due
-- Customers whose date has come, the earliest first; those that somebody else holds are left to it.
select bucket, id
from customers
where due_at <= $1
order by due_at
limit $2
for no key update skip locked

-- name: read
-- Everything that is known of customers by their rows, as batch.sql reads it by their names.
select '' as external_id, c.bucket, c.id, c.xmin as version, c.created_at, c.seq, c.tier, c.tier_since, c.orders,
       c.counts, c.attributes, c.tags, c.last_activity_at, c.due_at, c.personal_key, c.personal, c.tiers, c.calendar,
       c.waiting, k.sealed, b.wallet, b.program, b.pending, b.available, b.reserved, b.spent, b.expired, b.debt,
       b.forgiven, b.qualifying
from unnest($1::smallint[], $2::uuid[]) with ordinality as asked(bucket, id, place)
join customers c using (bucket, id)
left join personal_keys k on k.bucket = c.bucket and k.id = c.personal_key
left join balances b on b.bucket = c.bucket and b.customer_id = c.id
order by place

-- name: put_off
-- The first customer whose date has come is looked at later.
update customers c set due_at = $2
from (
    select bucket, id from customers where due_at <= $1 order by due_at limit 1 for no key update skip locked
) as first
where c.bucket = first.bucket and c.id = first.id
returning c.id

-- name: dated
-- The revision whose dates every customer's due_at knows, and the live one.
select dated, revision from program_live

-- name: look_again
-- Every customer of a bucket is looked at anew, since the program moves dates.
update customers set due_at = $2 where bucket = $1 and (due_at is null or due_at > $2)

-- name: set_dated
-- From now on the dates are those of this revision.
update program_live set dated = $1 where dated < $1
