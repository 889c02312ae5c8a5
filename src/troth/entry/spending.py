"""What reservations and redemptions share: points are taken for a thing at one address, and it is ended at others.

In: a customer, the thing that the address names, the fields of the body. Out: an event and its answer, with the thing
as it now is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
from litestar.response.base import ASGIResponse

from troth.api.problems import ProblemError
from troth.api.reading import Reading, reading_of
from troth.core.ids import IdKind, read_id
from troth.core.program.builtin_types import COMMAND_TYPES
from troth.entry.command_door import Command, answer, in_body, read_command, record, unknown_fields
from troth.entry.events import EventRequest

Effect = tuple[str, tuple[str, ...]]  # an event type, and the fields of its body


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of thing that a customer's points are taken for."""

    name: str  # in answers, events and codes
    ids: IdKind
    load: Callable[[Reading, str, UUID], Awaitable[object]]  # by customer and id


async def make(request: EventRequest, customer: str, thing: Thing, effect: Effect) -> ASGIResponse:
    """Take points for a new thing; the event that does so names it. Raises ProblemError."""
    type_id, known = effect
    asked = await read_command(request, COMMAND_TYPES[type_id])
    command = Command(
        customer=customer,
        type=type_id,
        properties=asked.given(known),
        unread=unknown_fields(asked, known),
    )
    outcome = await record(request, asked, command)
    made = read_id("evt", outcome.record.id)
    assert made is not None, "a recorded event"
    return await answer(request, asked, outcome, **{thing.name: await thing.load(reading_of(request), customer, made)})


async def end(request: EventRequest, place: tuple[str, str], thing: Thing, effect: Effect) -> ASGIResponse:
    """End a customer's thing; in `place`: the customer, and the thing's printed id. Raises ProblemError."""
    (customer, named), (type_id, known) = place, effect
    asked = await read_command(request, COMMAND_TYPES[type_id], may_be_empty=True)
    key = read_id(thing.ids, named)
    if key is None:
        raise ProblemError(404, f"unknown_{thing.name}", f"There is no {thing.name} {named!r}.")
    command = Command(
        customer=customer,
        type=type_id,
        properties={thing.name: named, **asked.given(known)},
        unread=unknown_fields(asked, known),
        place=lambda pointer: _place(pointer, thing),
    )
    outcome = await record(request, asked, command)
    return await answer(request, asked, outcome, **{thing.name: await thing.load(reading_of(request), customer, key)})


def _place(pointer: str, thing: Thing) -> str:
    """The address names the thing, so a problem of it stands there."""
    return f"/path/{thing.name}_id" if pointer == f"/properties/{thing.name}" else in_body(pointer)
