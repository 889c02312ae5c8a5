"""What holds of an order at any time: bounds its rules are checked by, and what one update type can carry."""

from __future__ import annotations

from decimal import Decimal

import pytest

from troth.core.program.builtin_types import BUILTIN_TYPES
from troth.core.program.document import Validated, validate_document
from troth.core.program.order_types import as_judged
from troth.core.program.text import parse_document

OPENING = """
event_types:
  - id: purchase
    order: {id: order_id, amount: amount, items: items, quantity: quantity, subtotal: subtotal, price: price}
    properties:
      order_id: {type: text}
      amount: {type: number, places: 2, min: 10, required: true}
      shipping: {type: number, places: 2, min: 10, required: true}
      items:
        type: list
        of:
          quantity: {type: number, places: 0, min: 2, required: true}
          price: {type: number, places: 2, min: 5, required: true}
          subtotal: {type: number, places: 2, min: 5, required: true}
rules: [{id: r, event_type: purchase, award: "AWARD"}]
"""


def validate(text: str) -> Validated:
    parsed = parse_document(text)
    assert not parsed.problems, parsed.problems
    return validate_document(parsed.raw, revision=1)


def test_refunds_lower_what_is_mapped() -> None:
    program = validate(OPENING.replace("AWARD", "1")).program
    assert program is not None
    declared = program.event_types["purchase"]
    judged = {item.name: item for item in as_judged(declared).properties}
    line = {item.name: item.minimum for item in judged["items"].of}
    assert (judged["amount"].minimum, judged["shipping"].minimum) == (Decimal("0.01"), Decimal(10))
    assert line == {"quantity": Decimal(1), "price": Decimal(5), "subtotal": Decimal("0.01")}
    assert [item.name for item in as_judged(declared).properties] == [item.name for item in declared.properties]
    assert next(item.minimum for item in declared.properties if item.name == "amount") == 10, "as it is sent"


def test_what_opens_no_orders_is_judged_as_it_is() -> None:
    for known in BUILTIN_TYPES.values():
        assert as_judged(known) is known


AWARDS = [  # a published rule cannot fail, whatever is refunded later
    ("100 / properties.amount", []),
    ("100 / properties.shipping", []),
    ("100 / (properties.amount - 5)", ["division_by_zero"]),
    ("100 / (properties.shipping - 5)", []),
    ("properties.items.sum(i, i.subtotal / i.quantity)", []),
    ("properties.items.sum(i, i.subtotal / (i.quantity - 1))", ["division_by_zero"]),
    ("properties.items.sum(i, i.quantity / i.price)", []),
    ("properties.items.sum(i, i.quantity / i.subtotal)", []),
    ("properties.items.sum(i, i.quantity / (i.subtotal - 1))", ["division_by_zero"]),
    ("properties.items.sum(i, i.quantity / max(i.subtotal - 1, 0.01))", []),
]


@pytest.mark.parametrize(("award", "codes"), AWARDS, ids=[award for award, _ in AWARDS])
def test_rules_of_orders_are_checked_by_what_an_order_can_become(award: str, codes: list[str]) -> None:
    found = validate(OPENING.replace("AWARD", award).replace("of:", "required: true\n        of:"))
    assert [problem.code for problem in found.errors] == codes


def opening(number: int, schema: str) -> str:
    return (
        f"  - {{id: t{number}, order: {{id: id{number}}}, properties: {{id{number}: {{type: text}}, p: {schema}}}}}\n"
    )


SCHEMAS = [
    ("{type: text}", "{type: text, max_length: 5, enum: [a]}", []),
    ("{type: number, places: 2}", "{type: number, places: 2, min: 0, required: true}", []),
    ("{type: number, places: 2}", "{type: number, places: 0}", []),
    ("{type: number, places: 0}", "{type: number, places: 2}", ["/event_types/1/properties/p"]),
    ("{type: text}", "{type: number}", ["/event_types/1/properties/p"]),
    ("{type: list, of: {type: text}}", "{type: text}", ["/event_types/1/properties/p"]),
]


@pytest.mark.parametrize(("first", "second", "pointers"), SCHEMAS)
def test_one_update_type_reads_a_property_one_way(first: str, second: str, pointers: list[str]) -> None:
    found = validate("event_types:\n" + opening(0, first) + opening(1, second))
    assert found.errors == ()
    assert [(problem.code, problem.pointer) for problem in found.warnings] == [
        ("differing_property", pointer) for pointer in pointers
    ]


def test_a_property_may_differ_from_the_update_type_s_own() -> None:
    text = "event_types: [{id: t, order: {}, properties: {order_id: {type: number}}}]"
    assert [problem.pointer for problem in validate(text).warnings] == ["/event_types/0/properties/order_id"]
    assert validate(text.replace("order: {}, ", "")).warnings == ()
