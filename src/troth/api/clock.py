"""GET and POST /v1/clock: the test clock. Development mode only; in production there is nothing at this address.

In: a moment, or null for real time. Out: the program's present. None before something that was judged already.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from litestar import get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.response.base import ASGIResponse

from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import encode
from troth.api.openapi import documented
from troth.api.problems import ErrorItem, ProblemError, invalid
from troth.api.program_wire import ProgramRequest, database_of, read_object
from troth.core.calendar import show_time
from troth.core.coercion import escape, parse_moment
from troth.store.clock import CLOCK_BEFORE, CLOCK_FROM, Clock, ClockRefused, read_clock, set_clock


async def in_development(
    connection: ASGIConnection[BaseRouteHandler, object, object, State], _: BaseRouteHandler
) -> None:
    """A guard: in production the address does not exist, with and without a key."""
    if connection.app.state["mode"] != "development":
        raise NotFoundException


class ClockBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the clock shall stand."""

    now: str | None  # RFC 3339; null: real time again


class ClockAnswer(msgspec.Struct, frozen=True, kw_only=True):
    now: str  # the program's present
    is_set: bool  # false: real time


_TAGS = ["Operations"]
_EXAMPLE = {"now": "2026-12-31T23:00:00Z"}
_READ = documented(answers={200: ClockAnswer})
_SET = documented(body=ClockBody, example=_EXAMPLE, answers={200: ClockAnswer})


@get(
    "/v1/clock", tags=_TAGS, summary="Read the test clock", guards=[in_development, requires("program:read")], opt=_READ
)
async def show_clock(request: ProgramRequest) -> ASGIResponse:
    """The program's present. Development mode only."""
    async with database_of(request).pool.acquire() as connection:
        return _answer(await read_clock(connection))


@post(
    "/v1/clock",
    status_code=200,
    tags=_TAGS,
    summary="Set the test clock",
    guards=[in_development, requires("program:write")],
    opt=_SET,
)
async def move_clock(request: ProgramRequest) -> ASGIResponse:
    """Let the program's present stand at a moment until it is set again; null lets it run. Development mode only."""
    now = _moment(await read_object(request))
    async with database_of(request).pool.acquire() as connection:
        found = await set_clock(connection, now, datetime.now(UTC))
    if isinstance(found, ClockRefused):
        raise _used(found)
    return _answer(found)


def _moment(body: dict[str, object]) -> datetime | None:
    """The moment of the body. Raises ProblemError with every problem of it."""
    detail = "The clock has one field: now."
    items = [
        ErrorItem(pointer=f"/{escape(name)}", code="unknown_field", detail=detail) for name in body if name != "now"
    ]
    given = body.get("now")
    now = parse_moment(given) if given is not None else None
    if "now" not in body:
        items.append(ErrorItem(pointer="/now", code="missing", detail="'now' is a moment, or null for real time."))
    elif given is not None and now is None:
        detail = "'now' is a time with an offset, like 2026-11-20T10:00:00Z, or null."
        items.append(ErrorItem(pointer="/now", code="invalid_datetime", detail=detail))
    elif now is not None and not CLOCK_FROM <= now < CLOCK_BEFORE:
        detail = f"The clock stands between {show_time(CLOCK_FROM)} and {show_time(CLOCK_BEFORE)}."
        items.append(ErrorItem(pointer="/now", code="out_of_range", detail=detail))
    if len(items) > 1:
        raise ProblemError(422, "invalid", f"The clock's body has {len(items)} problems.", errors=items)
    if items:
        raise invalid(items[0].pointer, items[0].code, items[0].detail)
    return now


def _used(refused: ClockRefused) -> ProblemError:
    """409: the past has been judged."""
    detail = f"Something was judged at {show_time(refused.earliest)} already; the clock can stand there or later."
    return ProblemError(409, "clock_used", detail, errors=[ErrorItem(pointer="/now", code="clock_used", detail=detail)])


def _answer(clock: Clock) -> Answer:
    now = clock.now if clock.now is not None else datetime.now(UTC)
    return Answer(200, encode(ClockAnswer(now=show_time(now), is_set=clock.now is not None)))


HANDLERS = [show_clock, move_clock]
