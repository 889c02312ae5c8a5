"""One export as a job: pages → one format → pieces of a file, with a checkpoint for each bundle of them.

In: an engine and the right to run the job. Out: how it ended; None when it was interrupted. CSV and NDJSON go on from
the last checkpoint, gzip in members of their own; Parquet, whose end names all of it, begins anew. Memory holds one
page and one bundle. Must never: leave behind a file that looks complete and is not.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Literal, Protocol

import asyncpg
import msgspec

from troth import limits
from troth.api.export_asked import Asked
from troth.api.export_progress import Place, Progress
from troth.api.reading import Reading
from troth.core.rules import RuleBook
from troth.engine import Engine
from troth.exporting.customer_rows import CustomerRows
from troth.exporting.event_rows import EventRows
from troth.exporting.order_rows import OrderRows
from troth.exporting.pages import Ground, Row, Source
from troth.exporting.posting_rows import PostingRows
from troth.exporting.text_formats import CsvFormat, NdjsonFormat
from troth.store import batch
from troth.store.files import FileStore, NewFile, StoredFile
from troth.store.jobs import Ending, Job, Lease, LeaseLostError
from troth.store.pool import Connection, snapshot

_CURABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, LeaseLostError)
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


class Format(Protocol):
    """Rows → bytes."""

    @property
    def is_resumable(self) -> bool:
        """Whether another writer can go on where this one stopped."""
        ...

    def begin(self) -> bytes: ...

    def write(self, rows: list[Row]) -> bytes: ...

    def end(self) -> bytes: ...


async def export(engine: Engine, lease: Lease) -> Ending | None:
    """The runner of exports."""
    job = lease.job
    run = ExportRun(engine, lease, msgspec.json.decode(job.asked, type=Asked))
    try:
        return await run.run()
    except _CURABLE:
        raise
    except Exception:
        await run.drop_file()
        raise


class ExportTooLargeError(Exception):
    """The file would pass EXPORT_BYTES."""


class ExportRun:
    """One try at one export."""

    def __init__(self, engine: Engine, lease: Lease, asked: Asked) -> None:
        self._engine = engine
        self._lease = lease
        self._asked = asked
        self._files = FileStore(database=engine.database, vault=engine.vault)
        self._progress = msgspec.json.decode(lease.job.progress, type=Progress)
        self._file: StoredFile | None = None
        self._waiting = bytearray()  # encoded, not stored yet
        self._stored_at = time.monotonic()

    async def run(self) -> Ending | None:
        file_format = await _open_format(self._asked)
        if not await self._open_file(file_format):
            problem = f"It was begun {limits.JOB_ATTEMPTS} times and never came to its end."
            return Ending(status="failed", problem=problem)
        try:
            if not self._progress.is_whole and not await self._fill(file_format):
                return None
        except ExportTooLargeError:
            await self.drop_file()
            problem = f"The file would be larger than {limits.EXPORT_BYTES >> 30} GiB; narrow the filter, or use gzip."
            return Ending(status="failed", problem=problem)
        await self._finish()
        return Ending(status="finished")

    async def drop_file(self) -> None:
        if self._file is not None:
            await self._files.drop(self._file.id)
            self._file = None

    async def _open_file(self, file_format: Format) -> bool:
        """The file as the last checkpoint left it, or a new one. False: it was begun too often."""
        job, progress = self._lease.job, self._progress
        known = await self._files.find(job.output_file) if job.output_file is not None else None
        if known is not None and (progress.is_whole or (progress.place is not None and file_format.is_resumable)):
            self._file = known
            return True
        if known is not None:
            await self._files.drop(known.id)
        if progress.begun >= limits.JOB_ATTEMPTS:
            return False
        self._progress = Progress(begun=progress.begun + 1)
        self._file = await self._files.begin(_new_file(job, self._asked))
        await self._lease.name_output(self._file.id)
        await self._lease.note(self._progress)
        return True

    async def _fill(self, file_format: Format) -> bool:
        """Write every row that is not in the file yet. False: it was interrupted."""
        async with _own_connection(self._engine) as connection:
            source = await self._source(connection)
            place = await source.first()
            if self._progress.place is not None:
                place = self._progress.place
            else:
                self._waiting += await asyncio.to_thread(file_format.begin)
            while place is not None:
                if self._lease.interrupted is not None:
                    await self._lay_down(file_format, self._lease.interrupted)
                    return False
                async with snapshot(connection):
                    page = await source.page(place)
                self._waiting += await asyncio.to_thread(file_format.write, page.rows)
                place = page.following
                self._advance(len(page.rows), place, source)
                if self._is_time_to_store:
                    await self._store()
        self._waiting += await asyncio.to_thread(file_format.end)
        self._progress.is_whole, self._progress.percent = True, 100
        await self._store()
        return True

    def _advance(self, rows: int, place: Place | None, source: Source) -> None:
        self._progress.rows += rows
        self._progress.place = place
        if place is not None:
            self._progress.percent = source.percent(place)

    @property
    def _is_time_to_store(self) -> bool:
        """Each bundle is one checkpoint; a slow one is stored early, so that the progress is seen to move."""
        waited = time.monotonic() - self._stored_at
        return len(self._waiting) >= limits.EXPORT_FLUSH_BYTES or waited >= limits.EXPORT_FLUSH_SECONDS

    async def _store(self) -> None:
        """What waits becomes pieces of the file, together with the checkpoint behind it. Raises LeaseLostError."""
        file, progress, content = self._file, self._progress, bytes(self._waiting)
        assert file is not None, "opened"
        self._waiting.clear()
        if self._asked.compression == "gzip" and (content or not progress.bytes):
            content = await asyncio.to_thread(gzip.compress, content, mtime=0)
        begins, progress.bytes = progress.bytes, progress.bytes + len(content)
        if progress.bytes > limits.EXPORT_BYTES:
            raise ExportTooLargeError

        async def append(connection: Connection) -> None:
            await self._files.append(connection, file, begins, content)

        await self._lease.note(progress, append)
        self._stored_at = time.monotonic()

    async def _lay_down(self, file_format: Format, why: Literal["pause", "cancel", "stop"]) -> None:
        """Another process goes on from here, or nobody does."""
        if why != "cancel" and file_format.is_resumable:
            await self._store()
            return
        await self._lease.note(Progress(begun=self._progress.begun - 1))
        await self.drop_file()

    async def _finish(self) -> None:
        assert self._file is not None, "opened"
        file = self._file
        if file.size is None:
            file = await self._files.finish(file, keep=timedelta(days=self._asked.keep_days))
        assert file.sha256 is not None, "finished"
        self._progress.size, self._progress.sha256 = file.size, file.sha256.hex()
        self._progress.expires_at = file.expires_at
        await self._lease.note(self._progress)

    async def _source(self, connection: Connection) -> Source:
        engine = self._engine

        async def book_at(revision: int) -> RuleBook:
            return (await engine.books.at(revision)).rules

        reading = Reading(database=engine.database, vault=engine.vault, book_at=book_at)
        ground = Ground(connection=connection, reading=reading, asked=self._asked)
        match self._asked.kind:
            case "events":
                return EventRows(ground)
            case "postings":
                return PostingRows(ground)
            case "customers":
                return CustomerRows(ground, await reading.live_book())
            case "orders":
                return OrderRows(ground, await reading.live_book())


async def _open_format(asked: Asked) -> Format:
    match asked.format:
        case "csv":
            return CsvFormat(asked.columns, formulas=asked.formulas)
        case "ndjson":
            return NdjsonFormat(asked.columns)
        case "parquet":
            module = await asyncio.to_thread(import_module, "troth.exporting.parquet_format")
            made: Format = module.ParquetFormat(asked.columns)
            return made


def _new_file(job: Job, asked: Asked) -> NewFile:
    """Until it is finished it goes by itself, should nobody come back to it."""
    ending = f"{asked.format}.gz" if asked.compression == "gzip" else asked.format
    return NewFile(
        name=f"troth-{asked.kind}-{job.created_at:%Y-%m-%d}-{job.id.hex[-6:]}.{ending}",
        media_type="application/gzip" if asked.compression == "gzip" else _MEDIA_TYPES[asked.format],
        created_at=datetime.now(UTC),
        created_by=job.created_by,
        keep=timedelta(days=asked.keep_days),
    )


@asynccontextmanager
async def _own_connection(engine: Engine) -> AsyncIterator[Connection]:
    """Every page is read by key, however young the tables are: plans are those of a batch."""
    connection = await engine.database.connect()
    try:
        await batch.tune(connection)
        yield connection
    finally:
        connection.terminate()
