"""What rules deserve: conditions, formulas, multiplier, rounding once, limits, groups.

In: what the rules see, and what their limits leave. Out: points per rule, none of them zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from tests.simulator.days import moment, period
from tests.simulator.model_books import Books
from tests.simulator.model_facts import ModelOrder, Standing
from tests.simulator.model_program import Item, ModelProgram, Seen

AWARD_MOST = 10**12
Room = tuple[int | None, int | None]  # times and points that a limit leaves; None: not limited


@dataclass(frozen=True, kw_only=True)
class Due:
    """What one rule gives."""

    rule: Item
    points: int


def round_points(number: Fraction, mode: str) -> int:
    whole, rest = divmod(number, 1)
    match mode:
        case "floor":
            return int(whole)
        case "ceil":
            return int(whole) + (rest > 0)
        case _:  # half_up: away from zero
            size = int(abs(number) + Fraction(1, 2))
            return size if number >= 0 else -size


def customer_values(books: Books) -> dict[str, object]:
    """What rules may read of the customer, as of now."""
    customer, main = books.customer, books.program.wallets[0]
    return {
        **customer.attributes,
        "tags": list(customer.tags),
        "tier": customer.tier,
        "balance": books.balance(main),
        "lifetime": books.lifetime(main),
        "counts": dict(customer.counts),
        "orders": sum(order.is_counted for order in customer.orders.values()),
    }


def is_active(item: Item, at: datetime) -> bool:
    active = item.get("active") or {}
    assert isinstance(active, Mapping)
    begins, ends = active.get("from"), active.get("until")
    return (begins is None or moment(str(begins)) <= at) and (ends is None or at < moment(str(ends)))


def limits_of(rule: Item) -> Sequence[Item]:
    return rule.get("limits") or []  # type: ignore[return-value]


def rooms_of(books: Books, rule: Item, at: datetime, order: ModelOrder | None = None) -> list[Room]:
    """What each limit of the rule leaves in the period of `at`, the uses of `order` left out."""
    found: list[Room] = []
    for limit in limits_of(rule):
        window = str(limit["window"])
        wanted = period(books.program.zone, at, window)
        uses = [points for name, when, points in books.customer.awards if name == rule["id"]
                and period(books.program.zone, when, window) == wanted]  # fmt: skip
        for other in books.customer.orders.values():
            held = other.held.get(str(rule["id"]), 0)
            if other is not order and held and period(books.program.zone, other.opened_at, window) == wanted:
                uses.append(held)
        times, points = limit.get("times"), limit.get("points")
        found.append((
            None if times is None else max(0, int(str(times)) - len(uses)),
            None if points is None else max(0, int(str(points)) - sum(uses)),
        ))  # fmt: skip
    return found


def cut(points: int, rooms: Sequence[Room]) -> int:
    points = min(points, AWARD_MOST)
    for times, most in rooms:
        if times == 0:
            return 0
        if most is not None:
            points = min(points, most)
    return points


def choose(found: Sequence[Due]) -> list[Due]:
    """All of them, but of each group the one that gives most (ties: higher priority, then document order)."""
    kept = []
    for due in found:
        group = due.rule.get("group")
        rivals = [other for other in found if group is not None and other.rule.get("group") == group] or [due]
        if due is max(rivals, key=lambda other: (other.points, int(str(other.rule.get("priority", 0))))):
            kept.append(due)
    return kept


def deserved_by_event(books: Books, event_type: str, occurred_at: datetime, seen: Seen) -> list[Due]:
    """What an event that is no order's gives."""
    program, multiplier = books.program, books.program.multiplier(books.customer.tier)
    found = []
    for rule in program.rules_for(event_type):
        form = program.forms[str(rule["id"])]
        if not is_active(rule, occurred_at) or not form.when(seen):
            continue
        amount = Fraction(form.award(seen)) * (multiplier if rule.get("tier_multiplier", True) else 1)
        points = cut(_rounded(program, amount), rooms_of(books, rule, occurred_at))
        if points > 0:
            found.append(Due(rule=rule, points=points))
    return choose(found)


def _rounded(program: ModelProgram, amount: Fraction) -> int:
    return round_points(amount, str(program.settings.get("rounding", "floor")))


def deserved_by_order(order: ModelOrder) -> list[Due]:
    """What an order gives as it now stands: by its own revision and the inputs of its opening event."""
    standing = Standing(order)
    if order.is_over or standing.is_gone:
        return []
    found = []
    for rule in order.program.rules_for(order.type):
        form = order.program.forms[str(rule["id"])]
        seen = Seen(
            p=standing.properties(sees_before=form.reads_items),
            c=order.customer_values,
            time=order.opened_at.astimezone(order.program.zone),
        )
        if not is_active(rule, order.opened_at) or not form.when(seen):
            continue
        amount = Fraction(form.award(seen)) * (order.tier_multiplier if rule.get("tier_multiplier", True) else 1)
        if form.reads_items and standing.before:
            amount = amount * standing.net / standing.before
        points = cut(_rounded(order.program, amount), order.rooms.get(str(rule["id"]), []))
        if points > 0:
            found.append(Due(rule=rule, points=points))
    return choose(found)


def measure_rooms(books: Books, order: ModelOrder) -> None:
    """The content has just arrived: note what other events leave; what the order holds is never taken away for it."""
    for rule in order.program.rules_for(order.type):
        held = order.held.get(str(rule["id"]), 0)
        order.rooms[str(rule["id"])] = [
            (_at_least(times, int(held > 0)), _at_least(points, held))
            for times, points in rooms_of(books, rule, order.opened_at, order)
        ]


def _at_least(room: int | None, held: int) -> int | None:
    return None if room is None else max(room, held)


Judge = Callable[[Books], None]
