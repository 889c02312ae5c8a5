"""What changes a customer directly: creating one and changing the profile. Both are `profile` events.

In: attributes and tags. Out: the profile as it is after the event. Attributes change through events only, so history
knows every value at any time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import patch, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import Caller
from troth.api.customers import customer_key, profile_of
from troth.api.event_wire import encode
from troth.api.events import find_customer
from troth.api.openapi import documented
from troth.api.problems import ErrorItem, ProblemError
from troth.api.profiles import Profile
from troth.api.reading import reading_of
from troth.core.coercion import Problem
from troth.core.program.builtin_types import PROFILE_TYPE
from troth.entry.body import read_body
from troth.entry.events import EventRequest, door_of, outcome_name, overloaded, rejected
from troth.entry.senders import Fields, Sender, sender_of, signed_id
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Overloaded, RawEvent

_TAGS = ["Customers"]
_TAGS_PROPERTY = "tags"


class CustomerBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer to create."""

    customer: str  # the integrator's id, 1 to 255 characters
    attributes: Mapping[str, object] = {}  # as the event type `profile` declares them
    tags: tuple[str, ...] = ()


class ProfileBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a profile. An attribute that is null is removed; tags are replaced as a whole."""

    attributes: Mapping[str, object] = {}
    tags: tuple[str, ...] | None = None


_EXAMPLE = {"attributes": {"city": "Szeged"}, "tags": ["vip"]}
_CREATE = documented(body=CustomerBody, example={"customer": "374397439743", **_EXAMPLE}, answers={201: Profile})
_CHANGE = documented(body=ProfileBody, example=_EXAMPLE, answers={200: Profile})


@post("/v1/customers", status_code=201, tags=_TAGS, summary="Create a customer", opt=_CREATE)
async def create_customer(request: EventRequest) -> ASGIResponse:
    """Record the customer's first profile event. 409 when the customer is known already."""
    sender, fields = await _read(request, known=("customer", "attributes", "tags"))
    customer = fields.get("customer")
    if isinstance(customer, str):
        async with reading_of(request).database.pool.acquire() as connection:
            if _is_plain(customer) and await find_customer(connection, customer) is not None:
                detail = "This customer exists already; PATCH /v1/customers/{customer} changes the profile."
                item = ErrorItem(pointer="/customer", code="exists", detail=detail)
                raise ProblemError(409, "exists", detail, errors=(item,))
    await _record(request, customer, fields, sender)
    assert isinstance(customer, str), "recorded"
    return Answer(201, encode(await profile_of(reading_of(request), customer)))


@patch("/v1/customers/{customer:str}", tags=_TAGS, summary="Change a profile", opt=_CHANGE)
async def change_customer(request: EventRequest, customer: FromPath[str]) -> ASGIResponse:
    """Record a profile event with what changes; everything else stays."""
    sender, fields = await _read(request, known=("attributes", "tags"))
    async with reading_of(request).database.pool.acquire() as connection:
        await customer_key(connection, customer)
    await _record(request, customer, fields, sender)
    return Answer(200, encode(await profile_of(reading_of(request), customer)))


async def _read(request: EventRequest, *, known: tuple[str, ...]) -> tuple[Sender, Fields]:
    door = door_of(request)
    headers = dict(request.scope["headers"])
    caller: Caller = await door.access.caller(request.scope, headers, "customers:write")
    body = await read_body(request.receive, headers, bytes_max=limits.BODY_BYTES_SINGLE)
    sender = sender_of(request.scope, headers, caller, signed_id(headers, body, caller, door.replays))
    fields = door.fields(body, headers)
    unknown = [name for name in fields if name not in known]
    if unknown:
        detail = f"Known fields are {', '.join(known)}; what the profile declares goes into attributes."
        raise rejected([ErrorItem(pointer=f"/{name}", code="unknown_field", detail=detail) for name in unknown])
    return sender, fields


async def _record(request: EventRequest, customer: object, fields: Fields, sender: Sender) -> None:
    """The profile event. Raises ProblemError when it is refused."""
    door = door_of(request)
    raw = RawEvent(
        customer=customer,
        type=PROFILE_TYPE,
        reference=sender.reference,
        properties=_properties(fields),
        source=sender.source,
        source_detail=sender.source_detail,
        ip=sender.ip,
        user_agent=sender.user_agent,
        is_signed=sender.is_signed,
        scopes=sender.scopes,
    )
    try:
        (outcome,) = await door.pipeline.ingest((raw,))
    except Overloaded as error:
        raise overloaded(error) from None
    door.metrics.count_events(outcome_name(outcome))
    if isinstance(outcome, Applied | Duplicate):
        return
    if isinstance(outcome, Conflict):
        raise ProblemError(409, outcome.problem.code, outcome.problem.detail, errors=_items((outcome.problem,)))
    raise rejected(_items(outcome.problems))


def _properties(fields: Fields) -> object:
    """Attributes and tags as the properties of a profile event. Raises ProblemError."""
    attributes = fields.get("attributes")
    if attributes is not None and not isinstance(attributes, dict):
        raise rejected([ErrorItem(pointer="/attributes", code="type", detail="'attributes' must be an object")])
    found: dict[str, object] = dict(attributes or {})
    if _TAGS_PROPERTY in found:
        detail = 'Tags stand beside the attributes: {"attributes": {...}, "tags": [...]}.'
        raise rejected([ErrorItem(pointer="/attributes/tags", code="unknown_field", detail=detail)])
    if fields.get("tags") is not None:
        found[_TAGS_PROPERTY] = fields["tags"]
    return found


def _items(problems: tuple[Problem, ...]) -> tuple[ErrorItem, ...]:
    """Problems of the event, with pointers into this request's body."""
    return tuple(
        ErrorItem(pointer=_pointer(problem.pointer), code=problem.code, detail=problem.detail) for problem in problems
    )


def _pointer(pointer: str) -> str:
    rest = pointer.removeprefix("/properties")
    if rest == pointer:
        return pointer
    return rest if rest.split("/")[1:2] == [_TAGS_PROPERTY] else f"/attributes{rest}"


def _is_plain(customer: str) -> bool:
    return "\0" not in customer
