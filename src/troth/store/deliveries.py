"""Messages on their way: made for each webhook that is told, claimed, tried, recorded, and swept when they are old.

A claim is a lease. Whoever claims and dies loses it when the lease is over; `tries` tells the newest claim from older
ones. Must never: hold anything personal; what a message says is made of its event when it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from uuid import UUID

import msgspec

from troth import limits
from troth.core.exact_json import read_exact
from troth.core.ids import bucket_in, first_id_at
from troth.store.sql import load

if TYPE_CHECKING:
    import asyncpg

    from troth.store.pool import Connection

SQL = load("deliveries.sql")

Status = Literal["waiting", "delivered", "failed"]


class NewDelivery(NamedTuple):
    webhook_id: UUID
    id: UUID
    message_id: UUID
    topic: str
    event_id: UUID | None
    data: str | None  # JSON of what is no event


class Claimed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A delivery that is this process's until the lease ends."""

    id: UUID
    message_id: UUID
    topic: str
    event_id: UUID | None
    data: str | None
    tries: int  # this one included
    earlier: int  # of them, before it was redelivered
    until: datetime  # a failure later than this is the last one


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One try, as it is shown."""

    at: str
    milliseconds: int
    status: int | None  # of the answer; null: there was none
    error: str | None  # what went wrong; null: delivered
    answer: str | None  # its first bytes, as text


class Recorded(NamedTuple):
    """What came of a try."""

    id: UUID
    tries: int
    status: Status
    next_at: datetime | None  # waiting: when it is tried again
    attempt: Attempt


class Health(NamedTuple):
    failures: int
    failing_since: datetime | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A delivery as it is read."""

    id: UUID
    message_id: UUID
    topic: str
    event_id: UUID | None
    status: Status
    next_at: datetime
    claimed: bool
    tries: int
    ended_at: datetime | None
    attempts: tuple[Attempt, ...]  # oldest first; of a page: none


class Traits(NamedTuple):
    attributes: dict[str, object]
    tags: list[str]
    tier: str | None


async def insert(connection: Connection, made: Sequence[NewDelivery], *, now: datetime, until: datetime) -> None:
    columns = list(zip(*made, strict=True)) if made else [()] * 6
    await connection.execute(SQL["insert"], now, until, *columns)


async def due_webhooks(connection: Connection, now: datetime) -> list[UUID]:
    """Enabled webhooks for which something is to be tried."""
    return [row["id"] for row in await connection.fetch(SQL["due_webhooks"], now)]


async def claim(
    connection: Connection, webhook_id: UUID, count: int, *, now: datetime, lease_until: datetime
) -> list[Claimed]:
    """At most `count` deliveries that are due, oldest first."""
    rows = await connection.fetch(SQL["claim"], webhook_id, now, count, lease_until)
    return sorted((Claimed(**dict(row)) for row in rows), key=lambda item: item.id)


async def give_back(connection: Connection, webhook_id: UUID, claimed: Sequence[Claimed], now: datetime) -> None:
    """Not begun: as if it had not been claimed."""
    ids, tries = [item.id for item in claimed], [item.tries for item in claimed]
    await connection.execute(SQL["give_back"], webhook_id, now, ids, tries)


async def record(
    connection: Connection, webhook_id: UUID, found: Sequence[Recorded], *, now: datetime
) -> Health | None:
    """Store what came of these tries. Out: how the webhook fares; None: it is gone."""
    succeeded = [place for place, item in enumerate(found) if item.status == "delivered"]
    row = await connection.fetchrow(
        SQL["record"],
        webhook_id,
        now,
        [item.id for item in found],
        [item.tries for item in found],
        [item.status for item in found],
        [item.next_at for item in found],
        [msgspec.json.encode(item.attempt).decode() for item in found],
        bool(succeeded),
        len(found) - 1 - succeeded[-1] if succeeded else len(found),
        limits.WEBHOOK_ATTEMPTS_KEPT,
    )
    return Health(*row) if row is not None else None


async def page(
    connection: Connection, webhook_id: UUID, *, before: UUID, filters: tuple[str | None, str | None], size: int
) -> list[Delivery]:
    """At most `size` deliveries older than `before`, newest first. The filters are a status and a topic."""
    return [_delivery(row) for row in await connection.fetch(SQL["page"], webhook_id, before, *filters, size)]


async def find(connection: Connection, webhook_id: UUID, delivery_id: UUID) -> Delivery | None:
    row = await connection.fetchrow(SQL["find"], webhook_id, delivery_id)
    return _delivery(row) if row is not None else None


async def redeliver(
    connection: Connection, webhook_id: UUID, delivery_id: UUID, *, now: datetime, until: datetime
) -> None:
    """Try it again, under the same message id."""
    await connection.execute(SQL["redeliver"], webhook_id, delivery_id, now, until)


async def sweep(connection: Connection, before: datetime) -> int:
    """Forget what was made before, and what belongs to no webhook. Out: how many, at most WEBHOOK_SWEPT."""
    done = await connection.execute(SQL["sweep"], first_id_at(before), limits.WEBHOOK_SWEPT)
    return int(done.rpartition(" ")[2])


async def backlog(connection: Connection) -> tuple[int, datetime | None]:
    """How many wait, counted no further than OUTBOX_COUNTED, and since when the most urgent one is due."""
    row = await connection.fetchrow(SQL["backlog"], limits.OUTBOX_COUNTED)
    assert row is not None
    return row["waiting"], row["next_at"]


async def traits(connection: Connection, customers: Sequence[UUID]) -> dict[UUID, Traits]:
    """What these customers are like, without anything personal."""
    rows = await connection.fetch(SQL["traits"], [bucket_in(key) for key in customers], customers)
    return {
        row["id"]: Traits(read_exact(row["attributes"]), msgspec.json.decode(row["tags"]), row["tier"]) for row in rows
    }


def _delivery(row: asyncpg.Record) -> Delivery:
    attempts = row["attempts"]
    told = () if attempts is None else tuple(msgspec.json.decode(attempts, type=list[Attempt]))
    return Delivery(**{**dict(row), "attempts": told})
