"""What the serving role may do to each table, and that nobody serves who could change an event or a posting."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.conftest import TestDatabase
from troth.store.pool import Session, UnfitDatabaseError, check_rights, connect

READ, ADD, CHANGE, REMOVE = "select", "insert", "update", "delete"
RIGHTS = {
    "migrations": {READ},
    "events": {READ, ADD},
    "postings": {READ, ADD},
    "program_revisions": {READ, ADD},
    "event_refs": {READ, ADD, REMOVE},
    "identities": {READ, ADD, REMOVE},
    "personal_keys": {READ, ADD, REMOVE},
    "customers": {READ, ADD, CHANGE},
    "balances": {READ, ADD, CHANGE, REMOVE},
    "limit_uses": {READ, ADD, CHANGE, REMOVE},
    "lots": {READ, ADD, CHANGE, REMOVE},
    "orders": {READ, ADD, CHANGE, REMOVE},
    "waiting_events": {READ, ADD, CHANGE, REMOVE},
    "reservations": {READ, ADD, CHANGE, REMOVE},
    "redemptions": {READ, ADD, CHANGE, REMOVE},
    "program_counters": {READ, ADD, CHANGE},
    "reward_codes": {READ, ADD, CHANGE},
    "program_clock": {READ, ADD, CHANGE},
    "sources": {READ, ADD, CHANGE, REMOVE},
    "source_counts": {READ, ADD, CHANGE, REMOVE},
    "source_inbox": {READ, ADD, CHANGE, REMOVE},
    "source_names": {READ, ADD, CHANGE, REMOVE},
    "source_payloads": {READ, ADD, CHANGE, REMOVE},
    "rejections": {READ, ADD, CHANGE, REMOVE},
    "api_keys": {READ, ADD, CHANGE},
    "program_live": {READ, ADD, CHANGE},
    "program_draft": {READ, ADD, CHANGE},
    "files": {READ, ADD, CHANGE, REMOVE},
    "file_pieces": {READ, ADD, CHANGE, REMOVE},
    "jobs": {READ, ADD, CHANGE, REMOVE},
    "import_templates": {READ, ADD, CHANGE, REMOVE},
    "outbox": {READ, ADD, CHANGE, REMOVE},
    "webhooks": {READ, ADD, CHANGE, REMOVE},
    "webhook_deliveries": {READ, ADD, CHANGE, REMOVE},
}
ALL_RIGHTS = ["select", "insert", "update", "delete", "truncate", "references", "trigger"]
TABLES = """select c.oid::regclass::text as name, c.relispartition from pg_class as c
    where c.relnamespace = 'troth'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')"""


@pytest.fixture
async def serving(database: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(Session(dsn=database.app_dsn))
    yield connection
    await connection.close()


@pytest.mark.each_postgres
async def test_each_table_grants_what_this_list_says(serving: asyncpg.Connection) -> None:
    for name, is_partition in await serving.fetch(TABLES):
        held = {
            right for right in ALL_RIGHTS if await serving.fetchval("select has_table_privilege($1, $2)", name, right)
        }
        assert held == (set() if is_partition else RIGHTS.get(name)), f"{name}: grant it in schema.sql and list it here"


@pytest.mark.each_postgres
@pytest.mark.parametrize("parent", ["events", "postings"])
async def test_what_is_written_once_cannot_be_changed_by_any_way_in(serving: asyncpg.Connection, parent: str) -> None:
    partitions = [
        row[0] for row in await serving.fetch("select relid::regclass::text from pg_partition_tree($1)", parent)
    ]
    assert len(partitions) > 4
    for name in partitions:
        for statement in (
            f"update {name} set bucket = 1",
            f"delete from {name}",
            f"truncate {name}",
            f"alter table {name} disable trigger all",
            f"drop table {name}",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await serving.execute(statement)


async def test_the_serving_role_cannot_make_or_change_tables(serving: asyncpg.Connection) -> None:
    for statement in ("create table troth.mine (a integer)", "create table public.mine (a integer)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await serving.execute(statement)


@pytest.mark.each_postgres
@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("grant update on events to troth_app", "update on events"),
        ("grant delete on postings to public", "delete on postings"),
        ("grant update (points) on {partition} to troth_app", "update on postings_"),
        ("grant truncate on {partition} to troth_app", "truncate on postings_"),
    ],
)
async def test_nobody_serves_who_could_change_them(
    database: TestDatabase, serving: asyncpg.Connection, mistake: str, says: str
) -> None:
    await check_rights(serving)
    async with database.owner() as owner:
        partition = await owner.fetchval(
            "select relid::regclass::text from pg_partition_tree('postings') where isleaf order by 1 limit 1"
        )
        await owner.execute(mistake.format(partition=partition))
    with pytest.raises(UnfitDatabaseError, match=says):
        await check_rights(serving)


async def test_the_owner_may_not_serve(database: TestDatabase) -> None:
    async with database.owner() as owner:
        with pytest.raises(UnfitDatabaseError, match="neither superuser nor member of the owner"):
            await check_rights(owner)
