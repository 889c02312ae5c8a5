"""/v1/sources/{id}/payloads and /test: what a source was sent last, and what its mapping makes of it, or of a trial.

In: a source that is sent webhooks; for a trial the body and the headers that its system would send. Out: the events by
today's settings and program. Must never: store anything, or show a payload to a key that may not read customers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import encode
from troth.api.openapi import documented
from troth.api.problems import ErrorItem
from troth.api.source_registry import Source
from troth.core.coercion import Problem
from troth.core.ids import show_id
from troth.entry.events import EventRequest, door_of, overloaded
from troth.entry.hook_payloads import KeptPayload
from troth.entry.hook_reading import Understood, understand
from troth.entry.hooks import hook_source, payloads_of, read_hook
from troth.entry.refusals import text_of
from troth.entry.source_door import named, source_door_of
from troth.pipeline.outcome import Conflict, Overloaded, Rejected

_TAGS = ["Sources"]
_READ = [requires("sources:read"), requires("customers:read")]


class MappedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a mapping makes it; values as the sender wrote them."""

    customer: object  # null: its order's
    type: object
    reference: object
    occurred_at: object  # null: when it comes
    properties: object
    errors: tuple[ErrorItem, ...] = ()  # why today's program would refuse it; only of a trial


class MappedPayload(msgspec.Struct, frozen=True, kw_only=True):
    """What a mapping makes of a payload."""

    events: tuple[MappedEvent, ...]
    dropped: int  # events that the settings leave out
    reason: str | None  # of a shop's order that is left out: test, guest, status, topic, no_order, no_amount
    errors: tuple[ErrorItem, ...]  # why it cannot be read at all


class SeenPayload(MappedPayload, frozen=True, kw_only=True):
    """A payload that came."""

    id: str
    received_at: datetime
    headers: Mapping[str, str]  # those that a mapping reads
    payload: object  # null: unreadable, or too large to be kept
    text: str | None  # what could not be read


class SeenPayloads(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[SeenPayload, ...]  # newest first
    next: str | None


_SEEN = documented(answers={200: SeenPayloads})
_TRIAL = documented(body=object, example={"customer": "ada", "type": "signup"}, answers={200: MappedPayload})


@get("/v1/sources/{source_id:str}/payloads", tags=_TAGS, summary="Read the last payloads", guards=_READ, opt=_SEEN)
async def read_last_payloads(request: EventRequest, source_id: FromPath[str]) -> ASGIResponse:
    """The last payloads that came with a sound proof, and what today's mapping makes of each."""
    source = await hook_source(source_door_of(request), source_id)
    kept = await payloads_of(request).newest(source.id)
    return Answer(200, encode(SeenPayloads(items=tuple(_seen(source, each) for each in kept), next=None)))


@post(
    "/v1/sources/{source_id:str}/test", status_code=200, tags=_TAGS, summary="Try a mapping", guards=_READ, opt=_TRIAL
)
async def try_mapping(request: EventRequest, source_id: FromPath[str]) -> ASGIResponse:
    """What would become of this body with these headers. It needs no proof of the sender; nothing is stored."""
    source = await hook_source(source_door_of(request), source_id)
    headers = dict(request.scope["headers"])
    understood = understand(source, headers, await read_hook(request, headers))
    errors = [await _refusals(request, source, place, understood) for place in range(len(understood.events))]
    return Answer(200, encode(_mapped(source, understood, errors)))


async def _refusals(request: EventRequest, source: Source, place: int, understood: Understood) -> tuple[Problem, ...]:
    """Why the program would refuse an event."""
    raw = named(source, understood.events[place])
    if not source.settings.may_send(raw.type):
        return (Problem("/type", "type_not_allowed", f"the source '{source.id}' may not send this type"),)
    try:
        outcome = await door_of(request).pipeline.preview(raw)
    except Overloaded as error:
        raise overloaded(error) from None
    if isinstance(outcome, Conflict):
        return (outcome.problem,)
    return outcome.problems if isinstance(outcome, Rejected) else ()


def _mapped(source: Source, understood: Understood, errors: list[tuple[Problem, ...]]) -> MappedPayload:
    events = tuple(
        MappedEvent(
            customer=raw.customer,
            type=raw.type,
            reference=raw.reference,
            occurred_at=raw.occurred_at,
            properties=raw.properties,
            errors=_items(errors[place]) if errors else (),
        )
        for place, raw in enumerate(understood.events)
    )
    return MappedPayload(
        events=events, dropped=understood.dropped, reason=understood.reason, errors=_items(understood.problems)
    )


def _seen(source: Source, kept: KeptPayload) -> SeenPayload:
    body = kept.payload.body
    headers = {name.encode(): value.encode("latin-1") for name, value in kept.payload.headers.items()}
    understood = understand(source, headers, body) if body is not None else Understood()
    return SeenPayload(
        id=show_id("pld", kept.id),
        received_at=kept.received_at,
        headers=kept.payload.headers,
        payload=understood.payload,
        text=text_of(body) if body is not None and understood.problems else None,
        **msgspec.structs.asdict(_mapped(source, understood, [])),
    )


def _items(problems: tuple[Problem, ...]) -> tuple[ErrorItem, ...]:
    return tuple(ErrorItem(pointer=problem.pointer, code=problem.code, detail=problem.detail) for problem in problems)


HANDLERS = [read_last_payloads, try_mapping]
