-- Pools of codes: what was imported for a reward. A claim takes the first free one (batch and ledger); none returns.

-- name: lock_program
-- One imports at a time, so that codes are numbered in order of import; batches read the row without waiting.
select revision from program_live for no key update;

-- name: add_codes
-- What is in the pool already, given or free, is left out.
with added as (
    insert into reward_codes (reward, n, code_hash, code)
    select $1, (select coalesce(max(n), 0) from reward_codes where reward = $1) + place, code_hash, code
    from unnest($2::bytea[], $3::bytea[]) with ordinality as new(code_hash, code, place)
    order by place
    on conflict (reward, code_hash) do nothing
    returning 1
)
select count(*) from added;

-- name: count_codes
-- How many are left, and how many were given.
select count(*) filter (where event_id is null) as free, count(*) filter (where event_id is not null) as given
from reward_codes
where reward = $1;
