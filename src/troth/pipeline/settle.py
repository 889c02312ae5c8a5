"""Settling: what fell due for customers of whom nothing comes in, a bounded batch at a time.

Locks first, claims nothing: customers whose date has come are locked, those that another worker holds are left to it.
Then the same decide and write as for an event; the whole batch is one transaction, so it can stop at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import asyncpg
import msgspec
import structlog

from troth import limits
from troth.core.due import apply_due
from troth.core.judging import Judged
from troth.core.rules import RuleBook, Shelf
from troth.core.state import CustomerState
from troth.pipeline.books import Book, Books
from troth.pipeline.ingest import present
from troth.pipeline.judge import decide_loaded
from troth.pipeline.write import Ledger, Party
from troth.store import batch, due
from troth.store.batch import CustomerRow
from troth.store.clock import present as test_clock
from troth.store.ledger import ClockMoved, touch_clock
from troth.store.loading import Sources
from troth.store.outbox import any_webhook
from troth.store.pool import Connection, Database, is_transient
from troth.store.programs import live_revision
from troth.store.row_ids import new_id
from troth.store.vault import Vault

_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Settle:
    """The worker's step."""

    books: Books
    vault: Vault
    database: Database
    connection: asyncpg.Connection[asyncpg.Record] | None = field(
        default=None, repr=False
    )  # one of its own, as lanes have

    async def run(self, most: int) -> int:
        """One transaction over at most `most` customers. Out: how many were looked at; 0: nothing is due.

        A customer that cannot be judged, by a mistake of ours, is put off and logged, and holds up nobody else.
        """
        connection = await self._ready()
        book = await self.books.live()
        if await live_revision(connection) != book.revision:
            book = await self.books.refresh()
        try:
            return await self._settle(connection, book, most)
        except Exception as error:
            if is_transient(error):
                connection.terminate()
                raise
            if isinstance(error, ClockMoved):
                return 1
            if most > 1:
                return await self.run(1)
            return await self._put_off(connection, error)

    async def _settle(self, connection: Connection, book: Book, most: int) -> int:
        async with connection.transaction():
            clock = await test_clock(connection)
            now = clock or present()
            rows = await due.claim_due(connection, now, most)
            if not rows:
                return 0
            ledger = await self._judge(connection, rows, book, now)
            if clock is not None:
                await touch_clock(connection, clock)
            await ledger.write(connection, {}, (), tells=await any_webhook(connection))
            return len(rows)

    async def _put_off(self, connection: Connection, error: Exception) -> int:
        now = await test_clock(connection) or present()
        customer = await due.put_off(connection, now, now + timedelta(seconds=limits.PUT_OFF_SECONDS))
        _log.error("customer_put_off", customer=customer, error=type(error).__name__, exc_info=error)
        return 1

    async def _judge(self, connection: Connection, rows: Sequence[CustomerRow], book: Book, now: datetime) -> Ledger:
        sources = Sources(
            book=book.rules, book_at=self._book_at, vault=self.vault, now=now,
            most_lots=max(limits.DUE_LOTS // len(rows), 1),
        )  # fmt: skip
        ledger = Ledger(book.rules)
        for row in rows:
            if row.personal_key is None or row.sealed_key is None:
                continue
            key = self.vault.open_key(row.personal_key, row.sealed_key)
            party = Party(row=row, key=key, before=row.state)
            before = new_id(row.bucket)

            def attempt(state: CustomerState, shelf: Shelf) -> tuple[tuple[Judged, ...], CustomerState]:
                until = state.due_to or now
                return apply_due(state, until, shelf, before, most=limits.DUE_STEPS)  # noqa: B023 - called at once

            judged, state = await decide_loaded(connection, party, sources, attempt)
            row.state = party.before
            ledger.settle(party, judged, msgspec.structs.replace(state, due_to=None))
        return ledger

    async def _book_at(self, revision: int) -> RuleBook:
        return (await self.books.at(revision)).rules

    async def _ready(self) -> asyncpg.Connection[asyncpg.Record]:
        if self.connection is None or self.connection.is_closed():
            connection = await self.database.connect()
            await batch.tune(connection)
            self.connection = connection
        return self.connection

    async def close(self) -> None:
        if self.connection is not None:
            await self.connection.close()


async def revisit(engine: HasBooks) -> bool:
    """Have every customer looked at anew when a program gives them other dates (inactivity, tiers, time zone).

    A bucket at a time, restartable; out: whether there was something to do.
    """
    async with engine.database.pool.acquire() as connection:
        dated, live = await due.dated(connection)
        if dated == live:
            return False
        before = dates_of((await engine.books.at(dated)).rules) if dated else None
        if before is not None and before != dates_of((await engine.books.at(live)).rules):
            now = await test_clock(connection) or present()
            for bucket in range(limits.BUCKETS):
                await due.look_again(connection, bucket, now)
        await due.set_dated(connection, live)
    return True


class HasBooks(Protocol):
    """What `revisit` needs of an engine."""

    @property
    def database(self) -> Database: ...

    @property
    def books(self) -> Books: ...


def dates_of(book: RuleBook) -> tuple[object, ...]:
    """What of a program moves dates that customers already have."""
    settings, tiers = book.program.settings, book.program.tiers
    return (settings.inactivity_days, settings.time_zone, tiers)
