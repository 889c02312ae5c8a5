"""Pages of events and customers, by key, and the places of other pages. Nothing here locks or writes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec

from troth.core.ids import bucket_in
from troth.core.state import Posting
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection

SQL = load("reads.sql")
NEWEST = UUID(int=(1 << 128) - 1)  # every event is older
NEWEST_SEQ = 2**63 - 1
FIRST_CHARACTER_AFTER_SURROGATES = 0xE000
_BEFORE_ALL = datetime(1, 1, 2, tzinfo=UTC)


class Filters(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a list of events is narrowed to; None: not by this."""

    type: str | None = None
    source: str | None = None
    occurred_from: datetime | None = None  # inclusive
    occurred_to: datetime | None = None  # exclusive
    has_points: bool | None = None


class CustomerKey(NamedTuple):
    external_id: str
    id: UUID
    bucket: int


class PostingRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    event_id: UUID
    seq: int
    posting: Posting


class LotPlace(NamedTuple):
    """Where a page of lots ended."""

    expires_at: datetime | None
    earned_at: datetime
    event_id: UUID
    n: int


FIRST_LOT = LotPlace(_BEFORE_ALL, _BEFORE_ALL, UUID(int=0), -1)


async def log_page(connection: Connection, filters: Filters, before: UUID, size: int) -> list[UUID]:
    """At most `size` events older than `before`, newest first."""
    rows = await connection.fetch(SQL["log_page"], before, *_columns(filters), size)
    return [row["id"] for row in rows]


async def history_page(
    connection: Connection, customer: CustomerKey, filters: Filters, *, before: int, size: int
) -> list[tuple[UUID, int]]:
    """At most `size` events of a customer with a `seq` under `before`, newest first. Out: (id, seq)."""
    rows = await connection.fetch(SQL["history_page"], customer.bucket, customer.id, before, *_columns(filters), size)
    return [(row["id"], row["seq"]) for row in rows]


async def chosen_events(
    connection: Connection, ids: Iterable[UUID], filters: Filters, customer_id: UUID | None = None
) -> list[UUID]:
    """Those of these few events that pass the filters, newest first."""
    asked = list(ids)
    buckets = [bucket_in(event_id) for event_id in asked]
    rows = await connection.fetch(SQL["chosen"], buckets, asked, customer_id, *_columns(filters))
    return [row["id"] for row in rows]


async def customer_page(connection: Connection, prefix: str, *, after: str, size: int) -> list[CustomerKey]:
    """At most `size` customers whose external id begins with `prefix`, by code point, after `after`."""
    rows = await connection.fetch(SQL["customer_page"], after, prefix, end_of(prefix), size)
    return [CustomerKey(*row) for row in rows]


def _columns(filters: Filters) -> tuple[object, ...]:
    return msgspec.structs.astuple(filters)


def end_of(prefix: str) -> str | None:
    """The first text, by code point, that no longer begins with `prefix`; None when there is none."""
    while prefix and ord(prefix[-1]) == 0x10FFFF:
        prefix = prefix[:-1]
    if not prefix:
        return None
    following = ord(prefix[-1]) + 1
    is_surrogate = 0xD800 <= following < FIRST_CHARACTER_AFTER_SURROGATES
    return prefix[:-1] + chr(FIRST_CHARACTER_AFTER_SURROGATES if is_surrogate else following)
