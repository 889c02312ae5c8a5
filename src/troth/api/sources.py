"""/v1/sources: the configured doors for foreign systems, their secrets, counters and inboxes.

Secrets are shown once, by the answer that made them. A change is obeyed at once here, elsewhere within
SOURCE_CACHE_SECONDS.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, following, page_size, read_cursor, read_place, show_cursor
from troth.api.problems import ErrorItem, ProblemError, not_found
from troth.api.reading import ReadRequest, may, reading_of
from troth.api.source_registry import Sources, hash_secret, seal_secrets
from troth.api.source_wire import (
    NewSource,
    RotationBody,
    SourceBody,
    SourceChange,
    SourceItem,
    SourcePage,
    WaitingItem,
    WaitingPage,
    asked_rotation,
    asked_source,
    changed_source,
    complete_secrets,
    shown_source,
)
from troth.core.ids import show_id
from troth.core.sources.kinds import KINDS
from troth.store.pool import Connection
from troth.store.reads import NEWEST
from troth.store.row_ids import new_id
from troth.store.source_inbox import page_waiting
from troth.store.sources import (
    Counts,
    SourceRow,
    delete_source,
    insert_source,
    list_sources,
    rotate_source,
    update_source,
)
from troth.store.vault import Vault

_TAGS = ["Sources"]
READ = [requires("sources:read")]
WRITE = [requires("sources:write")]

_EXAMPLE = {"id": "web-shop", "kind": "segment", "name": "Web shop", "settings": {"types": ["purchase", "review"]}}
_LIST = documented(answers={200: SourcePage})
_CREATE = documented(body=SourceBody, example=_EXAMPLE, answers={201: NewSource})
_READ = documented(answers={200: SourceItem})
_CHANGE = documented(body=SourceChange, example={"enabled": False}, answers={200: SourceItem})
_DELETE = documented(answers={204: None})
_ROTATE = documented(body=RotationBody, example={"overlap_seconds": 86_400}, answers={200: NewSource})
_INBOX = documented(answers={200: WaitingPage})


def sources_of(request: ReadRequest) -> Sources:
    return cast("Sources", request.app.state["sources"])


@get("/v1/sources", tags=_TAGS, summary="List sources", guards=READ, opt=_LIST)
async def list_all(
    request: ReadRequest, limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """The sources by id, with what came through each."""
    size, after = page_size(limit), read_cursor(cursor) if cursor else ""
    async with reading_of(request).database.pool.acquire() as connection:
        rows = [row for row in await list_sources(connection) if row.id > after]
    counts = await sources_of(request).counts()
    page, last = cut(rows, size)
    items = tuple(shown_source(row, counts.get(row.id, Counts())) for row in page)
    return Answer(200, encode(SourcePage(items=items, next=show_cursor(last.id) if last is not None else None)))


@post("/v1/sources", status_code=201, tags=_TAGS, summary="Create a source", guards=WRITE, opt=_CREATE)
async def create_source(request: ReadRequest) -> ASGIResponse:
    """Configure a door for a foreign system. Its secrets are shown in this answer only."""
    asked = asked_source(await request.body())
    now, vault = datetime.now(UTC), reading_of(request).vault
    shown = complete_secrets(asked.kind, asked.secrets)
    row = SourceRow(
        id=asked.id,
        kind=asked.kind,
        name=asked.name,
        enabled=asked.enabled,
        settings=asked.settings,
        seal=new_id(),
        secrets=b"",
        found_by=None,
        previous=None,
        previous_by=None,
        previous_until=None,
        made_at=now,
        changed_at=now,
    )
    async with reading_of(request).database.pool.acquire() as connection:
        stored = await insert_source(connection, _sealed(vault, row, shown))
    if stored is None:
        raise ProblemError(409, "too_many_sources", f"There may be {limits.SOURCES} sources; delete one first.")
    if not stored:
        raise _taken("/id", "A source has this id, or one of these secrets, already.")
    sources_of(request).forget()
    return Answer(201, encode(_new(row, shown, Counts())))


@get("/v1/sources/{source_id:str}", tags=_TAGS, summary="Read a source", guards=READ, opt=_READ)
async def read_source(request: ReadRequest, source_id: FromPath[str]) -> ASGIResponse:
    """One source, its counters and its newest errors."""
    return Answer(200, encode(await _shown(request, await load_source(request, source_id))))


@patch("/v1/sources/{source_id:str}", tags=_TAGS, summary="Change a source", guards=WRITE, opt=_CHANGE)
async def change_source(request: ReadRequest, source_id: FromPath[str]) -> ASGIResponse:
    """Change name, settings or whether it is open. What is not named stays."""
    row = await load_source(request, source_id)
    changed = changed_source(row, await request.body())
    changed = msgspec.structs.replace(changed, changed_at=datetime.now(UTC))
    async with reading_of(request).database.pool.acquire() as connection:
        if not await update_source(connection, changed):
            raise not_found("source", source_id)
    sources_of(request).forget()
    return Answer(200, encode(await _shown(request, changed)))


@delete(
    "/v1/sources/{source_id:str}", status_code=200, tags=_TAGS, summary="Delete a source", guards=WRITE, opt=_DELETE
)
async def remove_source(request: ReadRequest, source_id: FromPath[str]) -> ASGIResponse:
    """Close the door for good, and forget what waits in it. Recorded events stay."""
    await load_source(request, source_id)
    async with reading_of(request).database.pool.acquire() as connection:
        if not await delete_source(connection, source_id):
            raise not_found("source", source_id)
    sources_of(request).forget()
    return Answer(204, b"")


@post(
    "/v1/sources/{source_id:str}/rotate",
    status_code=200,
    tags=_TAGS,
    summary="Rotate a source's secrets",
    guards=WRITE,
    opt=_ROTATE,
)
async def rotate(request: ReadRequest, source_id: FromPath[str]) -> ASGIResponse:
    """Make new secrets. Those until now are accepted until `previous_until`."""
    row = await load_source(request, source_id)
    asked = asked_rotation(row, await request.body())
    now, shown = datetime.now(UTC), complete_secrets(row.kind, asked.secrets)
    until = now + timedelta(seconds=asked.overlap_seconds)
    changed = msgspec.structs.replace(row, previous_until=until, changed_at=now)
    async with reading_of(request).database.pool.acquire() as connection:
        if not await rotate_source(connection, _sealed(reading_of(request).vault, changed, shown)):
            raise _taken("/secrets", "Another source has one of these secrets.")
    sources_of(request).forget()
    counts = (await sources_of(request).counts()).get(source_id, Counts())
    return Answer(200, encode(_new(changed, shown, counts)))


@get("/v1/sources/{source_id:str}/inbox", tags=_TAGS, summary="Read a source's inbox", guards=READ, opt=_INBOX)
async def read_inbox(
    request: ReadRequest,
    source_id: FromPath[str],
    limit: Limit = limits.PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> ASGIResponse:
    """What waits: an anonymous visitor's events for a name, a refund for its order. Newest first."""
    await load_source(request, source_id)
    reading, size = reading_of(request), page_size(limit)
    before = read_place(cursor, UUID) if cursor else NEWEST
    async with reading.database.pool.acquire() as connection:
        rows = await page_waiting(connection, source_id, before, size + 1)
    page, last = cut(rows, size)
    with_personal = may(request, "customers:read")
    items = []
    for row in page:
        key, payload = open_waiting(reading.vault, row.sealed, row.id) if with_personal else (None, b"null")
        items.append(
            WaitingItem(
                id=show_id("inb", row.id),
                key=key,
                received_at=row.received_at,
                expires_at=row.expires_at,
                payload=msgspec.Raw(payload),
            )
        )
    return Answer(200, encode(WaitingPage(items=tuple(items), next=following(last))))


def open_waiting(vault: Vault, sealed: bytes, row: UUID) -> tuple[str, bytes]:
    """What a row of an inbox hides: its key, and the payload as JSON."""
    key, _, payload = vault.open_alone(sealed, row).partition(b"\0")
    return key.decode(), payload


async def load_source(request: ReadRequest, source_id: str) -> SourceRow:
    """The source of this id. Raises ProblemError 404."""
    async with reading_of(request).database.pool.acquire() as connection:
        return await _find(connection, source_id)


async def _find(connection: Connection, source_id: str) -> SourceRow:
    found = next((row for row in await list_sources(connection) if row.id == source_id), None)
    if found is None:
        raise not_found("source", source_id)
    return found


async def _shown(request: ReadRequest, row: SourceRow) -> SourceItem:
    return shown_source(row, (await sources_of(request).counts()).get(row.id, Counts()))


def _new(row: SourceRow, secrets: Mapping[str, str], counts: Counts) -> NewSource:
    return NewSource(**msgspec.structs.asdict(shown_source(row, counts)), secrets=secrets)


def _sealed(vault: Vault, row: SourceRow, secrets: Mapping[str, str]) -> SourceRow:
    found_by = KINDS[row.kind].found_by
    named = hash_secret(secrets[found_by]) if found_by is not None else None
    return msgspec.structs.replace(row, secrets=seal_secrets(vault, row, secrets), found_by=named)


def _taken(pointer: str, detail: str) -> ProblemError:
    return ProblemError(409, "exists", detail, errors=(ErrorItem(pointer=pointer, code="exists", detail=detail),))


HANDLERS = [list_all, create_source, read_source, change_source, remove_source, rotate, read_inbox]
