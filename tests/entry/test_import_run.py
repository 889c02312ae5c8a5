"""Runs of an import on a real database: what is counted, in which order, how much at once, and how it ends early."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from tests.pipeline.shop import PURCHASE, Shop, document, open_shop
from troth import limits
from troth.core.coercion import Problem
from troth.embedded.access import DatabaseAccess
from troth.entry.import_file import UnreadableFileError
from troth.entry.import_rows import Row
from troth.entry.import_run import ImportRun, Tally
from troth.pipeline.batcher import Batcher
from troth.pipeline.outcome import Outcome, Overloaded, RawEvent

CHUNK = limits.IMPORT_CHUNK_EVENTS


def rows(count: int, *, customers: int = 7, size: int = 0) -> Iterator[Row]:
    for number in range(count):
        yield Row(number + 2, size, "", purchase(f"c{number % customers}", str(number), f"r{number}"))


def purchase(customer: str, amount: str, reference: str) -> RawEvent:
    return RawEvent(customer=customer, type="purchase", reference=reference, properties={"amount": amount})


@dataclass(slots=True)
class Watched:
    """The batcher, with every call noted on its way in and out."""

    batcher: Batcher
    sizes: list[int] = field(default_factory=list)
    under_way: int = 0
    under_way_max: int = 0

    async def ingest(self, events: Sequence[RawEvent], *, is_patient: bool) -> list[Outcome]:
        assert is_patient
        self.sizes.append(len(events))
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            return await self.batcher.ingest(events, is_patient=True)
        finally:
            self.under_way -= 1


@dataclass(slots=True)
class Rejections:
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, row: Row, problems: Sequence[Problem]) -> None:
        self.found.append((row.line, problems[0].code))


async def import_into(shop: Shop, source: Iterator[Row]) -> tuple[Tally, list[tuple[int, str]], Watched]:
    await shop.engine.books.live()  # as a command does before its first chunk
    rejections, watched = Rejections(), Watched(shop.engine.batcher)
    run = ImportRun(source, watched, rejections.add)
    await run.run()
    assert run.is_complete
    return run.tally, rejections.found, watched


async def test_counts_what_came_of_each_row(database: DatabaseAccess) -> None:
    def source() -> Iterator[Row]:
        yield Row(2, 0, "", purchase("ada", "10", "r1"))
        yield Row(3, 0, "", None, (Problem("", "ragged_row", ""),))
        yield Row(4, 0, "", purchase("ada", "x", "r2"))
        yield Row(5, 0, "", purchase("bob", "10", "r1"))
        yield Row(6, 0, "", purchase("ada", "10.00", "r1"))
        yield Row(7, 0, "", purchase("ada", "11", "r1"))
        yield Row(8, 0, "", purchase("ada", "5", "r3"))

    async with open_shop(database, document()) as shop:
        tally, rejected, _ = await import_into(shop, source())
        assert tally == Tally(read=7, created=2, duplicates=2, rejected=3, points=15, mismatched=1)
        assert rejected == [(3, "ragged_row"), (4, "type"), (5, "reference_conflict")]
        assert await shop.points("ada") == {"points": 15}


async def disorder(shop: Shop, step: int) -> int:
    """How often a customer's amounts, which are numbers of rows, do not grow by `step` from one `seq` to the next."""
    found = await shop.rows(
        "select 1 from (select (properties->>'amount')::numeric - lag((properties->>'amount')::numeric)"
        " over (partition by customer_id order by seq) as step from events) as steps where step <> $1",
        step,
    )
    return len(found)


async def test_each_customer_keeps_the_order_of_the_file(database: DatabaseAccess) -> None:
    count = 4 * CHUNK * limits.IMPORT_CHUNKS_IN_FLIGHT
    async with open_shop(database, document()) as shop:
        tally, _, watched = await import_into(shop, rows(count, customers=37))
        assert (tally.created, tally.points) == (count, sum(range(count)))
        assert await disorder(shop, step=37) == 0
        assert watched.under_way_max == limits.IMPORT_CHUNKS_IN_FLIGHT
        assert set(watched.sizes) == {CHUNK}


async def test_rejected_rows_do_not_change_the_order_of_others(database: DatabaseAccess) -> None:
    def source() -> Iterator[Row]:
        for row in rows(2 * CHUNK * limits.IMPORT_CHUNKS_IN_FLIGHT, customers=37):
            yield row
            if row.line % 1_000 == 0:
                yield Row(row.line, 0, "", purchase("eve", "x", f"bad{row.line}"))

    async with open_shop(database, document()) as shop:
        _, rejected, _ = await import_into(shop, source())
        assert len(rejected) == 8
        assert await disorder(shop, step=37) == 0


async def test_a_chunk_ends_with_the_row_that_passes_its_characters(database: DatabaseAccess) -> None:
    size = limits.IMPORT_CHUNK_CHARACTERS // 2 + 1
    async with open_shop(database, document()) as shop:
        _, _, watched = await import_into(shop, rows(5, size=size))
    assert watched.sizes == [2, 2, 1]


async def test_of_wide_rows_fewer_chunks_are_under_way(database: DatabaseAccess) -> None:
    size = limits.IMPORT_CHARACTERS_IN_FLIGHT // (3 * CHUNK) - 1
    async with open_shop(database, document()) as shop:
        _, _, watched = await import_into(shop, rows(limits.IMPORT_CHUNKS_IN_FLIGHT * CHUNK, size=size))
        assert watched.under_way_max < limits.IMPORT_CHUNKS_IN_FLIGHT / 2


async def test_rows_of_an_order_wait_until_it_is_recorded(database: DatabaseAccess) -> None:
    """They name no customer, and their order stands in the chunk before."""

    def source() -> Iterator[Row]:
        for number in range(CHUNK):
            yield Row(number + 2, 0, "", purchase(f"c{number}", "10", f"o{number}"))
        for number in range(CHUNK):
            accepted = RawEvent(type="checkout_accept", properties={"order_id": f"o{number}"})
            yield Row(CHUNK + number + 2, 0, "", accepted)

    program = document(event_types=[{**PURCHASE, "order": {"amount": "amount"}}], orders={"acceptance": "manual"})
    async with open_shop(database, program) as shop:
        tally, rejected, _ = await import_into(shop, source())
        assert (tally.created, rejected) == (2 * CHUNK, [])


async def test_a_second_run_adds_nothing(database: DatabaseAccess) -> None:
    async with open_shop(database, document()) as shop:
        await import_into(shop, rows(500))
        tally, rejected, _ = await import_into(shop, rows(500))
        assert (tally, rejected) == (Tally(read=500, duplicates=500), [])
        assert await shop.count("events") == 500


async def test_stopped_it_settles_what_it_has_read_and_goes_on_later(database: DatabaseAccess) -> None:
    async with open_shop(database, document()) as shop:
        run = ImportRun(rows(20_000), shop.engine.batcher, Rejections().add)
        running = asyncio.create_task(run.run())
        while run.tally.read < 3 * CHUNK:
            await asyncio.sleep(0.001)
        run.stop()
        await running
        assert not run.is_complete
        assert 3 * CHUNK <= run.tally.read < 20_000
        assert run.tally.created == run.tally.read == await shop.count("events")
        tally, _, _ = await import_into(shop, rows(run.tally.read + 100))
        assert (tally.duplicates, tally.created) == (run.tally.read, 100)


async def test_a_file_that_breaks_off_is_recorded_to_there(database: DatabaseAccess) -> None:
    def source() -> Iterator[Row]:
        yield from rows(2 * CHUNK)
        raise UnreadableFileError("cut short")

    async with open_shop(database, document()) as shop:
        run = ImportRun(source(), shop.engine.batcher, Rejections().add)
        with pytest.raises(UnreadableFileError, match="cut short"):
            await run.run()
        assert run.tally.created == 2 * CHUNK == await shop.count("events")


async def test_an_overloaded_pipeline_ends_the_run(database: DatabaseAccess) -> None:
    async with open_shop(database, document(), queue_events=CHUNK - 1) as shop:
        run = ImportRun(rows(99 * CHUNK, customers=1), shop.engine.batcher, Rejections().add)
        with pytest.raises(Overloaded):
            await run.run()
        assert run.tally == Tally()
        assert not run.is_complete
