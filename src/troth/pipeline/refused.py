"""A second look at what was refused: the program may have changed, and what is recorded already stays recorded.

Events that pass validation meet the live program and their recorded twins in their batch; refused ones meet them here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from troth.core.ids import reference_hash
from troth.pipeline.books import Book, Books
from troth.pipeline.claim import Claims, find_recorded
from troth.pipeline.outcome import Outcome, Rejected, Unreachable
from troth.pipeline.validate import Refused
from troth.pipeline.work import Work
from troth.store import batch
from troth.store.clock import present as test_clock
from troth.store.pool import Connection, Database, is_transient
from troth.store.programs import live_revision
from troth.store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """Reads only, on pooled connections."""

    database: Database
    books: Books
    claims: Claims
    vault: Vault

    async def read(self, book: Book, refused: dict[int, Refused], now: datetime) -> dict[int, Work]:
        """Only batches compare revisions, so what is refused is read again if the program, or the test clock, has
        changed.

        Out: what the newest program accepts. What it refuses stays in `refused`, for its reasons.
        """
        clock = self.books.clock
        newest = await self.newest() if refused else book
        accepted: dict[int, Work] = {}
        if newest is book and self.books.clock == clock:
            return accepted
        for place, item in list(refused.items()):
            valid = newest.validator.validate(item.raw, self.books.clock or now)
            if isinstance(valid, Refused):
                refused[place] = valid
            else:
                del refused[place]
                accepted[place] = Work(valid=valid, revision=newest.revision, clock=self.books.clock)
        return accepted

    async def newest(self) -> Book:
        """The book of the live program, as the database says; where the test clock stands is known then, too."""
        book = await self.books.live()
        async with self.reads() as connection:
            live = await live_revision(connection)
            self.books.clock = await test_clock(connection)
        return book if live == book.revision else await self.books.refresh(live)

    async def answer(self, refused: dict[int, Refused]) -> dict[int, Outcome]:
        """A resend that today's schema would refuse is looked up first: recorded means duplicate."""
        outcomes: dict[int, Outcome] = {place: Rejected(item.problems) for place, item in refused.items()}
        keys = {
            place: reference_hash("reference", item.reference)
            for place, item in refused.items()
            if item.reference is not None and item.customer is not None
        }
        if not keys:
            return outcomes
        async with self.reads() as connection:
            stored = await find_recorded(connection, self.vault, keys.values())
            if not stored:
                return outcomes
            names = list({str(refused[place].customer) for place in keys})
            customers = (await batch.resolve(connection, names)).customers
        for place, key in keys.items():
            if key in stored:
                item = refused[place]
                outcomes[place] = await self.claims.compare(item.raw, stored[key], customers.get(str(item.customer)))
        return outcomes

    @asynccontextmanager
    async def reads(self) -> AsyncIterator[Connection]:
        """A pooled connection; Unreachable when the database is."""
        try:
            async with self.database.pool.acquire() as connection:
                yield connection
        except Exception as error:
            if is_transient(error):
                raise Unreachable from error
            raise
