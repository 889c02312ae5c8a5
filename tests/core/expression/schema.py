"""One event type with every kind of property, and an event of it, for the tests of the rule language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from troth.core.expression import Checked, Scope, check, common_to, compile_expression, scope_for, trace
from troth.core.program import EventType, Property, PropertyKind


def prop(name: str, kind: PropertyKind, **rest: Any) -> Property:
    return Property(name=name, kind=kind, **rest)


ITEM = (
    prop("sku", "text", required=True),
    prop("price", "number", places=2, minimum=Decimal(0), maximum=Decimal(10_000), required=True),
    prop("quantity", "number", places=3, minimum=Decimal(-100), maximum=Decimal(100), required=True),
    prop("category", "text", enum=("books", "toys")),
    prop("weight", "number", places=1, minimum=Decimal(0), maximum=Decimal(50)),
    prop("note", "text", pii=True),
)
PROPERTIES = (
    prop("amount", "number", places=2, minimum=Decimal(0), maximum=Decimal(1_000_000), required=True),
    prop("change", "number", places=3, minimum=Decimal(-5_000), maximum=Decimal(5_000), required=True),
    prop("pieces", "number", places=0, minimum=Decimal(0), maximum=Decimal(100), default=1),
    prop("rating", "number", places=0, minimum=Decimal(1), maximum=Decimal(5)),
    prop("discount", "number", places=2, minimum=Decimal(-100), maximum=Decimal(100)),
    prop("wide", "number", places=4, required=True),
    prop("category", "text", enum=("electronics", "books", "toys")),
    prop("sku", "text", required=True),
    prop("note", "text"),
    prop("first", "boolean", default=False),
    prop("gift", "boolean"),
    prop("day", "date"),
    prop("shipped", "datetime", required=True),
    prop("items", "list", of=ITEM, max_items=20),
    prop("scores", "list", item=prop("", "number", places=1, minimum=Decimal(0), maximum=Decimal(10)), max_items=10),
    prop("codes", "list", item=prop("", "text"), required=True, max_items=10),
    prop("address", "object", of=(prop("city", "text", required=True), prop("floor", "number", places=0))),
    prop("email", "text", pii=True),
)
TAGS = prop("tags", "list", item=prop("", "text"))
SCOPE: Scope = scope_for(
    EventType(id="purchase", label="Purchase", properties=PROPERTIES),
    common_to(
        profile=EventType(
            id="profile",
            label="Profile",
            properties=(prop("city", "text", default="Pécs"), TAGS, prop("name", "text", pii=True)),
        ),
        levels=("silver", "gold"),
        event_types={"signup", "purchase"},
    ),
)
EVENT: Mapping[str, object] = {
    "amount": 15_000,
    "change": -2_500,
    "pieces": 3,
    "rating": 4,
    "wide": 12_345,
    "category": "electronics",
    "sku": "AB-1",
    "first": False,
    "shipped": datetime.fromisoformat("2026-03-04T18:30"),
    "items": (("a", 1_050, 2_000, "books", None, None), ("b", 100, 1_500, None, 25, None)),
    "scores": (15, 20),
    "codes": ("x", "y"),
    "address": ("Pécs", None),
}
INPUTS: Mapping[str, object] = {
    "event.type": "purchase",
    "event.time": datetime.fromisoformat("2026-03-02T23:15"),  # a Monday
    "customer.tier": "gold",
    "customer.balance": -20,
    "customer.lifetime": 500,
    "customer.created_at": datetime.fromisoformat("2025-12-31T01:00"),
    "customer.tags": ("vip", "news"),
    "customer.orders": 0,
    'customer.count("purchase")': 0,
    'customer.count("signup")': 1,
    "customer.attributes.city": "Wien",
}


def values_of(event: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(event.get(each.name) for each in PROPERTIES)


def inputs_of(inputs: Mapping[str, object]) -> list[object]:
    return [inputs.get(name) for name in SCOPE.inputs]


def accepted(source: str) -> Checked:
    """A formula or a condition, whichever it is."""
    checked = check(source, SCOPE, "number")
    if not checked.ok:
        checked = check(source, SCOPE, "condition")
    assert checked.ok, [str(found) for found in checked.diagnostics]
    return checked


def evaluated(source: str, event: Mapping[str, object] = EVENT, inputs: Mapping[str, object] = INPUTS) -> object:
    """The value as it is shown, after the compiled, the bulk and the traced form agreed on it."""
    checked = accepted(source)
    compiled = compile_expression(checked)
    values, given = values_of(event), inputs_of(inputs)
    result = compiled.function(values, given)
    assert compiled.bulk([values, values], [given, given]) == [result, result]
    shown = trace(checked, values, given)[0].value
    assert (f"{Decimal(result).scaleb(-compiled.places):f}" if type(result) is int else result) == shown
    return shown
