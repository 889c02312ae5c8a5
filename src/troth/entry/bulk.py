"""POST /v1/events/bulk: up to 1,000 events in one request → one result each, in order.

In: {"events": […]} or one event per line (NDJSON). Out: 200 with a result per event. It is not atomic: a bad event is
refused alone, and its neighbours are recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import msgspec
from litestar import post
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import Caller
from troth.api.logging import request_id
from troth.api.openapi import documented
from troth.api.problems import ErrorItem, ProblemError
from troth.entry.body import Headers, read_body
from troth.entry.events import (
    EventDoor,
    EventRequest,
    door_of,
    event_json,
    object_of,
    outcome_name,
    overloaded,
    refusal,
    rejected,
    unreadable,
)
from troth.entry.json_text import (
    Document,
    Flaw,
    JsonReader,
    UnreadableError,
    find_flaws,
    pointer_to,
    show_flawed,
)
from troth.entry.refusals import text_of
from troth.entry.senders import Fields, Sender, raw_event, sender_of, signed_id
from troth.entry.shapes import EXAMPLE, BulkAnswer, BulkBody
from troth.pipeline.outcome import Applied, Duplicate, Overloaded

_DEPTH = limits.NESTING_DEPTH + 2  # of the whole document: the outer object and the list
_LINES = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl")

_SHAPE = 'A bulk body is {"events": [...]}, or one event per line as application/x-ndjson.'


class Unread(NamedTuple):
    """An event that cannot be read, and what was sent in its place."""

    problem: ProblemError
    text: str


Item = Fields | Unread


_BULK = documented(
    body=BulkBody,
    media_types=("application/json", "application/x-ndjson"),
    example={"events": [EXAMPLE]},
    answers={200: BulkAnswer},
)


@post("/v1/events/bulk", status_code=200, tags=["Events"], summary="Record up to 1,000 events", opt=_BULK)
async def record_events(request: EventRequest) -> ASGIResponse:
    """Record up to 1,000 events. Each has a result of its own; bad ones spoil no others."""
    return await record_bulk(door_of(request), request.scope, request.receive)


async def record_bulk(door: EventDoor, scope: Scope, receive: Receive) -> Answer:
    """Records the events of one bulk. Raises ProblemError when the bulk as a whole is refused."""
    headers = dict(scope["headers"])
    caller = await door.access.caller(scope, headers, "events:write")
    body = await read_body(receive, headers, bytes_max=limits.BODY_BYTES_BULK)
    sender = sender_of(scope, headers, caller, signed_id(headers, body, caller, door.replays))
    items = read_items(body, headers, door.reader)
    return Answer(200, await _record(door, items, (caller, sender), request_id(scope)))


def read_items(body: bytes, headers: Headers, reader: JsonReader) -> list[Item]:
    """Every event of a bulk body. Raises ProblemError when the body as a whole cannot be read."""
    if headers.get(b"content-type", b"").startswith(_LINES):
        return _lines(body, reader)
    try:
        value, is_suspect = reader.scan(body, depth=_DEPTH)
    except UnreadableError as error:
        raise unreadable(error) from None
    events = _events(value, is_suspect=is_suspect)
    return [event if type(event) is dict and not is_suspect else _member(event, is_suspect) for event in events]


def _lines(body: bytes, reader: JsonReader) -> list[Item]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    _check_number(len(lines))
    return [_line(line, reader) for line in lines]


def _line(line: bytes, reader: JsonReader) -> Item:
    try:
        return object_of(reader.read(line))
    except UnreadableError as error:
        return Unread(unreadable(error), text_of(line))
    except ProblemError as problem:
        return Unread(problem, text_of(line))


def _events(value: object, *, is_suspect: bool) -> list[object]:
    """The list of a bulk's JSON document. A flaw inside an event belongs to that event; any other spoils the whole."""
    if not isinstance(value, dict) or not isinstance(value.get("events"), list):
        flaws = find_flaws(value, _DEPTH) if is_suspect else ()
        missing = Flaw(pointer="/events", code="required", detail=_SHAPE)
        raise rejected(
            [ErrorItem(pointer=flaw.pointer, code=flaw.code, detail=flaw.detail) for flaw in flaws or [missing]]
        )
    unknown = [name for name in value if name != "events"]
    if unknown:
        pointers = [pointer_to("", name) for name in unknown[: limits.PROBLEMS_PER_EVENT]]
        raise rejected([ErrorItem(pointer=place, code="unknown_field", detail=_SHAPE) for place in pointers])
    _check_number(len(value["events"]))
    return cast("list[object]", value["events"])


def _member(event: object, is_suspect: bool) -> Item:
    try:
        return object_of(Document(value=event, flaws=find_flaws(event) if is_suspect else ()))
    except ProblemError as problem:
        return Unread(problem, show_flawed(event)[: limits.REJECTION_BYTES])


def _check_number(events: int) -> None:
    if events > limits.BULK_EVENTS:
        detail = f"A bulk has at most {limits.BULK_EVENTS} events; this one has {events}. Nothing was recorded."
        item = ErrorItem(pointer="/events", code="too_many_events", detail=detail)
        raise ProblemError(413, "too_many_events", detail, errors=(item,))


async def _record(door: EventDoor, items: Sequence[Item], who: tuple[Caller, Sender], request_name: str) -> bytes:
    caller, sender = who
    batch = [raw_event(item, sender, index) for index, item in enumerate(items) if not isinstance(item, Unread)]
    try:
        outcomes = iter(await door.pipeline.ingest(batch) if batch else [])
    except Overloaded as error:
        raise overloaded(error) from None
    raws = iter(batch)
    counts = {"created": 0, "duplicate": 0, "rejected": 0, "conflict": 0}
    results: list[bytes] = []
    for index, item in enumerate(items):
        if isinstance(item, Unread):
            door.keep_unread(item.problem, item.text, sender)
            counts["rejected"] += 1
            results.append(_rejected(index, item.problem, request_name))
            continue
        raw, outcome = next(raws), next(outcomes)
        counts[outcome_name(outcome)] += 1
        if isinstance(outcome, (Applied, Duplicate)):
            results.append(_recorded(index, outcome, caller))
        else:
            door.refusals.keep_outcome(raw, outcome)
            results.append(_rejected(index, refusal(outcome, item, sender), request_name))
    for name, number in counts.items():
        if number:
            door.metrics.count_events(name, number)
    return _answer(results, counts)


def _rejected(index: int, problem: ProblemError, request_name: str) -> bytes:
    error = msgspec.json.encode(problem.document(request_name))
    return b'{"index":%d,"status":"rejected","error":%b}' % (index, error)


def _recorded(index: int, outcome: Applied | Duplicate, caller: Caller) -> bytes:
    status = b"duplicate" if isinstance(outcome, Duplicate) else b"created"
    return b'{"index":%d,"status":"%b","event":%b}' % (index, status, event_json(outcome, caller))


def _answer(results: Sequence[bytes], counts: dict[str, int]) -> bytes:
    return b'{"results":[%b],"total":%d,"created":%d,"duplicates":%d,"rejected":%d}' % (
        b",".join(results),
        len(results),
        counts["created"],
        counts["duplicate"],
        counts["rejected"] + counts["conflict"],
    )
