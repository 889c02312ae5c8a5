"""POST /events, POST /events/bulk, GET /customers/{id} and its /events: an integration written for that product changes
only its host.

In: its bodies (JSON or forms), its api_key or its signatures. Out: its answers and errors.
Must never: do anything but ask the one pipeline. It is there while a source of this kind is open (`closed.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import cast
from urllib.parse import parse_qsl

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import client_address
from troth.api.customers import profile_of
from troth.api.event_wire import encode
from troth.api.logging import log_fault
from troth.api.openapi import documented, parameter
from troth.api.problems import ProblemError
from troth.api.reading import reading_of
from troth.core.coercion import Problem
from troth.entry.antavo.access import Caller, find_caller, verified
from troth.entry.antavo.answers import (
    Actions,
    ActionsAnswer,
    CustomerAnswer,
    bulk_answer,
    customer_answer,
    postings_of,
    sub_events,
)
from troth.entry.antavo.bodies import ActionBody, ActionsBody, Unread, read_bulk, read_event
from troth.entry.antavo.errors import AntavoError, ErrorAnswer, error_of, translated
from troth.entry.antavo.history import HistoryAnswer, history
from troth.entry.antavo.mapping import Fields, Mapper, Origin, Translated
from troth.entry.antavo.recording import Recorded, Recording
from troth.entry.body import inflate, read_body
from troth.entry.refusals import text_of
from troth.entry.source_door import Delivery, SourceDoor, source_door_of
from troth.pipeline.outcome import Overloaded, RawEvent, Rejected
from troth.store.keys import Mode

DoorRequest = Request[object, object, State]
_TAGS = ["Antavo-compatible"]
_FORMS = ("application/json", "application/x-www-form-urlencoded")
_KEY = (parameter("api_key", "query", "Names the source; a signed request may leave it out."),)
_ERRORS = {400: ErrorAnswer, 401: ErrorAnswer, 404: ErrorAnswer}
_EXAMPLE = {"customer": "ada", "action": "checkout", "data": {"transaction_id": "T-1", "total": "125.00"}}
_PAGE = tuple(
    parameter(name, "query", text)
    for name, text in (
        ("limit", f"Rows of a page, 1 to {limits.PAGE_ITEMS_MAX}; 100 by default."),
        ("offset", f"Rows to skip, up to {limits.ANTAVO_OFFSET}; `next` leads further."),
        ("order", "desc (newest first, the default) or asc."),
        ("action", "Actions by comma; `action.in` and `actions` mean the same."),
        ("points_only", "true: only events with points."),
        ("date.gte", "Date or time of the event, inclusive."),
        ("date.lt", "Date or time of the event, exclusive."),
    )
)


@post(
    "/events",
    status_code=200,
    tags=_TAGS,
    summary="Submit an event",
    opt=documented(
        body=ActionBody,
        media_types=_FORMS,
        example=_EXAMPLE,
        answers={200: CustomerAnswer, **_ERRORS},
        needs_key=False,
        parameters=_KEY,
    ),
)
async def submit_event(request: DoorRequest) -> ASGIResponse:
    """Record one event; the answer is the customer, with what moved spendable points."""
    return await _answering(request, _submit_event)


@post(
    "/events/bulk",
    status_code=200,
    tags=_TAGS,
    summary="Submit up to 1,000 events",
    opt=documented(
        body=ActionsBody,
        media_types=_FORMS,
        example={"events": [_EXAMPLE]},
        answers={200: ActionsAnswer, **_ERRORS},
        needs_key=False,
        parameters=_KEY,
    ),
)
async def submit_events(request: DoorRequest) -> ASGIResponse:
    """Record events one after the other; each has a result of its own, in order."""
    return await _answering(request, _submit_events)


@get(
    "/customers/{customer:str}",
    tags=_TAGS,
    summary="Show a customer",
    opt=documented(answers={200: CustomerAnswer, **_ERRORS}, needs_key=False, parameters=_KEY),
)
async def show_customer(request: DoorRequest, customer: FromPath[str]) -> ASGIResponse:
    """The customer as of now, without anything personal."""
    return await _answering(request, lambda asked: _show_customer(asked, customer))


@get(
    "/customers/{customer:str}/events",
    tags=_TAGS,
    summary="Show a customer's history",
    opt=documented(answers={200: HistoryAnswer, **_ERRORS}, needs_key=False, parameters=(*_KEY, *_PAGE)),
)
async def show_history(request: DoorRequest, customer: FromPath[str]) -> ASGIResponse:
    """What was recorded of the customer, with links to the pages beside."""
    return await _answering(request, lambda asked: _show_history(asked, customer))


async def _answering(request: DoorRequest, work: Callable[[DoorRequest], Awaitable[Answer]]) -> Answer:
    """The answer of `work`, errors as that product words them."""
    try:
        return await work(request)
    except AntavoError as error:
        return error.answer()
    except ProblemError as problem:
        return translated(problem).answer()
    except Overloaded as error:
        headers = {"Retry-After": str(error.retry_seconds)}
        return AntavoError(503, 0, f"overloaded: {error}", headers=headers).answer()
    except Exception as error:
        log_fault(request.scope, error)
        return AntavoError(500, 0, "internal_error: Troth failed on this request.").answer()


async def _submit_event(request: DoorRequest) -> Answer:
    caller, signature, body = await _received(request, limits.BODY_BYTES_SINGLE)
    recording = await _recording(request, caller, signature)
    door = source_door_of(request)
    try:
        fields = read_event(body, dict(request.scope["headers"]))
    except ProblemError as problem:
        raise _unread(door, caller, Unread(problem, text_of(body))) from None
    (result,) = await recording.record([_read(recording, fields, 0)])
    if isinstance(result, AntavoError):
        raise result
    return Answer(200, encode(await _customer(request, recording, result)))


async def _submit_events(request: DoorRequest) -> Answer:
    caller, signature, body = await _received(request, limits.BODY_BYTES_BULK)
    items = read_bulk(body, dict(request.scope["headers"]))
    recording = await _recording(request, caller, signature)
    door = source_door_of(request)
    results = await recording.record(
        [
            _unread(door, caller, item) if isinstance(item, Unread) else _read(recording, item, place)
            for place, item in enumerate(items)
        ]
    )
    async with recording.database.pool.acquire() as connection:
        postings = await postings_of(connection, results)
    return Answer(200, encode(bulk_answer(results, postings, Actions(recording.settings))))


async def _show_customer(request: DoorRequest, customer: str) -> Answer:
    caller, _, _ = await _received(request, limits.BODY_BYTES_SINGLE)
    mapper = (await _recording(request, caller, None)).mapper
    wallet = mapper.wallet_of(_query(request).get("account"))
    if wallet is None:
        raise error_of((Problem("/query/account", "unknown_account", "there is no wallet for this account"),))
    try:
        profile = await profile_of(reading_of(request), customer, with_personal=False)
    except ProblemError:
        raise _unknown(customer) from None
    return Answer(200, encode(customer_answer(profile, wallet, mapper.program.settings.currency)))


async def _show_history(request: DoorRequest, customer: str) -> Answer:
    caller, _, _ = await _received(request, limits.BODY_BYTES_SINGLE)
    try:
        page = await history(reading_of(request), caller.settings, customer, _query(request))
    except ProblemError as problem:
        raise (_unknown(customer) if problem.status == 404 else translated(problem)) from None
    return Answer(200, encode(page))


async def _received(request: DoorRequest, bytes_max: int) -> tuple[Caller, str | None, bytes]:
    """The caller, the verified signature and the body, inflated. Raises AntavoError, ProblemError."""
    scope, sources = request.scope, source_door_of(request).sources
    caller = await find_caller(scope, sources, cast("Mode", request.app.state["mode"]))
    sent = await read_body(request.receive, {}, bytes_max=bytes_max)
    signature = verified(caller, scope, sent, sources)
    encoding = dict(scope["headers"]).get(b"content-encoding")
    body = inflate(sent, encoding.decode("latin-1"), bytes_max=bytes_max) if encoding is not None else sent
    return caller, signature, body


async def _recording(request: DoorRequest, caller: Caller, signature: str | None) -> Recording:
    reading = reading_of(request)
    user_agent = dict(request.scope["headers"]).get(b"user-agent")
    origin = Origin(
        ip=client_address(request.scope),
        user_agent=user_agent[: limits.USER_AGENT_LENGTH].decode("latin-1") if user_agent else None,
        signature=signature,
        nonce=secrets.token_hex(16),
    )
    mapper = Mapper(settings=caller.settings, program=(await reading.live_book()).program, origin=origin)
    return Recording(
        door=source_door_of(request),
        database=reading.database,
        source=caller.source,
        settings=caller.settings,
        mapper=mapper,
    )


async def _customer(request: DoorRequest, recording: Recording, result: Recorded) -> CustomerAnswer:
    """The customer as of now, with what the event moved."""
    profile = await profile_of(reading_of(request), result.event.customer, with_personal=False)
    async with recording.database.pool.acquire() as connection:
        postings = await postings_of(connection, [result])
    moved = sub_events(result, postings, Actions(recording.settings))
    return customer_answer(profile, result.event.wallet, recording.mapper.program.settings.currency, moved)


def _read(recording: Recording, fields: Fields, place: int) -> Translated | AntavoError:
    """What the event is to us, or why the door does not ask; that is kept and counted as well."""
    found = recording.mapper.read(fields, place)
    if isinstance(found, Translated):
        return found
    raw = RawEvent(customer=fields.get("customer"), type=fields.get("action"), properties=fields.get("data"))
    recording.door.refuse(recording.source, Delivery(raw=raw, payload=dict(fields)), Rejected(found))
    return error_of(found, fields.get("action"))


def _unread(door: SourceDoor, caller: Caller, item: Unread) -> AntavoError:
    problems = [Problem(found.pointer, found.code, found.detail) for found in item.problem.errors]
    door.count_unreadable(caller.source, problems or [Problem("", item.problem.code, item.problem.detail)], item.text)
    return translated(item.problem)


def _unknown(customer: str) -> AntavoError:
    return error_of((Problem("/customer", "unknown_customer", f"there is no customer {customer!r}"),))


def _query(request: DoorRequest) -> Mapping[str, str]:
    return dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))


HANDLERS = [submit_event, submit_events, show_customer, show_history]
