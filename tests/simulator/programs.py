"""The programs that stories are told under: documents by hand, and the meaning of their rules in Python.

Each has two or three revisions that differ in rules and ways of acceptance; wallets, tiers and limits' windows stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.simulator.model_program import Document, Form, ModelProgram, Seen

LINE = {
    "line": {"type": "text", "required": True},
    "category": {"type": "text"},
    "quantity": {"type": "number", "places": "3", "min": "0", "required": True},
    "price": {"type": "number", "places": "2", "min": "0", "required": True},
    "subtotal": {"type": "number", "places": "2", "min": "0"},
}
CHECKOUT = {
    "id": "checkout",
    "order": {
        "id": "order_id",
        "amount": "amount",
        "items": "items",
        "line": "line",
        "quantity": "quantity",
        "price": "price",
        "subtotal": "subtotal",
        "burned": "burned",
        "updated_at": "updated_at",
        "auto_accept": "auto_accept",
    },
    "properties": {
        "order_id": {"type": "text"},
        "amount": {"type": "number", "places": "2", "min": "0", "max": "100000", "required": True},
        "category": {"type": "text"},
        "burned": {"type": "number", "places": "0", "min": "0"},
        "updated_at": {"type": "datetime"},
        "auto_accept": {"type": "boolean"},
        "items": {"type": "list", "of": LINE},
    },
}
VISIT = {"id": "visit", "properties": {"amount": {"type": "number", "places": "2", "min": "0", "required": True}}}
NOTE = {"id": "note", "activity": False, "properties": {"amount": {"type": "number", "places": "2", "required": True}}}
PROFILE = {"id": "profile", "properties": {"city": {"type": "text"}}}
EVENT_TYPES = [CHECKOUT, VISIT, NOTE, PROFILE, {"id": "signup", "once": True}]

BASE = {"id": "base", "event_type": "checkout", "award": "properties.amount"}
VISITED = {"id": "visited", "event_type": "visit", "award": "properties.amount"}
WELCOME = {"id": "welcome", "event_type": "signup", "award": "100", "tier_multiplier": False}
LARGE = {"id": "large", "event_type": "checkout", "when": "properties.amount > 100", "award": "50"}
FIRST = {"id": "first", "event_type": "checkout", "when": "customer.orders == 0", "award": "30"}
BOOKS = {
    "id": "books",
    "event_type": "checkout",
    "when": 'has(properties.items) && properties.items.any(i, i.category == "book")',
    "award": '(properties.items ?? []).filter(i, i.category == "book").sum(i, i.price * i.quantity) * 0.5',
}
ITEMS = {
    "id": "items",
    "event_type": "checkout",
    "when": "has(properties.items)",
    "award": "(properties.items ?? []).sum(i, i.quantity) * 3 + properties.amount * 0.1",
}
SUBTOTALS = {
    "id": "subtotals",
    "event_type": "checkout",
    "when": "has(properties.items)",
    "award": "(properties.items ?? []).sum(i, i.subtotal ?? 0)",
}


def _amount(seen: Seen) -> Fraction:
    return seen.number("amount")


def _quantity(item: Mapping[str, object]) -> Fraction:
    return Fraction(str(item["quantity"]))


def _price(item: Mapping[str, object]) -> Fraction:
    return Fraction(str(item["price"]))


def _books(seen: Seen) -> Fraction:
    books = [item for item in seen.items() if item.get("category") == "book"]
    return sum((_price(item) * _quantity(item) for item in books), Fraction(0)) / 2


def _times(number: int | Fraction) -> Form:
    return Form(award=lambda seen: seen.number("amount") * number)


def _flat(points: int) -> Form:
    return Form(award=lambda _: points)


def _is_paid(seen: Seen) -> bool:
    return _amount(seen) > 0


FORMS: Mapping[str, Form] = {
    "base": _times(1),
    "visited": _times(1),
    "welcome": _flat(100),
    "large": Form(when=lambda seen: _amount(seen) > 100, award=lambda _: 50),
    "first": Form(when=lambda seen: seen.c["orders"] == 0, award=lambda _: 30),
    "books": Form(
        when=lambda seen: any(item.get("category") == "book" for item in seen.items()), award=_books, reads_items=True
    ),
    "items": Form(
        when=lambda seen: bool(seen.p.get("items")) or seen.p.get("items") == [],
        award=lambda seen: sum((_quantity(item) for item in seen.items()), Fraction(0)) * 3 + _amount(seen) / 10,
        reads_items=True,
    ),
    "subtotals": Form(
        when=lambda seen: "items" in seen.p,
        award=lambda seen: sum((Fraction(str(item.get("subtotal", 0))) for item in seen.items()), Fraction(0)),
        reads_items=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Kit:
    """A program in its revisions, and which acts suit it."""

    name: str
    documents: Sequence[Document]
    forms: Sequence[Mapping[str, Form]]  # per revision
    weights: Mapping[str, int]  # act → how often; what is not named is as in `workload.py`
    span_days: int = 60  # the longest usual step of the clock

    def program(self, number: int) -> ModelProgram:
        return ModelProgram(document=self.documents[number], forms={**FORMS, **self.forms[number]})


def document(*rules: Mapping[str, object], **sections: object) -> dict[str, object]:
    whole: dict[str, object] = {
        "settings": {"name": "Simulated"},
        "wallets": [{"id": "points"}],
        "event_types": EVENT_TYPES,
        "rules": list(rules),
    }
    return {**whole, **sections}
