"""What the names of a rule mean: the properties of its event type, and the inputs beside them.

In: parts of a program. Out: what all its rules share, built once, and a `Scope` for each event type. The layout of
`inputs` depends on the program alone, never on the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from troth import limits
from troth.core.expression.types import DateTime, Field, ListOf, Number, Text, Type, field_of
from troth.core.program import EventType

_TAGS = "tags"
_COUNT = Number(0, 0, limits.COUNT_MAX)
_POINTS = Number(0, -limits.BALANCE_POINTS, limits.BALANCE_POINTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One readable value."""

    type: Type
    optional: bool  # may be missing
    source: Literal["property", "input"]
    slot: int
    read: str  # as it stands in `Checked.property_reads` or `Checked.reads`
    pii: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    namespaces: Mapping[str, Mapping[str, Entry]]  # properties, customer, customer.attributes, event
    counts: Mapping[str, Entry]  # customer.count(…) by event type
    inputs: tuple[str, ...]  # every input name a rule may read, in slot order


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What rules of a program may read besides the properties of their event type."""

    namespaces: Mapping[str, Mapping[str, Entry]]  # customer, customer.attributes, event
    counts: Mapping[str, Entry]
    inputs: tuple[str, ...]


def common_to(*, profile: EventType, levels: tuple[str, ...], event_types: Collection[str]) -> Common:
    """What all rules of a program share.

    `profile` declares the customer's attributes and tags, `levels` are the tier ids (empty: no tiers),
    `event_types` the ids that `customer.count` knows.
    """
    tags = next((field_of(each).type for each in profile.properties if each.name == _TAGS), None)
    inputs = _Inputs()
    event = {
        "type": inputs.entry("event.type", Text()),
        "time": inputs.entry("event.time", DateTime()),
    }
    customer = {
        "tier": inputs.entry("customer.tier", Text(frozenset(levels)), optional=True),
        "balance": inputs.entry("customer.balance", _POINTS),
        "lifetime": inputs.entry("customer.lifetime", _POINTS),
        "created_at": inputs.entry("customer.created_at", DateTime()),
        "tags": inputs.entry("customer.tags", tags if isinstance(tags, ListOf) else _any_tags(), optional=True),
        "orders": inputs.entry("customer.orders", _COUNT),
    }
    counts = {each: inputs.entry(f'customer.count("{each}")', _COUNT) for each in sorted(event_types)}
    attributes = {
        each.name: inputs.entry(f"customer.attributes.{each.name}", field_of(each).type, optional=True, pii=each.pii)
        for each in profile.properties
        if each.name != _TAGS
    }
    namespaces = {"customer": customer, "customer.attributes": attributes, "event": event}
    return Common(namespaces=namespaces, counts=counts, inputs=tuple(inputs.names))


def scope_for(event_type: EventType, common: Common) -> Scope:
    """The scope of rules on `event_type`."""
    properties = {each.name: _property(slot, field_of(each)) for slot, each in enumerate(event_type.properties)}
    event = common.namespaces["event"]
    own = {**event, "type": replace(event["type"], type=Text(frozenset({event_type.id})))}
    namespaces = {"properties": properties, **common.namespaces, "event": own}
    return Scope(namespaces=namespaces, counts=common.counts, inputs=common.inputs)


class _Inputs:
    def __init__(self) -> None:
        self.names: list[str] = []

    def entry(self, name: str, kind: Type, *, optional: bool = False, pii: bool = False) -> Entry:
        slot = len(self.names)
        if not pii:
            self.names.append(name)
        return Entry(type=kind, optional=optional, source="input", slot=slot, read=name, pii=pii)


def _property(slot: int, field: Field) -> Entry:
    return Entry(type=field.type, optional=field.optional, source="property", slot=slot, read=field.name, pii=field.pii)


def _any_tags() -> ListOf:
    return ListOf(Text(), limits.LIST_ITEMS)
