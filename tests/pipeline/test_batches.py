"""Batches: twins, windows, companions, data that one event spoils, full queues, and programs that change between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.conftest import TestDatabase
from tests.pipeline.shop import BASE, PURCHASE, SIGNUP, Shop, codes, document, open_shop, purchase, record, signup
from troth import limits
from troth.core.ids import bucket_of
from troth.pipeline.outcome import Overloaded, RawEvent
from troth.store.pool import Connection

SPOILED = "\0"  # PostgreSQL's text holds no NUL; doors never let one through here


@pytest.fixture
async def shop(database: TestDatabase) -> AsyncIterator[Shop]:
    async with open_shop(database, document()) as opened:
        yield opened


def spoiled(customer: str, reference: str | None = None) -> RawEvent:
    return purchase(customer, "10", reference, source_detail=SPOILED)


@pytest.mark.parametrize("place", [0, 3, 6])
async def test_one_event_that_cannot_be_stored_fails_alone(shop: Shop, place: int) -> None:
    events = [purchase(f"c{number % 3}", "10", f"r{number}") for number in range(7)]
    events[place] = spoiled(f"c{place % 3}", f"r{place}")
    found = codes(await shop.send(*events))
    assert found == ["unstorable" if number == place else "applied" for number in range(7)]
    assert (await shop.count("events"), await shop.posted(), await shop.count("event_refs")) == (6, 60, 6)
    assert codes(await shop.send(purchase(f"c{place % 3}", "10", f"r{place}"))) == ["applied"]


async def test_callers_who_share_a_batch_do_not_share_its_fault(shop: Shop) -> None:
    calls = [shop.send(purchase(f"c{number}", "10")) for number in range(20)] + [shop.send(spoiled("c3"))]
    found = [outcome for (outcome,) in await asyncio.gather(*calls)]
    assert codes(found) == ["applied"] * 20 + ["unstorable"]
    assert await shop.posted() == 200


async def test_a_spoiled_twin_leaves_its_reference_to_the_next(shop: Shop) -> None:
    found = codes(await shop.send(spoiled("anna", "r"), purchase("anna", "10", "r")))
    assert found == ["unstorable", "applied"]
    assert await shop.balance("anna") == 10


# Companions


class Note:
    """A companion that leaves a row behind: another reference."""

    def __init__(self, error: Exception | None = None) -> None:
        self.runs = 0
        self.error = error

    async def __call__(self, connection: Connection) -> None:
        self.runs += 1
        await connection.execute("insert into event_refs values (0, sha256('note'::bytea), gen_random_uuid())")
        if self.error is not None:
            raise self.error


async def notes(shop: Shop) -> int:
    return len(await shop.rows("select from event_refs where reference_hash = sha256('note'::bytea)"))


@pytest.mark.parametrize(
    "events",
    [
        [purchase("anna"), purchase("berta"), purchase("anna")],
        [purchase("anna", "1", "r"), purchase("anna", "1", "r")],  # a twin waits for a second transaction
        [purchase("anna", "x"), purchase("anna", "y")],  # all refused before the batch
        [],
        [signup("anna"), signup("anna")],
        [purchase("anna"), spoiled("anna")],
        [spoiled("anna"), purchase("anna")],
        [spoiled("anna")],
        [purchase("anna", "1", "r"), spoiled("berta"), purchase("anna", "1", "r"), purchase("berta", "1", "r")],
        [purchase("anna", "1", "r"), purchase("anna", "1", "r"), purchase("anna"), spoiled("berta")],
        [signup("anna", "r"), signup("anna", "s"), signup("berta", "s"), spoiled("berta")],
    ],
    ids=[
        "plain",
        "twins",
        "refused",
        "empty",
        "rejected",
        "bad-last",
        "bad-first",
        "bad",
        "bad-and-twins",
        "twins-and-bad",
        "twins-of-a-rejected-and-bad",
    ],
)
async def test_a_companion_commits_once_with_its_batch(shop: Shop, events: list[RawEvent]) -> None:
    await shop.send(*events, companion=Note())  # a second run would break the key of its row
    assert await notes(shop) == 1


@pytest.mark.parametrize("error", [RuntimeError("no"), asyncpg.DataError("no"), asyncpg.UniqueViolationError("no")])
@pytest.mark.parametrize("count", [0, 1, 4])
async def test_a_failing_companion_takes_its_batch_along(shop: Shop, error: Exception, count: int) -> None:
    with pytest.raises(type(error)):
        await shop.send(*(purchase(f"c{number}") for number in range(count)), companion=Note(error))
    tables = ("events", "event_refs", "identities", "customers", "personal_keys")
    assert [await shop.count(table) for table in tables] == [0] * 5
    assert codes(await shop.send(purchase("c0"))) == ["applied"], "the lane goes on"


async def test_a_batch_with_a_companion_is_not_merged(shop: Shop) -> None:
    companion = Note(RuntimeError("no"))
    same_lane = next(f"c{n}" for n in range(99) if bucket_of(f"c{n}") % limits.LANES == 0)
    calls = [shop.send(purchase(same_lane)) for _ in range(5)]
    failing = shop.send(purchase(same_lane), companion=companion)
    found = await asyncio.gather(*calls[:2], failing, *calls[2:], return_exceptions=True)
    assert [type(outcome) for outcome in found] == [list, list, RuntimeError, list, list, list]
    assert await shop.balance(same_lane) == 50


# Bounds


def of_lane(place: int, count: int) -> list[str]:
    names = (f"c{number}" for number in range(count * 50))
    return [name for name in names if bucket_of(name) % limits.LANES == place][:count]


async def test_no_transaction_holds_more_than_batch_events(shop: Shop) -> None:
    names = of_lane(0, limits.BATCH_EVENTS + 1)
    assert set(codes(await shop.send(*(purchase(name) for name in names)))) == {"applied"}
    assert shop.engine.batcher.statistics.events == limits.BATCH_EVENTS + 1
    assert shop.engine.batcher.statistics.batches == 2


async def test_waiting_callers_share_transactions(shop: Shop) -> None:
    await shop.send(purchase("first"))  # it reads the program; who comes meanwhile would be let in one by one
    names = of_lane(0, limits.BATCH_EVENTS + 10)
    await asyncio.gather(*(shop.send(purchase(name)) for name in names))
    assert shop.engine.batcher.statistics.batches == 1 + 2


async def test_full_queues_refuse_whole_calls(database: TestDatabase) -> None:
    async with open_shop(database, document(), queue_events=5) as shop:
        first, second = of_lane(0, 4), of_lane(1, 3)
        with pytest.raises(Overloaded) as refused:
            await shop.send(*(purchase(name) for name in (*second, *first, *first)))
        assert refused.value.retry_seconds >= 1
        assert await shop.count("events") == 0, "nor the part that another lane had room for"
        assert set(codes(await shop.send(*(purchase(name) for name in (*first, *second))))) == {"applied"}
        calls = [shop.send(*(purchase(name) for name in first)) for _ in range(4)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        refusals = [outcome for outcome in found if isinstance(outcome, Overloaded)]
        assert 1 <= len(refusals) <= 3
        assert await shop.count("events") == 7 + 4 * (4 - len(refusals))
        assert shop.engine.batcher.waiting_events == 0


async def test_queue_events_is_the_default_bound(shop: Shop) -> None:
    assert shop.engine.batcher.queues.events_max == limits.QUEUE_EVENTS


async def test_what_was_taken_in_is_finished_before_the_end(database: TestDatabase) -> None:
    async with open_shop(database, document()) as shop:
        await shop.send(purchase("first"))
        sent = [asyncio.create_task(shop.send(purchase(f"c{number}"))) for number in range(50)]
        await asyncio.sleep(0)
        batcher = shop.engine.batcher
    assert [codes(await task) for task in sent] == [["applied"]] * 50
    with pytest.raises(Overloaded):
        await batcher.ingest([purchase("late")])


async def test_a_caller_who_leaves_disturbs_nobody(shop: Shop) -> None:
    leaving = [asyncio.create_task(shop.send(purchase("anna"))) for _ in range(5)]
    staying = [asyncio.create_task(shop.send(purchase("anna"))) for _ in range(5)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    assert [codes(await task) for task in staying] == [["applied"]] * 5
    assert codes(await shop.send(purchase("anna"))) == ["applied"]


# The program changes between


async def test_a_published_rule_holds_for_the_next_event(shop: Shop) -> None:
    await shop.send(purchase("anna"))
    await shop.publish(document({**BASE, "award": "properties.amount * 3"}))
    (outcome,) = await shop.send(purchase("anna"))
    assert (record(outcome).points, record(outcome).revision) == (30, 2)


async def test_what_no_longer_fits_is_refused_by_the_new_program(shop: Shop) -> None:
    await shop.send(purchase("anna"))
    amount = {"type": "number", "max": "5", "required": True}
    await shop.publish(document(event_types=[{**PURCHASE, "properties": {"amount": amount}}, SIGNUP]))
    assert codes(await shop.send(purchase("anna", "10", "r"), purchase("anna", "5", "r"))) == [
        "above_maximum",
        "applied",
    ]
    assert await shop.balance("anna") == 15


async def test_a_new_type_is_known_at_once(shop: Shop) -> None:
    visit = RawEvent(customer="anna", type="visit")
    assert codes(await shop.send(visit)) == ["unknown_type"]
    await shop.publish(document(event_types=[PURCHASE, SIGNUP, {"id": "visit"}]))
    assert codes(await shop.send(visit)) == ["applied"]
    await shop.publish(document(event_types=[PURCHASE, SIGNUP, {"id": "stay"}]))
    assert codes([await shop.engine.batcher.preview(RawEvent(customer="anna", type="stay"))]) == ["applied"]


async def test_compiled_programs_are_bounded(shop: Shop) -> None:
    books = shop.engine.books
    for number in range(limits.PROGRAMS_KEPT + 1):
        await shop.publish(document({**BASE, "award": f"{number + 1}"}))
        await books.refresh()
    assert len(books._kept) == limits.PROGRAMS_KEPT
    assert (await books.at(1)).revision == 1, "what was dropped is read again"
