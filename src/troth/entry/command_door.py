"""What every command shares: a direct effect on one customer, asked for at an address of its own → one event.

In: a request whose body names the effect. Out: the event's recorded answer, or a ProblemError with every problem of the
body, each with a pointer into it; what is refused is kept for /v1/rejections. Must never: decide anything; the pipeline
judges a command like any other event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.event_wire import encode
from troth.api.openapi import parameter
from troth.api.problems import ErrorItem, ProblemError
from troth.api.reading import reading_of
from troth.core.coercion import Problem, escape
from troth.core.program.builtin_types import COMMAND_TYPES
from troth.core.record import encode_answer
from troth.entry.body import read_body
from troth.entry.events import EventRequest, door_of, outcome_name, overloaded, rejected
from troth.entry.expansions import asked_for, expand
from troth.entry.refusals import Refusal, problems_of
from troth.entry.senders import Fields, Sender, sender_of, signed_id
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, Overloaded, RawEvent

PARAMETERS = (
    parameter("expand", "query", "What the answer carries besides: explanation, profile, or both by comma."),
    parameter("Idempotency-Key", "header", "The reference, when the body names none."),
)
_REFERENCE = "reference"
_NOT_KEPT = (403, 404)  # what the key may not do, and things that are not there
_UNKNOWN_THINGS = frozenset({"unknown_reservation", "unknown_redemption"})  # named by the address: 404


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a direct effect, read but not judged."""

    sender: Sender
    fields: Fields  # of the body
    expand: tuple[str, ...] = ()  # what the answer carries besides

    def given(self, names: Sequence[str]) -> dict[str, object]:
        """The fields of these names that are there; null counts as absent."""
        return {name: self.fields[name] for name in names if self.fields.get(name) is not None}


def in_body(pointer: str) -> str:
    """Where a problem of the event stands in the request of a command: its properties are the body's fields."""
    if pointer == "/customer":
        return "/path/customer"
    return "" if pointer == "/type" else pointer.removeprefix("/properties")


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """The event that a request asks for."""

    customer: object
    type: str
    properties: object
    unread: Mapping[str, str] = {}  # fields of the body that say nothing here → why
    place: Callable[[str], str] = in_body  # pointer into the event → pointer into the request


async def read_command(request: EventRequest, permission: str, *, may_be_empty: bool = False) -> Asked:
    """The sender and the body's fields. Raises ProblemError."""
    door = door_of(request)
    headers = dict(request.scope["headers"])
    names = asked_for(request.scope["query_string"])
    caller = await door.access.caller(request.scope, headers, permission)
    body = await read_body(request.receive, headers, bytes_max=limits.BODY_BYTES_SINGLE)
    sender = sender_of(request.scope, headers, caller, signed_id(headers, body, caller, door.replays))
    fields = {} if may_be_empty and not body.strip() else door.fields(body, headers)
    return Asked(sender=sender, fields=fields, expand=names)


def unknown_fields(asked: Asked, known: Sequence[str]) -> dict[str, str]:
    """The fields that this address does not know, each with what is wrong with it."""
    detail = f"Known fields are {', '.join((*known, _REFERENCE))}."
    return {name: detail for name in asked.fields if name not in (*known, _REFERENCE)}


async def record(request: EventRequest, asked: Asked, command: Command) -> Applied | Duplicate:
    """Send the event through the pipeline. Raises ProblemError when it is refused."""
    door, sender = door_of(request), asked.sender
    reference = asked.fields.get(_REFERENCE)
    raw = RawEvent(
        customer=command.customer,
        type=command.type,
        reference=sender.reference if reference is None else reference,
        properties=command.properties,
        source=sender.source,
        source_detail=sender.source_detail,
        ip=sender.ip,
        user_agent=sender.user_agent,
        is_signed=sender.is_signed,
        is_client=sender.is_client,
        is_command=command.type in COMMAND_TYPES,
        scopes=sender.scopes,
        extra=command.unread,
    )
    try:
        (outcome,) = await door.pipeline.ingest((raw,))
    except Overloaded as error:
        raise overloaded(error) from None
    door.metrics.count_events(outcome_name(outcome))
    if isinstance(outcome, Applied | Duplicate):
        return outcome
    sent = msgspec.structs.replace(raw, extra={name: asked.fields.get(name) for name in command.unread})
    raise refused(request, asked, _refusal(outcome, asked, command), sent)


def refused(request: EventRequest, asked: Asked, problem: ProblemError, raw: RawEvent | None = None) -> ProblemError:
    """The same problem, kept with the request that met it; `raw` is the event that it asked for."""
    if problem.status not in _NOT_KEPT:
        payload = {"method": request.method, "path": request.scope["path"], "body": dict(asked.fields)}
        kept = Refusal(problems=problems_of(problem.errors), raw=raw, payload=payload)
        operation = str(request.route_handler.handler_name)
        door_of(request).refusals.keep(kept, asked.sender.source, asked.sender.source_detail, operation)
    return problem


async def answer(request: EventRequest, asked: Asked, outcome: Applied | Duplicate, **parts: object) -> ASGIResponse:
    """The answer to the event, like that of POST /v1/events, with `parts` of this command besides."""
    is_duplicate = isinstance(outcome, Duplicate)
    mismatch = outcome.payload_mismatch if isinstance(outcome, Duplicate) else False
    body = encode_answer(outcome.record, duplicate=is_duplicate, payload_mismatch=mismatch)
    if parts:
        body = body[:-1] + b"," + encode(parts)[1:]
    if asked.expand:
        body = await expand(body, asked.expand, outcome.record, reading_of(request))
    return Answer(200 if is_duplicate else 201, body)


def _refusal(outcome: Outcome, asked: Asked, command: Command) -> ProblemError:
    """The problem of a command that was not recorded."""
    if isinstance(outcome, Conflict):
        (item,) = _items((outcome.problem,), asked, command)
        return ProblemError(409, item.code, item.detail, errors=(item,))
    assert not isinstance(outcome, Applied | Duplicate)
    items = _items(outcome.problems, asked, command)
    if len(items) == 1 and items[0].code in _UNKNOWN_THINGS:
        return ProblemError(404, items[0].code, items[0].detail, errors=items)
    return rejected(items)


def _items(problems: Sequence[Problem], asked: Asked, command: Command) -> tuple[ErrorItem, ...]:
    """Problems of the event, told of this request."""
    unread = {f"/{escape(name)}": detail for name, detail in command.unread.items()}
    return tuple(
        ErrorItem(
            pointer=_pointer(problem.pointer, asked, command),
            code=problem.code,
            detail=unread.get(problem.pointer, problem.detail),
        )
        for problem in problems
    )


def _pointer(pointer: str, asked: Asked, command: Command) -> str:
    header = asked.sender.reference_header
    if pointer == f"/{_REFERENCE}" and asked.fields.get(_REFERENCE) is None and header is not None:
        return f"/header/{header}"
    return command.place(pointer)
