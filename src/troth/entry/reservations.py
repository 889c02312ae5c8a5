"""POST …/reservations, …/{id}/capture and …/{id}/release: points set aside for a payment under way.

In: points, or the reservation that the address names. Out: an event and its answer, with the reservation as it now is.
"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth.api.openapi import documented
from troth.api.spending import ReservationItem, load_reservation
from troth.entry.command_door import PARAMETERS
from troth.entry.events import EventRequest
from troth.entry.shapes import EventAnswer
from troth.entry.spending import Thing, end, make

_TAGS = ["Spending"]
_RESERVATION = Thing(name="reservation", ids="res", load=load_reservation)


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
    return await make(request, customer, _RESERVATION, ("points_reserved", ("points", "wallet", "timeout")))


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
    return await end(request, (customer, reservation_id), _RESERVATION, ("reservation_captured", ("points",)))


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
    return await end(request, (customer, reservation_id), _RESERVATION, ("reservation_released", ("reason",)))


HANDLERS = [reserve_points, capture_reservation, release_reservation]
