"""The answer to COMMIT never arrives: nothing is written twice, and every event is answered as the first time.

A batch of known customers commits with its one writing statement; it is known by the properties that it carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.conftest import TestDatabase
from tests.faults.proxy import Loss, Proxy, proxy_before
from tests.pipeline.books_balance import check_books
from tests.pipeline.shop import Shop, answer, codes, document, open_shop, purchase, record, signup
from troth import limits
from troth.pipeline.outcome import Unreachable

WRITING = b'"amount"'
LOSSES: list[Loss] = ["answer cut", "answer swallowed", "request cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A shop behind a proxy."""

    shop: Shop
    proxy: Proxy


@pytest.fixture
async def line(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Line]:
    monkeypatch.setattr(limits, "COMMIT_SECONDS", 0.3)
    async with proxy_before(database.app_dsn) as (proxy, dsn):
        behind = TestDatabase(
            name=database.name, app_dsn=dsn, owner_dsn=database.owner_dsn, admin_dsn=database.admin_dsn
        )
        async with open_shop(behind, document(), lanes=1) as shop:
            await shop.send(purchase("first", "1"))
            yield Line(shop=shop, proxy=proxy)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("reference", ["r", None])
async def test_one_event_is_recorded_once(line: Line, loss: Loss, reference: str | None) -> None:
    line.proxy.losses = [loss]
    outcome = await line.shop.one(purchase("anna", "125", reference))
    assert line.proxy.lost == [loss]
    assert codes([outcome]) == ["applied"], "it is new to its sender"
    assert (await line.shop.balance("anna"), await line.shop.count("events")) == (125, 2)
    again = await line.shop.one(purchase("anna", "125", record(outcome).reference))
    assert (codes([again]), answer(again)) == (["duplicate"], answer(outcome))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("reference", ["r", None])
async def test_one_event_of_a_known_customer_is_recorded_once(line: Line, loss: Loss, reference: str | None) -> None:
    line.proxy.request, line.proxy.losses = WRITING, [loss]
    outcome = await line.shop.one(purchase("first", "125", reference))
    assert (line.proxy.lost, codes([outcome])) == ([loss], ["applied"])
    assert (await line.shop.balance("first"), await line.shop.count("events")) == (126, 2)
    again = await line.shop.one(purchase("first", "125", record(outcome).reference))
    assert (codes([again]), answer(again)) == (["duplicate"], answer(outcome))
    await check_books(line.shop.database)


async def test_every_try_may_lose_its_answer(line: Line) -> None:
    line.proxy.losses = ["answer cut", "request cut", "answer swallowed", "answer cut"]
    outcome = await line.shop.one(purchase("anna", "125"))
    assert (codes([outcome]), await line.shop.count("events")) == (["applied"], 2)
    assert line.proxy.lost == ["answer cut", "request cut", "answer swallowed", "answer cut"]


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_batch_keeps_its_outcomes(line: Line, loss: Loss) -> None:
    """New and known customers, twins, a duplicate, a refusal and events without references, all in one lost batch."""
    await line.shop.send(purchase("anna", "1", "old"), signup("anna"))
    line.proxy.losses = [loss]
    sent = [
        purchase("anna", "10", "r1"),
        purchase("berta", "20"),
        purchase("anna", "1", "old"),
        signup("anna", "r2"),
        purchase("carla", "30", "r3"),
        purchase("carla", "30", "r3"),
        purchase("berta", "20"),
        purchase("dora", "1", "r1"),
    ]
    outcomes = await line.shop.send(*sent)
    assert codes(outcomes) == [
        "applied", "applied", "duplicate", "not_repeatable", "applied", "duplicate", "applied", "reference_conflict",
    ]  # fmt: skip
    assert [await line.shop.balance(name) for name in ("anna", "berta", "carla", "dora")] == [11, 40, 30, 0]
    await check_books(line.shop.database)


async def test_under_load_with_every_third_answer_lost(line: Line) -> None:
    line.proxy.request = WRITING
    line.proxy.losses = [None, None, "answer cut", None, None, "request cut"] * 5

    async def client(number: int) -> list[str]:
        return [answer_id for step in range(10) for answer_id in await buy(number, step)]

    async def buy(number: int, step: int) -> list[str]:
        outcomes = await line.shop.send(purchase(f"c{number % 3}", "10", None if step % 2 else f"r{number}-{step}"))
        assert codes(outcomes) == ["applied"]
        return [record(outcome).id for outcome in outcomes]

    found = await asyncio.gather(*(client(number) for number in range(8)))
    ids = {answer_id for own in found for answer_id in own}
    assert len(line.proxy.lost) >= 2
    assert (len(ids), await line.shop.count("events"), await line.shop.posted()) == (80, 81, 801)
    await check_books(line.shop.database)


async def test_a_database_that_stays_away_is_told_and_comes_back(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_SECONDS", 0.3)
    line.proxy.die()
    with pytest.raises(Unreachable) as refused:
        await line.shop.send(purchase("anna", "10", "r"))
    assert refused.value.retry_seconds >= 1
    with pytest.raises(Unreachable):
        await line.shop.send(purchase("anna", "wrong", "r"))
    line.proxy.is_dead = False
    assert codes(await line.shop.send(purchase("anna", "10", "r"))) == ["applied"]
    assert await line.shop.balance("anna") == 10


async def test_an_outage_within_the_time_is_not_noticed(line: Line) -> None:
    """RETRY_PAUSE_SECONDS and RETRY_PAUSE_SECONDS_MAX: tries come often, and never seconds apart."""
    assert 0 < limits.RETRY_PAUSE_SECONDS < limits.RETRY_PAUSE_SECONDS_MAX <= 1
    line.proxy.die()
    asyncio.get_running_loop().call_later(0.5, setattr, line.proxy, "is_dead", False)
    assert codes(await line.shop.send(purchase("anna", "10"))) == ["applied"]
    assert await line.shop.balance("anna") == 10


async def test_no_answer_is_waited_for_without_end(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """ANSWER_SECONDS: whichever statement it is whose answer is lost, the batch runs again on a new connection."""
    monkeypatch.setattr(limits, "ANSWER_SECONDS", 0.3 - 30)
    line.proxy.cut()  # the next connection has the new bound
    line.proxy.request, line.proxy.losses = b"begin\0", ["answer swallowed"]
    assert codes(await line.shop.send(purchase("anna", "10"))) == ["applied"]
    assert (line.proxy.lost, await line.shop.balance("anna")) == (["answer swallowed"], 10)


async def test_a_rollback_that_is_not_answered_ends(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """ROLLBACK_SECONDS: the batch is run again on a new connection."""
    assert 0 < limits.ROLLBACK_SECONDS < limits.RETRY_SECONDS
    monkeypatch.setattr(limits, "ROLLBACK_SECONDS", 0.2)
    line.proxy.request, line.proxy.losses = b"rollback\0", ["answer swallowed"]
    outcomes = await line.shop.send(purchase("anna", "10"), purchase("anna", "10", source_detail="\0"))
    assert (codes(outcomes), line.proxy.lost) == (["applied", "unstorable"], ["answer swallowed"])
    assert await line.shop.balance("anna") == 10
