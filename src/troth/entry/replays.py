"""POST /v1/rejections/{id}/replay and /v1/rejections/replay: what was refused, sent through the pipeline again.

In: a rejection, or a filter. Out: what came of it under today's program. The event keeps its reference (without one,
the rejection's id serves), its time and its sender's rights, so that a replay does no more than the sender could; a
command takes the same permission from whoever replays it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import encode
from troth.api.openapi import documented
from troth.api.pages import read_place, show_place
from troth.api.problems import ErrorItem, ProblemError, invalid
from troth.api.reading import may, reading_of
from troth.api.rejections import REPLAYED_COMMANDS, TAGS, load_rejection, narrowing
from troth.core.ids import read_id, show_id
from troth.core.record import encode_answer
from troth.core.sources.settings import read_settings
from troth.entry.body import read_body
from troth.entry.commands import KNOWN
from troth.entry.events import EventRequest, door_of, outcome_name, overloaded, rejected
from troth.entry.json_text import JsonReader
from troth.entry.shapes import EventAnswer
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, Overloaded, RawEvent
from troth.store.batch import resolve
from troth.store.rejections import RejectionRow, mark_replayed, next_rejections

_WRITE = [requires("sources:write"), requires("events:write")]
_OLDEST = UUID(int=0)
_UNREAD = "No event could be read from what was sent, or it was too large to be kept: send it anew."
_SETTLED = "Its answer settled this command: whoever sent it went on without it. Send it anew if it is still wanted."
_DEPTH = limits.NESTING_DEPTH + 4  # what a refused event was found too deep in is refused again by its door


class ReplayBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rejections to replay; a field that is missing narrows nothing."""

    source: str | None = None  # as events name it, a key's name, a source's id, or an import's
    command: str | None = None  # as adjust_points: refusals of this command; without it, of events alone
    code: str | None = None
    type: str | None = None
    received_from: str | None = msgspec.field(default=None, name="from")  # RFC 3339, inclusive
    received_to: str | None = msgspec.field(default=None, name="to")  # exclusive
    cursor: str | None = None  # `next` of the answer before


class ReplayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of replaying many: what is not replayable is left out."""

    replayed: int
    created: int
    duplicates: int
    rejected: int
    next: str | None  # the cursor to go on with; null: nothing is left


_ONE = documented(answers={200: EventAnswer, 201: EventAnswer})
_MANY = documented(body=ReplayBody, example={"code": "unknown_type"}, answers={200: ReplayAnswer})


@post(
    "/v1/rejections/{rejection_id:str}/replay",
    status_code=201,
    tags=TAGS,
    summary="Replay a rejection",
    guards=_WRITE,
    opt=_ONE,
)
async def replay_one(request: EventRequest, rejection_id: FromPath[str]) -> ASGIResponse:
    """Send a refused event or command through the pipeline again, under today's program.

    Answers as an event does. 409 `not_replayable`: no event could be read, or it is a reservation or redemption, which
    its answer settled.
    """
    await read_body(request.receive, dict(request.scope["headers"]), bytes_max=limits.BODY_BYTES_SINGLE)
    row = await load_rejection(reading_of(request), rejection_id)
    _check_command(request, row.command)
    raw = _raw_of(request, row)
    if raw is None:
        raise ProblemError(409, "not_replayable", _UNREAD)
    (outcome,) = await _replay(request, [(row, raw)])
    if isinstance(outcome, Applied | Duplicate):
        is_duplicate = isinstance(outcome, Duplicate)
        mismatch = outcome.payload_mismatch if isinstance(outcome, Duplicate) else False
        body = encode_answer(outcome.record, duplicate=is_duplicate, payload_mismatch=mismatch)
        return Answer(200 if is_duplicate else 201, body)
    problems = (outcome.problem,) if isinstance(outcome, Conflict) else outcome.problems
    items = [ErrorItem(pointer=found.pointer, code=found.code, detail=found.detail) for found in problems]
    if isinstance(outcome, Conflict):
        raise ProblemError(409, items[0].code, items[0].detail, errors=items)
    raise rejected(items)


@post("/v1/rejections/replay", status_code=200, tags=TAGS, summary="Replay many", guards=_WRITE, opt=_MANY)
async def replay_many(request: EventRequest) -> ASGIResponse:
    """Replay the oldest ones that were not replayed yet, a bounded number; `next` leads on.

    Commands are left out unless `command` names one.
    """
    asked = await _read_many(request)
    if asked.command is not None and asked.command not in REPLAYED_COMMANDS:
        raise invalid("/command", "not_replayable", f"Commands to replay are {', '.join(REPLAYED_COMMANDS)}.")
    _check_command(request, asked.command)
    texts = {"source": asked.source, "command": asked.command, "code": asked.code, "type": asked.type}
    narrowed = narrowing(texts, (asked.received_from, asked.received_to))
    after = read_place(asked.cursor, UUID) if asked.cursor else _OLDEST
    async with reading_of(request).database.pool.acquire() as connection:
        rows = await next_rejections(connection, narrowed, after, limits.REJECTIONS_REPLAYED)
    found = [(row, raw) for row in rows if (raw := _raw_of(request, row)) is not None]
    names = [outcome_name(outcome) for outcome in await _replay(request, found)]
    answered = ReplayAnswer(
        replayed=len(names),
        created=names.count("created"),
        duplicates=names.count("duplicate"),
        rejected=names.count("rejected") + names.count("conflict"),
        next=show_place(rows[-1].id) if len(rows) == limits.REJECTIONS_REPLAYED else None,
    )
    return Answer(200, encode(answered))


def _check_command(request: EventRequest, command: str | None) -> None:
    """Raises ProblemError: a replay takes the permission of the command, and it must make sense."""
    if command is None:
        return
    permission = REPLAYED_COMMANDS.get(command)
    if permission is None:
        raise ProblemError(409, "not_replayable", _SETTLED)
    if not may(request, permission):
        raise ProblemError(403, "forbidden", f"This key lacks the permission {permission}.")


async def _read_many(request: EventRequest) -> ReplayBody:
    """Raises ProblemError."""
    body = await read_body(request.receive, dict(request.scope["headers"]), bytes_max=limits.BODY_BYTES_SINGLE)
    found = read_settings(ReplayBody, door_of(request).fields(body or b"{}", {}))
    if isinstance(found, ReplayBody):
        return found
    raise rejected([ErrorItem(pointer=wrong.pointer, code=wrong.code, detail=wrong.detail) for wrong in found])


async def _replay(request: EventRequest, found: Sequence[tuple[RejectionRow, RawEvent]]) -> list[Outcome]:
    """Ingest them and mark them replayed. Raises ProblemError 503."""
    door = door_of(request)
    known = await _known(request, found)
    outcomes: dict[int, Outcome] = {place: Conflict(KNOWN) for place in known}
    raws = {place: raw for place, (_, raw) in enumerate(found) if place not in known}
    try:
        outcomes |= dict(zip(raws, await door.pipeline.ingest(list(raws.values())) if raws else (), strict=True))
    except Overloaded as error:
        raise overloaded(error) from None
    settled = [outcomes[place] for place in range(len(found))]
    now = datetime.now(UTC)
    async with reading_of(request).database.pool.acquire() as connection:
        for (row, _), outcome in zip(found, settled, strict=True):
            door.metrics.count_events(outcome_name(outcome))
            event_id = read_id("evt", outcome.record.id) if isinstance(outcome, Applied | Duplicate) else None
            await mark_replayed(connection, row.id, now, (outcome_name(outcome), event_id))
    return settled


async def _known(request: EventRequest, found: Sequence[tuple[RejectionRow, RawEvent]]) -> set[int]:
    """Places of customers to create who are there by now, though not by a replay: creating them changes nobody."""
    names = {
        place: raw.customer
        for place, (row, raw) in enumerate(found)
        if row.command == "create_customer" and row.event_id is None and _is_name(raw.customer)
    }
    if not names:
        return set()
    async with reading_of(request).database.pool.acquire() as connection:
        customers = (await resolve(connection, [str(name) for name in {*names.values()}])).customers
    return {place for place, name in names.items() if name in customers}


def _is_name(customer: object) -> bool:
    return isinstance(customer, str) and 0 < len(customer) <= limits.IDENTIFIER_LENGTH and "\0" not in customer


def _raw_of(request: EventRequest, row: RejectionRow) -> RawEvent | None:
    """The event as its door read it; None when none was kept."""
    plain = reading_of(request).vault.open_alone(row.sealed, row.id)
    value, _ = JsonReader().scan(plain, depth=_DEPTH)
    kept = cast("dict[str, dict[str, object] | None]", value).get("raw")
    if kept is None:
        return None
    raw = msgspec.convert(kept, type=RawEvent)
    return msgspec.structs.replace(
        raw,
        reference=show_id("rej", row.id) if raw.reference is None else raw.reference,
        occurred_at=row.received_at.isoformat() if raw.occurred_at is None else raw.occurred_at,
    )


HANDLERS = [replay_many, replay_one]
