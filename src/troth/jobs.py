"""Running jobs, one at a time in a process: take the next one, keep its lease, run it, write down how it ended.

In: an engine. Out: nothing; what fails is logged and kept as the job's problem. Jobs that a process left behind when it
died are taken when their lease has run out. Must never: run a job whose lease is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg

from troth import limits
from troth.api.logging import describe_fault, logger
from troth.core.ids import IdKind, show_id
from troth.engine import Engine
from troth.pipeline.outcome import Overloaded
from troth.runners import RUNNERS, Runner
from troth.store.files import drop_expired
from troth.store.jobs import Ending, JobKind, JobStatus, Lease, LeaseLostError, take_job

JOB_SECONDS = 0.5  # between two looks when no job waits
RENEW_SECONDS = 1.0  # between two looks at what is asked of the worker
TIDY_SECONDS = 600.0  # between two looks at what has expired
_PAUSE_SECONDS = 10.0  # after a failure of the database
FAULTS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, Overloaded)
PREFIXES: Mapping[JobKind, IdKind] = {"import": "imp", "export": "exp"}


@asynccontextmanager
async def running_jobs(engine: Engine, runners: Mapping[JobKind, Runner] = RUNNERS) -> AsyncIterator[None]:
    """Runs jobs for as long as the context lasts; one under way is laid down at its next chunk."""
    stopping = asyncio.Event()
    working = asyncio.create_task(_work(engine, runners, stopping))
    try:
        yield
    finally:
        stopping.set()
        await working


async def run_job(
    engine: Engine, lease: Lease, stopping: asyncio.Event, runners: Mapping[JobKind, Runner] = RUNNERS
) -> JobStatus | None:
    """Run one job as far as it goes. Out: how it stands; None when another process took it.

    Raises what another try may cure, when the job has been laid down for it.
    """
    watching = asyncio.create_task(_watch(lease, stopping))
    try:
        return await lease.end(await _run(engine, lease, runners[lease.job.kind]))
    except LeaseLostError:
        logger().warning("job lost", job=_name(lease))
        return None
    except FAULTS:
        lease.interrupted = lease.interrupted or "stop"
        with contextlib.suppress(LeaseLostError, *FAULTS):
            await lease.end(None)
        raise
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _run(engine: Engine, lease: Lease, runner: Runner) -> Ending | None:
    if lease.job.attempts > limits.JOB_ATTEMPTS:
        return Ending(status="failed", problem=f"It was begun {limits.JOB_ATTEMPTS} times and never got any further.")
    try:
        return await runner(engine, lease)
    except (LeaseLostError, *FAULTS):
        raise
    except Exception as error:  # our mistake: it must not be tried for ever
        logger().error("job failed", job=_name(lease), **describe_fault(error))
        return Ending(
            status="failed", problem=f"Troth failed on it ({type(error).__name__}); the server's log says why."
        )


async def _watch(lease: Lease, stopping: asyncio.Event) -> None:
    """Keep the lease, and tell the runner to stop when the process does."""
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RENEW_SECONDS)
        with contextlib.suppress(LeaseLostError, *FAULTS):  # then the next checkpoint fails
            await lease.renew()
    lease.interrupted = "stop"
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        with contextlib.suppress(LeaseLostError, *FAULTS):
            await lease.renew()


async def _work(engine: Engine, runners: Mapping[JobKind, Runner], stopping: asyncio.Event) -> None:
    worker, tidied_at = uuid4(), 0.0
    while not stopping.is_set():
        pause = JOB_SECONDS
        try:
            if time.monotonic() - tidied_at > TIDY_SECONDS:
                tidied_at = time.monotonic()
                await _tidy(engine)
            lease = await take_job(engine.database, worker, list(runners))
            if lease is not None:
                await run_job(engine, lease, stopping, runners)
                pause = 0.0
        except FAULTS as error:
            logger().warning("jobs failed", **describe_fault(error))
            pause = _PAUSE_SECONDS
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)


async def _tidy(engine: Engine) -> None:
    """Drop what has expired, and nothing that a job still reads."""
    async with engine.database.pool.acquire() as connection:
        while await drop_expired(connection, datetime.now(UTC)):
            pass


def _name(lease: Lease) -> str:
    return show_id(PREFIXES[lease.job.kind], lease.job.id)
