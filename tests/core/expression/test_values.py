"""What expressions are worth: one line per case, equal in the compiled, the bulk and the traced form."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.core.expression.schema import EVENT, INPUTS, evaluated

EXAMPLES = """
    properties.amount × 1 + (properties.amount > 100 ? 50 : 0)   → 200.00
    properties.category == "electronics"                         → true
    properties.items.sum(i, i.price * i.quantity)                → 22.50000
    customer.orders == 0                                         → true
    customer.count("purchase") == 0                              → true
    event.time.weekday() == 1                                    → true
"""
NUMBERS = """
    1 + 2 * 3                                    → 7
    (1 + 2) * 3                                  → 9
    10 - 3 - 2                                   → 5
    100 / 10 / 5                                 → 2
    2 - -3                                       → 5
    -2 * 3                                       → -6
    1 / 3                                        → 0.33333333
    2 / 3                                        → 0.66666667
    -2 / 3                                       → -0.66666667
    1 / 3 * 3                                    → 1
    0.1 + 0.2                                    → 0.3
    12.50                                        → 12.50
    7 % 3                                        → 1
    -7 % 3                                       → -1
    7 % -3                                       → 1
    properties.change % 2                        → -0.500
    properties.change / 2                        → -1.25000000
    properties.change / 3                        → -0.83333333
    properties.change / -3                       → 0.83333333
    properties.amount / 7                        → 21.42857143
    properties.amount / 100                      → 1.50000000
    properties.amount / max(properties.pieces, 1) → 50.00000000
    properties.amount ÷ 8 − 1                    → 17.75000000
    round(properties.wide, 2)                    → 1.23
    round(properties.change)                     → -3
    properties.change.round()                    → -3
    round(0.5)                                   → 1
    round(-0.5)                                  → -1
    round(1.005, 2)                              → 1.01
    floor(properties.change)                     → -3
    ceil(properties.change)                      → -2
    floor(-0.1)                                  → -1
    ceil(-0.9)                                   → 0
    abs(properties.change)                       → 2.500
    min(properties.amount, 20, 30)               → 20.00
    max(properties.change, -1)                   → -1.000
    clamp(properties.amount, 0, 100)             → 100.00
    clamp(5, 10, 0)                              → 10
    properties.amount > 1000 ? 3 : properties.amount > 100 ? 2 : 1 → 2
    properties.discount ?? 1.5                   → 1.50
    properties.discount ?? properties.rating ?? 0 → 4.00
    has(properties.rating) ? properties.rating * 10 : 0 → 40
    customer.balance + customer.lifetime         → 480
"""
MISSING = """
    properties.discount == null                  → true
    properties.discount != null                  → false
    null == properties.discount                  → true
    has(properties.discount)                     → false
    has(properties.amount)                       → true
    properties.discount == 0                     → false
    properties.discount != 0                     → true
    properties.discount == properties.rating ?? 1 → false
    properties.note == properties.note           → true
    properties.note in ["a", "b"]                → false
    properties.note in ["a", null]               → true
    properties.note not in ["a", "b"]            → true
    properties.gift == true                      → false
    properties.gift ?? true                      → true
    has(properties.discount) && properties.discount > 1 → false
    properties.discount == null || properties.discount > 1 → true
    !has(properties.discount) || properties.discount > 1 → true
    properties.discount != null ? properties.discount < 0 : true → true
    has(properties.address.city) && properties.address.city.lower() == "pécs" → true
    properties.address.floor == null             → true
    properties.rating == 4 && properties.rating + 1 == 5 → true
    customer.attributes.city == "Wien"           → true
"""
TEXTS = """
    properties.sku.startsWith("AB")              → true
    endsWith(properties.sku, '-1')               → true
    contains(properties.sku, "B-")               → true
    lower(properties.sku) == "ab-1"              → true
    upper("é") == "É"                            → true
    “AB-1” == properties.sku                     → true
    properties.sku != ‘AB-1’                     → false
    "a\\"b\\\\" == 'a"b\\\\'                     → true
    properties.sku in ["AB-1", "CD-2"]           → true
    properties.sku in properties.codes           → false
    customer.tier == "gold"                      → true
    customer.tier in ["gold", "silver"]          → true
    "vip" in customer.tags                       → true
    not ("vip" in customer.tags) or false        → false
    not properties.first and true                → true
    !properties.first == true                    → true
    event.type == "purchase"                     → true
"""
TIMES = """
    event.time.weekday()                         → 1
    event.time.hour()                            → 23
    event.time.day()                             → 2
    event.time.month()                           → 3
    event.time.year()                            → 2026
    event.time.date() < properties.shipped.date() → true
    event.time ≤ properties.shipped              → true
    daysBetween(event.time, properties.shipped)  → 2
    daysBetween(properties.shipped, event.time)  → -2
    daysSince(customer.created_at)               → 61
    daysBetween(properties.day ?? event.time.date(), event.time) → 0
    weekday(properties.shipped)                  → 3
"""
LISTS = """
    properties.items.size                        → 2
    properties.items.size()                      → 2
    size(properties.codes)                       → 2
    properties.items.count(i, i.price > 5)       → 1
    properties.items.any(i, i.category == "books") → true
    properties.items.all(i, i.category == "books") → false
    properties.items.filter(i, i.price ≥ 5).sum(j, j.price) → 10.50
    properties.items.filter(i, i.price > 0).filter(i, i.quantity < 2).size → 1
    properties.items.map(i, i.price * 2).sum(p, p) → 23.00
    properties.items.map(i, i.category).any(c, c == null) → true
    "b" in properties.items.map(i, i.sku)        → true
    properties.items.min(i, i.price) ?? 0        → 1.00
    properties.items.max(i, i.weight ?? 0) ?? 0  → 2.5
    properties.items.filter(i, false).max(i, i.price) ?? -1 → -1.00
    properties.items.filter(i, false).all(i, false) → true
    properties.items.any(i, properties.items.any(j, j.price < i.price)) → true
    properties.items.sum(i, i.sku in properties.codes ? 1 : 0) → 0
    [1, 2.5].sum(n, n)                           → 3.5
    properties.pieces in [1, 2, 3]               → true
    2 in properties.scores                       → true
    properties.amount in properties.scores       → false
    properties.change in properties.scores       → false
    [].sum(i, 1)                                 → 0
"""
NOTHING_SENT = """
    properties.items.sum(i, i.price)             → 0.00
    properties.items.size                        → 0
    properties.items.any(i, true)                → false
    (properties.items ?? []).count(i, true)      → 0
    1 in properties.scores                       → false
    "vip" in customer.tags                       → false
    customer.tier == "gold"                      → false
    customer.tier == null                        → true
    properties.address.city == null              → true
    has(properties.address.floor)                → false
"""


def cases(table: str) -> list[tuple[str, object]]:
    words: dict[str, object] = {"true": True, "false": False}
    lines = [line.rsplit("→", 1) for line in table.strip().splitlines()]
    return [(source.strip(), words.get(result.strip(), result.strip())) for source, result in lines]


@pytest.mark.parametrize(
    ("source", "result"), [case for table in (EXAMPLES, NUMBERS, MISSING, TEXTS, TIMES, LISTS) for case in cases(table)]
)
def test_value(source: str, result: object) -> None:
    assert evaluated(source) == result


@pytest.mark.parametrize(("source", "result"), cases(NOTHING_SENT))
def test_value_where_nothing_optional_was_sent(source: str, result: object) -> None:
    optional = ("items", "scores", "address")
    event = {name: value for name, value in EVENT.items() if name not in optional}
    inputs = {name: value for name, value in INPUTS.items() if name not in ("customer.tags", "customer.tier")}
    assert evaluated(source, event, inputs) == result


@pytest.mark.parametrize(("day", "number"), [(2, 1), (3, 2), (7, 6), (8, 7)])
def test_weeks_begin_on_monday_which_is_1(day: int, number: int) -> None:
    inputs = {**INPUTS, "event.time": datetime.fromisoformat(f"2026-03-{day:02}T12:00")}
    assert evaluated("event.time.weekday()", EVENT, inputs) == str(number)
