"""A lane: one connection that runs batches, one after the other, until each has its outcome.

What another try may cure (serialisation, deadlock, a lost connection, a stale program) is run again whole, with the
same ids. What one event causes is bisected, so that it never fails its neighbours. A fault of the database as a whole
goes to the callers.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import asyncpg
import structlog

from troth import limits
from troth.pipeline.books import Book, Books
from troth.pipeline.ingest import Companion, CompanionFailed, Ingest, NameChanged, StaleBook, present
from troth.pipeline.outcome import Overloaded, Problem, Rejected, Unreachable
from troth.pipeline.work import Work
from troth.store import batch
from troth.store.ledger import ClockMoved
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
        waiting = await self._settle(list(works), companion)
        while waiting:
            waiting = await self._settle(waiting, companion)

    async def _settle(self, works: list[Work], companion: Companion | None) -> list[Work]:
        """One transaction over `works`, or several if some are bad. Out: those that wait for a twin."""
        try:
            return await self._persist(works, companion)
        except CompanionFailed as failure:
            raise failure.error from None
        except Exception as error:
            if not works or not _is_of_an_event(error):
                raise
            if len(works) == 1:
                works[0].outcome = _unstorable(works[0], error)
                return await self._settle([], companion) if companion else []
            middle = len(works) // 2
            first = await self._settle(works[:middle], None)
            return first + await self._settle(works[middle:], None if first else companion)  # once, with the last

    async def _persist(self, works: list[Work], companion: Companion | None) -> list[Work]:
        """Try until the transaction is through, for at most RETRY_SECONDS."""
        give_up_at = time.monotonic() + limits.RETRY_SECONDS
        pause, names_left = limits.RETRY_PAUSE_SECONDS, limits.NAME_TRIES
        while True:
            try:
                book = await self._books.live()
                _prepare(works, book, self._books.clock)
                return await self._ingest.run(await self._ready(), works, book, companion)
            except (StaleBook, ClockMoved):
                await self._books.refresh()
            except NameChanged:
                names_left -= 1
                if not names_left:
                    raise
                await asyncio.sleep(limits.RETRY_PAUSE_SECONDS)
            except Exception as error:
                if not is_transient(error):
                    raise
                self._drop()
                if time.monotonic() > give_up_at:
                    raise Unreachable from error
                _log.warning("batch_again", error=type(error).__name__, events=len(works))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                pause = min(pause * 2, limits.RETRY_PAUSE_SECONDS_MAX)

    async def _ready(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await self._connect()
            await batch.tune(connection)
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        """Forget the connection; the next try makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close(timeout=5)


def _prepare(works: Sequence[Work], book: Book, clock: datetime | None) -> None:
    """Reset outcomes, and read again under this revision what was validated under another one."""
    for work in works:
        work.outcome = work.duplicate_of = None
        if work.revision != book.revision or work.clock != clock:
            work.renew(book.validator.validate(work.raw, clock or present()), book.revision, clock)


def _is_of_an_event(error: Exception) -> bool:
    """Whether a single event may be the cause: its data, or our mistake in judging it; not the database as a whole."""
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError)
    return not isinstance(error, Overloaded)


def _unstorable(work: Work, error: Exception) -> Rejected:
    """This very event cannot be recorded: the database refuses its data, or we made a mistake."""
    is_ours = not isinstance(error, asyncpg.PostgresError)
    _log.error("event_unstorable", event_type=work.valid.type.id, error=type(error).__name__, exc_info=error)
    detail = f"this event cannot be recorded ({type(error).__name__}); nothing of it was stored"
    return Rejected((Problem("", "internal_error" if is_ours else "unstorable", detail),))
