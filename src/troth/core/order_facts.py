"""Order events → facts: what each says about its order, drawn from its type, time and stored properties alone.

In: the properties of an event in stored form, personal ones left out. Out: a `Fact`, with the stamp and the hash by
which the newest of two is told, whatever the order of their arrival (semantics.md §5.1). Never asks what is known of
the order already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import assert_never
from uuid import UUID

import msgspec

from troth.core.coercion import as_decimal, parse_moment
from troth.core.order_state import Fact, FactKind, RefundItem
from troth.core.program import EventType, Property

_KINDS: Mapping[str, FactKind] = {
    "checkout_update": "content",
    "checkout_accept": "accept",
    "checkout_reject": "reject",
    "refund": "refund",
    "partial_refund": "partial",
}  # builtin_types.ORDER_FAMILY_TYPES; every other type with a fact opens orders
_STORED = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_encode = msgspec.json.Encoder(order="sorted").encode


# Reading


def read_fact(
    event_type: EventType,
    opening: EventType | None,
    *,
    event_id: UUID,
    occurred_at: datetime,
    properties: Mapping[str, object],
) -> Fact:
    """The fact of an order event.

    `opening`: of a content, the opening type whose mapping and schema read it; None: the event's own type.
    Both types are those of the revision that coerced `properties`; other kinds of facts do not read `opening`.
    """
    kind = _KINDS.get(event_type.id, "content")
    plain = Fact(event_id=event_id, kind=kind, occurred_at=occurred_at, stamp=occurred_at, hash="")
    match kind:
        case "content":
            content = _content_of(event_type, opening or event_type, properties)
            return _read_content(plain, opening or event_type, content)
        case "partial":
            return _read_partial(plain, event_type, properties)
        case "accept" | "reject" | "refund":
            return msgspec.structs.replace(plain, hash=canonical_hash(event_type, properties))
        case _:
            assert_never(kind)


def _content_of(event_type: EventType, opening: EventType, properties: Mapping[str, object]) -> Mapping[str, object]:
    """What a `checkout_update` says of the order: without what only names it, which goes under the opening type's own
    id property, so that it equals the content of an opening event that says the same."""
    if event_type.id != "checkout_update":
        return properties
    content = {name: value for name, value in properties.items() if name not in ("order_id", "order_type")}
    order_id = properties.get("order_id")
    if opening.order is not None and opening.order.id is not None and order_id is not None:
        content.setdefault(opening.order.id, order_id)
    return content


def _read_content(plain: Fact, opening: EventType, content: Mapping[str, object]) -> Fact:
    mapping = opening.order
    assert mapping is not None, f"{opening.id} opens no orders"
    renewed = parse_moment(content.get(mapping.updated_at)) if mapping.updated_at else None
    accepts = content.get(mapping.auto_accept) if mapping.auto_accept else None
    return msgspec.structs.replace(
        plain,
        stamp=renewed or plain.occurred_at,
        hash=canonical_hash(opening, content, without=mapping.updated_at),
        properties=content,
        auto_accept=accepts if isinstance(accepts, bool) else None,
    )


def _read_partial(plain: Fact, event_type: EventType, properties: Mapping[str, object]) -> Fact:
    items = properties.get("items")
    return msgspec.structs.replace(
        plain,
        hash=canonical_hash(event_type, properties),
        identity=_text(properties, "refund_id") or f"evt:{plain.event_id.hex}",
        amount=_text(properties, "amount"),
        points=int(_text(properties, "points") or 0),
        items=tuple(_read_item(item) for item in items) if isinstance(items, list) else (),
    )


def _read_item(item: object) -> RefundItem:
    assert isinstance(item, Mapping), "a list of objects, by its schema"
    line = _text(item, "line")
    return RefundItem(
        line=line or _text(item, "product_id") or "",
        quantity=_text(item, "quantity"),
        amount=_text(item, "amount"),
        is_product=not line,
    )


def _text(properties: Mapping[str, object], name: str) -> str | None:
    """A text, or a declared number: both are stored as text."""
    value = properties.get(name)
    return value if isinstance(value, str) else None


# Which of two counts


def is_newer(new: Fact, old: Fact) -> bool:
    """Whether `new` takes the place of `old`: by its stamp, at equal stamps by its hash."""
    return (new.stamp, new.hash) > (old.stamp, old.hash)


def is_same_content(new: Fact, old: Fact) -> bool:
    """Whether both say the same, whenever they said it (semantics-answers.md 43)."""
    return new.hash == old.hash


def merge(refunds: tuple[Fact, ...], new: Fact) -> tuple[Fact, ...]:
    """The refunds with `new` among them: of each identity the newest, by (occurred_at, identity, hash)."""
    found = {refund.identity: refund for refund in refunds}
    known = found.get(new.identity)
    if known is None or is_newer(new, known):
        found[new.identity] = new
    return tuple(sorted(found.values(), key=lambda fact: (fact.occurred_at, fact.identity, fact.hash)))


# Canonical form


def canonical_hash(event_type: EventType, properties: Mapping[str, object], without: str | None = None) -> str:
    """SHA-256, in hexadecimal, of the properties but `without`, as JSON with sorted keys and no white space.

    Numbers are their shortest decimal text: 10, 10.0 and a declared "10.00" are one. `event_type` tells which texts
    are declared numbers, in lists and objects too; it is the type by which `properties` were coerced.
    """
    kept = {name: value for name, value in properties.items() if name != without}
    return sha256(_encode(_canonical_members(kept, _by_name(event_type.properties)))).hexdigest()


Fields = Mapping[str, Property]
_NO_FIELDS: Fields = {}


def _by_name(declared: tuple[Property, ...]) -> Fields:
    return {field.name: field for field in declared}


def _canonical_members(members: Mapping[str, object], fields: Fields) -> dict[str, object]:
    return {name: _canonical(value, fields.get(name)) for name, value in members.items()}


def _canonical(value: object, field: Property | None) -> object:
    if isinstance(value, str):
        return _canonical_number(value) if field is not None and field.kind == "number" else value
    if isinstance(value, Mapping):
        return _canonical_members(value, _NO_FIELDS if field is None else _by_name(field.of))
    if isinstance(value, list):
        return _canonical_list(value, field)
    if value is None or isinstance(value, bool):
        return value
    assert isinstance(value, int | Decimal), f"{type(value).__name__} is no stored value"  # a float least of all
    return _shortest(format(Decimal(value), "f"))  # which rounds nothing


def _canonical_list(values: list[object], field: Property | None) -> list[object]:
    fields = _NO_FIELDS if field is None else _by_name(field.of)
    element = None if field is None else field.item
    return [
        _canonical_members(value, fields) if isinstance(value, Mapping) else _canonical(value, element)
        for value in values
    ]


def _canonical_number(text: str) -> object:
    """A declared number as it is stored; what is none stays text."""
    if _STORED.fullmatch(text):
        return _shortest(text)
    number = as_decimal(text)
    return _shortest(format(number, "f")) if isinstance(number, Decimal) else text


def _shortest(text: str) -> msgspec.Raw:
    """Plain decimal text without zeros at the end."""
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return msgspec.Raw(b"0" if text == "-0" else text.encode())
