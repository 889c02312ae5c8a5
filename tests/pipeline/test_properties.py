"""Random streams of events: cut into whatever batches and lanes, the same comes out; resends change nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import _TEMPLATE, Servers, TestDatabase, fresh_database
from tests.pipeline.books_balance import check_books
from tests.pipeline.clock import set_clock, stop_clock
from tests.pipeline.shop import BASE, Shop, answer, code, document, open_shop
from troth.pipeline.outcome import Applied, Duplicate, Outcome, RawEvent

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
PHASES = 4  # two months apart: points fall due between them
CUSTOMERS = 8
ORDER = {"id": "order_id"}
AMOUNT = {"type": "number", "places": "2", "min": "0", "max": "500", "required": True}
PROGRAM = document(
    {**BASE, "limits": [{"points": "900", "window": "month"}]},
    {"id": "regular", "event_type": "purchase", "award": "customer.count('purchase')", "tier_multiplier": False},
    {"id": "rich", "event_type": "purchase", "when": "customer.balance > 300", "award": "5", "group": "g"},
    {"id": "fan", "event_type": "purchase", "when": '"fan" in customer.tags', "award": "6", "group": "g"},
    {"id": "welcome", "event_type": "signup", "award": "100"},
    {"id": "rise", "event_type": "tier_upgraded", "award": "50"},
    {"id": "comfort", "event_type": "points_expired", "award": "3"},
    wallets=[{"id": "points", "expiry": {"kind": "months_after_earning", "months": "3"}}],
    event_types=[
        {"id": "purchase", "order": ORDER, "properties": {"amount": AMOUNT, "order_id": {"type": "text"}}},
        {"id": "signup", "once": True},
    ],
    tiers={
        "basis": {"wallet": "points", "window": "lifetime"},
        "levels": [
            {"id": "bronze", "from": "0"},
            {"id": "silver", "from": "400", "multiplier": "1.25"},
            {"id": "gold", "from": "1200", "multiplier": "1.5"},
        ],
    },
)  # fmt: skip


def stream(seed: int) -> list[list[RawEvent]]:
    """Per phase: good events, resends, late ones, refused ones, equal orders, profiles."""
    dice = random.Random(seed)
    numbers = iter(range(10_000))
    phases: list[list[RawEvent]] = []
    for phase in range(PHASES):
        now = START + timedelta(days=61 * phase)
        made: list[RawEvent] = []
        for _ in range(40):
            made.append(one_event(dice, next(numbers), now))
            if dice.random() < 0.2:
                made.append(dice.choice(made))
        phases.append(made)
    return phases


def one_event(dice: random.Random, number: int, now: datetime) -> RawEvent:
    customer = f"c{dice.randrange(CUSTOMERS)}"
    late = now - timedelta(days=dice.choice([0, 0, 0, 1, 40, 120]), minutes=1)
    fields = {"customer": customer, "reference": f"r{number}", "occurred_at": late.isoformat()}
    match dice.randrange(10):
        case 0:
            return RawEvent(type="signup", **fields)
        case 1:
            return RawEvent(type="profile", properties={"tags": dice.choice([["fan"], []])}, **fields)
        case 2:
            return RawEvent(type="purchase", properties={"amount": "500.01"}, **fields)  # above the maximum
        case 3:
            properties = {"amount": "20", "order_id": f"o{customer}-{dice.randrange(3)}"}
            return RawEvent(type="purchase", properties=properties, **fields)
        case _:
            return RawEvent(type="purchase", properties={"amount": f"{dice.randrange(40_000) / 100:.2f}"}, **fields)


def parts(events: list[RawEvent], size: int) -> Iterator[list[RawEvent]]:
    for first in range(0, len(events), size):
        yield events[first : first + size]


def tell(outcomes: list[Outcome]) -> list[tuple[str, int]]:
    return [
        (code(outcome), outcome.record.points if isinstance(outcome, Applied | Duplicate) else 0)
        for outcome in outcomes
    ]


async def ledger(shop: Shop) -> list[tuple[object, ...]]:
    """Everything posted, by customer and in its order. Ids are drawn, and so is the order of lots of one moment."""
    rows = await shop.rows(
        "select i.external_id, e.seq, e.type, e.occurred_at, e.points, e.after::text, e.inputs::text, p.from_state,"
        " p.to_state, p.rule, p.points as posted, p.base, p.multiplier, p.cap, l.expires_at from identities i"
        " join events e on e.customer_id = i.customer_id left join postings p on p.event_id = e.id"
        " left join lots l on l.event_id = p.lot_event and l.n = p.lot_n"
        " order by i.external_id, e.seq, p.from_state, p.rule, p.points"
    )
    return [tuple(row) for row in rows]


@asynccontextmanager
async def empty_shop(servers: Servers, lanes: int = 2) -> AsyncIterator[tuple[Shop, TestDatabase]]:
    async with (
        fresh_database(await servers.get("embedded"), template=_TEMPLATE) as database,
        open_shop(database, PROGRAM, lanes=lanes) as shop,
    ):
        yield shop, database


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_batches_and_lanes_change_nothing(seed: int, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    print("seed", seed)
    clock, found = stop_clock(monkeypatch, START), []
    for size, lanes in ((1, 1), (7, 3), (500, 2)):
        async with empty_shop(servers, lanes) as (shop, database):
            told: list[tuple[str, int]] = []
            for phase, events in enumerate(stream(seed)):
                await set_clock(clock, database, (START + timedelta(days=61 * phase)).isoformat())
                for part in parts(events, size):
                    told += tell(await shop.send(*part))
            await check_books(shop.database)
            found.append((told, await ledger(shop)))
    first = found[0]
    assert {name for name, _ in first[0]} >= {"applied", "duplicate", "not_repeatable", "above_maximum"}
    assert {row[2] for row in first[1]} >= {"tier_upgraded", "points_expired"}
    for other in found[1:]:
        assert other[0] == first[0]
        assert other[1] == first[1]


@pytest.mark.parametrize("seed", [4])
async def test_sending_all_again_changes_nothing(seed: int, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any order, by several clients at once, under a newer program: nothing is added, every answer is the first."""
    print("seed", seed)
    clock = stop_clock(monkeypatch, START)
    async with empty_shop(servers) as (shop, database):
        events, outcomes = [], []
        for phase, part in enumerate(stream(seed)):
            await set_clock(clock, database, (START + timedelta(days=61 * phase)).isoformat())
            events += part
            outcomes += await shop.send(*part)
        told = zip(events, outcomes, strict=True)
        kept = [(event, answer(outcome)) for event, outcome in told if isinstance(outcome, Applied | Duplicate)]
        before = await ledger(shop)
        await shop.publish({**PROGRAM, "rules": []})
        random.Random(seed).shuffle(kept)
        again = await asyncio.gather(*(shop.one(event) for event, _ in kept))
        assert all(isinstance(outcome, Duplicate) for outcome in again)
        assert [answer(outcome) for outcome in again] == [first for _, first in kept]
        assert await ledger(shop) == before
