"""How long a rule takes, beside a hand-written lambda over Decimal for the same rule in the same run.

    .venv/bin/python bench/rules.py [--quick]

Prints one line per rule: nanoseconds of the lambda, and the ratios of the compiled function and of its bulk form to it.
Must be ≤ 1.0; aim ≤ 0.4, bulk ≤ 0.2. Exits 1 when the must is missed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from troth.core.expression import check, common_to, compile_expression, scope_for
from troth.core.program import EventType, Property

Row = dict[str, object]
_FIFTY, _NONE, _HUNDRED, _TWO, _TEN = Decimal(50), Decimal(0), Decimal(100), Decimal(2), Decimal(10)
_EIGHT_PLACES = Decimal("0.00000001")
EVENTS = 1_000
MUST, AIM = 1.0, 0.4


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    source: str
    expected: str
    by_hand: Callable[[Row], object]


CASES = (
    Case(
        "bonus above a threshold",
        "properties.amount × 1 + (properties.amount > 100 ? 50 : 0)",
        "number",
        lambda row: row["amount"] * 1 + (_FIFTY if row["amount"] > _HUNDRED else _NONE),
    ),
    Case("plain factor", "properties.amount × 2", "number", lambda row: row["amount"] * _TWO),
    Case("category", 'properties.category == "electronics"', "condition", lambda row: row["category"] == "electronics"),
    Case(
        "condition of three",
        'properties.amount >= 100 && properties.category in ["books", "electronics"] && properties.pieces > 2',
        "condition",
        lambda row: row["amount"] >= _HUNDRED and row["category"] in ("books", "electronics") and row["pieces"] > _TWO,
    ),
    Case(
        "division",
        "properties.amount / 3",
        "number",
        lambda row: (row["amount"] / 3).quantize(_EIGHT_PLACES, ROUND_HALF_UP),
    ),
    Case(
        "item list",
        "properties.items.sum(i, i.price * i.quantity)",
        "number",
        lambda row: sum(item["price"] * item["quantity"] for item in row["items"]),
    ),
    Case(
        "chosen items",
        'properties.items.filter(i, i.category == "books").sum(i, i.price * i.quantity) * 2 + 10',
        "number",
        lambda row: (
            sum(item["price"] * item["quantity"] for item in row["items"] if item["category"] == "books") * _TWO + _TEN
        ),
    ),
)


def event_type() -> EventType:
    top = Decimal(1_000_000)
    item = (
        Property(name="price", kind="number", places=2, minimum=_NONE, maximum=top, required=True),
        Property(name="quantity", kind="number", places=3, minimum=_NONE, maximum=top, required=True),
        Property(name="category", kind="text", required=True),
    )
    properties = (
        Property(name="amount", kind="number", places=2, minimum=_NONE, maximum=top, required=True),
        Property(name="category", kind="text"),
        Property(name="pieces", kind="number", places=0, minimum=_NONE, maximum=top, required=True),
        Property(name="items", kind="list", of=item, required=True),
    )
    return EventType(id="purchase", label="Purchase", properties=properties)


def rows() -> Iterable[Row]:
    for number in range(EVENTS):
        items = [
            {
                "price": Decimal(number * 7 % 5_000) / 100,
                "quantity": Decimal(1 + line),
                "category": ("books", "toys")[(number + line) % 2],
            }
            for line in range(5)
        ]
        yield {
            "amount": Decimal(number * 37 % 30_000).scaleb(-2),
            "category": ("books", "electronics", "toys", None)[number % 4],
            "pieces": Decimal(number % 5),
            "items": items,
        }


def values(row: Row) -> tuple[object, ...]:
    """The row as the engine keeps it: scaled integers in tuples."""
    items = tuple((int(i["price"] * 100), int(i["quantity"] * 1000), i["category"]) for i in row["items"])
    return int(row["amount"] * 100), row["category"], int(row["pieces"]), items


def seconds(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(case: Case, rounds: int) -> dict[str, object]:
    scope = scope_for(
        event_type(), common_to(profile=EventType(id="profile", label="Profile"), levels=(), event_types=())
    )
    rule = compile_expression(check(case.source, scope, case.expected))
    raw = list(rows())
    events, inputs = [values(row) for row in raw], [()] * EVENTS
    function, by_hand = rule.function, case.by_hand
    for row, event in zip(raw, events, strict=True):
        wanted = by_hand(row)
        got = function(event, ())
        assert (Decimal(got).scaleb(-rule.places) if case.expected == "number" else got) == wanted, (case, row)
    hand = seconds(lambda: [by_hand(row) for row in raw], rounds)
    one = seconds(lambda: [function(event, ()) for event in events], rounds)
    bulk = seconds(lambda: rule.bulk(events, inputs), rounds)
    checked = seconds(lambda: check(case.source, scope, case.expected), rounds)
    return {
        "rule": case.name,
        "lambda_ns": round(hand / EVENTS * 1e9),
        "ratio": round(one / hand, 2),
        "bulk_ratio": round(bulk / hand, 2),
        "check_ms": round(checked * 1e3, 2),
    }


def main() -> int:
    rounds = 15 if "--quick" in sys.argv else 101
    results = [measure(case, rounds) for case in CASES]
    for result in results:
        print(json.dumps(result))
    ratio, bulk = (statistics.median(float(str(r[key])) for r in results) for key in ("ratio", "bulk_ratio"))
    print(json.dumps({"rule": "median", "ratio": ratio, "bulk_ratio": bulk, "must": MUST, "aim": AIM}))
    return int(max(float(str(r["ratio"])) for r in results) > MUST)


if __name__ == "__main__":
    raise SystemExit(main())
