"""Storms: many clients, two servers, the same references, hot customers, locks taken in adverse order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.shop import BASE, Shop, answer, code, codes, document, open_shop, purchase, record, signup
from troth.pipeline.outcome import Applied, Outcome
from troth.store.pool import Connection

SEED = 20261120
CLIENTS = 8
REFERENCES = 500  # 5,000 in `bench/`
TIERS = {
    "basis": {"wallet": "points", "window": "lifetime"},
    "levels": [{"id": "a", "from": "0"}, {"id": "b", "from": "300"}],
}
RISE = {"id": "rise", "event_type": "tier_upgraded", "award": "7"}


@pytest.fixture
async def servers_of_shop(database: TestDatabase) -> AsyncIterator[list[Shop]]:
    """Two servers on one database, as two processes would run them."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_shop(database, document(BASE, RISE, tiers=TIERS)))
        second = await stack.enter_async_context(open_shop(database, None))
        yield [first, second]


async def test_eight_clients_with_the_same_references(servers_of_shop: list[Shop]) -> None:
    """Each is paid once, and every answer is the same but for `duplicate`; over 40 hot customers."""
    print("seed", SEED)
    events = {f"r{n}": purchase(f"c{n % 40}", str(n % 17 + 1), f"r{n}") for n in range(REFERENCES)}

    async def client(number: int) -> dict[str, Outcome]:
        order = list(events)
        random.Random(SEED + number).shuffle(order)
        shop, answers = servers_of_shop[number % 2], {}
        size = (1, 7, 50, 250)[number % 4]
        for first in range(0, len(order), size):
            part = order[first : first + size]
            answers.update(zip(part, await shop.send(*(events[name] for name in part)), strict=True))
        return answers

    everyone = await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    for name in events:
        told = [answers[name] for answers in everyone]
        assert sorted(codes(told)) == ["applied"] + ["duplicate"] * (CLIENTS - 1), name
        assert all(answer(outcome) == answer(told[0]) for outcome in told), name
    shop = servers_of_shop[0]
    expected = sum(n % 17 + 1 for n in range(REFERENCES))
    risen = [row["id"] for row in await shop.rows("select id from events where type = 'tier_upgraded'")]
    assert await shop.count("events") == REFERENCES + len(risen)
    assert await shop.posted() == expected + 7 * len(risen)
    await check_books(shop.database)


async def test_two_servers_name_new_customers_at_once(servers_of_shop: list[Shop]) -> None:
    sends = [
        shop.send(*(purchase(f"new{n}", "1", f"{place}-{turn}-{n}") for n in random.Random(turn).sample(range(20), 20)))
        for turn in range(5)
        for place, shop in enumerate(servers_of_shop)
    ]
    for outcomes in await asyncio.gather(*sends):
        assert set(codes(outcomes)) == {"applied"}
    shop = servers_of_shop[0]
    assert [await shop.count(table) for table in ("identities", "customers", "personal_keys")] == [20] * 3
    assert [await shop.balance(f"new{n}") for n in range(20)] == [10] * 20
    await check_books(shop.database)


async def test_once_is_once_between_servers(servers_of_shop: list[Shop]) -> None:
    sends = [servers_of_shop[n % 2].one(signup("anna", f"s{n}")) for n in range(20)]
    found = codes(await asyncio.gather(*sends))
    assert sorted(found) == ["applied"] + ["not_repeatable"] * 19


async def test_caps_hold_between_servers(servers_of_shop: list[Shop]) -> None:
    first = servers_of_shop[0]
    await first.publish(document({**BASE, "limits": [{"points": "100", "window": "ever"}]}))
    sends = [servers_of_shop[n % 2].one(purchase("anna", "7")) for n in range(30)]
    outcomes = await asyncio.gather(*sends)
    assert sum(record(outcome).points for outcome in outcomes) == 100 == await first.balance("anna")
    assert sorted(record(outcome).seq for outcome in outcomes) == list(range(1, 31))


async def test_published_in_one_server_judged_in_the_other(servers_of_shop: list[Shop]) -> None:
    await asyncio.gather(*(shop.one(purchase("anna", "1")) for shop in servers_of_shop))
    for factor in range(2, 5):
        await servers_of_shop[0].publish(document({**BASE, "award": f"properties.amount * {factor}"}))
        outcomes = await asyncio.gather(*(shop.one(purchase("anna", "1")) for shop in servers_of_shop))
        assert [record(outcome).points for outcome in outcomes] == [factor, factor]


# Locks


async def locked(owner: Connection, name: str) -> None:
    await owner.execute(
        "select from customers where id = (select customer_id from identities where external_id = $1) for update", name
    )


async def in_lock_order(shop: Shop, names: list[str]) -> list[str]:
    rows = await shop.rows(
        "select external_id from identities where external_id = any($1) order by customer_bucket, customer_id", names
    )
    return [row["external_id"] for row in rows]


async def test_a_deadlock_with_somebody_else_is_tried_again(
    database: TestDatabase, logged: list[dict[str, object]]
) -> None:
    """A stranger locks in the other order and is patient, so the engine is the one the database refuses."""
    async with open_shop(database, document(), lanes=1) as shop:
        names = await in_lock_order_after(shop, ["anna", "berta"])
        stranger = await asyncpg.connect(database.admin_dsn)
        try:
            await stranger.execute("set search_path = troth; set deadlock_timeout = '30s'; begin")
            await locked(stranger, names[1])
            sending = asyncio.create_task(shop.send(purchase(names[0], "5", "r"), purchase(names[1], "5")))
            await until_waiting(stranger)
            await locked(stranger, names[0])  # granted once the engine has been refused
            await stranger.execute("commit")
        finally:
            await stranger.close()
        assert codes(await sending) == ["applied", "applied"]
        assert [line["error"] for line in logged if line["event"] == "batch_again"] == ["DeadlockDetectedError"]
        assert [await shop.balance(name) for name in names] == [6, 6]
        await check_books(shop.database)


async def in_lock_order_after(shop: Shop, names: list[str]) -> list[str]:
    assert set(codes(await shop.send(*(purchase(name, "1") for name in names)))) == {"applied"}
    return await in_lock_order(shop, names)


async def until_waiting(connection: Connection) -> None:
    """Until somebody waits for a lock of ours."""
    waits = "select count(*) from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))"
    async with asyncio.timeout(10):
        while not await connection.fetchval(waits):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "error",
    [asyncpg.SerializationError, asyncpg.InvalidCachedStatementError, asyncpg.ConnectionDoesNotExistError, OSError],
)
async def test_what_another_try_may_cure_is_tried_again_whole(database: TestDatabase, error: type[Exception]) -> None:
    runs = 0

    async def fail_twice(_: Connection) -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise error("once more")

    async with open_shop(database, document()) as shop:
        outcomes = await shop.send(purchase("anna", "5"), purchase("anna", "6"), companion=fail_twice)
        assert (codes(outcomes), runs) == (["applied", "applied"], 3)
        assert all(isinstance(outcome, Applied) for outcome in outcomes)
        assert (await shop.balance("anna"), await shop.count("events")) == (11, 2)


async def test_a_plan_made_stale_by_a_migration_is_made_again(database: TestDatabase) -> None:
    async with open_shop(database, document(), lanes=1) as shop:
        await shop.send(purchase("anna", "5"))
        async with database.owner() as owner:
            await owner.execute("alter table customers alter column tier type varchar(200)")
        assert code(await shop.one(purchase("anna", "5"))) == "applied"
        assert await shop.balance("anna") == 10
