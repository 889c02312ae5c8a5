"""Crews: an import's events recorded by several processes, in order, and what becomes of them when one is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.shop import Shop, document, open_shop
from troth import limits
from troth.config import Config
from troth.core.ids import mark_of
from troth.embedded.access import DatabaseAccess
from troth.pipeline.outcome import Applied, Duplicate, Outcome, Overloaded, RawEvent, Rejected
from troth.processes.crew import Crew, Crews, running_crew
from troth.processes.messages import Hello
from troth.store.row_ids import new_id

CONFIG = Config(master_key=b"k" * 32, job_processes=3, stop_seconds=10)
OWNER = new_id()


def purchase(number: int, customers: int = 40) -> RawEvent:
    amount, name = str(number % 90 + 10), f"c{number % customers}"
    properties = {"amount": amount}
    mark = mark_of(OWNER, number)
    return RawEvent(customer=name, type="purchase", reference=f"r{number}", properties=properties, mark=mark)


@asynccontextmanager
async def open_crew(database: DatabaseAccess, recorders: int = 2) -> AsyncIterator[tuple[Shop, Crew]]:
    async with open_shop(database, document()) as shop:
        hello = Hello(role="recorder", config=CONFIG, dsn=shop.database.session.dsn)
        async with running_crew(shop.engine, hello, recorders) as crew:
            yield shop, crew


def children() -> set[int]:
    """Numbers of the processes that this one started to record."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with_parent = (entry / "stat").read_text().rpartition(")")[2].split() if (entry / "stat").exists() else []
            if with_parent[1:2] == [str(os.getpid())] and b"troth.processes" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
    return found


async def record(crew: Crew, events: Sequence[RawEvent]) -> list[Outcome]:
    return await crew.ingest(events, is_patient=True)


async def test_outcomes_come_in_order_and_each_customers_events_are_judged_in_theirs(database: DatabaseAccess) -> None:
    async with open_crew(database) as (shop, crew):
        chunks = [[purchase(number) for number in range(first, first + 200)] for first in range(0, 1_000, 200)]
        found = await asyncio.gather(*(record(crew, chunk) for chunk in chunks))
        for chunk, outcomes in zip(chunks, found, strict=True):
            for event, outcome in zip(chunk, outcomes, strict=True):
                assert isinstance(outcome, Applied)
                assert outcome.brief.customer == event.customer
        rows = await shop.rows("select properties ->> 'amount' as amount from events e order by customer_id, seq")
        in_order = [[str(number % 90 + 10) for number in range(first, 1_000, 40)] for first in range(40)]
        amounts = [row["amount"].partition(".")[0] for row in rows]
        assert sorted(amounts[first : first + 25] for first in range(0, 1_000, 25)) == sorted(in_order)
        assert shop.engine.batcher.statistics.events == 1_000


async def test_refusals_and_duplicates_come_back_from_every_process(database: DatabaseAccess) -> None:
    async with open_crew(database) as (_, crew):
        await record(crew, [purchase(number) for number in range(100)])
        changed = [replace_mark(purchase(number)) for number in range(100)]
        assert all(isinstance(outcome, Duplicate) for outcome in await record(crew, changed))
        bad = [RawEvent(customer=f"c{number}", type="unheard_of") for number in range(40)]
        assert {outcome.problems[0].code for outcome in await record(crew, bad) if isinstance(outcome, Rejected)} == {
            "unknown_type"
        }
        nobody = [RawEvent(customer=name, type="purchase", properties={"amount": "1"}) for name in (None, 7, "\ud800")]
        codes = [outcome.problems[0].code for outcome in await record(crew, nobody) if isinstance(outcome, Rejected)]
        assert codes == ["missing", "type", "invalid_text"]


def replace_mark(event: RawEvent) -> RawEvent:
    return RawEvent(customer=event.customer, type=event.type, reference=event.reference, properties=event.properties)


async def test_a_killed_process_leaves_its_chunks_unsettled_and_nothing_twice(database: DatabaseAccess) -> None:
    async with open_crew(database) as (shop, crew):
        await record(crew, [purchase(number) for number in range(40)])
        under_way = [
            asyncio.create_task(record(crew, [purchase(number) for number in range(first, first + 200)]))
            for first in range(0, 1_600, 200)
        ]
        await asyncio.sleep(0)
        os.kill(min(children()), signal.SIGKILL)
        found = await asyncio.gather(*under_way, return_exceptions=True)
        assert any(isinstance(answer, Overloaded) for answer in found)
        assert all(isinstance(answer, list | Overloaded) for answer in found)
        with pytest.raises(Overloaded):
            await record(crew, [purchase(number) for number in range(1_600, 1_800)])
        await shop.engine.batcher.ingest([purchase(number) for number in range(1_800)], is_patient=True)
        ((count,),) = await shop.rows("select count(*) from events where type = 'purchase'")
        assert count == 1_800


async def test_no_process_outlives_the_crew(database: DatabaseAccess) -> None:
    before = children()
    async with open_crew(database) as (_, crew):
        crew.give_way()
        await record(crew, [purchase(number) for number in range(100)])
        assert len(children() - before) == 2
    assert children() == before


async def test_a_small_file_starts_no_process(database: DatabaseAccess) -> None:
    before = children()
    async with open_shop(database, document()) as shop:
        crews = Crews(config=CONFIG)
        async with crews.recording(shop.engine, limits.CREW_BYTES - 1) as pipeline:
            assert pipeline is shop.engine.batcher
        async with Crews(config=replace(CONFIG, job_processes=1)).recording(shop.engine, 1 << 30) as pipeline:
            assert pipeline is shop.engine.batcher
        async with crews.recording(shop.engine, limits.CREW_BYTES):
            assert len(children() - before) == 2
            crews.give_way(shop.engine)
        assert children() == before
