"""Whole tables for exports, a page of one bucket at a time: events, postings, orders, customers' names.

In: a bucket and the place where the page before ended. Out: keys or rows in their order, at most as many as asked for;
fewer mean that the bucket is at its end. Nothing here locks or writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec

from troth.core.ids import bucket_in
from troth.core.state import Posting
from troth.store.events import CustomerPersonal
from troth.store.reads import CustomerKey, Filters, PostingRow, end_of
from troth.store.spending_reads import OrderRow, order_row
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection
    from troth.store.vault import Vault

SQL = load("export_reads.sql")
FIRST = UUID(int=0)
LAST = UUID(int=(1 << 128) - 1)


class Cut(NamedTuple):
    """One page of one bucket."""

    bucket: int
    size: int  # rows at most
    before: UUID  # only events recorded under smaller ids, and what belongs to them


class PostingFilters(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What postings are narrowed to; None: not by this."""

    wallet: str | None = None
    occurred_from: datetime | None = None  # inclusive
    occurred_to: datetime | None = None  # exclusive
    reason: str | None = None


class OwnedPosting(NamedTuple):
    customer_id: UUID
    row: PostingRow


class OwnedOrder(NamedTuple):
    customer_id: UUID
    row: OrderRow


async def event_page(connection: Connection, cut: Cut, after: UUID, filters: Filters) -> list[UUID]:
    """Events of a bucket behind `after`, oldest first."""
    rows = await connection.fetch(SQL["event_page"], cut.bucket, after, cut.before, cut.size, *_columns(filters))
    return [row["id"] for row in rows]


async def customer_event_page(
    connection: Connection, cut: Cut, after: tuple[UUID, int], filters: Filters
) -> list[tuple[UUID, int]]:
    """Events of one customer of the bucket. In: (customer, seq of the last one). Out: (id, seq), oldest first."""
    customer_id, seq = after
    values = (cut.bucket, seq, cut.before, cut.size, *_columns(filters), customer_id)
    return [(row["id"], row["seq"]) for row in await connection.fetch(SQL["customer_event_page"], *values)]


async def posting_page(
    connection: Connection, cut: Cut, after: tuple[UUID, int], filters: PostingFilters
) -> list[OwnedPosting]:
    """Postings of a bucket behind the place (event, n), oldest first."""
    event_id, n = after
    values = (cut.bucket, event_id, cut.before, cut.size, n, *_columns(filters))
    return [_posting(dict(row)) for row in await connection.fetch(SQL["posting_page"], *values)]


async def customer_posting_page(
    connection: Connection, cut: Cut, after: tuple[UUID, int, int], filters: PostingFilters
) -> list[OwnedPosting]:
    """Postings of one customer of the bucket behind the place (customer, seq, n), oldest first."""
    customer_id, seq, n = after
    values = (cut.bucket, seq, cut.before, cut.size, n, *_columns(filters), customer_id)
    return [_posting(dict(row)) for row in await connection.fetch(SQL["customer_posting_page"], *values)]


async def order_page(connection: Connection, cut: Cut, after: tuple[UUID, UUID], last: UUID) -> list[OwnedOrder]:
    """Orders of a bucket behind the place (customer, order), up to the customer `last`."""
    customer_id, order_id = after
    rows = await connection.fetch(SQL["order_page"], cut.bucket, customer_id, cut.before, cut.size, order_id, last)
    return [OwnedOrder(row["customer_id"], order_row(row)) for row in rows]


async def name_page(connection: Connection, cut: Cut, after: str, prefix: str) -> list[CustomerKey]:
    """Customers whose external id falls into the bucket and begins with `prefix`, by it, behind `after`."""
    rows = await connection.fetch(SQL["name_page"], cut.bucket, after, cut.size, prefix, end_of(prefix))
    return [CustomerKey(*row) for row in rows]


async def names_of(connection: Connection, vault: Vault, owned: Iterable[tuple[UUID, UUID]]) -> dict[UUID, str]:
    """External ids of customers. In: (customer, an event of it). Those whose key is gone are absent."""
    asked = {customer_id: bucket_in(event_id) for customer_id, event_id in owned}
    names = {}
    for row in await connection.fetch(SQL["owners"], list(asked.values()), list(asked)):
        if row["sealed"] is not None and row["personal"] is not None:
            key = vault.open_key(row["personal_key"], row["sealed"])
            personal = msgspec.json.decode(key.open(row["personal"], row["id"]), type=CustomerPersonal)
            names[row["id"]] = personal.external_id
    return names


def _columns(filters: msgspec.Struct) -> tuple[object, ...]:
    return msgspec.structs.astuple(filters)


def _posting(fields: dict[str, object]) -> OwnedPosting:
    customer_id, event_id, seq = fields.pop("customer_id"), fields.pop("event_id"), fields.pop("seq")
    assert isinstance(customer_id, UUID)
    assert isinstance(event_id, UUID)
    assert isinstance(seq, int)
    posting = Posting(**fields)  # type: ignore[arg-type]
    return OwnedPosting(customer_id, PostingRow(event_id=event_id, seq=seq, posting=posting))
