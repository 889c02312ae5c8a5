"""What follows from several event types opening and changing orders.

In: event types with an order mapping. Out: the same with bounds that hold for an order at any time, for its rules
(events themselves are read by the type as it is declared); and warnings of what `checkout_update` cannot carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from troth.core.program import EventType, OrderMapping, Property
from troth.core.program.problem import Problems, pointer_to

_UPDATE = "checkout_update"


def as_judged(known: EventType) -> EventType:
    """The type whose schema holds for every state of its orders; a type that opens none is as it is.

    Refunds lower the mapped amount, quantities and subtotals below what an order may open with, but not to zero: an
    order that is worth nothing and a line with nothing left are never judged (`order_content.net`).
    """
    if known.order is None:
        return known
    return replace(known, properties=tuple(_lowered(item, known.order) for item in known.properties))


def _lowered(item: Property, mapping: OrderMapping) -> Property:
    if item.name == mapping.items:
        lines = (mapping.quantity, mapping.subtotal)
        return replace(item, of=tuple(_to_least(field) if field.name in lines else field for field in item.of))
    return _to_least(item) if item.name == mapping.amount else item


def _to_least(item: Property) -> Property:
    """Down to the smallest number above zero that the property tells apart."""
    return replace(item, minimum=min(item.minimum, Decimal(1).scaleb(-item.places)))


def warn_of_differing(types: Mapping[str, EventType], pointers: Mapping[str, str], problems: Problems) -> None:
    """One `checkout_update` serves all opening types, and reads a property as the first of them declares it.

    `types`: before the order family knows the opening types; `pointers`: where each declared type stands.
    """
    first = {item.name: (_UPDATE, item) for item in types[_UPDATE].properties}
    for known in types.values():
        for item in known.properties if known.order is not None else ():
            owner, other = first.setdefault(item.name, (known.id, item))
            if not _reads(other, item):
                pointer = pointer_to(pointer_to(pointers[known.id], "properties"), item.name)
                message = (
                    f"{_UPDATE} reads {item.name!r} as {owner!r} declares it, so it may refuse that of a {known.id!r}"
                )
                hint = f"use another name, or change such orders by sending {known.id!r} again"
                problems.warning(pointer, "differing_property", message, hint)


def _reads(reader: Property, item: Property) -> bool:
    return reader.kind == item.kind and (item.kind != "number" or reader.places >= item.places)
