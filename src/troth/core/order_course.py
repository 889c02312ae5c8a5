"""The course of an order: what each of its facts makes of it, and the whole told again from recorded events.

In: an order and a fact; or the events of an order in the order in which they were judged. Out: the order as it then
stands. Nothing is posted and nothing is looked up: what a live fold and an explanation of the past both need.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from troth.core.event import Event
from troth.core.exact_json import read_exact
from troth.core.inputs import Inputs
from troth.core.order_award import new_order
from troth.core.order_content import complete
from troth.core.order_facts import is_newer, merge, read_fact
from troth.core.order_state import Fact, Order
from troth.core.program import EventType
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.core.rules import Shelf


def with_fact(order: Order, fact: Fact, shelf: Shelf, kept: list[str]) -> Order:
    """The order as one more fact leaves it. In `kept`: properties taken from earlier content. Raises Lacking."""
    replace = msgspec.structs.replace
    match fact.kind:
        case "content":
            if fact.auto_accept:
                order = replace(order, accepted_at=_earlier(order.accepted_at, fact.occurred_at))
            if fact.event_id != order.id and is_newer(fact, order.content):
                return replace(order, content=_completed(order, fact, shelf, kept))
            return order
        case "accept":
            return replace(order, accepted_at=_earlier(order.accepted_at, fact.occurred_at))
        case "reject":
            return replace(order, is_rejected=True)
        case "refund":
            return replace(order, is_refunded=True)
        case "partial":
            return replace(order, refunds=merge(order.refunds, fact))


def _earlier(known: datetime | None, moment: datetime) -> datetime:
    return moment if known is None or moment < known else known


def _completed(order: Order, fact: Fact, shelf: Shelf, kept: list[str]) -> Fact:
    """New content, with what the order's revision needs and the content lacks taken from before (§5.7)."""
    book = shelf.at(order.revision)
    rules = book.by_type.get(order.type)
    reads = frozenset[str]().union(
        *(checked.property_reads for rule in rules.rules for checked in rule.checked) if rules else ()
    )
    properties, names = complete(
        new=fact.properties,
        previous=order.content.properties,
        opening_then=book.program.event_types[order.type],
        opening_now=shelf.live.program.event_types.get(order.type),
        reads=reads,
    )
    kept.extend(names)
    return msgspec.structs.replace(fact, properties=properties)


def opening_type(order: Order, shelf: Shelf) -> EventType:
    """The type that reads new content of the order: that of today, where it still opens orders. Raises Lacking."""
    live = shelf.live.program.event_types.get(order.type)
    if live is not None and live.order is not None:
        return live
    return shelf.at(order.revision).program.event_types[order.type]


# Told again


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded event of an order."""

    event: Event
    inputs: Inputs  # as recorded with it
    revision: int  # that judged it


def course(events: Sequence[Told], shelf: Shelf) -> tuple[Order | None, Order | None]:
    """The order before the last of these events, and after it; None: not open. In `shelf`: every revision named."""
    before: Order | None = None
    order: Order | None = None
    waiting: list[Event] = []
    for told in events:
        before, then = order, Shelf(shelf.at(told.revision), shelf.kept)
        if order is not None:
            order = _changed(order, told, then)
        elif told.event.type.id in ORDER_FAMILY_TYPES:
            waiting.append(told.event)
        else:
            order = _opened(told, waiting, then)
    return before, order


def _opened(told: Told, waiting: Sequence[Event], shelf: Shelf) -> Order:
    event, types = told.event, shelf.live.program.event_types
    order = new_order(event, told.inputs, _fact(event, event.type, event.type), told.revision)
    for past in waiting:
        order = with_fact(order, _fact(past, types[past.type.id], event.type), shelf, [])
    return order


def _changed(order: Order, told: Told, shelf: Shelf) -> Order:
    changed = with_fact(order, _fact(told.event, told.event.type, opening_type(order, shelf)), shelf, [])
    if changed.content is order.content:
        return changed
    return msgspec.structs.replace(changed, rooms=told.inputs.rooms)  # measured when the content came


def _fact(event: Event, event_type: EventType, opening: EventType) -> Fact:
    return read_fact(
        event_type,
        opening,
        event_id=event.id,
        occurred_at=event.occurred_at,
        properties=read_exact(event.properties),
    )
