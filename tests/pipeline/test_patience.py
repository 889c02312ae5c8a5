"""Patient events let others go first, and are recorded in their own order all the same."""

from __future__ import annotations

import asyncio

import pytest

from tests.pipeline.shop import Shop, document, open_shop, purchase
from troth import limits
from troth.embedded.access import DatabaseAccess
from troth.pipeline.outcome import Applied

MANY = 2 * limits.BATCH_EVENTS


async def batches_for(shop: Shop, name: str, count: int) -> int:
    """How many transactions so many patient events of one customer took."""
    before = shop.engine.batcher.statistics.batches
    events = [purchase(name, "1", f"{name}{number}") for number in range(count)]
    outcomes = await shop.engine.batcher.ingest(events, is_patient=True)
    assert all(isinstance(outcome, Applied) for outcome in outcomes)
    return shop.engine.batcher.statistics.batches - before


async def test_a_live_event_overtakes_them(database: DatabaseAccess) -> None:
    async with open_shop(database, document()) as shop:
        patient = asyncio.create_task(batches_for(shop, "ada", MANY))
        while not shop.engine.batcher.waiting_events:
            await asyncio.sleep(0)
        await shop.engine.batcher.ingest([purchase("ada", "1", "live")])
        assert not patient.done()
        await patient
        seqs = await shop.rows("select seq from events where properties->>'amount' = '1.00' order by id, seq")
        assert len(seqs) == MANY + 1


async def test_they_keep_their_order(database: DatabaseAccess) -> None:
    async with open_shop(database, document()) as shop:
        events = [purchase("ada", str(number), f"r{number}") for number in range(300)]
        await shop.engine.batcher.ingest(events, is_patient=True)
        rows = await shop.rows("select (properties->>'amount')::numeric from events order by seq")
        assert [int(row[0]) for row in rows] == list(range(300))


async def test_while_others_come_they_go_in_small_batches(
    database: DatabaseAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_shop(database, document()) as shop:
        await shop.engine.batcher.ingest([purchase("bob", "1", "live")])
        monkeypatch.setattr(limits, "PATIENCE_SECONDS", 1_000.0)
        assert await batches_for(shop, "ada", MANY) >= MANY // limits.PATIENT_EVENTS
        monkeypatch.setattr(limits, "PATIENCE_SECONDS", 0.0)
        assert await batches_for(shop, "cyd", MANY) <= 1 + MANY // limits.BATCH_EVENTS
