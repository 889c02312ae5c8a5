"""One run of an import: rows → chunks → the pipeline, several chunks under way at once.

In: rows in file order. Out: a tally; rejected rows handed on in file order. A customer's rows are always for the same
lane, and chunks are enqueued in order, so that each customer's events are judged in the order of the file.
Memory stays constant: no more is read before what is under way has been settled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from troth import limits
from troth.core.coercion import Problem
from troth.entry.import_rows import Row
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, Overloaded, RawEvent, Rejected

Reject = Callable[[Row, Sequence[Problem]], None]


class Pipeline(Protocol):
    """What an import needs of the batcher."""

    async def ingest(self, batch: Sequence[RawEvent]) -> list[Outcome]: ...


class Tally(msgspec.Struct):
    """What came of the rows that are settled."""

    read: int = 0
    created: int = 0
    duplicates: int = 0
    rejected: int = 0
    points: int = 0  # of the created events
    mismatched: int = 0  # duplicates whose recorded event says something else


class ImportRun:
    """Runs once. `tally` may be read at any time; `stop` ends the reading, not what is under way."""

    def __init__(self, rows: Iterator[Row], pipeline: Pipeline, reject: Reject) -> None:
        self.tally = Tally()
        self.is_complete = False  # the whole file was read
        self._is_stopping = False
        self._rows = rows
        self._pipeline = pipeline
        self._reject = reject
        self._failure: Overloaded | None = None

    def stop(self) -> None:
        """Read no more; `run` returns when what is under way is settled."""
        self._is_stopping = True

    async def run(self) -> None:
        """Every row read is settled afterwards.

        Raises UnreadableFileError where the file breaks off, Overloaded when the pipeline refuses a chunk.
        """
        under_way: deque[asyncio.Task[None]] = deque()
        last: asyncio.Task[None] | None = None
        try:
            while not self._is_stopping and (chunk := await self._read()):
                last = asyncio.create_task(self._record(chunk, last))
                under_way.append(last)
                if len(under_way) >= limits.IMPORT_CHUNKS_IN_FLIGHT:
                    await under_way.popleft()
        finally:
            await asyncio.gather(*under_way)
        if self._failure is not None:
            raise self._failure

    async def _read(self) -> list[Row]:
        """The next chunk; in a thread of its own, since disks are slow. Empty at the end of the file."""
        chunk = await asyncio.to_thread(self._next_chunk)
        self.is_complete = not chunk
        return chunk

    def _next_chunk(self) -> list[Row]:
        chunk: list[Row] = []
        room = limits.IMPORT_CHUNK_CHARACTERS
        for row in self._rows:
            chunk.append(row)
            room -= row.size
            if len(chunk) >= limits.IMPORT_CHUNK_EVENTS or room < 0:
                break
        return chunk

    async def _record(self, chunk: Sequence[Row], before: asyncio.Task[None] | None) -> None:
        """Give a chunk to the pipeline at once; count what came of it after the chunk before it."""
        try:
            outcomes = iter(await self._pipeline.ingest([row.event for row in chunk if row.event is not None]))
        except Overloaded as failure:
            self._failure = self._failure or failure
            self.stop()
            return
        finally:
            if before is not None:
                await asyncio.wait((before,))
        for row in chunk:
            self._count(row, next(outcomes) if row.event is not None else Rejected(row.problems))

    def _count(self, row: Row, outcome: Outcome) -> None:
        tally = self.tally
        tally.read += 1
        match outcome:
            case Applied(record):
                tally.created += 1
                tally.points += record.points
            case Duplicate(_, payload_mismatch):
                tally.duplicates += 1
                tally.mismatched += payload_mismatch
            case Conflict(problem):
                tally.rejected += 1
                self._reject(row, (problem,))
            case Rejected(problems):
                tally.rejected += 1
                self._reject(row, problems)
