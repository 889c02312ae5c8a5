-- The test clock: one row, read by every batch, command and read; now is null while time is real.

-- name: present
-- The program's present, where a test clock stands.
select now from program_clock;

-- name: clock
-- The same, with the newest present that something was judged at.
select now, used from program_clock;

-- name: set_clock
-- One statement decides and sets, so that nobody judges in between: none before what was judged already. $2: real time.
update program_clock
set now = $1
where used is null or coalesce($1::timestamptz, $2::timestamptz) >= used
returning now, used;

-- name: advance_clock
-- From where it stands, else from real time ($2), as far as $3 at most; two who advance it both count. A day: 24 hours.
update program_clock
set now = (coalesce(now, $2::timestamptz) at time zone 'UTC' + $1::interval) at time zone 'UTC'
where (coalesce(now, $2) at time zone 'UTC' + $1) at time zone 'UTC' >= coalesce(used, '-infinity')
  and (coalesce(now, $2) at time zone 'UTC' + $1) at time zone 'UTC' < $3::timestamptz
returning now, used;
