"""POST …/redemptions, …/{id}/fulfil and …/{id}/cancel: rewards claimed for points.

In: a reward, or the redemption that the address names. Out: an event and its answer, with the redemption as it now is.
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
from troth.api.spending import RedemptionItem, load_redemption
from troth.core.ids import read_id
from troth.core.program.builtin_types import COMMAND_TYPES
from troth.entry.command_door import PARAMETERS, Command, answer, in_body, read_command, record, unknown_fields
from troth.entry.events import EventRequest
from troth.entry.shapes import EventAnswer

_TAGS = ["Spending"]


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
    asked = await read_command(request, COMMAND_TYPES["reward_claimed"])
    command = Command(
        customer=customer,
        type="reward_claimed",
        properties=asked.given(("reward",)),
        unread=unknown_fields(asked, ("reward",)),
    )
    outcome = await record(request, asked, command)
    made = read_id("evt", outcome.record.id)
    assert made is not None, "a recorded event"
    return await answer(request, asked, outcome, redemption=await _shown(request, customer, made))


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
    return await _end(request, customer, redemption_id, ("reward_fulfilled", ()))


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
    return await _end(request, customer, redemption_id, ("reward_cancelled", ("reason",)))


async def _end(
    request: EventRequest, customer: str, redemption_id: str, effect: tuple[str, tuple[str, ...]]
) -> ASGIResponse:
    """`effect`: the event type, and the fields of its body."""
    type_id, known = effect
    asked = await read_command(request, COMMAND_TYPES[type_id], may_be_empty=True)
    claimed = read_id("rdm", redemption_id)
    if claimed is None:
        raise ProblemError(404, "unknown_redemption", f"There is no redemption {redemption_id!r}.")
    command = Command(
        customer=customer,
        type=type_id,
        properties={"redemption": redemption_id, **asked.given(known)},
        unread=unknown_fields(asked, known),
        place=_place,
    )
    outcome = await record(request, asked, command)
    return await answer(request, asked, outcome, redemption=await _shown(request, customer, claimed))


def _place(pointer: str) -> str:
    """The address names the redemption, so a problem of it stands there."""
    return "/path/redemption_id" if pointer == "/properties/redemption" else in_body(pointer)


async def _shown(request: EventRequest, customer: str, key: UUID) -> RedemptionItem | None:
    return await load_redemption(reading_of(request), customer, key)


HANDLERS = [claim_reward, fulfil_redemption, cancel_redemption]
