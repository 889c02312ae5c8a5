"""POST /v1/customers/{customer}/adjustments: points added or taken by hand.

In: signed points and how they are meant. Out: a `point_add` or `point_sub` event and its answer. The sign decides;
fields that belong to the other one are refused, never ignored.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth.api.openapi import documented
from troth.core.program.builtin_types import POINTS_SCOPE
from troth.entry.command_door import PARAMETERS, Asked, Command, answer, read_command, record, unknown_fields
from troth.entry.events import EventRequest
from troth.entry.shapes import EventAnswer

_EITHER = ("points", "wallet", "reason", "qualifying")
_ADDING = ("earned_at", "expires_at", "hold")
_TAKING = ("reverse", "allow_debt")
_KNOWN = (*_EITHER, *_ADDING, *_TAKING)


class AdjustmentBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points to add (positive) or to take (negative)."""

    points: int  # not 0
    wallet: str | None = None  # default: the main wallet
    reason: str | None = None
    reference: str | None = None  # idempotency key
    qualifying: bool | None = None  # whether they count for tiers; default true
    earned_at: str | None = None  # adding: RFC 3339; default: now
    expires_at: str | None = None  # adding: the local day on which they end; default: as the wallet says
    hold: str | None = None  # adding: ISO 8601 period from now for which they are pending
    reverse: bool | None = None  # taking: as if they had never been earned; default: they count as spent
    allow_debt: bool | None = None  # taking: what is not there becomes debt; default: refused


_EXAMPLE = {"points": 150, "reason": "apology for a late parcel", "reference": "ticket-4711"}
_ADJUST = documented(
    body=AdjustmentBody, example=_EXAMPLE, answers={200: EventAnswer, 201: EventAnswer}, parameters=PARAMETERS
)


@post(
    "/v1/customers/{customer:str}/adjustments",
    status_code=201,
    tags=["Spending"],
    summary="Add or take points",
    opt=_ADJUST,
)
async def adjust_points(request: EventRequest, customer: FromPath[str]) -> ASGIResponse:
    """Add points, or take them: `insufficient_points` when they are not there, unless the body allows debt."""
    asked = await read_command(request, POINTS_SCOPE)
    return await answer(request, asked, await record(request, asked, adjustment(asked, customer)))


def adjustment(asked: Asked, customer: str) -> Command:
    """The event that the body asks for. Points that are no number are read as an addition, which then says so."""
    taken = _taken(asked.fields.get("points"))
    foreign, side = (_TAKING, "taken (negative)") if taken is None else (_ADDING, "added (positive)")
    unread = unknown_fields(asked, _KNOWN)
    unread |= {name: f"'{name}' means something only where points are {side}." for name in asked.given(foreign)}
    properties = asked.given([name for name in _KNOWN if name not in foreign])
    if taken is not None:
        properties["points"] = taken
    return Command(
        customer=customer,
        type="point_sub" if taken is not None else "point_add",
        properties=properties,
        unread=unread,
    )


def _taken(points: object) -> object | None:
    """What negative points take, as a positive number or its text; None when they are not negative."""
    if isinstance(points, str):
        return points[1:] if points.startswith("-") and points[1:2].isdigit() else None
    if isinstance(points, bool) or not isinstance(points, int | Decimal) or points >= 0:
        return None
    return -points


HANDLERS = [adjust_points]
