"""POST /v1/customers/{customer}/tier: a level set by hand, until a date or until somebody ends it.

In: a level, or null. Out: a `tier_set` event and its answer.
"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth.api.openapi import documented
from troth.core.program.builtin_types import COMMAND_TYPES
from troth.entry.command_door import PARAMETERS, Command, answer, read_command, record, unknown_fields
from troth.entry.events import EventRequest
from troth.entry.shapes import EventAnswer

_TYPE = "tier_set"
_KNOWN = ("tier", "until", "reason")


class TierSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The level to hold, whatever the points say."""

    tier: str | None = None  # null: judged by points again
    until: str | None = None  # RFC 3339, the first instant of being judged by points again; null: without end
    reason: str | None = None
    reference: str | None = None  # idempotency key


_EXAMPLE = {"tier": "gold", "until": "2027-12-31T23:00:00Z", "reason": "ambassador"}
_SET = documented(
    body=TierSetting, example=_EXAMPLE, answers={200: EventAnswer, 201: EventAnswer}, parameters=PARAMETERS
)


@post("/v1/customers/{customer:str}/tier", status_code=201, tags=["Customers"], summary="Set a tier by hand", opt=_SET)
async def set_tier(request: EventRequest, customer: FromPath[str]) -> ASGIResponse:
    """Let the customer hold a level until a date; without a level, points decide again."""
    asked = await read_command(request, COMMAND_TYPES[_TYPE])
    command = Command(
        customer=customer, type=_TYPE, properties=asked.given(_KNOWN), unread=unknown_fields(asked, _KNOWN)
    )
    return await answer(request, asked, await record(request, asked, command))


HANDLERS = [set_tier]
