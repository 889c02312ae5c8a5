"""The one way in for all doors: concurrent callers → batches → lanes (group commit).

A lane takes what waits, up to BATCH_EVENTS, and runs it in one transaction; there is no linger, so an idle server
handles one event at once. An event's lane follows from its customer, so one customer's events keep their order.
Queues are bounded: when one is full the caller gets Overloaded, and nothing of his batch is stored.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import msgspec

from troth import limits
from troth.core.ids import bucket_of, reference_hash
from troth.pipeline.books import Book, Books
from troth.pipeline.claim import Claims, find_recorded
from troth.pipeline.ingest import Companion, Ingest, present
from troth.pipeline.lane import Lane
from troth.pipeline.outcome import Outcome, Overloaded, Problem, RawEvent, Rejected, Unreachable
from troth.pipeline.preview import Preview
from troth.pipeline.validate import Refused, ValidEvent
from troth.pipeline.work import Work
from troth.store import batch
from troth.store.pool import Connection, Database, is_transient
from troth.store.programs import live_revision
from troth.store.vault import Vault


class Group(msgspec.Struct, eq=False):
    """Works of one caller for one lane, settled together."""

    works: list[Work]
    done: asyncio.Future[None]
    companion: Companion | None = None


class BatchStatistics(msgspec.Struct):
    """What the lanes did so far, for /metrics."""

    batches: int = 0
    events: int = 0
    seconds: float = 0.0


class Batcher:
    """Runs `lanes` lanes for one process. Use as an async context manager."""

    def __init__(self, database: Database, books: Books, vault: Vault, *, lanes: int, queue_events: int) -> None:
        self.statistics = BatchStatistics()
        self.queue_events_max = queue_events  # per lane
        self._database = database
        self._books = books
        self._vault = vault
        self._claims = Claims(books, vault)
        self._preview = Preview(books=books, claims=self._claims)
        ingest = Ingest(books=books, vault=vault, claims=self._claims)
        self._lanes = [Lane(ingest, books, database.connect) for _ in range(lanes)]
        self._queues: list[deque[Group]] = [deque() for _ in range(lanes)]
        self._wakes = [asyncio.Event() for _ in range(lanes)]
        self._waiting = [0] * lanes
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._serve(place)) for place in range(len(self._lanes))]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was taken in, then stop."""
        self._closing = True
        for wake in self._wakes:
            wake.set()
        await asyncio.gather(*self._tasks)
        for lane in self._lanes:
            await lane.close()

    @property
    def waiting_events(self) -> int:
        return sum(self._waiting)

    async def ingest(self, events: Sequence[RawEvent], companion: Companion | None = None) -> list[Outcome]:
        """Record events; the outcomes come in the same order. `companion` shares the transaction of the last ones.

        With a companion, all events are for one lane and are not merged with others. Raises Overloaded.
        """
        book, read = await self._read(events)
        works = {
            place: Work(valid=valid, revision=book.revision)
            for place, valid in enumerate(read)
            if not isinstance(valid, Refused)
        }
        await _finish(self._enqueue(list(works.values()), companion))
        refused = {place: valid for place, valid in enumerate(read) if isinstance(valid, Refused)}
        outcomes = await self._answer_refused(refused) if refused else {}
        for place, work in works.items():
            assert work.outcome is not None
            outcomes[place] = work.outcome
        return [outcomes[place] for place in range(len(events))]

    async def _read(self, events: Sequence[RawEvent]) -> tuple[Book, list[ValidEvent | Refused]]:
        """Validate. Only batches compare revisions, so what is refused is read again if the program has changed."""
        book, now = await self._books.live(), present()
        read = [book.validator.validate(raw, now) for raw in events]
        if any(isinstance(valid, Refused) for valid in read):
            newest = await self._newest()
            if newest is not book:
                return newest, [newest.validator.validate(raw, now) for raw in events]
        return book, read

    async def _newest(self) -> Book:
        book = await self._books.live()
        async with self._reads() as connection:
            live = await live_revision(connection)
        return book if live == book.revision else await self._books.refresh(live)

    async def preview(self, raw: RawEvent) -> Outcome:
        """What the event would bring now. Nothing is stored or locked."""
        book, _ = await self._read([raw])
        async with self._reads() as connection:
            return await self._preview.run(connection, raw, book)

    @asynccontextmanager
    async def _reads(self) -> AsyncIterator[Connection]:
        """A pooled connection; Unreachable when the database is."""
        try:
            async with self._database.pool.acquire() as connection:
                yield connection
        except Exception as error:
            if is_transient(error):
                raise Unreachable from error
            raise

    # Queues

    def _enqueue(self, works: list[Work], companion: Companion | None) -> list[Group]:
        if self._closing:
            raise Overloaded("The server is stopping", retry_seconds=5)
        parts: dict[int, list[Work]] = {}
        for work in works:
            place = 0 if companion else bucket_of(work.valid.customer) % len(self._lanes)
            parts.setdefault(place, []).append(work)
        if companion is not None:
            parts.setdefault(0, [])
        if any(self._waiting[place] + len(part) > self.queue_events_max for place, part in parts.items()):
            raise Overloaded("Too many events are waiting")
        if companion is not None:
            return [self._put(0, parts[0], companion)]
        size = limits.BATCH_EVENTS
        return [
            self._put(place, part[first : first + size])
            for place, part in parts.items()
            for first in range(0, len(part), size)
        ]

    def _put(self, place: int, works: list[Work], companion: Companion | None = None) -> Group:
        group = Group(works, asyncio.get_running_loop().create_future(), companion)
        self._queues[place].append(group)
        self._waiting[place] += len(works)
        self._wakes[place].set()
        return group

    async def _serve(self, place: int) -> None:
        """A lane's life: take what waits, run it, answer; until closing and nothing waits."""
        wake, queue = self._wakes[place], self._queues[place]
        while True:
            if not queue:
                if self._closing:
                    return
                wake.clear()
                await wake.wait()
                continue
            groups = _take(queue)
            self._waiting[place] -= sum(len(group.works) for group in groups)
            await self._run(self._lanes[place], groups)

    async def _run(self, lane: Lane, groups: list[Group]) -> None:
        works = [work for group in groups for work in group.works]
        started = time.monotonic()
        try:
            await lane.run(works, groups[0].companion)
        except Exception as error:
            for group in groups:
                if not group.done.cancelled():
                    group.done.set_exception(error)
        else:
            for group in groups:
                if not group.done.cancelled():
                    group.done.set_result(None)
        self.statistics.batches += 1
        self.statistics.events += len(works)
        self.statistics.seconds += time.monotonic() - started

    # Refused by today's schema

    async def _answer_refused(self, refused: dict[int, Refused]) -> dict[int, Outcome]:
        """A resend that today's schema would refuse is looked up first: recorded means duplicate."""
        outcomes: dict[int, Outcome] = {place: Rejected(item.problems) for place, item in refused.items()}
        keys = {
            place: reference_hash("reference", item.reference)
            for place, item in refused.items()
            if item.reference is not None and item.customer is not None
        }
        if not keys:
            return outcomes
        async with self._reads() as connection:
            stored = await find_recorded(connection, self._vault, keys.values())
            if not stored:
                return outcomes
            names = list({str(refused[place].customer) for place in keys})
            customers = (await batch.resolve(connection, names)).customers
        for place, key in keys.items():
            if key in stored:
                item = refused[place]
                outcomes[place] = await self._claims.compare(item.raw, stored[key], customers.get(str(item.customer)))
        return outcomes


async def _finish(groups: list[Group]) -> None:
    """Wait for all groups of one caller. When some fail and others are stored, the failed events say so themselves."""
    failures = await asyncio.gather(*(group.done for group in groups), return_exceptions=True)
    errors = [failure for failure in failures if failure is not None]
    if errors and len(errors) == len(groups):
        raise errors[0]
    for group, failure in zip(groups, failures, strict=True):
        if failure is not None:
            problem = Problem("", "unavailable", f"{failure} The other events of this batch were stored.")
            for work in group.works:
                work.outcome = Rejected((problem,))


def _take(queue: deque[Group]) -> list[Group]:
    """The groups of the next batch: at least one, at most BATCH_EVENTS events; a companion stays alone."""
    groups = [queue.popleft()]
    size = len(groups[0].works)
    while queue and groups[0].companion is None and queue[0].companion is None:
        size += len(queue[0].works)
        if size > limits.BATCH_EVENTS:
            break
        groups.append(queue.popleft())
    return groups
