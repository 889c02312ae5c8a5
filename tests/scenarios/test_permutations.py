"""In whatever order the events of one order arrive, and however often each of them: it ends the same.

Every permutation of a story of five events, every event sent twice, for several programs. Each permutation has a
customer and an order of its own in one database, and all are told at once: the first event of each, then the second, …
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.clock import Clock, set_clock, stop_clock
from tests.pipeline.shop import Shop, codes, open_shop
from tests.scenarios.story import read_act
from tests.scenarios.teller import SECTIONS, settle_all
from troth.pipeline.outcome import RawEvent

BASE = {"id": "base", "event_type": "checkout", "award": "properties.amount"}
ITEMS = {"id": "items", "event_type": "checkout", "award": "properties.items.sum(i, i.price * i.quantity)"}
FLAT = {"id": "flat", "event_type": "checkout", "award": "25", "wallet": "points"}
LARGE = {"id": "large", "event_type": "checkout", "award": "properties.amount", "group": "g"}
SMALL = {"id": "small", "event_type": "checkout", "award": "70", "group": "g"}
LATER = {**SMALL, "id": "later", "hold": "P5D"}
FIRST = {"id": "first", "event_type": "checkout", "when": "customer.orders == 0", "award": "50"}
CAPPED = {**BASE, "id": "capped", "limits": [{"points": "110", "window": "day"}]}
LEVELS = [
    {"id": "bronze", "from": "0"},
    {"id": "silver", "from": "60", "multiplier": "1.5"},
    {"id": "gold", "from": "100"},
]
TIERS = {"basis": {"wallet": "points", "window": "lifetime"}, "levels": LEVELS}
YEARS = {
    "basis": {"wallet": "points", "window": "calendar_year"},
    "downgrade": "at_period_end",
    "levels": LEVELS,
}

# 2 × 30 + 40 for 90. One a for 27; then 3 × 30 + 40 for 120; then only 2 × 30 + 40 for 100.
OPENING = "checkout order_id={} amount=90 items=[a:2x30,b:1x40] at=2026-03-02T10:00:00Z ref={}-open"
UPDATE = "checkout_update order_id={} amount=120 items=[a:3x30,b:1x40] at=2026-03-03T10:00:00Z ref={}-up"
DOWN = "checkout_update order_id={} amount=100 items=[a:2x30,b:1x40] at=2026-03-04T10:00:00Z ref={}-down"
ITEM = "partial_refund order_id={} refund_id=r1 items=[a:1] at=2026-03-05T10:00:00Z ref={}-item"
MONEY = "partial_refund order_id={} refund_id=r2 amount=20 at=2026-03-06T10:00:00Z ref={}-money"
AGAIN = "partial_refund order_id={} refund_id=r1 items=[a:2] at=2026-03-07T10:00:00Z ref={}-again"
TOO_MUCH = "partial_refund order_id={} refund_id=r3 amount=95 at=2026-03-04T12:00:00Z ref={}-much"
ACCEPT = "checkout_accept order_id={} at=2026-03-08T10:00:00Z ref={}-accept"
REJECT = "checkout_reject order_id={} at=2026-03-09T10:00:00Z ref={}-reject"
REFUND = "refund order_id={} at=2026-03-09T10:00:00Z ref={}-refund"

STORIES: Mapping[str, tuple[str, ...]] = {
    "given back": (OPENING, UPDATE, ITEM, ACCEPT, REFUND),
    "rejected": (OPENING, UPDATE, ITEM, ACCEPT, REJECT),
    "changed twice": (OPENING, UPDATE, DOWN, ITEM, ACCEPT),
    "items and money": (OPENING, UPDATE, ITEM, MONEY, ACCEPT),
    "a refund sent anew": (OPENING, DOWN, ITEM, AGAIN, ACCEPT),
    "too much": (OPENING, UPDATE, ITEM, TOO_MUCH, ACCEPT),
    "never accepted": (OPENING, UPDATE, DOWN, ITEM, MONEY),
}
MANUAL = {"acceptance": "manual"}
HELD = {"id": "points", "hold": "P5D"}
FORGIVING = {"id": "points", "negative_balance": "forgive"}
MILES = {"id": "miles", "negative_balance": "forgive", "hold": "P3D"}
PROGRAMS: Mapping[str, Mapping[str, object]] = {
    "immediate": {"rules": [BASE, FLAT], "tiers": TIERS},
    "manual": {"rules": [BASE, FLAT, FIRST], "orders": MANUAL, "tiers": TIERS},
    "hold": {"rules": [BASE, FLAT], "wallets": [HELD], "tiers": YEARS},
    "hold, manual": {"rules": [BASE], "wallets": [HELD], "orders": MANUAL},
    "items": {"rules": [BASE, ITEMS, FLAT]},
    "group": {"rules": [LARGE, SMALL]},
    "group on hold": {"rules": [LARGE, LATER]},
    "forgive": {"rules": [BASE, ITEMS, FLAT], "wallets": [FORGIVING]},
    "forgive, group on hold": {"rules": [LARGE, LATER], "wallets": [FORGIVING]},
    "capped": {"rules": [CAPPED, FLAT], "tiers": YEARS},
    "two wallets": {"rules": [BASE, {**ITEMS, "wallet": "miles"}], "wallets": [{"id": "points"}, MILES]},
}
TOLD: Mapping[str, Sequence[str]] = {  # stories of a program; the others tell them all
    "hold": ("items and money", "given back"),
    "hold, manual": ("changed twice", "given back"),
    "items": ("items and money", "too much", "a refund sent anew"),
    "group": ("changed twice", "given back"),
    "group on hold": ("changed twice", "too much"),
    "forgive": ("items and money", "given back"),
    "forgive, group on hold": ("changed twice", "rejected"),
    "capped": ("changed twice", "given back"),
    "two wallets": ("items and money", "rejected"),
}
ALWAYS = ("immediate", "manual", "group on hold")
# Worked out by hand, where every number is plain: what is given by rule in the end, under `immediate`.
# given back, rejected: nothing · changed twice: 100, a's share 60, one of two 30: 70
# items and money: 120, a's share 120 × 90 ÷ 130 = 83.08, one of three 27.69; 120 - 27.69 - 20 = 72.31
# a refund sent anew: 100 - 60 = 40 · too much: 120 - 27.69 = 92.31, all of it gone · never accepted: 70 - 20 = 50
EXPECTED: Mapping[str, Mapping[str, int]] = {
    "given back": {},
    "rejected": {},
    "changed twice": {"base": 70, "flat": 25},
    "items and money": {"base": 72, "flat": 25},
    "a refund sent anew": {"base": 40, "flat": 25},
    "too much": {},
    "never accepted": {"base": 50, "flat": 25},
}


@dataclass(frozen=True, kw_only=True)
class End:
    """What all permutations must agree on, customer by customer."""

    awards: dict[tuple[str, str], int] = field(default_factory=dict)  # (wallet, rule) → given, less taken back
    states: dict[str, tuple[int, ...]] = field(default_factory=dict)  # wallet → points of every state, qualifying
    tier: str | None = None
    orders: int = 0


@dataclass(frozen=True, kw_only=True)
class Telling:
    shop: Shop
    clock: Clock
    access: TestDatabase

    async def tell(self, label: str, story: Sequence[str], days: Sequence[str]) -> list[str]:
        """Every permutation, each event twice; `days`: the moments of the deliveries. The customers' names."""
        orders = list(permutations(range(len(story))))
        names = [_name(label, order) for order in orders]
        for place, day in enumerate(days):
            await set_clock(self.clock, self.access, day)
            events = [raw(name, story[order[place]]) for name, order in zip(names, orders, strict=True)]
            found = codes(await self.shop.send(*(event for event in events for _ in range(2))))
            assert found == ["applied", "duplicate"] * len(names)
        for name, order in zip(names[:: len(names) // 10], orders[:: len(names) // 10], strict=True):
            again = codes(await self.shop.send(*(raw(name, story[place]) for place in order)))
            assert again == ["duplicate"] * len(story)
        return names

    async def ends(self, names: Sequence[str]) -> dict[str, End]:
        customers = await self.shop.rows(
            "select i.external_id, c.id, c.tier, c.orders from identities i join customers c on c.id = i.customer_id"
            " where i.external_id = any($1)",
            names,
        )
        called = {row["id"]: row["external_id"] for row in customers}
        found = {row["external_id"]: End(tier=row["tier"], orders=row["orders"]) for row in customers}
        for row in await self.shop.rows(_AWARDS, list(called)):
            found[called[row["customer_id"]]].awards[row["wallet"], row["rule"]] = row["points"]
        for row in await self.shop.rows("select * from balances where customer_id = any($1)", list(called)):
            if any(points := tuple(row[state] for state in _STATES)):
                found[called[row["customer_id"]]].states[row["wallet"]] = points
        return found


_STATES = ("program", "pending", "available", "reserved", "spent", "expired", "debt", "forgiven", "qualifying")
_AWARDS = """
    select customer_id, wallet, rule, sum(points)::bigint as points from (
        select customer_id, wallet, rule, points from postings where from_state = 'program'
        union all select customer_id, wallet, rule, -points from postings where to_state = 'program') moves
    where customer_id = any($1) group by 1, 2, 3 having sum(points) <> 0"""


def _name(label: str, order: Sequence[int]) -> str:
    """A customer's name, and the id of the order."""
    return f"{label.replace(' ', '_')}-{''.join(map(str, order))}"


def raw(name: str, text: str) -> RawEvent:
    act = read_act(f"{name} {text.format(name, name)}")
    return RawEvent(
        customer=act.customer,
        type=act.type,
        reference=act.reference,
        occurred_at=act.occurred_at,
        properties=act.properties,
    )


def agree(found: Mapping[str, End]) -> End:
    """The one end of all; the message names two customers that differ."""
    (first, end), *others = found.items()
    for name, other in others:
        assert other == end, f"\n{first}: {end}\n{name}: {other}"
    return end


ARRIVAL = datetime(2026, 3, 10, 12, tzinfo=UTC)  # after every event and every hold
EARLY = datetime(2026, 3, 9, 12, tzinfo=UTC)  # after every event; a hold of ten days ends on the 12th


def often(names: Iterable[str], always: Container[str]) -> list[ParameterSet]:
    """Parameters; those not named in `always` are slow."""
    return [pytest.param(name, marks=() if name in always else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("program", often(PROGRAMS, ALWAYS))
async def test_every_order_of_arrival_ends_the_same(
    program: str, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = stop_clock(monkeypatch, ARRIVAL)
    async with open_shop(database, {**SECTIONS, **PROGRAMS[program]}) as shop:
        telling = Telling(shop=shop, clock=clock, access=database)
        for label in TOLD.get(program, tuple(STORIES)):
            story = STORIES[label]
            names = await telling.tell(label, story, [ARRIVAL.isoformat()] * len(story))
            await settle_all(shop)
            end = agree(await telling.ends(names))
            if program == "immediate":
                assert {rule: points for (_, rule), points in end.awards.items()} == EXPECTED[label]
        await check_books(shop.database)


@pytest.mark.parametrize("label", often(STORIES, ("changed twice",)))
async def test_holds_that_end_between_the_deliveries(
    label: str, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each delivery a day later: what is pending at one is available at the next."""
    clock = stop_clock(monkeypatch, EARLY)
    hold = {"id": "points", "hold": "P10D", "expiry": {"kind": "months_after_earning", "months": "12"}}
    program: dict[str, Any] = {"rules": [LARGE, SMALL], "wallets": [hold], "orders": MANUAL, "tiers": YEARS}
    async with open_shop(database, {**SECTIONS, **program}) as shop:
        telling = Telling(shop=shop, clock=clock, access=database)
        story = STORIES[label]
        names = await telling.tell(label, story, [_day(EARLY, place) for place in range(len(story))])
        await set_clock(clock, database, _day(EARLY, 9))
        await settle_all(shop)
        agree(await telling.ends(names))
        await check_books(shop.database)


def _day(start: datetime, number: int) -> str:
    return (start + timedelta(days=number)).isoformat()


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["allow", "forgive"])
async def test_debt_from_before_is_owed_again(
    policy: str, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every customer owes 40 when the first event arrives; an award that repaid it and is taken back leaves it."""
    clock = stop_clock(monkeypatch, ARRIVAL)
    wallets = [{"id": "points", "negative_balance": policy}]
    async with open_shop(database, {**SECTIONS, "rules": [LARGE, SMALL], "wallets": wallets}) as shop:
        telling = Telling(shop=shop, clock=clock, access=database)
        for label in ("changed twice", "given back", "too much"):
            story = STORIES[label]
            names = [_name(label, order) for order in permutations(range(len(story)))]
            owing = {"points": "40", "allow_debt": "true"}
            await set_clock(clock, database, ARRIVAL.isoformat())
            await shop.send(*(RawEvent(customer=name, type="point_sub", properties=owing) for name in names))
            await telling.tell(label, story, [ARRIVAL.isoformat()] * len(story))
            end = agree(await telling.ends(names))
            # available + debt is what the order deserves, less 40
            available, debt = end.states["points"][2], end.states["points"][6]
            assert available + debt == sum(end.awards.values()) - 40, label
        await check_books(shop.database)
