"""The worker: bounded batches, restartable, several at once without double work, nobody held up by a bad customer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.clock import Clock, set_clock, stop_clock
from tests.pipeline.shop import Shop, document, open_shop, purchase
from troth import limits
from troth.core.state import Need
from troth.pipeline import judge, settle

WALLETS = [{"id": "points", "expiry": {"kind": "months_after_earning", "months": "1"}}]
Opened = tuple[Shop, Clock, TestDatabase]
START = datetime(2026, 1, 10, 12, tzinfo=UTC)
LATER = "2026-03-01T00:00:00+00:00"


@pytest.fixture
async def shop(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opened]:
    clock = stop_clock(monkeypatch, START)
    await set_clock(clock, database, START.isoformat())
    async with open_shop(database, document(wallets=WALLETS)) as opened:
        yield opened, clock, database


async def expired(shop: Shop) -> int:
    ((found,),) = await shop.rows("select coalesce(sum(points), 0)::bigint from postings where to_state = 'expired'")
    return int(found)


@pytest.mark.each_postgres
async def test_quiet_customers_are_settled_a_batch_at_a_time(shop: Opened) -> None:
    opened, clock, access = shop
    count = limits.DUE_CUSTOMERS + 3
    await opened.send(*(purchase(f"c{number}", "10") for number in range(count)))
    assert await opened.engine.settle() == 0, "nothing is due"
    await set_clock(clock, access, LATER)
    assert [await opened.engine.settle() for _ in range(3)] == [limits.DUE_CUSTOMERS, 3, 0]
    assert (await expired(opened), await opened.count("events")) == (10 * count, 2 * count)
    await check_books(opened.database)


async def test_two_workers_share_the_work(shop: Opened) -> None:
    opened, clock, access = shop
    await opened.send(*(purchase(f"c{number}", "10") for number in range(120)))
    await set_clock(clock, access, LATER)
    async with open_shop(access, None) as other:

        async def work(engine: Shop) -> None:
            while await engine.engine.settle(7):
                pass

        await asyncio.gather(work(opened), work(other), opened.send(*(purchase(f"c{n}", "1") for n in range(40))))
    assert (await expired(opened), await opened.count("events")) == (1_200, 280)
    await check_books(opened.database)


async def test_many_lots_of_one_customer_go_in_parts(shop: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """DUE_LOTS of a batch at most, by their dates; DUE_STEPS of one customer at most."""
    opened, clock, access = shop
    monkeypatch.setattr(limits, "DUE_LOTS", 4)
    monkeypatch.setattr(limits, "DUE_STEPS", 2)
    days = [f"2026-01-{day:02}T10:00:00Z" for day in range(1, 10)]
    await opened.send(*(purchase("anna", "10", occurred_at=at) for at in days))
    await set_clock(clock, access, LATER)
    done = 0
    while await opened.engine.settle():
        done += 1
    assert (done >= 5, await expired(opened)) == (True, 90)
    await check_books(opened.database)


async def test_a_customer_that_cannot_be_judged_is_put_off(shop: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, clock, access = shop
    await opened.send(purchase("bad", "10"), purchase("anna", "10"), purchase("berta", "10"))
    await set_clock(clock, access, LATER)
    rows = await opened.rows("select customer_id from identities where external_id = 'bad'")
    judged = settle.decide_loaded

    async def fail(*arguments: object) -> object:
        party = arguments[1]
        if party.row.id == rows[0]["customer_id"]:  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return await judged(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(settle, "decide_loaded", fail)
    while await opened.engine.settle():
        pass
    assert await expired(opened) == 20
    ((due_at,),) = await opened.rows("select due_at from customers where id = $1", rows[0]["customer_id"])
    assert (due_at - clock.now).total_seconds() == limits.PUT_OFF_SECONDS


async def test_what_stays_lacking_is_a_mistake_of_ours(shop: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """LACKING_ROUNDS: loading that never brings what is asked for ends."""
    opened, clock, access = shop
    rounds = []

    async def nothing(*arguments: object, need: Need, **_: object) -> object:
        rounds.append(need)
        return arguments[2]

    await opened.send(purchase("anna", "10"))
    await set_clock(clock, access, LATER)
    monkeypatch.setattr(judge, "load", nothing)
    (outcome,) = await opened.send(purchase("anna", "1"))
    assert outcome.problems[0].code == "internal_error"  # type: ignore[union-attr]
    assert len(rounds) >= limits.LACKING_ROUNDS
