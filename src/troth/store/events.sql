-- Recorded events: reads by id and by place in a customer's history.

-- name: by_id
-- Events with what it takes to name their customer.
select e.bucket, e.id, e.customer_id, e.seq, e.type, e.occurred_at, e.source, e.source_detail, e.actor, e.signed,
       e.parent, e.depth, e.caused, e.points, e.outcome, e.revision, e.properties, e.inputs, e.after, e.warnings,
       e.personal_key, e.personal, e.order_key, e.clock, c.personal as customer_personal,
       c.personal_key as customer_key, k.sealed
from unnest($1::smallint[], $2::uuid[]) as asked(bucket, id)
join events e using (bucket, id)
join customers c on c.bucket = e.bucket and c.id = e.customer_id
left join personal_keys k on k.bucket = c.bucket and k.id = c.personal_key

-- name: caused_by
-- What events caused: the events that took the next sequence numbers.
select cause.id as cause, e.id, e.type, e.points, e.clock
from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::smallint[])
     as cause(bucket, id, customer_id, seq, caused)
join events e on e.bucket = cause.bucket and e.customer_id = cause.customer_id
             and e.seq > cause.seq and e.seq <= cause.seq + cause.caused
order by cause.id, e.seq

-- name: postings_of
-- The postings of events.
select p.event_id, p.n, p.wallet, p.from_state, p.to_state, p.points, p.qualifying, p.lot_event, p.lot_n,
       p.occurred_at, p.reason, p.order_id, p.rule, p.base, p.multiplier, p.cap, p.earned_at, p.expires_at
from unnest($1::smallint[], $2::uuid[]) as asked(bucket, event_id)
join postings p using (bucket, event_id)
order by p.event_id, p.n
