"""Migrations: applied once, in order, whole; what is newer or different is refused; roles are made or asked for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import TestDatabase
from troth.core.sources.kinds import KINDS
from troth.core.sources.settings import SourceSettings, read_settings
from troth.store.migrate import Migration, migrate, read_migrations
from troth.store.pool import Session, UnfitDatabaseError, connect
from troth.store.sources import list_sources

FIRST = Migration(number=1, name="first", text="create table one (a integer); insert into one values (1);")
SECOND = Migration(number=2, name="second", text="alter table one add column b integer;")
BROKEN = Migration(number=2, name="broken", text="insert into one values (2); select 1 / 0;")


@pytest.mark.each_postgres
async def test_the_migrations_of_this_version_apply_once(empty_database: TestDatabase) -> None:
    async with empty_database.owner() as connection:
        assert await migrate(connection) == read_migrations()
        assert await migrate(connection) == []
        recorded = await connection.fetch("select number, name from migrations order by number")
    assert [(row["number"], row["name"]) for row in recorded] == [(one.number, one.name) for one in read_migrations()]


async def test_what_is_missing_is_applied_in_order(empty_database: TestDatabase) -> None:
    async with empty_database.owner() as connection:
        assert await migrate(connection, [FIRST]) == [FIRST]
        assert await migrate(connection, [FIRST, SECOND]) == [SECOND]
        assert await connection.fetchval("select b from one") is None


async def test_a_failing_migration_leaves_nothing_and_frees_the_lock(empty_database: TestDatabase) -> None:
    async with empty_database.owner() as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(connection, [FIRST, BROKEN])
        assert [row[0] for row in await connection.fetch("select a from one")] == [1]
    async with empty_database.owner() as connection:
        assert await asyncio.wait_for(migrate(connection, [FIRST, SECOND]), 10) == [SECOND]


async def test_two_processes_that_start_at_once_migrate_once(empty_database: TestDatabase) -> None:
    async with empty_database.owner() as first, empty_database.owner() as second:
        applied = await asyncio.gather(migrate(first, [FIRST, SECOND]), migrate(second, [FIRST, SECOND]))
    assert sorted(applied, key=len) == [[], [FIRST, SECOND]]


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        ([FIRST], "migrated by a newer Troth .migration 0002_second"),
        ([FIRST, BROKEN], "0002_second of this database differs from ours"),
    ],
)
async def test_a_database_of_another_version_is_refused(
    empty_database: TestDatabase, ours: list[Migration], says: str
) -> None:
    async with empty_database.owner() as connection:
        await migrate(connection, [FIRST, SECOND])
        with pytest.raises(UnfitDatabaseError, match=says):
            await migrate(connection, ours)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("segment", {}, {"browsers": "only"}),
        ("segment", {"browsers": "limited", "types": ["review"]}, {"browsers": "only", "types": ["review"]}),
        ("segment", {"browsers": "only"}, {"browsers": "only"}),
        ("segment", {"browsers": "refused"}, {"browsers": "refused"}),
        ("shopify", {"places": 2}, {"places": 2}),
    ],
)
async def test_write_keys_that_pages_may_have_become_public(
    empty_database: TestDatabase, kind: str, before: object, after: object
) -> None:
    every = read_migrations()
    (number,) = (migration.number for migration in every if migration.name == "public_write_keys")
    insert = """
        insert into sources (id, kind, name, enabled, settings, seal, secrets, made_at, changed_at)
        values ('shop', $1, 'Shop', true, $2, gen_random_uuid(), '', now(), now())"""
    async with empty_database.owner() as connection:
        await migrate(connection, every[: number - 1])
        await connection.execute(insert, kind, json.dumps(before))
        await migrate(connection)
        (source,) = await list_sources(connection)
    assert source.settings == after
    assert isinstance(read_settings(KINDS[source.kind].settings, source.settings), SourceSettings)


@pytest.mark.parametrize("names", [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["first.sql"]])
def test_files_out_of_order_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1;")
    with pytest.raises(ValueError, match=r"expected \d{4}_some_name.sql here"):
        read_migrations(tmp_path)


async def test_an_owner_without_rights_on_the_database_is_told_so(empty_database: TestDatabase) -> None:
    stranger = await connect(Session(dsn=empty_database.app_dsn, role=None))
    with pytest.raises(UnfitDatabaseError, match=r"may not migrate.*needs CREATE on this database"):
        await migrate(stranger)
    await stranger.close()
