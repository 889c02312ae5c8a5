"""POST /v1/events and /preview: one event in JSON or as a form → its recorded answer.

In: a request. Out: 201 for a new event, 200 for one recorded before, a problem document otherwise.
Must never: decide anything; it reads, asks the pipeline, and shows what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import Access, Caller
from troth.api.metrics import Metrics
from troth.api.openapi import documented, parameter
from troth.api.problems import ErrorItem, ProblemError
from troth.api.reading import Reading
from troth.api.signatures import Replays
from troth.core.record import RecordedEvent, encode_answer
from troth.entry.body import Headers, read_body
from troth.entry.expansions import asked_for, expand, expand_preview
from troth.entry.forms import read_form
from troth.entry.json_text import Document, JsonReader, UnreadableError
from troth.entry.refusals import Refusal, Refusals, problems_of, text_of
from troth.entry.senders import Fields, Sender, error_items, raw_event, sender_of, signed_id
from troth.entry.shapes import EXAMPLE, EventAnswer, EventBody
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, Overloaded, Previewed, RawEvent, Rejected

EventRequest = Request[object, object, State]


class Pipeline(Protocol):
    """What a door needs of the batcher."""

    async def ingest(self, batch: Sequence[RawEvent]) -> list[Outcome]: ...

    async def preview(self, raw: RawEvent) -> Outcome: ...


class ReducedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a publishable key is told: that the event arrived, and nothing of the customer's account."""

    id: str
    duplicate: bool
    customer: str | None
    type: str
    reference: str | None
    occurred_at: str
    recorded_at: str
    outcome: str


class EventDoor:
    """The door for events of one process. Handlers find it in `app.state["events"]`."""

    __slots__ = ("access", "metrics", "pipeline", "reader", "reading", "refusals", "replays")

    def __init__(
        self, pipeline: Pipeline, access: Access, metrics: Metrics, *, reading: Reading, refusals: Refusals
    ) -> None:
        self.pipeline = pipeline
        self.access = access
        self.metrics = metrics
        self.reading = reading
        self.refusals = refusals
        self.reader = JsonReader()
        self.replays = Replays()

    async def record(self, scope: Scope, receive: Receive) -> Answer:
        """Records one event."""
        names = asked_for(scope["query_string"])
        caller, sender, fields = await self.read_one(scope, receive, keeps=True)
        if names and caller.is_publishable:
            raise ProblemError(403, "forbidden", "A publishable key only sends events.")
        raw = raw_event(fields, sender)
        try:
            (outcome,) = await self.pipeline.ingest((raw,))
        except Overloaded as error:
            raise overloaded(error) from None
        self.metrics.count_events(outcome_name(outcome))
        if isinstance(outcome, (Applied, Duplicate)):
            body = event_json(outcome, caller)
            if names:
                body = await expand(body, names, outcome.record, self.reading)
            return Answer(201 if isinstance(outcome, Applied) else 200, body)
        self.refusals.keep_outcome(raw, outcome)
        raise refusal(outcome, fields, sender)

    async def preview(self, scope: Scope, receive: Receive) -> Answer:
        """Answers what the event would do. Nothing is stored."""
        names = asked_for(scope["query_string"])
        caller, sender, fields = await self.read_one(scope, receive)
        if caller.is_publishable:
            raise ProblemError(403, "forbidden", "A publishable key only sends events.")
        try:
            outcome = await self.pipeline.preview(raw_event(fields, sender))
        except Overloaded as error:
            raise overloaded(error) from None
        if isinstance(outcome, Previewed):
            return Answer(200, expand_preview(event_json(outcome, caller), names, outcome))
        if isinstance(outcome, Applied | Duplicate):
            body = event_json(outcome, caller)
            return Answer(200, await expand(body, names, outcome.record, self.reading) if names else body)
        raise refusal(outcome, fields, sender)

    async def read_one(self, scope: Scope, receive: Receive, *, keeps: bool = False) -> tuple[Caller, Sender, Fields]:
        """The caller, the sender and the fields of a single event; `keeps` what cannot be read. Raises ProblemError."""
        headers = dict(scope["headers"])
        caller = await self.access.caller(scope, headers, "events:write")
        body = await read_body(receive, headers, bytes_max=limits.BODY_BYTES_SINGLE)
        sender = sender_of(scope, headers, caller, signed_id(headers, body, caller, self.replays))
        try:
            return caller, sender, self.fields(body, headers)
        except ProblemError as problem:
            if keeps:
                self.keep_unread(problem, text_of(body), sender)
            raise

    def keep_unread(self, problem: ProblemError, text: str, sender: Sender) -> None:
        """Keep what came in place of an event and cannot be read."""
        refused = Refusal(problems=problems_of(problem.errors), raw=None, text=text)
        self.refusals.keep(refused, sender.source, sender.source_detail)

    def fields(self, body: bytes, headers: Headers) -> Fields:
        """The body as one object. Raises ProblemError 400 or 422."""
        try:
            document = read_form(body, self.reader) if _is_form(body, headers) else self.reader.read(body)
        except UnreadableError as error:
            raise unreadable(error) from None
        return object_of(document)


_FORMS = ("application/json", "application/x-www-form-urlencoded")
_PARAMETERS = (
    parameter("expand", "query", "What the answer carries besides: explanation, profile, or both by comma."),
    parameter("Idempotency-Key", "header", "The reference of an event that names none."),
)
_ONE = documented(
    body=EventBody,
    media_types=_FORMS,
    example=EXAMPLE,
    answers={200: EventAnswer, 201: EventAnswer},
    parameters=_PARAMETERS,
)
_PREVIEW = documented(body=EventBody, media_types=_FORMS, example=EXAMPLE, answers={200: EventAnswer})


@post("/v1/events", status_code=201, tags=["Events"], summary="Record an event", opt=_ONE)
async def record_event(request: EventRequest) -> ASGIResponse:
    """Record an event: rules judge it, points are posted, the answer says why."""
    return await door_of(request).record(request.scope, request.receive)


@post("/v1/events/preview", status_code=200, tags=["Events"], summary="Preview an event", opt=_PREVIEW)
async def preview_event(request: EventRequest) -> ASGIResponse:
    """Tell what an event would do now. Nothing is stored."""
    return await door_of(request).preview(request.scope, request.receive)


def object_of(document: Document) -> Fields:
    """The document's fields, when it is one sound object. Raises ProblemError 422."""
    if document.flaws:
        items = [ErrorItem(pointer=flaw.pointer, code=flaw.code, detail=flaw.detail) for flaw in document.flaws]
        raise rejected(items)
    if not isinstance(document.value, dict):
        raise rejected([ErrorItem(pointer="", code="not_an_object", detail="An event is a JSON object.")])
    return document.value


def event_json(outcome: Applied | Duplicate, caller: Caller) -> bytes:
    """The answer to an event as JSON."""
    is_duplicate = isinstance(outcome, Duplicate)
    mismatch = outcome.payload_mismatch if isinstance(outcome, Duplicate) else False
    if caller.is_publishable:
        return msgspec.json.encode(_reduced(outcome.record, is_duplicate=is_duplicate))
    return encode_answer(outcome.record, duplicate=is_duplicate, payload_mismatch=mismatch)


def refusal(outcome: Conflict | Rejected, fields: Fields, sender: Sender) -> ProblemError:
    """The problem of an event that was not recorded."""
    if isinstance(outcome, Conflict):
        items = error_items((outcome.problem,), fields, sender)
        return ProblemError(409, outcome.problem.code, outcome.problem.detail, errors=items)
    return rejected(error_items(outcome.problems, fields, sender))


def rejected(items: Sequence[ErrorItem]) -> ProblemError:
    """422, or 403 when the key may not send such an event, 500 when the mistake is ours. Several are `invalid`."""
    codes = {item.code for item in items}
    status = 500 if "internal_error" in codes else 403 if "forbidden" in codes else 422
    if len(items) == 1:
        return ProblemError(status, items[0].code, items[0].detail, errors=items)
    code = "invalid" if status == 422 else "forbidden"
    return ProblemError(status, code, f"The event has {len(items)} problems.", errors=items)


def unreadable(error: UnreadableError) -> ProblemError:
    """400: the bytes are not what they claim to be."""
    item = ErrorItem(pointer="", code=error.code, detail=error.detail)
    return ProblemError(400, error.code, error.detail, errors=(item,))


def overloaded(error: Overloaded) -> ProblemError:
    """503: nothing was stored, send it again later."""
    headers = {"Retry-After": str(error.retry_seconds)}
    return ProblemError(503, "overloaded", str(error), headers=headers)


def outcome_name(outcome: Outcome) -> str:
    """The outcome as metrics and bulk answers name it."""
    match outcome:
        case Applied():
            return "created"
        case Duplicate():
            return "duplicate"
        case Conflict():
            return "conflict"
        case Rejected():
            return "rejected"


def _is_form(body: bytes, headers: Headers) -> bool:
    """Some clients (curl, by default) label JSON as a form; no form begins with a brace."""
    is_labelled = headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded")
    return is_labelled and not body.lstrip().startswith(b"{")


def door_of(request: EventRequest) -> EventDoor:
    return cast("EventDoor", request.app.state["events"])


def _reduced(record: RecordedEvent, *, is_duplicate: bool) -> ReducedAnswer:
    return ReducedAnswer(
        id=record.id,
        duplicate=is_duplicate,
        customer=record.customer,
        type=record.type,
        reference=record.reference,
        occurred_at=record.occurred_at,
        recorded_at=record.recorded_at,
        outcome=record.outcome,
    )
