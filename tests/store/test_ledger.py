"""What a batch leaves behind, read back column by column; and what makes it leave nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.conftest import TestDatabase
from tests.store.rows import Rows, customer_of, day, lane
from troth.core.state import CalendarState, Earned, TierHistory, WalletState
from troth.store import batch, ledger, proof
from troth.store.clock import set_clock
from troth.store.events import fetch_postings

NOW = day("2026-05-01")


@pytest.fixture
async def anna(database: TestDatabase) -> AsyncIterator[Rows]:
    async with customer_of(database) as rows:
        yield rows


@pytest.mark.each_postgres
async def test_every_column_of_an_event_is_written(anna: Rows) -> None:
    event = anna.full_event()
    await anna.write(events=[event])
    row = await anna.connection.fetchrow("select * from events")
    assert row is not None
    assert dict(row) == {**event._asdict(), "revision": 1}


@pytest.mark.each_postgres
async def test_every_column_of_a_posting_is_written(anna: Rows) -> None:
    """With a lot and an award, and without either."""
    event = anna.event(occurred_at=NOW)
    postings = anna.two_postings()
    await anna.write(events=[event], postings=[(1, posting) for posting in postings])
    assert await fetch_postings(anna.connection, [event.id]) == {event.id: postings}


@pytest.mark.each_postgres
async def test_tiers_calendar_and_what_waits_are_read_with_the_customer(anna: Rows) -> None:
    state = (await batch.read(anna.connection, ["anna"])).rows["anna"].state
    assert (state.tiers, state.calendar, state.waiting) == (TierHistory(), CalendarState(), 0)
    earned = Earned(counted=NOW.date(), judged=NOW.date(), points=-3)
    tiers = TierHistory(basis="rolling 12", earned=(earned,), seen_at=NOW, manual="gold", manual_until=NOW)
    calendar = CalendarState(joined_at=NOW, opted_in=True, birthday=2026, anniversary=3, silence=NOW)
    anna.row.state = msgspec.structs.replace(anna.row.state, tiers=tiers, calendar=calendar, waiting=2)
    await anna.write(balances=[(1, "points", WalletState(program=-5, available=5))])
    found = await batch.read(anna.connection, ["anna", "nobody"])
    state = found.rows["anna"].state
    assert (state.tiers, state.calendar, state.waiting) == (tiers, calendar, 2)
    assert state.wallets == {"points": WalletState(program=-5, available=5)}
    fold = ledger.CustomerFold(anna.row, has_new_tiers=False, has_new_calendar=False)
    anna.row.state = msgspec.structs.replace(anna.row.state, tiers=TierHistory(), calendar=CalendarState())
    await ledger.write(anna.connection, ledger.Written(revision=1, customers=[fold]), {}, ())
    state = (await batch.read(anna.connection, ["anna"])).rows["anna"].state
    assert (state.tiers, state.calendar) == (tiers, calendar), "what has not changed is not sent"


@pytest.mark.each_postgres
async def test_nothing_is_written_over_a_customer_that_has_changed(anna: Rows) -> None:
    """Outside a transaction: the one statement is its own."""
    [judged] = (await batch.read(anna.connection, ["anna"])).rows.values()
    await anna.due_at(NOW)
    lot, order = anna.lot(), anna.new_id()
    parts = {"lots": [(1, lot)], "orders": [(1, order, None, None)], "events": [anna.event()]}
    fold = ledger.CustomerFold(anna.row, has_new_tiers=False, has_new_calendar=False)
    written = ledger.Written(revision=1, customers=[fold], **parts)  # type: ignore[arg-type]
    reference = bytes(32)
    with pytest.raises(ledger.Conflicting):
        await ledger.write(anna.connection, written, {reference: order}, [judged])
    for table in ("lots", "orders", "events", "event_refs"):
        assert await anna.connection.fetchval(f"select count(*) from {table}") == 0, table
    [judged] = (await batch.read(anna.connection, ["anna"])).rows.values()
    await ledger.write(anna.connection, written, {reference: order}, [judged])
    [judged] = (await batch.read(anna.connection, ["anna"])).rows.values()
    with pytest.raises(ledger.Conflicting):
        await ledger.write(anna.connection, ledger.Written(revision=1), {reference: order}, [judged])


@pytest.mark.each_postgres
async def test_the_one_statement_waits_for_no_customer(database: TestDatabase) -> None:
    """It has claimed the references of due work by then, which whoever holds the customer may be about to write."""
    async with customer_of(database) as anna, database.open_database() as opened, lane(opened) as worker:
        [judged] = (await batch.read(anna.connection, ["anna"])).rows.values()
        reference, event = bytes(32), anna.event()
        fold = ledger.CustomerFold(anna.row, has_new_tiers=False, has_new_calendar=False)
        written = ledger.Written(revision=1, customers=[fold], events=[event], references=[(reference, event.id)])
        async with worker.transaction():
            await proof.lock_customer(worker, *anna.key)
            with pytest.raises(ledger.Conflicting):
                await asyncio.wait_for(ledger.write(anna.connection, written, {}, [judged]), 5)
            await batch.claim(worker, {reference: event.id})
        assert await batch.claimed(worker, [reference]) == {reference: event.id}


@pytest.mark.each_postgres
async def test_a_batch_holds_the_clock_where_it_was_read(database: TestDatabase) -> None:
    async with database.open_database() as opened, lane(opened) as batching, lane(opened) as setting:
        assert (await batch.read(batching, ["anna"])).clock is None
        await set_clock(setting, NOW, NOW)
        assert (await batch.read(batching, ["anna"])).clock == NOW
        began = batching.transaction()
        await began.start()
        await ledger.touch_clock(batching, NOW)
        moving = asyncio.create_task(set_clock(setting, day("2026-05-02"), NOW))
        await asyncio.sleep(0.2)
        assert not moving.done()
        await began.commit()
        clock = await asyncio.wait_for(moving, 5)
        assert (clock.now, clock.used) == (day("2026-05-02"), NOW)  # type: ignore[union-attr]
        async with batching.transaction():
            with pytest.raises(ledger.ClockMoved):
                await ledger.touch_clock(batching, NOW)
