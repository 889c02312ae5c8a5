"""Jobs on a real database: who may run one, what any process may ask, and what is left when a worker is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from tests.pipeline.shop import document, open_shop
from troth import jobs, limits
from troth.embedded.access import DatabaseAccess
from troth.engine import Engine
from troth.pipeline.outcome import Overloaded
from troth.store.jobs import (
    Ending,
    Job,
    Lease,
    LeaseLostError,
    NewJob,
    add_job,
    cancel_job,
    find_job,
    job_page,
    pause_job,
    resume_job,
    take_job,
    take_this_job,
)
from troth.store.row_ids import new_id

DONE = Ending(status="finished")
Run = Callable[[Engine, Lease], Awaitable[Ending | None]]


@pytest.fixture
async def engine(database: DatabaseAccess) -> AsyncIterator[Engine]:
    async with open_shop(database, document()) as shop:
        yield shop.engine


async def make(engine: Engine, worker: UUID | None = None) -> UUID:
    job_id = new_id()
    new = NewJob(id=job_id, kind="import", asked={"type": "purchase"}, created_at=datetime.now(UTC), created_by="key")
    await add_job(engine.database, new, worker)
    return job_id


async def read(engine: Engine, job_id: UUID) -> Job:
    async with engine.database.pool.acquire() as connection:
        job = await find_job(connection, job_id, "import")
    assert job is not None
    return job


async def ask(engine: Engine, change: Callable[..., Awaitable[Job | None]], job_id: UUID) -> str | None:
    async with engine.database.pool.acquire() as connection:
        job = await change(connection, job_id)
    return job.status if job is not None else None


async def abandon(engine: Engine, job_id: UUID) -> None:
    """As if its process had died JOB_LEASE_SECONDS ago."""
    async with engine.database.pool.acquire() as connection:
        await connection.execute("update jobs set leased_until = now() - interval '1 ms' where id = $1", job_id)


async def take(engine: Engine) -> Lease | None:
    return await take_job(engine.database, uuid4(), ["import"])


@asynccontextmanager
async def working(engine: Engine, run: Run) -> AsyncIterator[None]:
    async with jobs.running_jobs(engine, {"import": run}):
        yield


async def until(engine: Engine, job_id: UUID, *statuses: str) -> Job:
    while (job := await read(engine, job_id)).status not in statuses:
        await asyncio.sleep(0.01)
    return job


async def test_jobs_are_taken_in_order_each_by_one(engine: Engine) -> None:
    made = [await make(engine) for _ in range(3)]
    leases = await asyncio.gather(*(take(engine) for _ in range(5)))
    assert sorted(lease.job.id for lease in leases if lease) == sorted(made)
    assert await take(engine) is None


async def test_one_of_another_kind_is_left(engine: Engine) -> None:
    await make(engine)
    assert await take_job(engine.database, uuid4(), ["export"]) is None


async def test_a_lease_that_ran_out_is_anybodys_and_its_owner_notes_nothing_more(engine: Engine) -> None:
    job_id = await make(engine)
    first = await take(engine)
    assert first is not None
    await first.note({"read": 5})
    await abandon(engine, job_id)
    second = await take(engine)
    assert second is not None
    assert json.loads(second.job.progress) == {"read": 5}
    for late in (first.note({"read": 6}), first.renew(), first.end(DONE), first.name_output(uuid4())):
        with pytest.raises(LeaseLostError):
            await late
    assert (await read(engine, job_id)).leased_until > datetime.now(UTC)  # type: ignore[operator]
    assert limits.JOB_LEASE_SECONDS > 5 * jobs.RENEW_SECONDS


async def test_a_checkpoint_and_what_belongs_to_it_commit_together(engine: Engine) -> None:
    await make(engine)
    lease = await take(engine)
    assert lease is not None

    async def fail(_: object) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await lease.note({"read": 7}, fail)
    assert (await read(engine, lease.job.id)).progress == "{}"


async def test_what_may_be_asked(engine: Engine) -> None:
    waiting = await make(engine)
    assert [await ask(engine, change, waiting) for change in (pause_job, resume_job, pause_job, cancel_job)] == [
        "paused", "waiting", "paused", "cancelled",
    ]  # fmt: skip
    assert [await ask(engine, change, waiting) for change in (pause_job, resume_job, cancel_job)] == [
        None, None, "cancelled",
    ]  # fmt: skip
    finished = await make(engine)
    lease = await take(engine)
    assert lease is not None
    assert await lease.end(DONE) == "finished"
    assert [await ask(engine, change, finished) for change in (pause_job, resume_job, cancel_job)] == [None] * 3


async def test_this_very_job_is_taken_unless_it_is_under_way(engine: Engine) -> None:
    job_id = await make(engine, uuid4())
    assert await take_this_job(engine.database, uuid4(), job_id) is None
    await abandon(engine, job_id)
    lease = await take_this_job(engine.database, uuid4(), job_id)
    assert lease is not None
    lease.interrupted = "pause"
    assert await lease.end(None) == "paused"
    assert await take_this_job(engine.database, uuid4(), job_id) is not None


async def test_pages_are_newest_first(engine: Engine) -> None:
    made = [await make(engine) for _ in range(3)]
    async with engine.database.pool.acquire() as connection:
        first = await job_page(connection, "import", before=None, status="waiting", size=2)
        rest = await job_page(connection, "import", before=first[-1].id, status=None, size=2)
        none = await job_page(connection, "export", before=None, status=None, size=2)
    assert [job.id for job in (*first, *rest)] == made[::-1]
    assert none == []


# Running


async def counting(_: Engine, lease: Lease) -> Ending | None:
    """Counts to 3, a checkpoint each; then waits to be interrupted, unless it was begun before."""
    number = json.loads(lease.job.progress).get("number", 0)
    is_second = number > 0
    while number < 3:
        number += 1
        await lease.note({"number": number})
    while not is_second and lease.interrupted is None:
        await asyncio.sleep(0.01)
    return None if lease.interrupted else DONE


@pytest.mark.parametrize(("change", "status"), [(pause_job, "paused"), (cancel_job, "cancelled")])
async def test_it_obeys_what_another_process_asks(
    engine: Engine, change: Callable[..., Awaitable[Job | None]], status: str
) -> None:
    job_id = await make(engine)
    async with working(engine, counting):
        await until(engine, job_id, "running")
        assert await ask(engine, change, job_id) == "running"
        job = await until(engine, job_id, status)
        assert (job.worker, job.wish, job.finished_at is not None) == (None, None, status == "cancelled")
        if status == "paused":
            await ask(engine, resume_job, job_id)
            assert (await until(engine, job_id, "finished")).progress == '{"number": 3}'


async def test_a_stopping_process_lays_its_job_down_for_others(engine: Engine) -> None:
    job_id = await make(engine)
    async with working(engine, counting):
        await until(engine, job_id, "running")
    assert (await read(engine, job_id)).status == "waiting"
    async with working(engine, counting):
        await until(engine, job_id, "finished")


async def test_a_mistake_of_ours_fails_the_job_and_it_can_be_resumed(engine: Engine) -> None:
    job_id = await make(engine)

    async def mistaken(_: Engine, lease: Lease) -> Ending | None:
        if lease.job.progress == "{}":
            await lease.note({"number": 1})
            raise ZeroDivisionError("private")
        return DONE

    async with working(engine, mistaken):
        job = await until(engine, job_id, "failed")
        assert job.problem == "Troth failed on it (ZeroDivisionError); the server's log says why."
        await ask(engine, resume_job, job_id)
        assert (await until(engine, job_id, "finished")).problem is None


async def test_what_another_try_may_cure_is_tried_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_PAUSE_SECONDS", 0.01)
    tries = []

    async def overloaded(_: Engine, lease: Lease) -> Ending | None:
        tries.append(lease.job.attempts)
        if len(tries) <= limits.JOB_ATTEMPTS + 2:
            raise Overloaded("Too many events are waiting")
        return DONE

    job_id = await make(engine)
    async with working(engine, overloaded):
        await until(engine, job_id, "finished")
    assert tries == [1] * (limits.JOB_ATTEMPTS + 3)


async def test_a_job_that_ends_its_process_again_and_again_fails(engine: Engine) -> None:
    job_id = await make(engine)
    for _ in range(limits.JOB_ATTEMPTS):
        assert await take(engine) is not None
        await abandon(engine, job_id)
    async with working(engine, counting):
        job = await until(engine, job_id, "failed")
    assert job.problem is not None
    assert "never got any further" in job.problem
