"""The one way in for all doors: concurrent callers → batches → lanes (group commit).

In: raw events. Out: an outcome for each, in the same order. Valid events go to the queues; refused ones get a second
look. Queues are bounded: when one is full the caller gets Overloaded, and nothing of his batch is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from troth import limits
from troth.pipeline.books import Book, Books
from troth.pipeline.claim import Claims
from troth.pipeline.ingest import Companion, Ingest, present
from troth.pipeline.lane import Lane
from troth.pipeline.outcome import Outcome, Overloaded, RawEvent
from troth.pipeline.owners import Owners
from troth.pipeline.preview import Preview
from troth.pipeline.queues import BatchStatistics, Group, Queues, finish, unavailable
from troth.pipeline.refused import SecondLook
from troth.pipeline.settle import Settle
from troth.pipeline.validate import Refused
from troth.pipeline.work import Work
from troth.store.clock import present as test_clock
from troth.store.pool import Database
from troth.store.vault import Vault


class Batcher:
    """Runs `lanes` lanes for one process. Use as an async context manager."""

    def __init__(self, database: Database, books: Books, vault: Vault, *, lanes: int, queue_events: int) -> None:
        claims = Claims(books, vault)
        ingest = Ingest(books=books, vault=vault, claims=claims)
        self.queues = Queues([Lane(ingest, books, database.connect) for _ in range(lanes)], events_max=queue_events)
        self._books = books
        self._owners = Owners(vault=vault)
        self._preview = Preview(books=books, claims=claims, owners=self._owners, vault=vault)
        self._settle = Settle(books=books, vault=vault, database=database)
        self._second_look = SecondLook(database=database, books=books, claims=claims, vault=vault)

    async def __aenter__(self) -> Self:
        self.queues.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was taken in, then stop."""
        await self.queues.stop()
        await self._settle.close()

    @property
    def statistics(self) -> BatchStatistics:
        return self.queues.statistics

    @property
    def waiting_events(self) -> int:
        return self.queues.waiting_events

    async def ingest(
        self, events: Sequence[RawEvent], companion: Companion | None = None, *, is_patient: bool = False
    ) -> list[Outcome]:
        """Record events; the outcomes come in the same order. `companion` shares the transaction of the last ones.

        With a companion, all events are for one lane and are not merged with others. Patient ones let others go
        first. Raises Overloaded.
        """
        book, clock = await self._books.live(), await self._clock()
        now = clock or present()
        works: dict[int, Work] = {}
        refused: dict[int, Refused] = {}
        for place, raw in enumerate(events):
            valid = book.validator.validate(raw, now)
            if isinstance(valid, Refused):
                refused[place] = valid
            else:
                works[place] = Work(valid=valid, revision=book.revision, clock=clock)
        await self._name_owners(list(works.values()))
        if not refused:
            await finish(self._put(works, companion, is_patient=is_patient))
            return [_settled(work) for work in works.values()]
        outcomes: dict[int, Outcome] = {}
        if companion is None:  # no waiting here: the next call may hold events of the same customers
            groups = self._put(works, is_patient=is_patient)
            works |= await self._look_again(book, refused, groups, outcomes, is_patient=is_patient)
        else:
            works |= await self._second_look.read(book, refused, now)
            groups = self._put(works, companion)
        await finish(groups)
        outcomes |= await self._second_look.answer(refused) if refused else {}
        outcomes |= {place: _settled(work) for place, work in works.items()}
        return [outcomes[place] for place in range(len(events))]

    async def _look_again(
        self,
        book: Book,
        refused: dict[int, Refused],
        groups: list[Group],
        outcomes: dict[int, Outcome],
        *,
        is_patient: bool,
    ) -> dict[int, Work]:
        """Read the refused events again and enqueue what is accepted; the others of their batch are on their way."""
        try:
            again = await self._second_look.read(book, refused, self._books.clock or present())
            await self._name_owners(list(again.values()))
            groups += self._put(again, is_patient=is_patient)
        except Overloaded as error:
            if not groups:
                raise
            outcomes |= {place: unavailable(error) for place in refused}
            refused.clear()
            return {}
        return again

    async def _clock(self) -> datetime | None:
        """Where the test clock stands. While it stands nowhere, batches tell when it is set."""
        if self._books.clock is not None:
            async with self._second_look.reads() as connection:
                self._books.clock = await test_clock(connection)
        return self._books.clock

    def _put(
        self, works: dict[int, Work], companion: Companion | None = None, *, is_patient: bool = False
    ) -> list[Group]:
        """Put in line what is not settled yet."""
        waiting = [work for work in works.values() if work.outcome is None]
        return self.queues.put(waiting, companion, is_patient=is_patient)

    async def _name_owners(self, works: list[Work]) -> None:
        """Events of an order may leave out their customer."""
        if any(work.valid.customer is None for work in works):
            async with self._second_look.reads() as connection:
                await self._owners.find(connection, works)

    async def settle(self, most: int = limits.DUE_CUSTOMERS) -> int:
        """Apply what fell due for at most `most` customers. Out: how many were looked at."""
        return await self._settle.run(most)

    async def preview(self, raw: RawEvent) -> Outcome:
        """What the event would bring now. Nothing is stored or locked."""
        book, _ = await self._books.live(), await self._clock()
        if isinstance(book.validator.validate(raw, self._books.clock or present()), Refused):
            book = await self._second_look.newest()
        async with self._second_look.reads() as connection:
            return await self._preview.run(connection, raw, book)


def _settled(work: Work) -> Outcome:
    assert work.outcome is not None, "a finished group has its outcomes"
    return work.outcome
