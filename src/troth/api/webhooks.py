"""Webhooks: set up, changed, listed, their secrets rotated. What they are told is the outbox's work.

In: settings. Out: webhooks without their secrets; a secret is shown once, when it is made.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import encode
from troth.api.json_bodies import read_object
from troth.api.keys import make_signing_secret
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, following, page_size, read_place
from troth.api.problems import ProblemError, invalid, not_found
from troth.api.reading import Reading, ReadRequest, reading_of
from troth.api.webhook_wire import (
    NewWebhook,
    Permitted,
    Settings,
    WebhookBody,
    WebhookItem,
    WebhookPage,
    read_settings,
    shown,
    webhook_item,
)
from troth.core.ids import read_id
from troth.store import webhooks
from troth.store.row_ids import new_id
from troth.store.webhooks import Webhook, open_headers, seal

_READ = [requires("webhooks:read")]
_WRITE = [requires("webhooks:write")]
_TAGS = ["Webhooks"]
_FIRST = UUID(int=0)


class RotateBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a secret is replaced."""

    overlap_hours: int = limits.WEBHOOK_OVERLAP_HOURS  # that the old one signs too; 0: it ends at once


_EXAMPLE = {"url": "https://shop.example/hooks", "topics": ["points.*", "tier.upgraded"]}
_CREATE = documented(body=WebhookBody, example=_EXAMPLE, answers={201: NewWebhook})
_CHANGE = documented(body=WebhookBody, example={"enabled": True}, answers={200: WebhookItem})
_ROTATE = documented(body=RotateBody, example={"overlap_hours": 24}, answers={200: NewWebhook})


@post("/v1/webhooks", status_code=201, tags=_TAGS, summary="Add a webhook", guards=_WRITE, opt=_CREATE)
async def create_webhook(request: ReadRequest) -> ASGIResponse:
    """Messages on what happens from now on go to `url`. The answer holds the secret that signs them, this once."""
    reading = reading_of(request)
    settings = read_settings(await request.body(), permitted_of(request), None)
    secret = make_signing_secret(os.urandom) if settings.format != "segment" else None
    made = _made(reading, settings, secret)
    async with reading.database.pool.acquire() as connection, webhooks.changing(connection):
        if await webhooks.count(connection) >= limits.WEBHOOKS:
            raise ProblemError(409, "too_many_webhooks", f"There are at most {limits.WEBHOOKS} webhooks.")
        await webhooks.insert(connection, made)
    names = tuple(settings.headers or ())
    return Answer(201, encode(NewWebhook(**shown(made, names), secret=secret)))  # type: ignore[arg-type]


@get("/v1/webhooks", tags=_TAGS, summary="List webhooks", guards=_READ, opt=documented(answers={200: WebhookPage}))
async def list_webhooks(
    request: ReadRequest, limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """All webhooks, oldest first, with how they fare."""
    reading, size = reading_of(request), page_size(limit)
    after = read_place(cursor, UUID) if cursor is not None else _FIRST
    async with reading.database.pool.acquire() as connection:
        found, last = cut(await webhooks.page(connection, after=after, size=size + 1), size)
    items = tuple(_item(reading, item) for item in found)
    return Answer(200, encode(WebhookPage(items=items, next=following(last))))


@get(
    "/v1/webhooks/{webhook:str}",
    tags=_TAGS,
    summary="Read a webhook",
    guards=_READ,
    opt=documented(answers={200: WebhookItem}),
)
async def read_webhook(request: ReadRequest, webhook: FromPath[str]) -> ASGIResponse:
    """One webhook, with how it fares."""
    return Answer(200, encode(_item(reading_of(request), await find_webhook(request, webhook))))


@patch("/v1/webhooks/{webhook:str}", tags=_TAGS, summary="Change a webhook", guards=_WRITE, opt=_CHANGE)
async def change_webhook(request: ReadRequest, webhook: FromPath[str]) -> ASGIResponse:
    """Change what the body names. Enabled again, what waited is sent; what happened meanwhile is not."""
    reading = reading_of(request)
    known = await find_webhook(request, webhook)
    settings = read_settings(await request.body(), permitted_of(request), known.format)
    if settings.format not in (None, known.format):
        raise invalid("/format", "cannot_change", "A webhook keeps its format; add another one.")
    async with reading.database.pool.acquire() as connection:
        async with webhooks.changing(connection):
            current = await webhooks.find(connection, known.id)
            if current is None:
                raise not_found("webhook", webhook)
            await webhooks.update(connection, _changed(reading, current, settings))
        stored = await webhooks.find(connection, known.id)
    return Answer(200, encode(_item(reading, stored or current)))


@delete(
    "/v1/webhooks/{webhook:str}",
    status_code=200,
    tags=_TAGS,
    summary="Delete a webhook",
    guards=_WRITE,
    opt=documented(answers={204: None}),
)
async def delete_webhook(request: ReadRequest, webhook: FromPath[str]) -> ASGIResponse:
    """Delete it with everything that waits for it."""
    known = await find_webhook(request, webhook)
    async with reading_of(request).database.pool.acquire() as connection, webhooks.changing(connection):
        await webhooks.delete(connection, known.id)
    return Answer(204, b"")


@post(
    "/v1/webhooks/{webhook:str}/rotate",
    status_code=200,
    tags=_TAGS,
    summary="Rotate a webhook's secret",
    guards=_WRITE,
    opt=_ROTATE,
)
async def rotate_webhook(request: ReadRequest, webhook: FromPath[str]) -> ASGIResponse:
    """Make a new secret and show it, this once. While the old one lasts, messages carry the signatures of both."""
    reading, known = reading_of(request), await find_webhook(request, webhook)
    if known.format == "segment":
        raise ProblemError(409, "no_secret", "The format segment signs nothing; change its write_key instead.")
    hours = _overlap(read_object(await request.body()))
    secret, now = make_signing_secret(os.urandom), datetime.now(UTC)
    sealed = seal(reading.vault, known.id, secret)
    async with reading.database.pool.acquire() as connection, webhooks.changing(connection):
        await webhooks.rotate(connection, known.id, sealed, now=now, until=now + timedelta(hours=hours))
        stored = await webhooks.find(connection, known.id)
    if stored is None:
        raise not_found("webhook", webhook)
    names = tuple(open_headers(reading.vault, stored))
    return Answer(200, encode(NewWebhook(**shown(stored, names), secret=secret)))  # type: ignore[arg-type]


async def find_webhook(request: ReadRequest, name: str) -> Webhook:
    """The webhook of this id. Raises ProblemError 404."""
    key = read_id("whk", name)
    async with reading_of(request).database.pool.acquire() as connection:
        found = await webhooks.find(connection, key) if key is not None else None
    if found is None:
        raise not_found("webhook", name)
    return found


def permitted_of(request: ReadRequest) -> Permitted:
    return cast("Permitted", request.app.state["webhooks"])


def _made(reading: Reading, settings: Settings, secret: str | None) -> Webhook:
    key, now = new_id(), datetime.now(UTC)
    headers = _sealed_headers(reading, key, settings)
    signs = secret if secret is not None else settings.write_key
    assert settings.url is not None
    assert signs is not None, "read_settings demands a write key"
    return Webhook(
        id=key,
        url=settings.url,
        topics=settings.topics or ("*",),
        format=settings.format or "standard",
        description=settings.description or "",
        headers=headers,
        secret=seal(reading.vault, key, signs),
        old_secret=None,
        old_secret_until=None,
        enabled=settings.enabled is not False,
        created_at=now,
        updated_at=now,
    )


def _changed(reading: Reading, known: Webhook, settings: Settings) -> Webhook:
    plain = {
        name: value
        for name in ("url", "topics", "description", "enabled")
        if (value := getattr(settings, name)) is not None
    }
    if settings.headers is not None:
        plain["headers"] = _sealed_headers(reading, known.id, settings)
    if settings.write_key is not None:
        plain["secret"] = seal(reading.vault, known.id, settings.write_key)
    return replace(known, **plain, updated_at=datetime.now(UTC))


def _sealed_headers(reading: Reading, key: UUID, settings: Settings) -> bytes | None:
    given = dict(settings.headers or {})
    return seal(reading.vault, key, msgspec.json.encode(given).decode()) if given else None


def _overlap(document: dict[str, object]) -> int:
    """Raises ProblemError."""
    for name in document:
        if name != "overlap_hours":
            raise invalid(f"/{name}", "unknown_field", "A rotation has one field: overlap_hours.")
    hours = document.get("overlap_hours", limits.WEBHOOK_OVERLAP_HOURS)
    most = limits.WEBHOOK_OVERLAP_HOURS_MAX
    if not isinstance(hours, int) or isinstance(hours, bool) or not 0 <= hours <= most:
        raise invalid("/overlap_hours", "out_of_range", f"An overlap is 0 to {most} whole hours.")
    return hours


def _item(reading: Reading, found: Webhook) -> WebhookItem:
    return webhook_item(found, tuple(open_headers(reading.vault, found)))


HANDLERS = [create_webhook, list_webhooks, read_webhook, change_webhook, delete_webhook, rotate_webhook]
