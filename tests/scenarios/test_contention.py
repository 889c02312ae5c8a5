"""Many at once for what there is little of: exactly as much is given as there is, whoever asks, through two engines."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.shop import Shop, code, open_shop
from tests.scenarios.teller import SECTIONS
from troth.pipeline.outcome import RawEvent

REWARDS = [
    {"id": "mug", "label": "Mug", "cost": "10", "stock": "10"},
    {"id": "plate", "label": "Plate", "cost": "10", "stock": "500"},
    {"id": "one", "label": "One each", "cost": "10", "stock": "500", "per_customer": "1"},
    {"id": "point", "label": "A point's worth", "cost": "1"},
]
SECONDS = 60  # far beyond what any of it takes, unless something waits for ever

Engines = tuple[Shop, Shop]


@pytest.fixture
async def engines(database: TestDatabase, logged: list[MutableMapping[str, Any]]) -> AsyncIterator[Engines]:
    """Two servers of one installation. Afterwards the books balance, and nobody was logged as a deadlock's victim."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_shop(database, {**SECTIONS, "rewards": REWARDS}))
        second = await stack.enter_async_context(open_shop(database, None))
        yield first, second
        await check_books(first.database)
    assert not [line for line in logged if line["log_level"] in ("error", "critical")]
    assert not [line for line in logged if "deadlock" in str(line).lower() or "40P01" in str(line)]


async def all_at_once(engines: Engines, events: Sequence[RawEvent]) -> Counter[str]:
    """Each event in a call of its own, the calls shared by both engines. How many of each outcome."""

    async def send(place: int, event: RawEvent) -> str:
        (outcome,) = await engines[place % 2].engine.batcher.ingest([event])
        return code(outcome)

    async with asyncio.timeout(SECONDS):
        return Counter(await asyncio.gather(*(send(place, event) for place, event in enumerate(events))))


async def give(engines: Engines, names: Sequence[str], points: int) -> None:
    properties = {"points": str(points)}
    events = [RawEvent(customer=name, type="point_add", properties=properties) for name in names]
    assert [code(outcome) for outcome in await engines[0].send(*events)] == ["applied"] * len(names)


def claim(name: str, reward: str, reference: str | None = None) -> RawEvent:
    properties = {"reward": reward}
    return RawEvent(customer=name, type="reward_claimed", reference=reference, properties=properties, is_command=True)


async def redeemed(shop: Shop, reward: str) -> int:
    ((found,),) = await shop.rows(
        "select count(*) from redemptions where reward = $1 and status <> 'cancelled'", reward
    )
    return int(found)


@pytest.mark.parametrize("customers", [200, 10])
async def test_the_last_ten_items(engines: Engines, customers: int) -> None:
    """200 claims, by as many customers or by ten of them."""
    names = [f"customer {number}" for number in range(customers)]
    await give(engines, names, 10 * 200 // customers)
    claims = [claim(names[number % customers], "mug") for number in range(200)]
    assert await all_at_once(engines, claims) == {"applied": 10, "out_of_stock": 190}
    assert await redeemed(engines[0], "mug") == 10
    ((given,),) = await engines[0].rows("select sum(available + spent)::bigint from balances")
    ((spent,),) = await engines[0].rows("select sum(spent)::bigint from balances")
    assert (given, spent) == (2_000, 100)


async def test_items_that_come_back_while_others_ask(engines: Engines) -> None:
    """Ten are gone; five are cancelled among 100 claims: at most five more are given, and never more than ten are."""
    names = [f"customer {number}" for number in range(110)]
    await give(engines, names, 10)
    assert await all_at_once(engines, [claim(name, "mug") for name in names[:10]]) == {"applied": 10}
    rows = await engines[0].rows(
        "select r.id, i.external_id from redemptions r join identities i on i.customer_id = r.customer_id limit 5"
    )
    cancels = [
        RawEvent(
            customer=row["external_id"],
            type="reward_cancelled",
            properties={"redemption": f"rdm_{row['id'].hex}"},
            is_command=True,
        )
        for row in rows
    ]
    claims = [claim(name, "mug") for name in names[10:]]
    found = await all_at_once(engines, [*claims[:50], *cancels, *claims[50:]])
    assert found.keys() <= {"applied", "out_of_stock"}
    assert 5 <= found["applied"] <= 10
    assert await redeemed(engines[0], "mug") == found["applied"]
    # What came back can be claimed to the last item.
    left = 10 - found["applied"]
    again = await all_at_once(engines, [claim(name, "mug") for name in names[60:]])
    assert again["applied"] <= left
    assert await redeemed(engines[0], "mug") == found["applied"] + again["applied"]


async def test_one_for_each_customer(engines: Engines) -> None:
    names = [f"customer {number}" for number in range(20)]
    await give(engines, names, 100)
    claims = [claim(name, "one") for _ in range(5) for name in names]
    assert await all_at_once(engines, claims) == {"applied": 20, "limit_reached": 80}


async def test_several_counters_in_one_batch(engines: Engines) -> None:
    """Claims of two rewards with stock, in both orders: nobody waits for the other in a circle."""
    names = [f"customer {number}" for number in range(50)]
    await give(engines, names, 40)
    pairs = [("mug", "plate"), ("plate", "mug")]
    claims = [claim(name, reward) for number, name in enumerate(names) for reward in pairs[number % 2] * 2]
    found = await all_at_once(engines, claims)
    assert found == {"applied": 110, "out_of_stock": 90}


def spend(kind: str, number: int) -> RawEvent:
    """One point of anna's, in one of the ways in which points are spent."""
    match kind:
        case "claim":
            return claim("anna", "point")
        case "reserve":
            return RawEvent(customer="anna", type="points_reserved", properties={"points": "1"}, is_command=True)
        case "burn":
            properties = {"order_id": f"o{number}", "amount": "0", "burned": "1"}
            return RawEvent(customer="anna", type="checkout", properties=properties)
        case _:
            return RawEvent(customer="anna", type="point_sub", properties={"points": "1"})


@pytest.mark.parametrize("kind", ["claim", "reserve", "burn", "adjust", "all of them"])
async def test_a_balance_that_allows_thirty(engines: Engines, kind: str) -> None:
    await give(engines, ["anna"], 30)
    kinds = ["claim", "reserve", "burn", "adjust"] if kind == "all of them" else [kind]
    spends = [spend(kinds[number % len(kinds)], number) for number in range(100)]
    assert await all_at_once(engines, spends) == {"applied": 30, "insufficient_points": 70}
    ((available, gone),) = await engines[0].rows("select available, spent + reserved as gone from balances")
    assert (available, gone) == (0, 30)


async def test_one_reference_many_times(engines: Engines) -> None:
    await give(engines, ["anna"], 100)
    claims = [claim("anna", "mug", "the same") for _ in range(100)]
    assert await all_at_once(engines, claims) == {"applied": 1, "duplicate": 99}
    assert await redeemed(engines[0], "mug") == 1
