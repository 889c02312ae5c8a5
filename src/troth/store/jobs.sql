-- Jobs: made by any process, run by the one that holds the lease, paused and cancelled by any.
-- Times of leases are the database's, so that processes need not agree on theirs.

-- name: add_job
-- Who makes it may run it at once; else the next worker takes it.
insert into jobs (id, kind, status, asked, input_file, output_file, created_at, created_by,
    worker, started_at, leased_until, attempts)
select $1, $2, case when $8::uuid is null then 'waiting' else 'running' end, $3, $4, $5, $6, $7,
    $8, case when $8::uuid is not null then now() end,
    case when $8::uuid is not null then now() + $9::interval end, case when $8::uuid is null then 0 else 1 end
returning id, kind, status, wish, asked, progress, input_file, output_file, created_at, created_by,
    started_at, finished_at, problem, worker, leased_until, attempts;

-- name: take_job
-- The oldest that waits or was abandoned; those that others are looking at are left to them.
update jobs
set status = 'running', worker = $1, leased_until = now() + $2::interval, attempts = attempts + 1,
    started_at = coalesce(started_at, now())
where id = (
    select id from jobs
    where (status = 'waiting' or (status = 'running' and leased_until < now())) and kind = any($3::text[])
    order by id
    limit 1
    for update skip locked
)
returning id, kind, status, wish, asked, progress, input_file, output_file, created_at, created_by,
    started_at, finished_at, problem, worker, leased_until, attempts;

-- name: take_this_job
-- A command goes on with one that is not under way elsewhere.
update jobs
set status = 'running', worker = $2, leased_until = now() + $3::interval, attempts = 1, problem = null,
    wish = case when wish = 'cancel' then wish end,
    started_at = coalesce(started_at, now()), finished_at = null
where id = $1 and (status in ('waiting', 'paused', 'failed') or (status = 'running' and leased_until < now()))
returning id, kind, status, wish, asked, progress, input_file, output_file, created_at, created_by,
    started_at, finished_at, problem, worker, leased_until, attempts;

-- name: renew_job
-- No row: the lease is lost. It also tells what is asked of the worker.
update jobs
set leased_until = now() + $3::interval
where id = $1 and worker = $2
returning wish;

-- name: note_job
-- A checkpoint counts only while the lease holds, so that two workers never both go on from it.
update jobs
set progress = $3, leased_until = now() + $4::interval, attempts = 0
where id = $1 and worker = $2
returning wish;

-- name: name_output
-- The file that its result goes into, once there is one.
update jobs
set output_file = $3
where id = $1 and worker = $2
returning id;

-- name: end_job
-- Or lay it down: waiting for another worker, or paused. A cancel that came too late for the worker still holds.
update jobs
set status = case when wish = 'cancel' and $3 in ('waiting', 'paused') then 'cancelled' else $3 end,
    problem = $4, worker = null, leased_until = null, wish = null,
    attempts = case when $3 = 'waiting' then greatest(attempts - 1, 0) else attempts end,
    finished_at = case when $3 in ('waiting', 'paused') and wish is distinct from 'cancel' then null else now() end
where id = $1 and worker = $2
returning status;

-- name: pause_job
-- One that waits is paused at once, one under way by its worker.
update jobs
set status = case when status = 'waiting' then 'paused' else status end,
    wish = case when status = 'running' then coalesce(wish, 'pause') end
where id = $1 and status in ('waiting', 'running', 'paused')
returning id, kind, status, wish, asked, progress, input_file, output_file, created_at, created_by,
    started_at, finished_at, problem, worker, leased_until, attempts;

-- name: resume_job
-- Failed ones too: they go on from their checkpoint. A pause that was not obeyed yet is taken back.
update jobs
set status = case when status = 'running' then status else 'waiting' end, attempts = 0, problem = null,
    wish = case when wish = 'cancel' then wish end, finished_at = null
where id = $1 and status in ('waiting', 'running', 'paused', 'failed')
returning id, kind, status, wish, asked, progress, input_file, output_file, created_at, created_by,
    started_at, finished_at, problem, worker, leased_until, attempts;

-- name: cancel_job
-- What is recorded stays recorded.
update jobs
set status = case when status = 'running' then status else 'cancelled' end,
    wish = case when status = 'running' then 'cancel' end,
    finished_at = case when status = 'running' then null else coalesce(finished_at, now()) end
where id = $1 and status in ('waiting', 'running', 'paused', 'failed', 'cancelled')
returning id, kind, status, wish, asked, progress, input_file, output_file, created_at, created_by,
    started_at, finished_at, problem, worker, leased_until, attempts;

-- name: job
-- By its key.
select id, kind, status, wish, asked, progress, input_file, output_file, created_at, created_by,
    started_at, finished_at, problem, worker, leased_until, attempts
from jobs
where id = $1 and kind = $2;

-- name: job_page
-- Newest first, from behind the last one shown.
select id, kind, status, wish, asked, progress, input_file, output_file, created_at, created_by,
    started_at, finished_at, problem, worker, leased_until, attempts
from jobs
where kind = $1 and ($2::uuid is null or id < $2) and ($3::text is null or status = $3)
order by id desc
limit $4;
