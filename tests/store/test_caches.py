"""Caches of one customer, and counters of stock, as proofs read and mend them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest

from tests.conftest import TestDatabase
from tests.store.rows import START, Rows, add_customer, customer_of, day, lane
from troth.core.ids import order_key
from troth.core.order_state import Fact, Order, Part
from troth.core.state import CalendarState, Lot, Posting, Redemption, Reservation, TierHistory, Use, WalletState
from troth.store import parts, proof
from troth.store.proof import Caches


@pytest.fixture
async def anna(database: TestDatabase) -> AsyncIterator[Rows]:
    async with customer_of(database) as rows:
        yield rows


def caches(rows: Rows) -> Caches:
    """Every kind of cache, no two values alike."""
    content = Fact(
        event_id=rows.new_id(), kind="content", occurred_at=START, stamp=START, hash="", properties={"x": _X}
    )
    order = Order(id=rows.new_id(), key=order_key("A-1"), type="purchase", revision=1, opened_at=START, content=content)
    lot = rows.lot(7, order=order.id, rules=("base",), expiry="12", release_at=START, pending=3, expired=2)
    held = Reservation(id=rows.new_id(), wallet="points", points=4, parts=(_part(lot),), due_at=day("2026-05-01"))
    claim = Redemption(
        id=rows.new_id(), reward="mug", wallet="points", points=5, parts=(_part(lot),), status="fulfilled",
        claimed_at=START,
    )  # fmt: skip
    state = msgspec.structs.replace(
        rows.row.state, seq=9, tier="gold", tier_since=START, orders=2, waiting=1, counts={"purchase": 3},
        attributes={"size": _X}, tags=("vip",), last_activity_at=START, tiers=TierHistory(reached=("gold",)),
        calendar=CalendarState(joined_at=START),
    )  # fmt: skip
    return Caches(
        state=state,
        due_at=day("2026-04-01"),
        wallets={"points": WalletState(program=-12, pending=3, available=7, expired=2)},
        lots={lot.key: lot},
        uses={("base", "day 2026-05-01"): Use(times=2, points=20)},
        orders={order.id: order, rows.new_id(): None},
        waiting={(order_key("A-2"), rows.new_id()), (order_key("A-2"), rows.new_id())},
        reservations={held.id: held},
        redemptions={claim.id: claim},
    )


_X = Decimal("0.10")  # a number that no schema has declared
_PLAIN = {"x": _X}


def _part(lot: Lot) -> Part:
    return Part(event_id=lot.event_id, n=lot.n, points=1)


@pytest.mark.each_postgres
async def test_caches_are_stored_whole_and_replaced_whole(anna: Rows) -> None:
    for stored in (caches(anna), caches(anna), Caches(state=anna.row.state, due_at=None)):
        async with anna.connection.transaction():
            await proof.lock_customer(anna.connection, *anna.key)
            await proof.store_caches(anna.connection, tuple(anna.key), stored)  # type: ignore[arg-type]
        assert (await proof.read_caches(anna.connection, anna.key.bucket))[anna.row.id] == stored


@pytest.mark.each_postgres
async def test_what_is_mended_falls_due_again(anna: Rows) -> None:
    """The dates that due work is found by are stored too."""
    stored = caches(anna)
    [held] = stored.reservations.values()
    [lot] = stored.lots.values()
    async with anna.connection.transaction():
        await proof.store_caches(anna.connection, tuple(anna.key), stored)  # type: ignore[arg-type]
    found = await parts.load_due(anna.connection, anna.key, max(START, held.due_at))
    assert (found.lots, found.reservations) == ((lot,), (held,))


@pytest.mark.each_postgres
async def test_past_events_carry_everything_that_was_recorded(anna: Rows) -> None:
    ids = anna.new_id(), anna.new_id()
    first = anna.event(
        type="refund", outcome="waiting_for_order", order_key=order_key("A-1"), clock=day("2026-06-01"), caused=1,
        properties='{"undeclared": 0.10}', inputs='{"a": 0.5}',
    )  # fmt: skip
    second = anna.event(type="tier_upgraded", source="system", parent=first.id, depth=1)
    posting = Posting(
        n=0, wallet="points", from_state="program", to_state="debt", points=3, qualifying=True, lot_event=None,
        lot_n=None, occurred_at=second.occurred_at, reason="reversal", order_id=ids[0], rule="base",
    )  # fmt: skip
    await anna.write(events=[first, second], postings=[(2, posting)])
    past = await proof.read_customer(anna.connection, *anna.key)
    assert past == (await proof.read_bucket(anna.connection, anna.key.bucket))[anna.row.id]
    shown = [(event.outcome, event.order_key, event.clock, event.caused, event.postings) for event in past]
    assert shown == [
        ("waiting_for_order", order_key("A-1"), day("2026-06-01"), 1, ()), ("applied", None, None, 0, (posting,))
    ]  # fmt: skip
    assert (past[0].properties, past[0].inputs) == ({"undeclared": _X}, {"a": Decimal("0.5")})
    assert [(event.parent, event.depth, event.source) for event in past] == [(None, 0, "api"), (first.id, 1, "system")]


@pytest.mark.each_postgres
async def test_stock_is_what_the_claims_say(anna: Rows) -> None:
    """Too many, too few, none at all; a counter of something else stays."""
    claims = [("mug", "created"), ("mug", "fulfilled"), ("mug", "cancelled"), ("cap", "created"), ("pen", "cancelled")]
    await anna.write(redemptions=[(1, _claim(anna, *claim)) for claim in claims])
    await anna.connection.execute(
        "insert into program_counters (name, used) values ('reward:mug', 2), ('reward:bag', 4), ('budget:may', 6)"
    )
    assert sorted(await proof.wrong_stock(anna.connection)) == [("reward:bag", 0, 4), ("reward:cap", 1, 0)]
    await proof.mend_stock(anna.connection)
    assert await proof.wrong_stock(anna.connection) == []
    counters = await anna.connection.fetch("select name, used from program_counters where used > 0 order by name")
    assert [tuple(row) for row in counters] == [("budget:may", 6), ("reward:cap", 1), ("reward:mug", 2)]


@pytest.mark.each_postgres
async def test_stock_is_mended_beside_claims(database: TestDatabase) -> None:
    """A claim under way is waited for and counted."""
    async with database.open_database() as opened, lane(opened) as claiming, lane(opened) as mending:
        anna = await add_customer(claiming, "anna")
        await parts.lock_stock(claiming, ["mug"])
        await anna.write(redemptions=[(1, _claim(anna, "mug", "created"))])
        began = claiming.transaction()
        await began.start()
        assert await parts.lock_stock(claiming, ["mug"]) == {"mug": 0}
        waiting = asyncio.create_task(proof.mend_stock(mending))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await anna.write(redemptions=[(1, _claim(anna, "mug", "created"))], counters=[("reward:mug", 1)])
        await began.commit()
        await asyncio.wait_for(waiting, 5)
        async with mending.transaction():
            assert await parts.lock_stock(mending, ["mug"]) == {"mug": 2}


def _claim(rows: Rows, reward: str, status: str) -> Redemption:
    plain = {"id": rows.new_id(), "wallet": "points", "points": 5, "parts": (), "claimed_at": START}
    return Redemption(reward=reward, status=status, **plain)  # type: ignore[arg-type]
