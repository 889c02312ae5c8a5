"""The outbox: what happened and is to be told, taken out a bounded number at a time.

In: rows that a batch, or a publication, wrote in its own transaction. Out: what tells which topics they have.
Must never: hold anything personal, or lose a row before its deliveries are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec

from troth import limits
from troth.core.ids import bucket_in
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection
from troth.store.row_ids import new_id

SQL = load("outbox.sql")


class OutboxRow(NamedTuple):
    bucket: int
    id: UUID  # the event; of a published program an id of its own
    revision: int | None  # the program that was published


class Happened(msgspec.Struct, frozen=True, gc=False):
    """What of an event decides its topics."""

    type: str
    seq: int
    outcome: str
    is_of_order: bool
    reasons: frozenset[str]  # of its postings


class Backlog(NamedTuple):
    waiting: int  # counted no further than OUTBOX_COUNTED
    oldest: UUID | None


async def any_webhook(connection: Connection) -> bool:
    """Whether some webhook is to be told what happens."""
    return bool(await connection.fetchval(SQL["any_webhook"]))


async def tell_program(connection: Connection, revision: int) -> None:
    """The program of this number was published; in the transaction that publishes it."""
    await connection.execute(SQL["tell_program"], 0, new_id(), revision)


async def claim(connection: Connection, first_bucket: int, count: int) -> list[OutboxRow]:
    """At most `count` rows from `first_bucket` on and then from the beginning, locked until the transaction ends."""
    rows = await connection.fetch(SQL["claim"], first_bucket, limits.BUCKETS, count)
    if len(rows) < count and first_bucket:
        rows += await connection.fetch(SQL["claim"], 0, first_bucket, count - len(rows))
    return [OutboxRow(*row) for row in rows]


async def drop(connection: Connection, rows: Sequence[OutboxRow]) -> None:
    await connection.execute(SQL["drop"], [row.bucket for row in rows], [row.id for row in rows])


async def happened(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Happened]:
    """What these events were; unknown ones are absent."""
    rows = await connection.fetch(SQL["happened"], [bucket_in(event_id) for event_id in ids], ids)
    return {
        row["id"]: Happened(row["type"], row["seq"], row["outcome"], row["is_of_order"], frozenset(row["reasons"]))
        for row in rows
    }


async def backlog(connection: Connection) -> Backlog:
    row = await connection.fetchrow(SQL["backlog"], limits.OUTBOX_COUNTED)
    assert row is not None
    return Backlog(row["waiting"], UUID(row["oldest"]) if row["oldest"] is not None else None)
