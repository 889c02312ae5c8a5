"""POST …/redemptions, …/{id}/fulfil and …/{id}/cancel: rewards claimed for points.

In: a reward, or the redemption that the address names. Out: an event and its answer, with the redemption as it now is.
"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth.api.openapi import documented
from troth.api.spending import RedemptionItem, load_redemption
from troth.entry.command_door import PARAMETERS
from troth.entry.events import EventRequest
from troth.entry.shapes import EventAnswer
from troth.entry.spending import Thing, end, make

_TAGS = ["Spending"]
_REDEMPTION = Thing(name="redemption", ids="rdm", load=load_redemption)


class RedemptionBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reward to claim."""

    reward: str  # of the catalogue
    reference: str | None = None  # idempotency key


class FulfilBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reference: str | None = None  # idempotency key


class CancelBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: str | None = None
    reference: str | None = None  # idempotency key


class RedemptionAnswer(EventAnswer, frozen=True, kw_only=True):
    """The recorded event, and the redemption as it is now."""

    redemption: RedemptionItem


_ANSWERS = {200: RedemptionAnswer, 201: RedemptionAnswer}
_CLAIM = documented(
    body=RedemptionBody,
    example={"reward": "free-coffee", "reference": "app-8812"},
    answers=_ANSWERS,
    parameters=PARAMETERS,
)
_FULFIL = documented(body=FulfilBody, example={}, answers=_ANSWERS, parameters=PARAMETERS)
_CANCEL = documented(body=CancelBody, example={"reason": "out of coffee"}, answers=_ANSWERS, parameters=PARAMETERS)


@post("/v1/customers/{customer:str}/redemptions", status_code=201, tags=_TAGS, summary="Claim a reward", opt=_CLAIM)
async def claim_reward(request: EventRequest, customer: FromPath[str]) -> ASGIResponse:
    """Pay for a reward with points; a reward with a pool gives its next code."""
    return await make(request, customer, _REDEMPTION, ("reward_claimed", ("reward",)))


@post(
    "/v1/customers/{customer:str}/redemptions/{redemption_id:str}/fulfil",
    status_code=201,
    tags=_TAGS,
    summary="Fulfil a redemption",
    opt=_FULFIL,
)
async def fulfil_redemption(
    request: EventRequest, customer: FromPath[str], redemption_id: FromPath[str]
) -> ASGIResponse:
    """Say that the customer has the reward."""
    return await end(request, (customer, redemption_id), _REDEMPTION, ("reward_fulfilled", ()))


@post(
    "/v1/customers/{customer:str}/redemptions/{redemption_id:str}/cancel",
    status_code=201,
    tags=_TAGS,
    summary="Cancel a redemption",
    opt=_CANCEL,
)
async def cancel_redemption(
    request: EventRequest, customer: FromPath[str], redemption_id: FromPath[str]
) -> ASGIResponse:
    """Give the points back, and the reward back to the stock; a code stays used."""
    return await end(request, (customer, redemption_id), _REDEMPTION, ("reward_cancelled", ("reason",)))


HANDLERS = [claim_reward, fulfil_redemption, cancel_redemption]
