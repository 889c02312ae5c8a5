"""Month partitions made ahead, and statistics of tables that grow."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from tests.conftest import TestDatabase
from troth.core.ids import uuid7
from troth.store import upkeep
from troth.store.migrate import migrate
from troth.store.upkeep import analyse_grown, make_partitions

BY_TREE = """select relid::regclass::text from pg_partition_tree('events') where isleaf order by 1"""
INSERT_POSTING = """insert into postings (bucket, event_id, n, customer_id, seq, wallet, from_state, to_state, points,
    qualifying, lot_event, lot_n, occurred_at, reason)
    values (1, $1, 0, $1, 1, 'points', 'program', 'available', 1, true, $1, 0, now(), 'award')"""


def id_at(moment: datetime) -> UUID:
    return uuid7(round(moment.timestamp() * 1000), 1, 0)


@pytest.mark.each_postgres
@pytest.mark.parametrize(
    ("now", "months"),
    [
        ("2026-11-22T12:00:00+00:00", ["2026_11", "2026_12", "2027_01", "2027_02"]),
        ("2026-12-31T23:59:59+00:00", ["2026_12", "2027_01", "2027_02", "2027_03"]),
        ("2027-01-01T00:30:00+00:00", ["2026_12", "2027_01", "2027_02", "2027_03", "2027_04"]),
        ("2028-01-31T23:00:00-05:00", ["2028_01", "2028_02", "2028_03", "2028_04", "2028_05"]),
    ],
)
async def test_this_month_and_three_more(empty_database: TestDatabase, now: str, months: list[str]) -> None:
    async with empty_database.owner() as connection:
        await migrate(connection)
        made = await make_partitions(connection, datetime.fromisoformat(now))
        assert made == [f"{parent}_{month}" for month in months for parent in ("events", "postings")]
        assert await make_partitions(connection, datetime.fromisoformat(now)) == []
        assert [row[0] for row in await connection.fetch(BY_TREE)] == [f"events_{month}" for month in months]


async def test_an_id_lies_in_the_month_of_its_millisecond(database: TestDatabase) -> None:
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    expected = {
        id_at(first): f"postings_{first:%Y_%m}",
        id_at(following - timedelta(milliseconds=1)): f"postings_{first:%Y_%m}",
        id_at(following): f"postings_{following:%Y_%m}",
    }
    async with database.open_database() as opened:
        for id_, partition in expected.items():
            await opened.pool.execute(INSERT_POSTING, id_)
            found = await opened.pool.fetchval("select tableoid::regclass::text from postings where event_id = $1", id_)
            assert found == partition
        with pytest.raises(asyncpg.CheckViolationError, match="no partition"):
            await opened.pool.execute(INSERT_POSTING, id_at(first + timedelta(days=200)))


async def test_partitions_are_made_while_others_write_and_by_two_at_once(database: TestDatabase) -> None:
    later = datetime.now(UTC) + timedelta(days=70)
    async with database.open_database() as opened, opened.pool.acquire() as writer, writer.transaction():
        await writer.execute(INSERT_POSTING, id_at(datetime.now(UTC)))
        async with database.owner() as first, database.owner() as second:
            made = await asyncio.gather(make_partitions(first, later), make_partitions(second, later))
    assert len(set(made[0]) | set(made[1])) == len(made[0]) + len(made[1]) > 0


async def test_a_long_lock_is_not_waited_for(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOCK_SECONDS", 0.05)
    later = datetime.now(UTC) + timedelta(days=70)
    async with database.owner() as holder, database.owner() as owner:
        async with holder.transaction():
            await holder.execute("lock table events in access exclusive mode")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await asyncio.wait_for(make_partitions(owner, later), 10)
        assert len(await make_partitions(owner, later)) > 0


async def test_growing_tables_are_analysed_at_each_tenfold(database: TestDatabase) -> None:
    fill = """insert into event_refs select 1, sha256(convert_to(n::text, 'UTF8')), gen_random_uuid()
        from generate_series($1::integer, $2::integer) as n"""
    async with database.owner() as connection:
        await connection.execute("alter table event_refs set (autovacuum_enabled = off)")
        seen = []
        for low, high in [(1, 900), (901, 1_100), (1_101, 9_000), (9_001, 12_000)]:
            await connection.execute(fill, low, high)
            await connection.execute("select pg_stat_force_next_flush()")
            seen.append(await analyse_grown(connection))
    assert seen == [[], ["troth.event_refs"], [], ["troth.event_refs"]]
