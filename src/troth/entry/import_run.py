"""One run of an import: rows → chunks → the pipeline, several chunks under way at once.

In: rows in order. Out: a tally; rejected rows handed on in the same order. A customer's rows are always for the same
lane, and chunks are enqueued in order, so that each customer's events are judged in the order of the file.
Memory stays constant: no more is read before what is under way has been settled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from troth import limits
from troth.core.coercion import Problem
from troth.core.ids import bears, read_id
from troth.core.record import RecordedEvent
from troth.entry.import_rows import Row
from troth.pipeline.outcome import (
    Applied,
    Brief,
    Conflict,
    Duplicate,
    Outcome,
    Overloaded,
    RawEvent,
    Rejected,
    brief_of,
)

Reject = Callable[[Row, Sequence[Problem]], None]
Checkpoint = Callable[[], Awaitable[None]]
_UNAVAILABLE = "unavailable"  # its neighbours were stored while it was not
_SECONDS = len("2026-11-20T10:00:00")  # of a time as text


class Pipeline(Protocol):
    """What an import needs of the batcher."""

    async def ingest(self, events: Sequence[RawEvent], *, is_patient: bool) -> list[Outcome]: ...


class Tally(msgspec.Struct):
    """What came of the rows that are settled."""

    read: int = 0
    created: int = 0
    duplicates: int = 0
    rejected: int = 0
    points: int = 0  # of the created events
    mismatched: int = 0  # duplicates whose recorded event says something else
    backwards: int = 0  # created events, at least so many, before an earlier one of their customer


class ImportRun:
    """Runs once. `tally` may be read at any time; `stop` ends the reading, not what is under way."""

    def __init__(
        self, rows: Iterator[Row], pipeline: Pipeline, reject: Reject, checkpoint: Checkpoint | None = None
    ) -> None:
        self.tally = Tally()
        self.is_complete = False  # the whole file was read
        self._is_stopping = False
        self._rows = rows
        self._pipeline = pipeline
        self._reject = reject
        self._checkpoint = checkpoint
        self._latest: dict[str, str] = {}  # customer → time of the latest row
        self._failure: Overloaded | None = None
        self._broken: Exception | None = None  # of the reading
        self._room = limits.IMPORT_CHUNKS_IN_FLIGHT  # for chunks under way; less of wide rows

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
            while not self._is_stopping and (chunks := await self._read(max(self._room - len(under_way), 1))):
                for chunk in chunks:
                    most = 0 if _looks_back(chunk) else self._room - 1
                    await _settle(under_way, most)
                    last = asyncio.create_task(self._record(chunk, last))
                    under_way.append(last)
                    await _settle(under_way, most)
                    if self._checkpoint is not None:
                        await self._checkpoint()
                    if self._is_stopping:
                        break
        finally:
            await asyncio.gather(*under_way)
        if self._failure is not None:
            raise self._failure

    async def _read(self, most: int) -> list[list[Row]]:
        """The next chunks, as many as there is room for; in a thread of its own, since disks are slow. At the end of
        the file there are none; where it breaks off the error comes when the rows before it are on their way."""
        if self._broken is not None:
            raise self._broken
        chunks = await asyncio.to_thread(self._next_chunks, most)
        if not chunks and self._broken is not None:
            raise self._broken
        self.is_complete = not chunks
        return chunks

    def _next_chunks(self, most: int) -> list[list[Row]]:
        chunks: list[list[Row]] = []
        try:
            while len(chunks) < most and (chunk := self._next_chunk()):
                chunks.append(chunk)
        except Exception as error:
            self._broken = error
        return chunks

    def _next_chunk(self) -> list[Row]:
        chunk: list[Row] = []
        room = limits.IMPORT_CHUNK_CHARACTERS
        for row in self._rows:
            chunk.append(row)
            room -= row.size
            if len(chunk) >= limits.IMPORT_CHUNK_EVENTS or room < 0:
                break
        size = limits.IMPORT_CHUNK_CHARACTERS - room
        most = limits.IMPORT_CHARACTERS_IN_FLIGHT // max(size, 1)
        self._room = max(1, min(limits.IMPORT_CHUNKS_IN_FLIGHT, most))
        return chunk

    async def _record(self, chunk: Sequence[Row], before: asyncio.Task[None] | None) -> None:
        """Give a chunk to the pipeline at once; count what came of it after the chunk before it.

        Once a chunk was not taken in, none behind it is counted: what is counted is how the rows begin.
        """
        events = [row.event for row in chunk if row.event is not None]
        failure: Overloaded | None = None
        found: list[Outcome] = []
        try:
            found = await self._pipeline.ingest(events, is_patient=True) if events else []
            failure = next((Overloaded("The database was lost") for outcome in found if _is_unavailable(outcome)), None)
        except Overloaded as error:
            failure = error
        finally:
            if before is not None:
                await asyncio.wait((before,))
        self._failure = self._failure or failure
        if self._failure is not None:
            self.stop()
            return
        outcomes = iter(found)
        for row in chunk:
            self._count(row, next(outcomes) if row.event is not None else Rejected(row.problems))

    def _count(self, row: Row, outcome: Outcome) -> None:
        tally = self.tally
        tally.read += 1
        match outcome:
            case Applied():
                self._count_created(outcome.brief)
            case Duplicate(record) if _is_own(row, record):
                self._count_created(brief_of(record))  # before the run was broken off
            case Duplicate(_, payload_mismatch):
                tally.duplicates += 1
                tally.mismatched += payload_mismatch
            case Conflict(problem):
                tally.rejected += 1
                self._reject(row, (problem,))
            case Rejected(problems):
                tally.rejected += 1
                self._reject(row, problems)

    def _count_created(self, brief: Brief) -> None:
        tally, customer, at = self.tally, brief.customer or "", brief.occurred_at[:_SECONDS]
        tally.created += 1
        tally.points += brief.points
        latest = self._latest.get(customer, "")
        if at < latest:
            tally.backwards += 1
            return
        if len(self._latest) >= limits.IMPORT_WATCHED:
            self._latest.clear()
        self._latest[customer] = at


async def _settle(under_way: deque[asyncio.Task[None]], most: int) -> None:
    """Wait until at most so many chunks are under way, and forget those that are not any more."""
    while len(under_way) > most or (under_way and under_way[0].done()):
        await under_way.popleft()


def _looks_back(chunk: Sequence[Row]) -> bool:
    """Whether a row is about the customer of an order that an earlier chunk may open: that one has to be recorded, and
    none behind may overtake it."""
    return any(row.event is not None and row.event.customer is None for row in chunk)


def _is_own(row: Row, record: RecordedEvent) -> bool:
    """Whether this very row made the event: its id says so (decision 0014)."""
    if row.event is None or row.event.mark is None:
        return False
    event_id = read_id("evt", record.id)
    return event_id is not None and bears(event_id, row.event.mark)


def _is_unavailable(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and outcome.problems[0].code == _UNAVAILABLE
