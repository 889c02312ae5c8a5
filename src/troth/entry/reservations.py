"""POST …/reservations, …/{id}/capture and …/{id}/release: points set aside for a payment under way.

In: points, or the reservation that the address names. Out: an event and its answer, with the reservation as it now is.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth.api.openapi import documented
from troth.api.problems import ProblemError
from troth.api.reading import reading_of
from troth.api.spending import ReservationItem, load_reservation
from troth.core.ids import read_id
from troth.core.program.builtin_types import COMMAND_TYPES
from troth.entry.command_door import PARAMETERS, Command, answer, in_body, read_command, record, unknown_fields
from troth.entry.events import EventRequest
from troth.entry.shapes import EventAnswer

_TAGS = ["Spending"]
_MAKING = ("points", "wallet", "timeout")


class ReservationBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points to set aside."""

    points: int  # at least 1
    wallet: str | None = None  # default: the main wallet
    reference: str | None = None  # idempotency key
    timeout: str | None = None  # ISO 8601 period after which they are released by themselves; default PT30M


class CaptureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    points: int | None = None  # default: all of them; the rest is released
    reference: str | None = None  # idempotency key


class ReleaseBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: str | None = None
    reference: str | None = None  # idempotency key


class ReservationAnswer(EventAnswer, frozen=True, kw_only=True):
    """The recorded event, and the reservation as it is now."""

    reservation: ReservationItem


_ANSWERS = {200: ReservationAnswer, 201: ReservationAnswer}
_MAKE = documented(
    body=ReservationBody,
    example={"points": 500, "reference": "checkout-4711"},
    answers=_ANSWERS,
    parameters=PARAMETERS,
)
_CAPTURE = documented(body=CaptureBody, example={"points": 300}, answers=_ANSWERS, parameters=PARAMETERS)
_RELEASE = documented(body=ReleaseBody, example={"reason": "cancelled"}, answers=_ANSWERS, parameters=PARAMETERS)


@post("/v1/customers/{customer:str}/reservations", status_code=201, tags=_TAGS, summary="Reserve points", opt=_MAKE)
async def reserve_points(request: EventRequest, customer: FromPath[str]) -> ASGIResponse:
    """Set available points aside until they are captured or released, by hand or by time."""
    asked = await read_command(request, COMMAND_TYPES["points_reserved"])
    command = Command(
        customer=customer,
        type="points_reserved",
        properties=asked.given(_MAKING),
        unread=unknown_fields(asked, _MAKING),
    )
    outcome = await record(request, asked, command)
    made = read_id("evt", outcome.record.id)
    assert made is not None, "a recorded event"
    return await answer(request, asked, outcome, reservation=await _shown(request, customer, made))


@post(
    "/v1/customers/{customer:str}/reservations/{reservation_id:str}/capture",
    status_code=201,
    tags=_TAGS,
    summary="Spend reserved points",
    opt=_CAPTURE,
)
async def capture_reservation(
    request: EventRequest, customer: FromPath[str], reservation_id: FromPath[str]
) -> ASGIResponse:
    """Spend what was reserved, or `points` of it; the rest is released."""
    return await _end(request, customer, reservation_id, ("reservation_captured", "points"))


@post(
    "/v1/customers/{customer:str}/reservations/{reservation_id:str}/release",
    status_code=201,
    tags=_TAGS,
    summary="Release reserved points",
    opt=_RELEASE,
)
async def release_reservation(
    request: EventRequest, customer: FromPath[str], reservation_id: FromPath[str]
) -> ASGIResponse:
    """Give back what was reserved, with the dates the points had."""
    return await _end(request, customer, reservation_id, ("reservation_released", "reason"))


async def _end(request: EventRequest, customer: str, reservation_id: str, effect: tuple[str, str]) -> ASGIResponse:
    """`effect`: the event type, and the one field of its body."""
    type_id, known = effect
    asked = await read_command(request, COMMAND_TYPES[type_id], may_be_empty=True)
    held = read_id("res", reservation_id)
    if held is None:
        raise ProblemError(404, "unknown_reservation", f"There is no reservation {reservation_id!r}.")
    command = Command(
        customer=customer,
        type=type_id,
        properties={"reservation": reservation_id, **asked.given((known,))},
        unread=unknown_fields(asked, (known,)),
        place=_place,
    )
    outcome = await record(request, asked, command)
    return await answer(request, asked, outcome, reservation=await _shown(request, customer, held))


def _place(pointer: str) -> str:
    """The address names the reservation, so a problem of it stands there."""
    return "/path/reservation_id" if pointer == "/properties/reservation" else in_body(pointer)


async def _shown(request: EventRequest, customer: str, key: UUID) -> ReservationItem | None:
    return await load_reservation(reading_of(request), customer, key)


HANDLERS = [reserve_points, capture_reservation, release_reservation]
