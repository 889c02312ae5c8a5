"""Fan-out: rows of the outbox → a delivery for each webhook that wants one, in the transaction that drops the rows.

In: a connection and a moment. Out: how many rows were told. Workers share the outbox: what one holds, others skip.
Must never: drop a row before its deliveries are stored, or store them twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from troth import limits
from troth.core.ids import show_id
from troth.core.topics import DISABLED, PROGRAM_PUBLISHED, topics_of, wants
from troth.outbox.messages import ProgramData, WebhookData, message_id
from troth.store import deliveries, outbox, webhooks
from troth.store.deliveries import NewDelivery
from troth.store.outbox import Happened, OutboxRow
from troth.store.pool import Connection
from troth.store.row_ids import new_id

Told = Sequence[tuple[UUID, tuple[str, ...]]]  # webhooks and their topics


async def fan_out(connection: Connection, first_bucket: int, now: datetime) -> int:
    """Tell at most OUTBOX_CLAIMED rows, from `first_bucket` on and then from the beginning. Out: how many."""
    async with connection.transaction():
        rows = await outbox.claim(connection, first_bucket, limits.OUTBOX_CLAIMED)
        if rows:
            told = await webhooks.enabled(connection)
            events = [row.id for row in rows if row.revision is None]
            happened = await outbox.happened(connection, events) if events and told else {}
            made = [item for row in rows for item in made_of(row, happened, told)]
            if made:
                await deliveries.insert(connection, made, now=now, until=give_up_at(now))
            await outbox.drop(connection, rows)
    return len(rows)


def made_of(row: OutboxRow, happened: Mapping[UUID, Happened], told: Told) -> list[NewDelivery]:
    """The deliveries of one row: each of its topics, for each webhook that wants it."""
    if row.revision is not None:
        data = msgspec.json.encode(ProgramData(revision=row.revision)).decode()
        return _for_all(row.id, (PROGRAM_PUBLISHED,), told, data)
    found = happened.get(row.id)
    if found is None:
        return []
    changes_order = found.is_of_order and found.outcome == "applied"
    return _for_all(row.id, topics_of(found.type, found.seq, found.reasons, changes_order=changes_order), told, None)


def _for_all(about: UUID, topics: Sequence[str], told: Told, data: str | None) -> list[NewDelivery]:
    event_id = about if data is None else None
    return [
        NewDelivery(webhook_id, new_id(), message_id(about, topic), topic, event_id, data)
        for topic in topics
        for webhook_id, chosen in told
        if wants(chosen, topic)
    ]


async def disable(connection: Connection, webhook_id: UUID, reason: str, now: datetime) -> bool:
    """Switch a webhook off, with its reason, and tell the others. Out: False when it was off, or gone, already."""
    async with webhooks.changing(connection):
        if not await webhooks.disable(connection, webhook_id, now=now, reason=reason):
            return False
        told = await webhooks.enabled(connection)
        data = WebhookData(webhook=show_id("whk", webhook_id), reason=reason)
        made = _for_all(new_id(), (DISABLED,), told, msgspec.json.encode(data).decode())
        if made:
            await deliveries.insert(connection, made, now=now, until=give_up_at(now))
    return True


def give_up_at(now: datetime) -> datetime:
    """After which a failure is the last one."""
    return now + timedelta(seconds=limits.WEBHOOK_GIVE_UP_SECONDS)
