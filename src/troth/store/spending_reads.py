"""What became of points, a page or an item at a time: postings, lots, reservations, redemptions, orders.

In: a customer and a place. Out: records of the core as they were written. Nothing here locks or writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import msgspec

from troth.core.exact_json import read_exact
from troth.core.order_state import Order
from troth.core.state import Lot, Posting, Redemption, Reservation
from troth.store.reads import CustomerKey, LotPlace, PostingRow
from troth.store.sql import load

if TYPE_CHECKING:
    import asyncpg

    from troth.store.pool import Connection

SQL = load("spending_reads.sql")
T = TypeVar("T")


class OrderRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: UUID  # the opening event
    state: Order | None  # None: nothing has happened since it was opened


async def posting_page(
    connection: Connection, customer: CustomerKey, *, before: tuple[int, int], size: int
) -> list[PostingRow]:
    """At most `size` postings of a customer before the place (seq, n), newest first."""
    return _postings(await connection.fetch(SQL["posting_page"], customer.bucket, customer.id, *before, size))


async def lot_page(
    connection: Connection, customer: CustomerKey, *, now: datetime, after: LotPlace, size: int
) -> list[Lot]:
    """At most `size` lots that hold available or pending points at `now`, the first to end first, as stored."""
    rows = await connection.fetch(SQL["lot_page"], customer.bucket, customer.id, now, *after, size)
    return [_lot(row) for row in rows]


async def reservation(connection: Connection, customer: CustomerKey, key: UUID) -> Reservation | None:
    state = await connection.fetchval(SQL["reservation"], customer.bucket, customer.id, key)
    return _read(state, Reservation) if state is not None else None


async def reservation_page(
    connection: Connection, customer: CustomerKey, *, before: UUID, size: int
) -> list[Reservation]:
    """At most `size` reservations older than `before`, newest first."""
    rows = await connection.fetch(SQL["reservation_page"], customer.bucket, customer.id, before, size)
    return [_read(row["state"], Reservation) for row in rows]


async def redemption(connection: Connection, customer: CustomerKey, key: UUID) -> Redemption | None:
    state = await connection.fetchval(SQL["redemption"], customer.bucket, customer.id, key)
    return _read(state, Redemption) if state is not None else None


async def redemption_page(
    connection: Connection, customer: CustomerKey, *, before: UUID, size: int
) -> list[Redemption]:
    """At most `size` redemptions older than `before`, newest first."""
    rows = await connection.fetch(SQL["redemption_page"], customer.bucket, customer.id, before, size)
    return [_read(row["state"], Redemption) for row in rows]


# Orders


async def order_state(connection: Connection, bucket: int, customer_id: UUID, key: UUID) -> Order | None:
    """What has happened to an order since its opening event `key`; None: nothing."""
    row = await connection.fetchrow(SQL["order"], bucket, customer_id, key)
    return order_row(row).state if row is not None else None


async def order_page(connection: Connection, customer: CustomerKey, *, before: UUID, size: int) -> list[OrderRow]:
    """At most `size` orders opened before the event `before`, newest first."""
    rows = await connection.fetch(SQL["order_page"], customer.bucket, customer.id, before, size)
    return [order_row(row) for row in rows]


async def order_events(
    connection: Connection, bucket: int, customer_id: UUID, order_key: UUID, *, size: int
) -> list[UUID]:
    """The newest `size` events that name an order, in the order in which they were judged."""
    rows = await connection.fetch(SQL["order_events"], bucket, customer_id, order_key, size)
    return [row["id"] for row in reversed(rows)]


async def order_postings(
    connection: Connection, customer: tuple[int, UUID], opening: tuple[UUID, int], *, size: int
) -> list[PostingRow]:
    """The newest `size` postings of an order, newest first. In: bucket and id; the opening event and its seq."""
    order_id, seq = opening
    return _postings(await connection.fetch(SQL["order_postings"], *customer, seq, order_id, size))


async def waiting_events(connection: Connection, order_key: UUID, *, size: int) -> list[UUID]:
    """Events that wait for this order, of any customer, oldest first."""
    return [row["event_id"] for row in await connection.fetch(SQL["waiting_events"], order_key, size)]


def _postings(rows: Iterable[asyncpg.Record]) -> list[PostingRow]:
    found = []
    for row in rows:
        fields = dict(row)
        event_id, seq = fields.pop("event_id"), fields.pop("seq")
        found.append(PostingRow(event_id=event_id, seq=seq, posting=Posting(**fields)))
    return found


def _lot(row: asyncpg.Record) -> Lot:
    fields = dict(row)
    order, rules = fields.pop("order_id"), fields.pop("rules")
    return Lot(order=order, rules=tuple(rules or ()), **fields)


def order_row(row: asyncpg.Record) -> OrderRow:
    return OrderRow(id=row["id"], state=_read(row["state"], Order) if row["state"] is not None else None)


def _read(state: str, kind: type[T]) -> T:
    """A state as it was written; undeclared numbers of its content stay exact."""
    return msgspec.convert(read_exact(state), kind)
