"""A lane: one connection that runs batches, one after the other, until each has its outcome.

Faults are of three kinds. What another try may cure (serialisation, deadlock, a lost connection, a stale program) is run
again whole, with the same ids. What the data causes is bisected: one bad event never fails others.
Anything else is our mistake and goes to the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import structlog

from troth import limits
from troth.pipeline.books import Book, Books
from troth.pipeline.ingest import Companion, Ingest, NameChanged, StaleBook, present
from troth.pipeline.outcome import Overloaded, Problem, Rejected
from troth.pipeline.validate import Refused
from troth.pipeline.work import Work
from troth.store import batch
from troth.store.pool import Connection, is_transient

_log = structlog.get_logger()

Connect = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]


class Lane:
    """Runs one batch at a time on a connection of its own, made when first needed and again when it is lost."""

    def __init__(self, ingest: Ingest, books: Books, connect: Connect) -> None:
        self._ingest = ingest
        self._books = books
        self._connect = connect
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def run(self, works: Sequence[Work], companion: Companion | None = None) -> None:
        """Every work has its outcome afterwards. Raises Overloaded when the database cannot be reached in time."""
        waiting = list(works)
        while waiting:
            waiting = await self._settle(waiting, companion)

    async def _settle(self, works: list[Work], companion: Companion | None) -> list[Work]:
        """One transaction over `works`, or several if some are bad. Out: those that wait for a twin."""
        try:
            return await self._persist(works, companion)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            for work in works:
                work.outcome = None
            if len(works) == 1:
                works[0].outcome = _unstorable(works[0], error)
                return []
            middle = len(works) // 2
            first = await self._settle(works[:middle], None)
            return first + await self._settle(works[middle:], companion)

    async def _persist(self, works: list[Work], companion: Companion | None) -> list[Work]:
        """Try until the transaction is through, for at most RETRY_SECONDS."""
        give_up_at = time.monotonic() + limits.RETRY_SECONDS
        pause = limits.RETRY_PAUSE_SECONDS
        while True:
            try:
                book = await self._books.live()
                works = _fitting(works, book)
                return await self._ingest.run(await self._ready(), works, book, companion)
            except StaleBook:
                await self._books.refresh()
            except NameChanged:
                pass
            except Exception as error:
                if not is_transient(error):
                    raise
                await self._drop()
                if time.monotonic() > give_up_at:
                    raise Overloaded("the database cannot be reached", retry_seconds=5) from error
                _log.warning("batch_again", error=type(error).__name__, events=len(works))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                pause = min(pause * 2, limits.RETRY_PAUSE_SECONDS_MAX)

    async def _ready(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            await batch.tune(self._connection)
        return self._connection

    async def _drop(self) -> None:
        """Forget the connection; the next try makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close(timeout=5)


def _fitting(works: Sequence[Work], book: Book) -> list[Work]:
    """The works, their outcomes reset, as this revision of the program reads them; who no longer fits is rejected."""
    fitting = []
    for work in works:
        work.outcome = None
        if work.revision != book.revision:
            valid = book.validator.validate(work.raw, present())
            if isinstance(valid, Refused):
                work.outcome = Rejected(valid.problems)
                continue
            work.renew(valid, book.revision)
        fitting.append(work)
    return fitting


def _unstorable(work: Work, error: Exception) -> Rejected:
    """The database refused the data of this very event."""
    _log.error("event_unstorable", event_type=work.valid.type.id, error=type(error).__name__)
    detail = f"the database cannot hold this event ({type(error).__name__})"
    return Rejected((Problem("", "unstorable", detail),))
