"""An event type shown as the document would declare it: built-in types have no declaration of their own to show.

In: an `EventType`. Out: a plain item, defaults left out; reading it again gives the same type.
"""

from __future__ import annotations

from dataclasses import fields

from troth.core.program import EventType, OrderMapping, Property

_PLAIN = Property(name="", kind="text")
_NAMES = {"minimum": "min", "maximum": "max"}  # record → document
_FLAGS = ("client_allowed", "sensitive", "once", "strict")


def show_event_type(known: EventType) -> dict[str, object]:
    shown: dict[str, object] = {"id": known.id, "label": known.label}
    shown |= {"description": known.description} if known.description else {}
    shown |= {flag: True for flag in _FLAGS if getattr(known, flag)}
    shown |= {} if known.member_visible else {"member_visible": False}
    shown |= {} if known.activity else {"activity": False}
    shown |= {"scope": known.scope} if known.scope else {}
    shown |= {"order": _show_mapping(known.order)} if known.order else {}
    return shown | {"properties": show_properties(known.properties)}


def show_properties(properties: tuple[Property, ...]) -> dict[str, object]:
    return {item.name: _show_property(item) for item in properties}


def _show_mapping(mapping: OrderMapping) -> dict[str, object]:
    pairs = ((field.name, getattr(mapping, field.name)) for field in fields(mapping))
    return {name: value for name, value in pairs if value is not None}


def _show_property(item: Property) -> dict[str, object]:
    shown: dict[str, object] = {"type": item.kind}
    for field in fields(item):
        value = getattr(item, field.name)
        if field.name not in {"name", "kind", "of", "item"} and value != getattr(_PLAIN, field.name):
            shown[_NAMES.get(field.name, field.name)] = _show_value(field.name, value)
    if item.of:
        shown["of"] = show_properties(item.of)
    if item.item is not None:
        shown["of"] = _show_property(item.item)
    return shown


def _show_value(name: str, value: object) -> object:
    if name in {"minimum", "maximum"}:
        return format(value, "f")
    return list(value) if isinstance(value, tuple) else value
