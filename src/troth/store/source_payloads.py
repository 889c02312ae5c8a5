"""What sources were sent last, sealed: a bounded number of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from troth import limits
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection

SQL = load("sources.sql")


class PayloadRow(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    id: UUID
    received_at: datetime
    sealed: bytes


async def insert_payloads(connection: Connection, rows: Sequence[PayloadRow]) -> None:
    """Keep them, and of each source only the newest."""
    columns = ([row.source for row in rows], [row.id for row in rows], [row.received_at for row in rows])
    await connection.execute(SQL["insert_payloads"], *columns, [row.sealed for row in rows])
    await connection.execute(SQL["trim_payloads"], sorted({row.source for row in rows}), limits.SOURCE_PAYLOADS)


async def read_payloads(connection: Connection, source_id: str) -> list[PayloadRow]:
    """The kept ones, newest first."""
    rows = await connection.fetch(SQL["read_payloads"], source_id, limits.SOURCE_PAYLOADS)
    return [PayloadRow(**dict(row)) for row in rows]
