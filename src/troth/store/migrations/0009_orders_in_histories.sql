-- Histories end with the order, so that what belongs to one is picked out without reading everything else.

drop index events_history;
create index events_history on events (bucket, customer_id, seq, order_key);
drop index postings_history;
create index postings_history on postings (bucket, customer_id, seq, order_id);
