"""Rows of single customers, put into a database by the statements that a batch writes with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from uuid import UUID

import msgspec

from tests.conftest import TestDatabase
from troth.core.ids import bucket_of, order_key, uuid7
from troth.core.state import EMPTY_WALLET, CustomerState, Lot, Posting, WalletState
from troth.store import batch, ledger
from troth.store.batch import CustomerRow
from troth.store.ledger_rows import CustomerFold, EventRow, Written
from troth.store.parts import Key
from troth.store.pool import Connection, Database

START = datetime.now(UTC).replace(microsecond=0)  # there are partitions for now
_serials = count()


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(kw_only=True)
class Rows:
    """One customer of one database, and a connection as a lane has it."""

    connection: Connection
    row: CustomerRow
    seq: int = 0
    wallets: dict[str, WalletState] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return Key(self.row.bucket, self.row.id)

    def new_id(self) -> UUID:
        """An id of the customer's bucket; later ones are greater."""
        return next_id(self.row.bucket)

    def event(self, **fields: object) -> EventRow:
        """The next event of the customer, with these fields."""
        self.seq += 1
        plain = EventRow(
            bucket=self.row.bucket, id=self.new_id(), customer_id=self.row.id, seq=self.seq, type="purchase",
            occurred_at=START, source="api", source_detail=None, actor=None, signed=False, parent=None, depth=0,
            caused=0, points=0, properties="{}", inputs=None, after='{"wallets": {}, "tier": null}', warnings=None,
            personal_key=None, personal=None, outcome="applied", order_key=None, clock=None,
        )  # fmt: skip
        return plain._replace(**fields)  # type: ignore[arg-type]

    def full_event(self) -> EventRow:
        """An event with something in every column."""
        return self.event(
            type="refund", occurred_at=day("2026-05-01"), source="csv", source_detail="f.csv:3", actor="key",
            signed=True, parent=self.new_id(), depth=2, caused=3, points=-4, properties='{"a": 1}',
            inputs='{"b": 2}', after='{"c": 3}', warnings='[{"d": 4}]', personal_key=self.new_id(),
            personal=b"sealed", outcome="waiting_for_order", order_key=order_key("A-1"), clock=day("2026-06-01"),
        )  # fmt: skip

    def two_postings(self) -> tuple[Posting, Posting]:
        """With a lot and an award, and without either; of an event of 2026-05-01."""
        plain = {"wallet": "gems", "points": 7, "occurred_at": day("2026-05-01")}
        return (
            Posting(
                n=0, from_state="program", to_state="pending", qualifying=True, lot_event=self.new_id(), lot_n=2,
                reason="award", order_id=self.new_id(), rule="base", base=Decimal("7.50"), multiplier=Decimal("1.25"),
                cap="times day", earned_at=day("2026-01-01"), expires_at=day("2027-01-01"), **plain,
            ),
            Posting(
                n=1, from_state="debt", to_state="spent", qualifying=False, lot_event=None, lot_n=None,
                reason="adjustment", **plain,
            ),
        )  # type: ignore[arg-type]  # fmt: skip

    def lot(self, remaining: int = 10, **fields: object) -> Lot:
        plain = Lot(
            event_id=self.new_id(), n=0, wallet="points", earned_at=day("2026-01-01"), expires_at=None,
            points=1_000, remaining=remaining,
        )  # fmt: skip
        return msgspec.structs.replace(plain, **fields)

    async def write(self, **parts: object) -> None:
        """Everything named, as one batch leaves it behind; places are 1: there is no other customer."""
        fold = CustomerFold(self.row, has_new_tiers=True, has_new_calendar=True)
        self.row.state = msgspec.structs.replace(self.row.state, seq=self.seq)
        written = Written(revision=1, customers=[fold], **parts)  # type: ignore[arg-type]
        await ledger.write(self.connection, written, {}, ())

    async def write_lots(self, *lots: Lot) -> None:
        """New lots, and a balance for each of their wallets, as every batch leaves them."""
        wallets = sorted({lot.wallet for lot in lots})
        await self.write(lots=[(1, lot) for lot in lots], balances=[(1, wallet, EMPTY_WALLET) for wallet in wallets])

    async def open_order(self, order_key: UUID, **fields: object) -> EventRow:
        """The opening event of an order, and its row without a state."""
        opening = self.event(order_key=order_key, **fields)
        await self.write(events=[opening], orders=[(1, opening.id, None, None)])
        return opening

    async def due_at(self, moment: datetime | None) -> None:
        self.row.state = msgspec.structs.replace(self.row.state, due_at=moment)
        await self.write()


def next_id(bucket: int) -> UUID:
    return uuid7(int(START.timestamp() * 1000) + next(_serials), bucket, 0)


async def add_customer(connection: Connection, name: str) -> Rows:
    """A customer of whom nothing is recorded."""
    bucket = bucket_of(name)
    row = CustomerRow(
        id=next_id(bucket), bucket=bucket, external_id=name, state=CustomerState(created_at=START),
        personal_key=next_id(bucket), sealed_key=b"key of " + name.encode(), personal=b"sealed " + name.encode(),
    )  # fmt: skip
    assert await batch.add_customers(connection, [row]) == {row.id}
    fold = CustomerFold(row, has_new_tiers=True, has_new_calendar=True)
    await ledger.write(connection, Written(revision=1, customers=[fold], new_customers=[row]), {}, ())
    return Rows(connection=connection, row=row)


@asynccontextmanager
async def lane(database: Database) -> AsyncIterator[Connection]:
    """A connection as a lane has it."""
    connection = await database.connect()
    try:
        await batch.tune(connection)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def customer_of(access: TestDatabase, name: str = "anna") -> AsyncIterator[Rows]:
    """The only customer of a database."""
    async with access.open_database() as opened, lane(opened) as connection:
        yield await add_customer(connection, name)
