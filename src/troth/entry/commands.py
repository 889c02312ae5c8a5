"""Creating a customer and changing the profile. Both are `profile` events.

In: attributes and tags. Out: the profile as it is after the event. Attributes change through events only, so history
knows every value at any time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import patch, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth.api.answers import Answer
from troth.api.customers import customer_key, profile_of
from troth.api.event_wire import encode
from troth.api.events import find_customer
from troth.api.openapi import documented
from troth.api.problems import ErrorItem, ProblemError
from troth.api.profiles import Profile
from troth.api.reading import reading_of
from troth.core.coercion import Problem, escape
from troth.core.program.builtin_types import CUSTOMERS_SCOPE, PROFILE_TYPE
from troth.entry.command_door import Asked, Command, read_command, record, refused
from troth.entry.events import EventRequest, rejected
from troth.entry.senders import Fields

KNOWN = Problem(
    "/customer", "exists", "This customer exists already; PATCH /v1/customers/{customer} changes the profile."
)

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
    asked = await _read(request, known=("customer", "attributes", "tags"))
    customer = asked.fields.get("customer")
    if isinstance(customer, str):
        async with reading_of(request).database.pool.acquire() as connection:
            if _is_plain(customer) and await find_customer(connection, customer) is not None:
                item = ErrorItem(pointer=KNOWN.pointer, code=KNOWN.code, detail=KNOWN.detail)
                raise refused(request, asked, ProblemError(409, KNOWN.code, KNOWN.detail, errors=(item,)))
    await _record(request, customer, asked)
    assert isinstance(customer, str), "recorded"
    return Answer(201, encode(await profile_of(reading_of(request), customer)))


@patch("/v1/customers/{customer:str}", tags=_TAGS, summary="Change a profile", opt=_CHANGE)
async def change_customer(request: EventRequest, customer: FromPath[str]) -> ASGIResponse:
    """Record a profile event with what changes; everything else stays."""
    asked = await _read(request, known=("attributes", "tags"))
    async with reading_of(request).database.pool.acquire() as connection:
        await customer_key(connection, customer)
    await _record(request, customer, asked)
    return Answer(200, encode(await profile_of(reading_of(request), customer)))


async def _read(request: EventRequest, *, known: tuple[str, ...]) -> Asked:
    asked = await read_command(request, CUSTOMERS_SCOPE)
    unknown = [name for name in asked.fields if name not in known]
    if unknown:
        detail = f"Known fields are {', '.join(known)}; what the profile declares goes into attributes."
        items = [ErrorItem(pointer=f"/{escape(name)}", code="unknown_field", detail=detail) for name in unknown]
        raise refused(request, asked, rejected(items))
    return asked


async def _record(request: EventRequest, customer: object, asked: Asked) -> None:
    """The profile event. Raises ProblemError when it is refused."""
    try:
        properties = _properties(asked.fields)
    except ProblemError as problem:
        raise refused(request, asked, problem) from None
    await record(request, asked, Command(customer=customer, type=PROFILE_TYPE, properties=properties, place=_pointer))


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


def _pointer(pointer: str) -> str:
    """Where a problem of the profile event stands in the body."""
    rest = pointer.removeprefix("/properties")
    if rest == pointer:
        return pointer
    return rest if rest.split("/")[1:2] == [_TAGS_PROPERTY] else f"/attributes{rest}"


def _is_plain(customer: str) -> bool:
    return "\0" not in customer
