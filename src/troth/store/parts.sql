-- Parts of one customer's state, loaded when a decision lacks them. Whoever asks holds the customer's lock or version.

-- name: open_lots
-- Open lots in consumption order, a page at a time. Those that never end come last. Each branch walks the index from
-- where the last page ended; one expression over both would have every page sort all open lots.
select event_id, n, wallet, order_id, rules, earned_at, expiry, hold_until, qualifying, release_at, expires_at, points,
       pending, remaining, expired
from (
    (select l.*
     from lots l
     where l.bucket = $1 and l.customer_id = $2 and l.wallet = $3 and l.remaining > 0
       and (l.expires_at, l.earned_at, l.event_id, l.n) > ($4::timestamptz, $5::timestamptz, $6::uuid, $7::integer)
     order by l.expires_at, l.earned_at, l.event_id, l.n
     limit $8)
    union all
    (select l.*
     from lots l
     where l.bucket = $1 and l.customer_id = $2 and l.wallet = $3 and l.remaining > 0 and l.expires_at is null
       and ('9999-12-31Z'::timestamptz, l.earned_at, l.event_id, l.n) > ($4, $5, $6, $7)
       and l.earned_at >= case when $4 < '9999-12-31Z' then '-infinity' else $5 end  -- the same, for the index
     order by l.expires_at, l.earned_at, l.event_id, l.n
     limit $8)
) as found
order by coalesce(expires_at, '9999-12-31Z'), earned_at, event_id, n
limit $8

-- name: lots_by_key
-- Lots by their names.
select l.event_id, l.n, l.wallet, l.order_id, l.rules, l.earned_at, l.expiry, l.hold_until, l.qualifying, l.release_at,
       l.expires_at, l.points, l.pending, l.remaining, l.expired
from unnest($1::smallint[], $2::uuid[], $3::smallint[]) as asked(bucket, event_id, n)
join lots l using (bucket, event_id, n)

-- name: lots_of_events
-- Lots that these events earned.
select l.event_id, l.n, l.wallet, l.order_id, l.rules, l.earned_at, l.expiry, l.hold_until, l.qualifying, l.release_at,
       l.expires_at, l.points, l.pending, l.remaining, l.expired
from unnest($1::smallint[], $2::uuid[]) as asked(bucket, event_id)
join lots l using (bucket, event_id)

-- name: orders
-- Orders by opening event, with what their opening events recorded.
select o.customer_id, o.id, o.state, e.type, e.occurred_at, e.revision, e.order_key, e.clock, e.properties, e.inputs
from unnest($1::smallint[], $2::uuid[], $3::uuid[]) as asked(bucket, customer_id, id)
join orders o using (bucket, customer_id, id)
join events e on e.bucket = o.bucket and e.id = o.id

-- name: opened_by
-- Whose the orders are that these events opened, with what it takes to open the name.
select e.id, c.id as customer_id, c.personal_key, k.sealed, c.personal
from unnest($1::smallint[], $2::uuid[]) as asked(bucket, id)
join events e using (bucket, id)
join customers c on c.bucket = e.bucket and c.id = e.customer_id
left join personal_keys k on k.bucket = c.bucket and k.id = c.personal_key

-- name: waiting
-- Events that wait for these orders, at most $4 for each, in the order in which they came.
select w.order_key, w.event_id, e.type, e.occurred_at, e.properties
from unnest($3::uuid[]) as asked(order_key)
cross join lateral (
    select w.bucket, w.order_key, w.event_id
    from waiting_events w
    where w.bucket = $1 and w.customer_id = $2 and w.order_key = asked.order_key
    order by w.event_id
    limit $4
) as w
join events e on e.bucket = w.bucket and e.id = w.event_id
order by w.order_key, w.event_id

-- name: reservations
-- Reservations by their names.
select r.state
from unnest($3::uuid[]) as asked(id)
join reservations r on r.bucket = $1 and r.customer_id = $2 and r.id = asked.id

-- name: redemptions
-- Redemptions by their names.
select r.state
from unnest($3::uuid[]) as asked(id)
join redemptions r on r.bucket = $1 and r.customer_id = $2 and r.id = asked.id

-- name: claimed
-- How often this customer has claimed each of these rewards, cancelled claims left out.
select r.reward, count(*)::integer as claimed
from redemptions r
where r.bucket = $1 and r.customer_id = $2 and r.reward = any ($3::text[]) and r.status <> 'cancelled'
group by r.reward

-- name: add_counters
-- A counter begins at nothing; whoever makes it holds it.
insert into program_counters (name, used)
select name, 0 from unnest($1::text[]) as asked(name)
order by name
on conflict do nothing

-- name: lock_counters
-- Counters are locked last, in the order of their names.
select c.name, c.used
from program_counters c
where c.name = any ($1::text[])
order by c.name
for update

-- name: next_codes
-- The next free codes of a pool; its counter is locked.
select n, code_hash, code
from reward_codes
where reward = $1 and event_id is null
order by n
limit $2

-- name: due_lots
-- Lots to be released or to end by then. The index of open lots begins with the wallet, so each wallet is looked up.
select event_id, n, wallet, order_id, rules, earned_at, expiry, hold_until, qualifying, release_at, expires_at, points,
       pending, remaining, expired
from lots
where bucket = $1 and customer_id = $2 and pending > 0 and release_at <= $3
union all
select l.event_id, l.n, l.wallet, l.order_id, l.rules, l.earned_at, l.expiry, l.hold_until, l.qualifying, l.release_at,
       l.expires_at, l.points, l.pending, l.remaining, l.expired
from balances b
join lots l using (bucket, customer_id, wallet)
where b.bucket = $1 and b.customer_id = $2 and l.remaining > 0 and l.expires_at <= $3

-- name: due_until
-- When the last of the first $4 of them does so; null: there are fewer.
select due_at
from (
    (select l.release_at as due_at from lots l
     where l.bucket = $1 and l.customer_id = $2 and l.pending > 0 and l.release_at <= $3
     order by l.release_at limit $4)
    union all
    select ending.expires_at
    from balances b
    cross join lateral (
        select l.expires_at from lots l
        where l.bucket = $1 and l.customer_id = $2 and l.wallet = b.wallet and l.remaining > 0 and l.expires_at <= $3
        order by l.expires_at limit $4
    ) as ending
    where b.bucket = $1 and b.customer_id = $2
) as found
order by due_at
offset $4 - 1 limit 1

-- name: due_orders
-- Orders that are accepted or rejected by themselves by now.
select id from orders where bucket = $1 and customer_id = $2 and decides_at <= $3

-- name: due_reservations
-- Reservations that time out by now.
select state from reservations where bucket = $1 and customer_id = $2 and due_at <= $3

-- name: next_due
-- When the first of what is not due by then falls due.
select least(
    (select min(l.release_at) from lots l
     where l.bucket = $1 and l.customer_id = $2 and l.pending > 0 and l.release_at > $3),
    (select min(ending.expires_at) from balances b
     cross join lateral (
         select l.expires_at from lots l
         where l.bucket = $1 and l.customer_id = $2 and l.wallet = b.wallet and l.remaining > 0 and l.expires_at > $3
         order by l.expires_at limit 1
     ) as ending
     where b.bucket = $1 and b.customer_id = $2),
    (select min(o.decides_at) from orders o where o.bucket = $1 and o.customer_id = $2 and o.decides_at > $3),
    (select min(r.due_at) from reservations r where r.bucket = $1 and r.customer_id = $2 and r.due_at > $3))

-- name: qualifying
-- Every change of a wallet's qualifying points: when it counts, and when it became known.
select coalesce(p.earned_at, p.occurred_at) as counts_at, p.event_id, e.clock,
       case when p.to_state in ('program', 'pending') then -p.points else p.points end as points
from postings p
join events e on e.bucket = p.bucket and e.id = p.event_id
where p.bucket = $1 and p.customer_id = $2 and p.wallet = $3 and p.qualifying
  and (p.from_state in ('program', 'pending')) <> (p.to_state in ('program', 'pending'))
order by p.seq, p.n
