"""One customer's history by key, to both sides of a place. Nothing here locks or writes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from troth.store.reads import CustomerKey
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection

SQL = load("histories.sql")


class HistoryFilter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a history is narrowed to; None: not by this."""

    types: tuple[str, ...] | None = None
    points_only: bool = False  # those whose own points differ from 0
    occurred_from: datetime | None = None  # inclusive
    occurred_to: datetime | None = None  # exclusive


class HistoryPlace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a page begins: behind this seq, in this direction."""

    seq: int
    is_upward: bool  # towards newer events
    offset: int = 0  # skipped first


async def history_keys(
    connection: Connection, customer: CustomerKey, narrowed: HistoryFilter, place: HistoryPlace, *, size: int
) -> list[tuple[UUID, int]]:
    """At most `size` events as (id, seq), the nearest to the place first."""
    types = list(narrowed.types) if narrowed.types is not None else None
    rows = await connection.fetch(
        SQL["newer" if place.is_upward else "older"],
        customer.bucket,
        customer.id,
        place.seq,
        types,
        narrowed.points_only,
        narrowed.occurred_from,
        narrowed.occurred_to,
        place.offset,
        size,
    )
    return [(row["id"], row["seq"]) for row in rows]
