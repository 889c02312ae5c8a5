-- name: prepare_session
-- What every statement relies on, whatever the defaults here; as SET, since PgBouncer refuses start-up parameters.
select set_config('search_path', 'troth', false),
       set_config('timezone', 'UTC', false),
       set_config('jit', 'off', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('application_name', $1, false),
       set_config('plan_cache_mode', $2, false),
       set_config('statement_timeout', $3, false),
       set_config('idle_in_transaction_session_timeout', $4, false);

-- name: take_role
-- One URL serves and migrates: from here on the session has the rights of the serving role and no others.
select set_config('role', $1, false);

-- name: set_plan_mode
-- Generic plans made on empty tables stay sequential scans; while tables are small each execution plans anew.
select set_config('plan_cache_mode', $1, false);

-- name: describe_server
-- What must hold before anything is migrated or served.
select current_setting('server_version_num')::integer as version,
       current_setting('server_version') as version_text,
       current_setting('server_encoding') as encoding,
       current_setting('fsync') as fsync;

-- name: forbidden_rights
-- Rights by which the serving role could change what is write-once, on the parents and on every partition of them.
select relation.oid::regclass::text as relation, right_name
from unnest($1::text[]) as parent (name)
cross join lateral pg_partition_tree(parent.name::regclass) as tree
join pg_class as relation on relation.oid = tree.relid
cross join unnest(array['update', 'delete', 'truncate', 'trigger']) as wanted (right_name)
where case
          when right_name = 'update' then has_any_column_privilege(relation.oid, right_name)
          else has_table_privilege(relation.oid, right_name)
      end
order by 1, 2;
