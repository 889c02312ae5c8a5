"""Jobs: what takes longer than a request, as rows that every process sees.

In: what is to be done, for whom. Out: its state; for the one who runs it a `Lease`. A lease that is not renewed runs
out, and another process goes on from the last checkpoint. Must never: let two workers go on from one checkpoint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec

from troth import limits
from troth.store.sql import load

if TYPE_CHECKING:
    import asyncpg

    from troth.store.pool import Connection, Database

JobKind = Literal["import", "export"]
JobStatus = Literal["waiting", "running", "paused", "cancelled", "finished", "finished_with_errors", "failed"]
Interruption = Literal["pause", "cancel", "stop"]

SQL = load("jobs.sql")
_LEASE = timedelta(seconds=limits.JOB_LEASE_SECONDS)
_LAID_DOWN: dict[Interruption, JobStatus] = {"pause": "paused", "cancel": "cancelled", "stop": "waiting"}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    kind: JobKind
    status: JobStatus
    wish: Literal["pause", "cancel"] | None  # asked of the one who runs it, not obeyed yet
    asked: str  # JSON
    progress: str  # JSON: counters and checkpoint
    input_file: UUID | None
    output_file: UUID | None  # an export's result, an import's rejected rows
    created_at: datetime
    created_by: str
    started_at: datetime | None
    finished_at: datetime | None
    problem: str | None  # why it failed
    worker: UUID | None
    leased_until: datetime | None
    attempts: int  # since the last checkpoint


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    kind: JobKind
    asked: object  # plain values for JSON
    created_at: datetime
    created_by: str
    input_file: UUID | None = None
    output_file: UUID | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a job came to its end."""

    status: Literal["finished", "finished_with_errors", "failed"]
    problem: str | None = None


class LeaseLostError(Exception):
    """Another process may be running this job now; nothing more may be noted."""


class Lease:
    """The right to run a job. Its runner looks at `interrupted` between two chunks and notes checkpoints."""

    def __init__(self, database: Database, job: Job, worker: UUID) -> None:
        self.job = job
        self.interrupted: Interruption | None = job.wish  # then the runner settles what is under way and returns None
        self._database = database
        self._worker = worker

    async def note(self, progress: object, also: Callable[[Connection], Awaitable[None]] | None = None) -> None:
        """Commit a checkpoint, and what `also` writes with it. Raises LeaseLostError."""
        text = msgspec.json.encode(progress).decode()
        async with self._database.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(SQL["note_job"], self.job.id, self._worker, text, _LEASE)
            self._heed(row)
            if also is not None:
                await also(connection)

    async def renew(self) -> None:
        """Keep it for another JOB_LEASE_SECONDS, and hear what is asked. Raises LeaseLostError."""
        async with self._database.pool.acquire() as connection:
            self._heed(await connection.fetchrow(SQL["renew_job"], self.job.id, self._worker, _LEASE))

    async def name_output(self, file_id: UUID) -> None:
        """The job's result goes into this file. Raises LeaseLostError."""
        async with self._database.pool.acquire() as connection:
            if await connection.fetchval(SQL["name_output"], self.job.id, self._worker, file_id) is None:
                raise LeaseLostError

    async def end(self, ending: Ending | None) -> JobStatus:
        """The job is over; None: it was interrupted and is laid down. Raises LeaseLostError."""
        status = ending.status if ending is not None else _LAID_DOWN[self.interrupted or "stop"]
        problem = ending.problem if ending is not None else None
        async with self._database.pool.acquire() as connection:
            ended = await connection.fetchval(SQL["end_job"], self.job.id, self._worker, status, problem)
        if ended is None:
            raise LeaseLostError
        return ended  # type: ignore[no-any-return]

    def _heed(self, row: asyncpg.Record | None) -> None:
        if row is None:
            raise LeaseLostError
        if row["wish"] is not None and self.interrupted != "stop":
            self.interrupted = row["wish"]


async def add_job(database: Database, new: NewJob, worker: UUID | None = None) -> Job:
    """A new job, waiting for any worker; with `worker` it is that one's at once, who makes himself a `Lease`."""
    asked = msgspec.json.encode(new.asked).decode()
    values = (new.id, new.kind, asked, new.input_file, new.output_file, new.created_at, new.created_by)
    async with database.pool.acquire() as connection:
        row = await connection.fetchrow(SQL["add_job"], *values, worker, _LEASE)
    assert row is not None, "just stored"
    return _job(row)


async def take_job(database: Database, worker: UUID, kinds: Sequence[JobKind]) -> Lease | None:
    """The next job that waits or was abandoned; None: there is none."""
    async with database.pool.acquire() as connection:
        row = await connection.fetchrow(SQL["take_job"], worker, _LEASE, list(kinds))
    return Lease(database, _job(row), worker) if row is not None else None


async def take_this_job(database: Database, worker: UUID, job_id: UUID) -> Lease | None:
    """This very job, unless it is finished, cancelled or under way elsewhere."""
    async with database.pool.acquire() as connection:
        row = await connection.fetchrow(SQL["take_this_job"], job_id, worker, _LEASE)
    return Lease(database, _job(row), worker) if row is not None else None


async def find_job(connection: Connection, job_id: UUID, kind: JobKind) -> Job | None:
    row = await connection.fetchrow(SQL["job"], job_id, kind)
    return _job(row) if row is not None else None


async def job_page(
    connection: Connection, kind: JobKind, *, before: UUID | None, status: str | None, size: int
) -> list[Job]:
    """Jobs of one kind, newest first."""
    return [_job(row) for row in await connection.fetch(SQL["job_page"], kind, before, status, size)]


async def pause_job(connection: Connection, job_id: UUID) -> Job | None:
    """None: it is over."""
    row = await connection.fetchrow(SQL["pause_job"], job_id)
    return _job(row) if row is not None else None


async def resume_job(connection: Connection, job_id: UUID) -> Job | None:
    """None: it is over."""
    row = await connection.fetchrow(SQL["resume_job"], job_id)
    return _job(row) if row is not None else None


async def cancel_job(connection: Connection, job_id: UUID) -> Job | None:
    """None: it came to its end before."""
    row = await connection.fetchrow(SQL["cancel_job"], job_id)
    return _job(row) if row is not None else None


def _job(row: asyncpg.Record) -> Job:
    return Job(**dict(row))
