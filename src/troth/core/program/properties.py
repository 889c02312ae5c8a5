"""Property schemas: the `properties` of an event type → `Property` records.

In: a mapping of names to schemas. Out: properties in declared order. Every default is a value its own schema accepts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Literal, TypedDict, cast
from zoneinfo import ZoneInfo

from troth import limits
from troth.core.coercion import Reading, read_fields
from troth.core.program import Property, PropertyKind
from troth.core.program.fields import Fields, decimal_places
from troth.core.program.problem import pointer_to

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME_HINT = "letters, digits and '_', not beginning with a digit, so that rules can read it"
_RESERVED = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_KINDS = ("number", "text", "boolean", "date", "datetime", "list", "object")
_WIDEST = Decimal(10**limits.NUMBER_DIGITS)
_UTC = ZoneInfo("UTC")


def read_properties(fields: Fields, name: str) -> tuple[Property, ...]:
    """The schemas under `name`, in the order written."""
    child = fields.child(name)
    return () if child is None else _read_members(child, depth=0)


def _read_members(fields: Fields, *, depth: int) -> tuple[Property, ...]:
    found: list[Property] = []
    for name, raw in fields.members():
        if len(found) == limits.PROPERTIES:
            fields.error("", "too_many", f"at most {limits.PROPERTIES} properties are allowed here")
            break
        if _is_name(name, fields):
            found.append(_read_property(name, Fields(raw, fields.at(name), fields.problems), depth))
    return tuple(found)


def _is_name(name: str, fields: Fields) -> bool:
    if len(name) > limits.PROGRAM_ID_LENGTH:
        fields.error(name, "too_long", f"a property name has at most {limits.PROGRAM_ID_LENGTH} characters")
        return False
    if not _NAME.fullmatch(name) or name in _RESERVED:
        reason = "a word of the rule language" if name in _RESERVED else "no property name"
        fields.error(name, "invalid_id", f"{name!r} is {reason}", _NAME_HINT)
        return False
    return True


def _read_property(name: str, fields: Fields, depth: int) -> Property:
    if not fields.has("type"):
        hint = "name the type: " + ", ".join(_KINDS)
        fields.error("", "required", f"the property {name!r} has no 'type'", hint)
    kind = cast("PropertyKind", fields.choice("type", _KINDS, "text"))
    pii = fields.boolean("pii", False)
    if pii and depth:
        fields.error("pii", "pii_nested", f"{name!r} is part of a list or object", "mark the whole property as pii")
    found = Property(
        name=name,
        kind=kind,
        required=fields.boolean("required", False),
        label=fields.text("label"),
        description=fields.text("description", length=limits.PROGRAM_TEXT_LENGTH),
        pii=pii,
        **_shape(kind, fields, depth),
    )
    default = _default(found, fields)
    fields.close()
    return found if default is None else replace(found, default=default)


class _Shape(TypedDict, total=False):
    """What a kind of property says besides; as in `Property`."""

    places: int
    minimum: Decimal
    maximum: Decimal
    excess_places: Literal["reject", "round"]
    enum: tuple[str, ...]
    max_length: int
    max_items: int
    of: tuple[Property, ...]
    item: Property


def _shape(kind: PropertyKind, fields: Fields, depth: int) -> _Shape:
    match kind:
        case "number":
            return _number(fields)
        case "text":
            return _text(fields)
        case "list":
            return _list(fields, depth)
        case "object":
            return {"of": _object_fields(fields, depth)}
        case _:
            return {}


def _number(fields: Fields) -> _Shape:
    places = fields.whole("places", 4, least=0, most=limits.NUMBER_PLACES)
    bound = partial(fields.decimal, least=-_WIDEST, most=_WIDEST, places=limits.NUMBER_PLACES)
    minimum, maximum = bound("min", Decimal(-(10**12))), bound("max", Decimal(10**12))
    if minimum > maximum:
        fields.error("min" if fields.has("min") else "max", "out_of_range", f"min {minimum} is above max {maximum}")
    for name, edge in (("min", minimum), ("max", maximum)):
        if edge.adjusted() + 1 + places > limits.NUMBER_DIGITS:
            message = f"{name} {edge} with {places} places has more than {limits.NUMBER_DIGITS} digits"
            fields.error(name if fields.has(name) else "places", "out_of_range", message)
        if decimal_places(edge) > places:
            fields.error(name, "too_many_places", f"{name} {edge} has more places than the {places} of this property")
    excess = cast("Literal['reject', 'round']", fields.choice("excess_places", ("reject", "round"), "reject"))
    return {"places": places, "minimum": minimum, "maximum": maximum, "excess_places": excess}


def _text(fields: Fields) -> _Shape:
    length = fields.whole("max_length", limits.TEXT_LENGTH, least=1, most=limits.PROPERTY_TEXT_LENGTH)
    return {"max_length": length, "enum": _enum(fields, length)}


def _enum(fields: Fields, length: int) -> tuple[str, ...]:
    found: list[str] = []
    for index, value in enumerate(fields.values("enum", limits.ENUM_VALUES)):
        pointer = pointer_to(fields.at("enum"), index)
        if not isinstance(value, str):
            fields.problems.error(pointer, "type", "text is expected here", "put it in quotes")
        elif len(value) > length:
            fields.problems.error(pointer, "too_long", f"longer than the max_length of {length}")
        elif value in found:
            fields.problems.error(pointer, "duplicate_value", f"{value!r} is listed more than once")
        else:
            found.append(value)
    return tuple(found)


def _list(fields: Fields, depth: int) -> _Shape:
    most = fields.whole("max_items", limits.LIST_ITEMS, least=1, most=limits.PROPERTY_LIST_ITEMS)
    of = fields.take("of", required=True)
    if of is None or _is_too_deep(fields, depth):
        return {"max_items": most}
    element = Fields(of, fields.at("of"), fields.problems)
    if isinstance(of, dict) and isinstance(of.get("type"), str):
        return {"max_items": most, **_list_of_values(element, depth)}
    return {"max_items": most, "of": _read_members(element, depth=depth + 1)}


def _list_of_values(element: Fields, depth: int) -> _Shape:
    """`of: {type: text}` is a list of values; `of: {type: object, of: …}` is the long form of a list of objects."""
    for name in ("required", "default", "pii"):
        if element.has(name):
            element.error(name, "unknown_field", f"{name!r} does not apply to the values of a list")
    item = _read_property("", element, depth + 1)
    if item.kind == "list":
        element.error("type", "type", "a list of lists is not known", "make it a list of objects that hold a list")
    return {"of": item.of} if item.kind == "object" else {"item": item}


def _object_fields(fields: Fields, depth: int) -> tuple[Property, ...]:
    child = fields.child("of")
    if child is None:
        fields.error("", "required", "'of' is missing", "name the fields of the object")
        return ()
    return () if _is_too_deep(fields, depth) else _read_members(child, depth=depth + 1)


def _is_too_deep(fields: Fields, depth: int) -> bool:
    if depth < limits.PROPERTY_DEPTH:
        return False
    fields.error("", "too_deep", f"lists and objects may stand {limits.PROPERTY_DEPTH} deep within each other")
    return True


def _default(shaped: Property, fields: Fields) -> object:
    """The default as written, once the schema has accepted it."""
    default = fields.take("default")
    if default is None:
        return None
    reading = Reading(_UTC, [])
    read_fields((replace(shaped, required=False),), {shaped.name: default}, "", reading)
    for problem in reading.problems:
        inner = problem.pointer.partition("/")[2].partition("/")[2]
        pointer = fields.at("default") + (f"/{inner}" if inner else "")
        fields.problems.error(pointer, "default", f"the default does not fit: {problem.detail}")
    if isinstance(default, list | dict) and default:
        fields.error("default", "default", "only an empty list can be the default of a list")
    return default


def find_property(properties: tuple[Property, ...], name: str) -> Property | None:
    return next((known for known in properties if known.name == name), None)


def names_of(properties: tuple[Property, ...]) -> tuple[str, ...]:
    return tuple(known.name for known in properties)
