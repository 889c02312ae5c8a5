"""The runner of imports: a stored file → chunks → the pipeline, with checkpoints it can go on from.

In: a lease on an import. Out: how it ended, or None when it was interrupted. A checkpoint says how many rows are
settled and what came of them, and commits with their rejected rows. What was recorded after the last checkpoint, before
a crash, is known by its id and counts as created by this import (decision 0014).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec

from troth import limits
from troth.core.coercion import Problem
from troth.core.program import Program
from troth.entry.import_file import ImportFile, StoredSource, UnreadableFileError
from troth.entry.import_options import ImportAsked, rows_of
from troth.entry.import_refusals import ImportRefusals
from troth.entry.import_rows import Row, Rows, rejected_name, structured_properties
from troth.entry.import_run import ImportRun, Pipeline, Tally
from troth.entry.import_sort import SortedRows, SortStopped
from troth.entry.refusals import write_rows
from troth.store.files import FileStore, NewFile, StoredFile
from troth.store.jobs import Ending, Lease
from troth.store.pool import Connection

NOTE_SECONDS = 0.5  # between two checkpoints
MEDIA_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
EXPIRED = "Its file is no longer kept."


class ImportProgress(Tally, kw_only=True):
    """The checkpoint of an import: what came of the rows that are settled, in the order in which they are read."""

    seconds: float = 0.0  # at work, all runs together
    bytes_read: int = 0  # of the file, as packed
    rejected_bytes: int = 0  # of the file of rejected rows
    rejections: int = 0  # rejected rows that are kept as rejections too


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """What an import needs of the engine."""

    files: FileStore
    pipeline: Pipeline
    program: Callable[[], Awaitable[Program]]
    keep: timedelta  # how long rejected rows are kept


async def run_import(importer: Importer, lease: Lease) -> Ending | None:
    """Run an import from its last checkpoint. Raises Overloaded and LeaseLostError."""
    asked = msgspec.json.decode(lease.job.asked, type=ImportAsked)
    stored = await importer.files.find(lease.job.input_file) if lease.job.input_file is not None else None
    if stored is None:
        return Ending(status="failed", problem=EXPIRED)
    source = StoredSource(importer.files, stored, asyncio.get_running_loop())
    try:
        file = await asyncio.to_thread(ImportFile, source, asked.detected.encoding)
        with file:
            reader = await asyncio.to_thread(rows_of, file, asked, source_detail=stored.name, owner=lease.job.id)
            work = _Work(importer=importer, lease=lease, file=file, reader=reader, stored=stored)
            return await work.run(is_sorted=asked.options.sort)
    except UnreadableFileError as error:
        return Ending(status="failed", problem=str(error))


@dataclass(slots=True, kw_only=True)
class _Work:
    """One run of one import."""

    importer: Importer
    lease: Lease
    file: ImportFile
    reader: Rows
    stored: StoredFile
    progress: ImportProgress = field(init=False)
    rejected: list[bytes] = field(default_factory=list)
    rejected_size: int = 0  # bytes that wait for the next checkpoint
    refusals: ImportRefusals = field(init=False)
    output: StoredFile | None = None
    noted_at: float = 0.0
    began_at: float = 0.0  # monotonic, less what earlier runs took
    sorted_rows: SortedRows | None = None
    import_run: ImportRun = field(init=False)

    async def run(self, *, is_sorted: bool) -> Ending | None:
        self.progress = msgspec.json.decode(self.lease.job.progress, type=ImportProgress)
        self.began_at = time.monotonic() - self.progress.seconds
        self.refusals = ImportRefusals(self.lease.job.id, self.reader)
        if self.lease.job.output_file is not None:
            self.output = await self.importer.files.find(self.lease.job.output_file)
        structured = structured_properties(await self.importer.program())
        rows = self._rows(structured, is_sorted=is_sorted)
        self.import_run = ImportRun(rows, self.importer.pipeline, self._reject, self._checkpoint)
        self.import_run.tally = self.progress
        try:
            await self.import_run.run()
        except SortStopped:
            return None
        finally:
            await self._note()
        if self.lease.interrupted is not None and not self.import_run.is_complete:
            return None
        return await self._finish()

    def _rows(self, structured: object, *, is_sorted: bool) -> Iterator[Row]:
        settled = self.progress.read
        if not is_sorted:
            return self.reader.read(structured, first=settled)  # type: ignore[arg-type]
        every = self.reader.read(structured)  # type: ignore[arg-type]
        self.sorted_rows = SortedRows(every, lambda: self.lease.interrupted is not None)
        return islice(self.sorted_rows, settled, None)

    def _reject(self, row: Row, problems: Sequence[Problem]) -> None:
        text = self.reader.rejected_row(row, problems)
        self.rejected.append(text)
        self.rejected_size += len(text)
        if self.progress.rejections < limits.IMPORT_REJECTIONS:
            self.progress.rejections += 1
            self.rejected_size += self.refusals.keep(row, problems)

    async def _checkpoint(self) -> None:
        """Between two chunks: obey what was asked, and note how far it is when it is time."""
        if self.lease.interrupted is not None:
            self.import_run.stop()
        elif time.monotonic() - self.noted_at > NOTE_SECONDS or self.rejected_size > limits.IMPORT_REJECTED_BYTES:
            await self._note()

    async def _note(self) -> None:
        """Commit what is settled now, with the rejected rows of it."""
        if self.rejected and self.output is None:
            await self._begin_output()
        rows, self.rejected, self.rejected_size = b"".join(self.rejected), [], 0
        refused = self.refusals.take()
        content = self.reader.rejected_head() + rows if rows and not self.progress.rejected_bytes else rows
        progress, output = self.progress, self.output
        progress.seconds = round(time.monotonic() - self.began_at, 3)
        progress.bytes_read = max(progress.bytes_read, self._bytes_read())
        before = progress.rejected_bytes
        progress.rejected_bytes += len(content)

        async def also(connection: Connection) -> None:
            if content and output is not None:
                await self.importer.files.append(connection, output, before, content)
            await write_rows(connection, self.importer.files.vault, refused)

        try:
            await self.lease.note(progress, also)
        except BaseException:
            self.rejected = [rows, *self.rejected] if rows else self.rejected
            self.refusals.give_back(refused)
            progress.rejected_bytes = before
            raise
        self.noted_at = time.monotonic()

    def _bytes_read(self) -> int:
        """Of a file that is sorted, what corresponds to the rows that have come out."""
        ordered = self.sorted_rows
        if ordered is None:
            return self.file.position
        return self.file.size * ordered.given // max(ordered.total, 1) if ordered.given else 0

    async def _begin_output(self) -> None:
        new = NewFile(
            name=rejected_name(self.stored.name, self.reader.ending),
            media_type=MEDIA_TYPES[self.reader.ending],
            created_at=datetime.now(UTC),
            created_by=self.stored.created_by,
            keep=self.importer.keep,
            unfinished=self.importer.keep,
        )
        self.output = await self.importer.files.begin(new)
        await self.lease.name_output(self.output.id)

    async def _finish(self) -> Ending:
        if self.output is not None:
            await self.importer.files.finish(self.output, keep=self.importer.keep)
        return Ending(status="finished_with_errors" if self.progress.rejected else "finished")
