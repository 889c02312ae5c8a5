"""kill -9 of PostgreSQL's backends and of a serving process, under load, on a durable server: totals stay exact."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import TestDatabase, fresh_database, make_scratch_folder
from tests.faults import sender
from tests.pipeline.books_balance import check_books
from tests.pipeline.shop import Shop, codes, document, open_shop, publish_document, record
from troth.embedded.access import DatabaseAccess
from troth.embedded.options import Options
from troth.embedded.postgres import Cluster, running_cluster
from troth.pipeline.outcome import Applied, Duplicate

SEED = 20261120
COUNT = 800
KILLS = 3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def durable() -> AsyncIterator[Cluster]:
    """A server that flushes every commit to disk."""
    folder = make_scratch_folder()
    async with running_cluster(folder / "data", Options(purpose="tests", dies_with_us=True)) as cluster:
        yield cluster
    shutil.rmtree(folder)


@pytest.fixture
async def database(durable: Cluster) -> AsyncIterator[TestDatabase]:
    async with fresh_database(durable, template="template1") as fresh:
        await DatabaseAccess(app_dsn=fresh.app_dsn, owner_dsn=fresh.owner_dsn).prepare()
        yield fresh


async def check_totals(shop: Shop) -> None:
    """Event n brings n % 9 + 1 points; all of them, none twice."""
    for customer in range(10):
        expected = sum(number % 9 + 1 for number in range(COUNT) if number % 10 == customer)
        assert await shop.balance(f"c{customer}") == expected
    assert await shop.count("events") == await shop.count("event_refs") == COUNT
    await check_books(shop.database)


async def kill_backends(admin_dsn: str, dice: random.Random) -> int:
    """kill -9 one backend of ours; PostgreSQL then ends them all and recovers."""
    killed = 0
    while killed < KILLS:
        await asyncio.sleep(dice.uniform(0.05, 0.4))
        try:
            admin = await asyncpg.connect(admin_dsn)
            rows = await admin.fetch("select pid from pg_stat_activity where application_name = 'troth'")
            admin.terminate()
        except (OSError, asyncpg.PostgresError):
            continue  # it recovers
        if rows:
            os.kill(dice.choice(rows)["pid"], signal.SIGKILL)
            killed += 1
    return killed


async def test_killed_backends_lose_and_double_nothing(database: TestDatabase) -> None:
    print("seed", SEED)
    dice = random.Random(SEED)
    async with open_shop(database, document()) as shop:
        killing = asyncio.create_task(kill_backends(database.admin_dsn, dice))
        numbers, ids = iter(range(COUNT)), {}

        async def client() -> None:
            for number in numbers:
                (outcome,) = await shop.send(sender.event(number))
                assert isinstance(outcome, Applied), outcome
                ids[number] = record(outcome).id
                await asyncio.sleep(0.01)

        await asyncio.gather(*(client() for _ in range(8)))
        assert await killing == KILLS
        again = await shop.send(*(sender.event(number) for number in range(COUNT)))
        assert set(codes(again)) == {"duplicate"}
        assert [record(outcome).id for outcome in again] == [ids[number] for number in range(COUNT)]
        await check_totals(shop)


async def test_a_killed_server_loses_no_answered_event(database: TestDatabase) -> None:
    print("seed", SEED)
    dice = random.Random(SEED)
    async with database.open_database() as pool:
        await publish_document(pool, document())
    answered: set[int] = set()
    for _ in range(KILLS):
        answered |= await serve_and_kill(database.app_dsn, dice.randint(1, 25))
    assert answered, "it was killed before it did anything"
    async with open_shop(database, None) as shop:
        before = await shop.count("events")
        assert len(answered) <= before < COUNT, "it was killed after it had done everything"
        outcomes = await shop.send(*(sender.event(number) for number in range(COUNT)))
        assert all(isinstance(outcomes[number], Duplicate) for number in answered)
        assert codes(outcomes).count("duplicate") == before
        await check_totals(shop)


async def serve_and_kill(dsn: str, answers: int) -> set[int]:
    """Run the server and kill it once it has answered so many batches. Out: the events it had answered."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, Path(sender.__file__), dsn, str(COUNT), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    first = [await process.stdout.readline() for _ in range(answers)]
    process.kill()
    lines = b"".join([*first, await process.stdout.read()]).decode().splitlines(keepends=True)
    await process.wait()
    return {int(number) for line in lines if line.endswith("\n") for number in line.split()}
