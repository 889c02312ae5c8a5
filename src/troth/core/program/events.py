"""The `event_types` section → every event type of the program, declared and built-in.

In: the list of declarations. Out: event types by id, in document order, then the built-in ones that were not declared.
A declaration of a built-in type only extends it: it may add properties and describe, never change what the engine
relies on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from troth import limits
from troth.core.program import EventType, OrderMapping, Property
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES, PROFILE_TYPE, with_levels, with_opening_types
from troth.core.program.fields import Fields
from troth.core.program.order_types import warn_of_differing
from troth.core.program.problem import meant
from troth.core.program.properties import find_property, names_of, read_properties

SCOPES = ("points:write", "customers:write", "events:write", "program:write")
_MAPPED = ("id", "amount", "burned", "updated_at", "auto_accept", "currency", "items")
_MAPPED_IN_ITEMS = ("line", "quantity", "price", "subtotal")
_FIXED = {  # flags the engine relies on, by kind of built-in type
    "system": ("client_allowed", "sensitive", "once", "activity", "strict", "scope", "order"),
    "order": ("client_allowed", "once", "scope", "order"),
    "direct": ("client_allowed", "scope", "order"),
}


def read_event_types(document: Fields, levels: tuple[str, ...]) -> Mapping[str, EventType]:
    """All types by id. `levels` are the ids of the tiers."""
    builtin = with_levels(levels)
    found: dict[str, EventType] = {}
    pointers: dict[str, str] = {}
    for fields in document.items("event_types", limits.EVENT_TYPES):
        declared = _read_type(fields, builtin)
        if declared.id in found:
            fields.error("id", "duplicate_id", f"there is already an event type {declared.id!r}")
        elif declared.id:
            found[declared.id] = declared
            pointers[declared.id] = fields.pointer
    types = found | {type_id: known for type_id, known in builtin.items() if type_id not in found}
    warn_of_differing(types, pointers, document.problems)
    return with_opening_types(types)


def _read_type(fields: Fields, builtin: Mapping[str, EventType]) -> EventType:
    type_id = fields.identifier()
    extended = builtin.get(type_id)
    before = extended or EventType(id=type_id, label=type_id)
    if extended is not None:
        _refuse_fixed(fields, extended)
    properties = read_properties(fields, "properties")
    scope = fields.choice("scope", SCOPES, before.scope or "") or None
    declared = replace(
        before,
        label=fields.text("label", before.label),
        description=fields.text("description", length=limits.PROGRAM_TEXT_LENGTH),
        properties=properties if extended is None else _extend(extended, properties, fields),
        client_allowed=fields.boolean("client_allowed", before.client_allowed),
        sensitive=fields.boolean("sensitive", before.sensitive),
        once=fields.boolean("once", before.once),
        activity=fields.boolean("activity", before.activity),
        member_visible=fields.boolean("member_visible", before.member_visible),
        strict=fields.boolean("strict", before.strict),
        scope=scope,
        order=_read_mapping(fields, properties),
    )
    if declared.client_allowed and declared.scope is not None and extended is None:
        message = f"a publishable key has no scope {declared.scope!r}, so no browser could send this type"
        fields.error("client_allowed", "client_scope", message, "drop client_allowed or scope")
    fields.close()
    return declared


def _kind(known: EventType) -> str:
    if known.system:
        return "system"
    return "order" if known.id in ORDER_FAMILY_TYPES else "direct"


def _refuse_fixed(fields: Fields, extended: EventType) -> None:
    for name in _FIXED[_kind(extended)]:
        if fields.has(name):
            message = f"{extended.id!r} is built in; a declaration only extends it and cannot set {name!r}"
            fields.error(name, "builtin_type", message)


def _extend(extended: EventType, declared: tuple[Property, ...], fields: Fields) -> tuple[Property, ...]:
    """The built-in properties, restated ones as restated, then the added ones."""
    for item in declared:
        pointer = f"properties/{item.name}"
        known = find_property(extended.properties, item.name)
        reason = _clash(item, known) if known is not None else _unfit_addition(item, extended)
        if reason is not None:
            code, message = "builtin_type", f"{extended.id!r} is built in: {reason}"
            fields.problems.error(f"{fields.pointer}/{pointer}", code, message)
    restated = (find_property(declared, known.name) or known for known in extended.properties)
    added = (item for item in declared if find_property(extended.properties, item.name) is None)
    return (*restated, *added)


def _clash(item: Property, known: Property) -> str | None:
    shape = (item.kind, item.places if item.kind == "number" else 0, item.pii, item.required)
    kept = (known.kind, known.places if known.kind == "number" else 0, known.pii, known.required)
    if shape != kept or names_of(item.of)[: len(known.of)] != names_of(known.of):
        return f"its property {item.name!r} keeps its type, places, required and pii"
    return None


def _unfit_addition(item: Property, extended: EventType) -> str | None:
    if item.required and (extended.system or extended.id == PROFILE_TYPE):
        return f"its added property {item.name!r} cannot be required"
    return None


def _read_mapping(fields: Fields, properties: tuple[Property, ...]) -> OrderMapping | None:
    """The order mapping; every name in it is a property of the right kind that rules may read."""
    mapping = fields.child("order")
    if mapping is None:
        return None
    found = {name: _mapped(mapping, name, properties) for name in _MAPPED}
    items = find_property(properties, found["items"] or "")
    for name in _MAPPED_IN_ITEMS:
        if mapping.take(name) is not None and items is None:
            mapping.error(name, "order_mapping", f"{name!r} is a field of the items, which are not mapped")
    if items is not None:
        found |= {name: _mapped(mapping, name, items.of) for name in _MAPPED_IN_ITEMS}
    mapping.close()
    return OrderMapping(**found)


def _mapped(mapping: Fields, name: str, properties: tuple[Property, ...]) -> str | None:
    value = mapping.take(name)
    if value is None:
        return None
    item = find_property(properties, value) if isinstance(value, str) else None
    if item is None:
        hint = meant(value, names_of(properties)) if isinstance(value, str) else "name a property"
        mapping.error(name, "order_mapping", f"there is no property {str(value)[:80]!r}", hint)
        return None
    fits, expected = _FITTING[name]
    if item.pii:
        mapping.error(name, "order_mapping", f"{item.name!r} is personal (pii); an order cannot be judged by it")
    elif not fits(item):
        mapping.error(name, "order_mapping", f"{name!r} must name {expected}, not a {item.kind}")
    return item.name


def _is_text(item: Property) -> bool:
    return item.kind == "text"


def _is_number(item: Property) -> bool:
    return item.kind == "number"


_FITTING: Mapping[str, tuple[Callable[[Property], bool], str]] = {
    "id": (_is_text, "a text"),
    "amount": (_is_number, "a number"),
    "burned": (lambda item: item.kind == "number" and item.places == 0, "a number with 0 places"),
    "updated_at": (lambda item: item.kind == "datetime", "a datetime"),
    "auto_accept": (lambda item: item.kind == "boolean", "a boolean"),
    "currency": (_is_text, "a text"),
    "items": (lambda item: item.kind == "list" and bool(item.of), "a list of objects"),
    "line": (_is_text, "a text"),
    "quantity": (_is_number, "a number"),
    "price": (_is_number, "a number"),
    "subtotal": (_is_number, "a number"),
}
