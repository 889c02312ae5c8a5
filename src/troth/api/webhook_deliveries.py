"""Deliveries of a webhook: listed, read with every attempt, sent again, and a ping to try it out.

In: a webhook. Out: deliveries, the newest first. Asking for one only makes it due; the relay sends.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import encode
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, following, page_size, plain_text, read_place
from troth.api.problems import ProblemError, invalid, not_found
from troth.api.reading import ReadRequest, reading_of
from troth.api.webhooks import find_webhook
from troth.core.calendar import show_time
from troth.core.ids import read_id, recorded_at, show_id
from troth.core.topics import PING
from troth.outbox.fanout import give_up_at
from troth.outbox.messages import WebhookData, message_id
from troth.store import deliveries
from troth.store.deliveries import Attempt, Delivery, NewDelivery
from troth.store.reads import NEWEST
from troth.store.row_ids import new_id

_READ = [requires("webhooks:read")]
_WRITE = [requires("webhooks:write")]
_TAGS = ["Webhooks"]
_STATUSES = ("waiting", "delivered", "failed")

StatusFilter = Annotated[str | None, QueryParameter(description="waiting, delivered or failed.")]
TopicFilter = Annotated[str | None, QueryParameter(description="Of this topic only.")]


class DeliveryItem(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one webhook."""

    id: str
    message: str  # webhook-id: the same for every attempt
    topic: str
    event: str | None  # what it tells of
    status: str  # waiting, delivered or failed: given up
    tries: int
    created_at: str
    next_at: str | None  # waiting: when it is tried next, at the latest
    ended_at: str | None


class DeliveryDetail(DeliveryItem, frozen=True, kw_only=True):
    """With its attempts."""

    attempts: tuple[Attempt, ...]  # oldest first


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[DeliveryItem, ...]  # newest first
    next: str | None


@get(
    "/v1/webhooks/{webhook:str}/deliveries",
    tags=_TAGS,
    summary="List deliveries",
    guards=_READ,
    opt=documented(answers={200: DeliveryPage}),
)
async def list_deliveries(
    request: ReadRequest,
    webhook: FromPath[str],
    *,
    limit: Limit = limits.PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
    status: StatusFilter = None,
    topic: TopicFilter = None,
) -> ASGIResponse:
    """Messages for this webhook, newest first. They are kept for 30 days."""
    size, known = page_size(limit), await find_webhook(request, webhook)
    before = read_place(cursor, UUID) if cursor is not None else NEWEST
    if status is not None and status not in _STATUSES:
        raise invalid("/query/status", "invalid_parameter", f"A status is one of: {', '.join(_STATUSES)}.")
    filters = status, plain_text(topic, "topic") if topic is not None else None
    async with reading_of(request).database.pool.acquire() as connection:
        rows = await deliveries.page(connection, known.id, before=before, filters=filters, size=size + 1)
    found, last = cut(rows, size)
    items = tuple(DeliveryItem(**_shown(item)) for item in found)  # type: ignore[arg-type]
    return Answer(200, encode(DeliveryPage(items=items, next=following(last))))


@get(
    "/v1/webhooks/{webhook:str}/deliveries/{delivery:str}",
    tags=_TAGS,
    summary="Read a delivery",
    guards=_READ,
    opt=documented(answers={200: DeliveryDetail}),
)
async def read_delivery(request: ReadRequest, webhook: FromPath[str], delivery: FromPath[str]) -> ASGIResponse:
    """One message for this webhook, with every attempt: when, how long, what was answered."""
    return Answer(200, encode(await _detail(request, webhook, delivery)))


@post(
    "/v1/webhooks/{webhook:str}/deliveries/{delivery:str}/redeliver",
    status_code=202,
    tags=_TAGS,
    summary="Deliver again",
    guards=_WRITE,
    opt=documented(answers={202: DeliveryDetail}),
)
async def redeliver(request: ReadRequest, webhook: FromPath[str], delivery: FromPath[str]) -> ASGIResponse:
    """Send the same message once more, under the same id, whatever became of it, for three days if need be."""
    known, key, now = await _enabled(request, webhook), read_id("dlv", delivery), datetime.now(UTC)
    if key is not None:
        async with reading_of(request).database.pool.acquire() as connection:
            await deliveries.redeliver(connection, known, key, now=now, until=give_up_at(now))
    return Answer(202, encode(await _detail(request, webhook, delivery)))


@post(
    "/v1/webhooks/{webhook:str}/test",
    status_code=202,
    tags=_TAGS,
    summary="Send a ping",
    guards=_WRITE,
    opt=documented(answers={202: DeliveryDetail}),
)
async def test_webhook(request: ReadRequest, webhook: FromPath[str]) -> ASGIResponse:
    """Send a message of the topic `webhook.ping`. The delivery tells what came of it."""
    known, now = await _enabled(request, webhook), datetime.now(UTC)
    key = new_id()
    data = msgspec.json.encode(WebhookData(webhook=webhook)).decode()
    ping = NewDelivery(known, key, message_id(key, PING), PING, None, data)
    async with reading_of(request).database.pool.acquire() as connection:
        await deliveries.insert(connection, [ping], now=now, until=give_up_at(now))
    return Answer(202, encode(await _detail(request, webhook, show_id("dlv", key))))


async def _enabled(request: ReadRequest, webhook: str) -> UUID:
    """Raises ProblemError: what is sent to a disabled webhook would only wait."""
    known = await find_webhook(request, webhook)
    if not known.enabled:
        raise ProblemError(409, "disabled", "This webhook is disabled; enable it first.")
    return known.id


async def _detail(request: ReadRequest, webhook: str, delivery: str) -> DeliveryDetail:
    known, key = await find_webhook(request, webhook), read_id("dlv", delivery)
    async with reading_of(request).database.pool.acquire() as connection:
        found = await deliveries.find(connection, known.id, key) if key is not None else None
    if found is None:
        raise not_found("delivery", delivery)
    return DeliveryDetail(**_shown(found), attempts=found.attempts)  # type: ignore[arg-type]


def _shown(found: Delivery) -> dict[str, object]:
    return {
        "id": show_id("dlv", found.id),
        "message": show_id("msg", found.message_id),
        "topic": found.topic,
        "event": show_id("evt", found.event_id) if found.event_id is not None else None,
        "status": found.status,
        "tries": found.tries,
        "created_at": show_time(recorded_at(found.id)),
        "next_at": show_time(found.next_at) if found.status == "waiting" else None,
        "ended_at": show_time(found.ended_at) if found.ended_at is not None else None,
    }


HANDLERS = [list_deliveries, read_delivery, redeliver, test_webhook]
