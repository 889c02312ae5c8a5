"""Which function runs which kind of job. A new kind of job is one line here.

In: the engine, and the right to run one job. Out: how it ended, or None when it was interrupted. A runner notes
checkpoints through its lease, goes on from the last one, and looks at `lease.interrupted` between two chunks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from troth.core.program import Program
from troth.engine import Engine
from troth.entry.import_job import Importer, run_import
from troth.exporting.run import export
from troth.store.files import FileStore
from troth.store.jobs import Ending, JobKind, Lease

Runner = Callable[[Engine, Lease], Awaitable[Ending | None]]


async def _import(engine: Engine, lease: Lease) -> Ending | None:
    async def program() -> Program:
        return (await engine.books.live()).rules.program

    files = FileStore(database=engine.database, vault=engine.vault)
    importer = Importer(files=files, pipeline=engine.batcher, program=program, keep=engine.keep_files)
    return await run_import(importer, lease)


RUNNERS: Mapping[JobKind, Runner] = {"import": _import, "export": export}
