"""Which function runs which kind of job. A new kind of job is one line here.

In: the engine, and the right to run one job. Out: how it ended, or None when it was interrupted. A runner notes
checkpoints through its lease, goes on from the last one, and looks at `lease.interrupted` between two chunks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from troth.core.program import Program
from troth.engine import Engine
from troth.entry.import_job import Importer, run_import
from troth.entry.import_run import Pipeline
from troth.exporting.run import export
from troth.store.files import FileStore
from troth.store.jobs import Ending, JobKind, Lease

Runner = Callable[[Engine, Lease], Awaitable[Ending | None]]
Recording = Callable[[Engine, int], AbstractAsyncContextManager[Pipeline]]  # what records a file of so many bytes


@asynccontextmanager
async def by_itself(engine: Engine, _: int) -> AsyncIterator[Pipeline]:
    """The lanes of this process."""
    yield engine.batcher


def runners_with(recording: Recording) -> Mapping[JobKind, Runner]:
    """Every runner; imports record through what `recording` gives for the size of their file."""

    async def run(engine: Engine, lease: Lease) -> Ending | None:
        return await _import(engine, lease, recording)

    return {"import": run, "export": export}


async def _import(engine: Engine, lease: Lease, recording: Recording) -> Ending | None:
    async def program() -> Program:
        return (await engine.books.live()).rules.program

    files = FileStore(database=engine.database, vault=engine.vault)
    stored = await files.find(lease.job.input_file) if lease.job.input_file is not None else None
    async with recording(engine, (stored.size if stored is not None else 0) or 0) as pipeline:
        importer = Importer(files=files, pipeline=pipeline, program=program, keep=engine.keep_files)
        return await run_import(importer, lease)


RUNNERS: Mapping[JobKind, Runner] = runners_with(by_itself)
