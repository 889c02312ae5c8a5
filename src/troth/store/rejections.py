"""What doors refused, as it is stored: reasons in codes, everything else sealed.

Must never: hold anything of a customer in clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from troth.store.sql import load

if TYPE_CHECKING:
    import asyncpg

    from troth.store.pool import Connection

SQL = load("rejections.sql")


class RejectionRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    received_at: datetime
    expires_at: datetime
    source: str  # as events name it
    source_detail: str | None  # the key's name, the source's id, or the import's
    type: str | None  # as sent, when it looks like a name
    codes: tuple[str, ...]
    sealed: bytes
    replayed_at: datetime | None = None
    outcome: str | None = None  # of the last replay
    event_id: UUID | None = None  # what the replay recorded, or found recorded
    line: int | None = None  # of an import's file
    command: str | None = None  # what was called; None: an event was sent


class RejectionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; None: not by this."""

    source: str | None = None  # or its detail
    code: str | None = None
    type: str | None = None
    received_from: datetime | None = None  # inclusive
    received_to: datetime | None = None  # exclusive
    is_replayed: bool | None = None
    command: str | None = None


async def insert_rejections(connection: Connection, rows: Sequence[RejectionRow]) -> None:
    await connection.execute(
        SQL["insert_rejections"],
        [row.id for row in rows],
        [row.received_at for row in rows],
        [row.expires_at for row in rows],
        [row.source for row in rows],
        [row.source_detail for row in rows],
        [row.type for row in rows],
        [" ".join(row.codes) for row in rows],
        [row.sealed for row in rows],
        [row.line for row in rows],
        [row.command for row in rows],
    )


async def page_rejections(
    connection: Connection, narrowed: RejectionFilter, before: UUID, size: int
) -> list[RejectionRow]:
    """Newest first, older than `before`."""
    rows = await connection.fetch(
        SQL["page_rejections"],
        before,
        narrowed.source,
        narrowed.code,
        narrowed.type,
        narrowed.received_from,
        narrowed.received_to,
        narrowed.is_replayed,
        narrowed.command,
        size,
    )
    return [_row(row) for row in rows]


async def next_rejections(
    connection: Connection, narrowed: RejectionFilter, after: UUID, size: int
) -> list[RejectionRow]:
    """Those not replayed yet, oldest first, newer than `after`: events, unless a command is named."""
    rows = await connection.fetch(
        SQL["next_rejections"],
        after,
        narrowed.source,
        narrowed.code,
        narrowed.type,
        narrowed.received_from,
        narrowed.received_to,
        narrowed.command,
        size,
    )
    return [_row(row) for row in rows]


async def read_rejection(connection: Connection, rejection_id: UUID) -> RejectionRow | None:
    row = await connection.fetchrow(SQL["read_rejection"], rejection_id)
    return _row(row) if row is not None else None


async def mark_replayed(
    connection: Connection, rejection_id: UUID, now: datetime, result: tuple[str, UUID | None]
) -> None:
    """What became of it: the outcome, and the event recorded or found."""
    await connection.execute(SQL["mark_replayed"], rejection_id, now, *result)


async def drop_rejections(connection: Connection, now: datetime, most: int, kept: int) -> int:
    """Drop those whose time is over and those beyond `kept`. Out: how many, of each at most `most`."""
    return int(await connection.fetchval(SQL["drop_rejections"], now, most, kept))


def _row(row: asyncpg.Record) -> RejectionRow:
    return RejectionRow(**{**dict(row), "codes": tuple(row["codes"])})
