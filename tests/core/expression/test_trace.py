"""A trace tells every part of a rule that was looked at, outermost first, to the last digit."""

from __future__ import annotations

import pytest

from tests.core.expression.schema import EVENT, INPUTS, accepted, inputs_of, values_of
from troth import limits
from troth.core.expression import trace
from troth.core.expression.trace import decimal_text

STORY = """
properties.amount × 1 + (properties.amount > 100 ? 50 : 0)
    number 200.00 | properties.amount × 1 + (properties.amount > 100 ? 50 : 0)
    number 150.00 | properties.amount × 1
    number 50 | (properties.amount > 100 ? 50 : 0)
    boolean True | properties.amount > 100
    number 150.00 | properties.amount
properties.first && properties.amount > 100
    boolean False | properties.first && properties.amount > 100
    boolean False | properties.first
properties.first || properties.category == "electronics"
    boolean True | properties.first || properties.category == "electronics"
    boolean False | properties.first
    boolean True | properties.category == "electronics"
    text electronics | properties.category
properties.items.sum(i, i.price * i.quantity)
    number 22.50000 | properties.items.sum(i, i.price * i.quantity)
    list 2 items | properties.items
    number 21.00000 | i.price * i.quantity
    number 10.50 | i.price
    number 2.000 | i.quantity
    number 1.50000 | i.price * i.quantity
    number 1.00 | i.price
    number 1.500 | i.quantity
properties.discount ?? 1.5
    number 1.50 | properties.discount ?? 1.5
    number None | properties.discount
daysSince(properties.shipped) + customer.orders
    number -2 | daysSince(properties.shipped) + customer.orders
    number -2 | daysSince(properties.shipped)
    datetime 2026-03-04T18:30:00 | properties.shipped
    number 0 | customer.orders
has(properties.day) ? properties.day == event.time.date() : customer.tier == "gold"
    boolean True | has(properties.day) ? properties.day == event.time.date() : customer.tier == "gold"
    boolean False | has(properties.day)
    date None | properties.day
    boolean True | customer.tier == "gold"
    text gold | customer.tier
1 / 3 * 3
    number 1 | 1 / 3 * 3
"""


def stories() -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in STORY.strip().splitlines():
        if line.startswith("    "):
            found[-1][1].append(line.strip())
        else:
            found.append((line, []))
    return found


@pytest.mark.parametrize(("source", "wanted"), stories())
def test_story(source: str, wanted: list[str]) -> None:
    steps = trace(accepted(source), values_of(EVENT), inputs_of(INPUTS))
    assert [f"{step.type} {short(step.value)} | {step.text}" for step in steps] == wanted
    assert all(step.text == source[step.start : step.end] for step in steps)


def short(value: object) -> object:
    return f"{len(value)} items" if isinstance(value, list) else value


def test_values_are_shown_whole_without_personal_ones() -> None:
    event = {**EVENT, "items": (("a", 1_050, 2_000, None, 5, "a secret"),)}
    shown = trace(accepted("properties.items.size"), values_of(event), inputs_of(INPUTS))[1].value
    assert shown == [{"sku": "a", "price": "10.50", "quantity": "2.000", "category": None, "weight": "0.5"}]


def test_steps_are_bounded() -> None:
    event = {**EVENT, "items": (("a", 1, 1, None, None, None),) * 20}
    source = "properties.items.sum(i, properties.items.sum(j, i.price * j.price))"
    steps = trace(accepted(source), values_of(event), inputs_of(INPUTS))
    assert len(steps) == limits.EXPRESSION_TRACE
    assert steps[0].value == "0.0400"


@pytest.mark.parametrize(
    ("units", "places", "text"),
    [
        (0, 0, "0"),
        (5, 0, "5"),
        (-5, 2, "-0.05"),
        (0, 2, "0.00"),
        (1_234, 2, "12.34"),
        (-(10**35), 16, f"-1{'0' * 19}.{'0' * 16}"),
    ],
)
def test_decimal_text(units: int, places: int, text: str) -> None:
    assert decimal_text(units, places) == text
