-- name: set_lock_timeout
-- A partition waits behind no transaction for long, since others would wait behind it.
select set_config('lock_timeout', $1, true);

-- name: lock_partitions
-- One process makes a partition; the others wait and find it. Held until the transaction ends.
select pg_advisory_xact_lock(500136113256);

-- name: has_table
-- Whether this month is made already; to_regclass would answer from a cache that another process has outdated.
select exists (select from pg_class where relname = $1 and relnamespace = current_schema()::regnamespace);

-- name: find_grown
-- Tables that have grown tenfold since they were analysed: their plans were made for far fewer rows.
select format('%I.%I', stat.schemaname, stat.relname) as relation, stat.n_live_tup as rows
from pg_stat_user_tables as stat
join pg_class as relation on relation.oid = stat.relid
where stat.schemaname = $1
  and relation.relkind = 'r'
  and stat.n_live_tup >= $2
  and stat.n_live_tup >= 10 * greatest(relation.reltuples, $2 / 10.0);
