"""The Segment-compatible door: POST /v1/batch, /track, /identify, … and the browser library's /v1/t, /i, …

In: what the client libraries send, whatever it is labelled. Out: exactly 200 {"success": true}, or an error with
top-level `code` and `message`: on anything else they send again what was recorded, or give up what was not.
A write key is a server's, which no browser may use, or a public one, which sends what `client_allowed` marks, whoever
holds it. Must never: tell a browser anything about a customer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec
from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.types import Scope

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import client_address, demand_https
from troth.api.browsers import BROWSERS_REFUSED, SEGMENT_CALLS, browsers_refused
from troth.api.logging import log_fault, request_id
from troth.api.openapi import documented
from troth.api.problems import MEDIA_TYPE, ProblemError
from troth.api.source_registry import Source, Sources
from troth.core.sources.segment import SegmentSettings
from troth.entry.body import Headers, read_packed
from troth.entry.events import EventRequest, overloaded, unreadable
from troth.entry.json_text import JsonReader, UnreadableError
from troth.entry.segment_batch import receive
from troth.entry.segment_messages import Received
from troth.entry.source_door import source_door_of
from troth.pipeline.outcome import Overloaded
from troth.store.keys import Mode

_DONE = b'{"success": true}'
_DEPTH = limits.NESTING_DEPTH + 3  # of the whole document: the batch, its list, a message
_SHORT = 1  # letters of the browser library's paths
_READER = JsonReader()

Fields = Mapping[str, object]


class SegmentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent arrived; what came of it stands in the activity log and under /v1/rejections."""

    success: bool


class MessageBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One call of a client library; what else it carries is not looked at."""

    message_id: str  # the event's reference
    user_id: str | None = None
    anonymous_id: str | None = None
    type: str | None = None  # in a batch: track, identify, page, screen, group or alias
    event: str | None = None  # of a track call
    properties: Mapping[str, object] = {}
    traits: Mapping[str, object] = {}  # of an identify call
    timestamp: str | None = None
    sent_at: str | None = None
    write_key: str | None = None  # unless it comes as Basic credentials


class BatchBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Several calls; a bad one spoils no others."""

    batch: tuple[MessageBody, ...]
    sent_at: str | None = None
    write_key: str | None = None


async def receive_call(request: EventRequest, call: str, *, is_short: bool) -> Answer:
    """Take in one call, or a batch of them."""
    scope = request.scope
    try:
        await _receive(request, call, is_short=is_short)
    except ProblemError as problem:
        return _refused(problem, scope)
    except Overloaded as error:
        return _refused(overloaded(error), scope)
    except Exception as error:
        log_fault(scope, error)
        return _refused(ProblemError(500, "internal_error", "Troth failed on this request."), scope)
    return Answer(200, _DONE)


async def _receive(request: EventRequest, call: str, *, is_short: bool) -> None:
    scope, headers, now = request.scope, dict(request.scope["headers"]), datetime.now(UTC)
    door = source_door_of(request)
    body = await read_packed(request.receive, headers, bytes_max=limits.BODY_BYTES_BULK)
    document = _read(body)
    messages = _messages(document, call)
    source = await _source_of(door.sources, headers, (document, *messages))
    settings = cast("SegmentSettings", source.settings)
    if settings.is_public:
        _check_page(settings, request, headers)
    elif is_short or b"origin" in headers:
        door.note_error(source, BROWSERS_REFUSED)
        raise browsers_refused()
    user_agent = headers.get(b"user-agent", b"")[: limits.USER_AGENT_LENGTH].decode("latin-1")
    received = Received(
        at=now,
        sent_at=document.get("sentAt"),
        ip=client_address(scope),
        user_agent=user_agent or None,
    )
    await receive(door, source, messages, received)


def _read(body: bytes) -> Fields:
    """The document, whatever it is labelled. Raises ProblemError."""
    try:
        value, _ = _READER.scan(body, depth=_DEPTH)
    except UnreadableError as error:
        raise unreadable(error) from None
    if not isinstance(value, dict):
        raise ProblemError(400, "not_an_object", "A call is a JSON object, without a key given twice.")
    return value


def _messages(document: Fields, call: str) -> Sequence[object]:
    """The messages of a request. Raises ProblemError."""
    if call != "batch":
        return [{**document, "type": call}]
    messages = document.get("batch")
    if not isinstance(messages, list):
        raise ProblemError(400, "invalid_batch", 'A batch is {"batch": [...]}.')
    if len(messages) > limits.BULK_EVENTS:
        detail = f"A batch has at most {limits.BULK_EVENTS} messages; this one has {len(messages)}."
        raise ProblemError(413, "too_many_events", detail)
    return messages


async def _source_of(sources: Sources, headers: Headers, places: Sequence[object]) -> Source:
    """The source of the write key: Basic credentials, else in the body, else in its first message that has one."""
    text = _basic_key(headers) or next(
        (key for place in places if isinstance(place, dict) and isinstance(key := place.get("writeKey"), str)), ""
    )
    if not text:
        detail = "Send the write key as the user of Basic credentials, or as writeKey in the body."
        raise ProblemError(401, "missing_key", detail, headers={"WWW-Authenticate": 'Basic realm="troth"'})
    source = await sources.by_secret(text, "segment")
    if source is None:
        raise ProblemError(401, "unknown_key", "No source that is open has this write key.")
    return source


def _basic_key(headers: Headers) -> str:
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode("latin-1").partition(":")[0]
    except binascii.Error:
        return ""


def _check_page(settings: SegmentSettings, request: EventRequest, headers: Headers) -> None:
    """A public key is used over https, and from the pages that the source names. Raises ProblemError."""
    demand_https(request.scope, cast("Mode", request.app.state["mode"]))
    allowed = {text.rstrip("/").lower() for text in settings.origins}
    if allowed and headers.get(b"origin", b"").decode("latin-1").lower() not in allowed:
        raise ProblemError(403, "origin_not_allowed", "This source takes nothing from this origin.")


def _refused(problem: ProblemError, scope: Scope) -> Answer:
    """The problem document, with the `message` that client libraries read."""
    told = {**msgspec.to_builtins(problem.document(request_id(scope))), "message": problem.detail}
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers.items()]
    return Answer(problem.status, msgspec.json.encode(told), media_type=MEDIA_TYPE.encode("ascii"), headers=headers)


_EXAMPLE = {
    "messageId": "4c2a",
    "userId": "374397439743",
    "event": "Order Completed",
    "properties": {"order_id": "order_123", "total": 125, "products": [{"product_id": "p1", "price": 125}]},
}
_TYPES = ("application/json", "text/plain")
_ONE = documented(body=MessageBody, media_types=_TYPES, example=_EXAMPLE, answers={200: SegmentAnswer})
_MANY = documented(
    body=BatchBody,
    media_types=_TYPES,
    example={"batch": [{"type": "track", **_EXAMPLE}]},
    answers={200: SegmentAnswer},
)


def _handler(call: str, *, is_short: bool) -> HTTPRouteHandler:
    async def send(request: EventRequest) -> ASGIResponse:
        """Take in what a Segment-compatible client library sends, with a source's write key."""
        return await receive_call(request, call, is_short=is_short)

    path = call[:_SHORT] if is_short else call
    send.__name__ = f"segment_{path}"
    summary = f"{call.capitalize()}{' from a browser' if is_short else ''}"
    told = _MANY if call == "batch" else _ONE
    made = post(f"/v1/{path}", status_code=200, tags=["Segment-compatible"], summary=summary, opt=told)
    return cast("Callable[[Callable[..., Awaitable[ASGIResponse]]], HTTPRouteHandler]", made)(send)


HANDLERS = [_handler(call, is_short=is_short) for is_short in (False, True) for call in SEGMENT_CALLS]
