"""Reads of rejections: what any door refused in the last REJECTION_DAYS, and why.

In: filters, or an id. Out: pages, newest first, or one with its payload. What was sent is shown to keys with
customers:read only: it may name people. Which commands may be replayed, and with which permission, is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Protocol, cast
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import encode
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, following, moment, page_size, plain_text, read_place
from troth.api.problems import ErrorItem, not_found
from troth.api.reading import Reading, ReadRequest, may, reading_of
from troth.core.ids import read_id, show_id
from troth.core.program.builtin_types import CUSTOMERS_SCOPE, POINTS_SCOPE
from troth.store.reads import NEWEST
from troth.store.rejections import RejectionFilter, RejectionRow, page_rejections, read_rejection

TAGS = ["Rejections"]
READ = [requires("sources:read")]
_FIELDS = ("customer", "type", "reference", "occurred_at", "properties")
_decode = msgspec.json.Decoder(dict[str, object], float_hook=Decimal).decode

# Commands that say how something is to be, and the permission that each takes. What asks for points or a reward here
# and now (reservations, redemptions) was settled with its answer.
REPLAYED_COMMANDS: Mapping[str, str] = {
    "adjust_points": POINTS_SCOPE,
    "change_customer": CUSTOMERS_SCOPE,
    "create_customer": CUSTOMERS_SCOPE,
    "set_tier": CUSTOMERS_SCOPE,
}

_SOURCES = "api, client, import, segment, …; or a key's name, a source's id, an import's id."
Source = Annotated[str | None, QueryParameter(description=_SOURCES)]
Command = Annotated[str | None, QueryParameter(description="What was called: adjust_points, claim_reward, …")]
Code = Annotated[str | None, QueryParameter(description="A problem's code.")]
TypeId = Annotated[str | None, QueryParameter(name="type", description="Event type id, as sent.")]
From = Annotated[str | None, QueryParameter(name="from", description="received_at, inclusive.")]
To = Annotated[str | None, QueryParameter(name="to", description="received_at, exclusive.")]


class Unwritten(Protocol):
    """What this process has refused and not written yet."""

    async def flush(self) -> None: ...


class RejectionItem(msgspec.Struct, frozen=True, kw_only=True):
    """An event or a command that a door refused."""

    id: str
    received_at: datetime
    expires_at: datetime
    source: str  # as events name it
    source_detail: str | None  # the key's name, the source's id, or the import's
    command: str | None  # the operation that was called, as adjust_points; null: an event was sent
    line: int | None  # of an import's file
    type: str | None
    codes: tuple[str, ...]
    replayed_at: datetime | None
    outcome: str | None  # of the last replay: created, duplicate, conflict or rejected
    event: str | None  # what the replay recorded, or found recorded
    problems: tuple[ErrorItem, ...]  # empty for keys without customers:read


class RejectionDetail(RejectionItem, frozen=True, kw_only=True):
    """The same with what was sent; null for keys without customers:read, and when it was too large to be kept."""

    replayable: bool  # an event could be read from it, and it is none of a command that its answer settled
    sent: Mapping[str, object] | None  # the event, as the door read it
    payload: object  # what a source sent, a command's request, the cells of a row; null when it is the event itself
    text: str | None  # a body or a row that could not be read


class RejectionPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[RejectionItem, ...]  # newest first
    next: str | None


_LIST = documented(answers={200: RejectionPage})
_ONE = documented(answers={200: RejectionDetail})


@get("/v1/rejections", tags=TAGS, summary="List rejections", guards=READ, opt=_LIST)
async def list_rejections(
    request: ReadRequest,
    *,
    source: Source = None,
    command: Command = None,
    code: Code = None,
    type_id: TypeId = None,
    received_from: From = None,
    received_to: To = None,
    replayed: Annotated[bool | None, QueryParameter(description="Whether it was replayed.")] = None,
    limit: Limit = limits.PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> ASGIResponse:
    """What doors refused, newest first: events, commands, rows of imports. Previews and dry runs leave nothing."""
    narrowed = msgspec.structs.replace(
        narrowing({"source": source, "command": command, "code": code, "type": type_id}, (received_from, received_to)),
        is_replayed=replayed,
    )
    reading, size = reading_of(request), page_size(limit)
    before = read_place(cursor, UUID) if cursor else NEWEST
    await cast("Unwritten", request.app.state["refusals"]).flush()
    async with reading.database.pool.acquire() as connection:
        rows = await page_rejections(connection, narrowed, before, size + 1)
    page, last = cut(rows, size)
    with_personal = may(request, "customers:read")
    items = tuple(_item(row, _opened(reading, row) if with_personal else {}) for row in page)
    return Answer(200, encode(RejectionPage(items=items, next=following(last))))


@get("/v1/rejections/{rejection_id:str}", tags=TAGS, summary="Read a rejection", guards=READ, opt=_ONE)
async def read_one(request: ReadRequest, rejection_id: FromPath[str]) -> ASGIResponse:
    """One refused event, with what was sent."""
    reading = reading_of(request)
    row = await load_rejection(reading, rejection_id)
    opened = _opened(reading, row)
    raw, with_personal = opened.get("raw"), may(request, "customers:read")
    shown = opened if with_personal else {}
    detail = RejectionDetail(
        **msgspec.structs.asdict(_item(row, shown)),
        replayable=raw is not None and may_be_replayed(row),
        sent=_event(raw) if with_personal and isinstance(raw, dict) else None,
        payload=shown.get("payload"),
        text=str(shown["text"]) if shown.get("text") is not None else None,
    )
    return Answer(200, encode(detail))


def narrowing(texts: Mapping[str, str | None], times: tuple[str | None, str | None]) -> RejectionFilter:
    """A checked filter. Raises ProblemError."""
    plain = {name: plain_text(text, name) if text is not None else None for name, text in texts.items()}
    return RejectionFilter(
        source=plain["source"],
        command=plain["command"],
        code=plain["code"],
        type=plain["type"],
        received_from=moment(times[0], "from"),
        received_to=moment(times[1], "to"),
    )


def may_be_replayed(row: RejectionRow) -> bool:
    """Whether a replay makes sense, provided that an event could be read."""
    return row.command is None or row.command in REPLAYED_COMMANDS


async def load_rejection(reading: Reading, rejection_id: str) -> RejectionRow:
    """The rejection of this id. Raises ProblemError 404."""
    key = read_id("rej", rejection_id)
    if key is not None:
        async with reading.database.pool.acquire() as connection:
            found = await read_rejection(connection, key)
        if found is not None:
            return found
    raise not_found("rejection", rejection_id)


def _opened(reading: Reading, row: RejectionRow) -> dict[str, object]:
    return _decode(reading.vault.open_alone(row.sealed, row.id))


def _item(row: RejectionRow, opened: Mapping[str, object]) -> RejectionItem:
    return RejectionItem(
        id=show_id("rej", row.id),
        received_at=row.received_at,
        expires_at=row.expires_at,
        source=row.source,
        source_detail=row.source_detail,
        command=row.command,
        line=row.line,
        type=row.type,
        codes=row.codes,
        replayed_at=row.replayed_at,
        outcome=row.outcome,
        event=show_id("evt", row.event_id) if row.event_id is not None else None,
        problems=msgspec.convert(opened.get("problems", []), type=tuple[ErrorItem, ...]),
    )


def _event(raw: Mapping[str, object]) -> dict[str, object]:
    """The event as a body of POST /v1/events would have it."""
    extra = raw.get("extra")
    return {name: raw.get(name) for name in _FIELDS} | (extra if isinstance(extra, dict) else {})


HANDLERS = [list_rejections, read_one]
