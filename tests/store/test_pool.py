"""Sessions of the serving role, on every supported server; which databases are refused; what another try may cure."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from tests.conftest import TestDatabase
from troth.store import pool
from troth.store.pool import (
    Session,
    UnfitDatabaseError,
    check_rights,
    check_server,
    connect,
    is_transient,
    open_database,
    set_plan_mode,
)

SETTINGS = [
    ("search_path", "troth"),
    ("TimeZone", "UTC"),
    ("jit", "off"),
    ("default_transaction_isolation", "read committed"),
    ("application_name", "troth"),
    ("plan_cache_mode", "force_custom_plan"),
    ("statement_timeout", "1500ms"),
    ("idle_in_transaction_session_timeout", "30s"),
]


@pytest.mark.each_postgres
async def test_every_session_is_set_up_also_after_its_first_use(database: TestDatabase) -> None:
    session = Session(dsn=database.app_dsn, plan_mode="force_custom_plan", statement_seconds=1.5)
    async with open_database(session, connections=1) as opened:
        for _ in range(2):
            async with opened.pool.acquire() as connection:
                assert await connection.fetchval("select current_user") == "troth_app"
                for name, value in SETTINGS:
                    assert await connection.fetchval(f"show {name}") == value, name


async def test_values_come_as_the_types_that_the_store_expects(database: TestDatabase) -> None:
    async with database.open_database() as opened, opened.pool.acquire() as connection:
        row = await connection.fetchrow(
            """select $1::jsonb as document, $2::uuid as id, 1.50::numeric as base, $3::bigint[] as points""",
            '{"a": 1.10}',
            UUID(int=7),
            [2**53],
        )
    assert tuple(row) == ('{"a": 1.10}', UUID(int=7), Decimal("1.50"), [2**53])
    assert isinstance(row["id"], UUID)


async def test_the_plan_mode_can_change_while_a_session_lasts(database: TestDatabase) -> None:
    connection = await connect(Session(dsn=database.app_dsn, plan_mode="force_custom_plan"))
    await set_plan_mode(connection, "auto")
    assert await connection.fetchval("show plan_cache_mode") == "auto"
    await connection.close()


async def test_a_statement_ends_at_its_bound(database: TestDatabase) -> None:
    async with database.open_database(statement_seconds=0.1) as opened:
        with pytest.raises(asyncpg.QueryCanceledError):
            await opened.pool.fetchval("select pg_sleep(30)")


async def test_a_connection_returned_in_a_transaction_comes_back_without_it(database: TestDatabase) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # asyncpg reports the mistake to the loop
    async with database.open_database(connections=1) as opened:
        async with opened.pool.acquire() as connection:
            await connection.execute("begin")
        async with opened.pool.acquire() as connection:
            assert not connection.is_in_transaction()


async def test_the_pool_replaces_lost_connections(database: TestDatabase) -> None:
    async with database.open_database(connections=1) as opened:
        pid = await opened.pool.fetchval("select pg_backend_pid()")
        admin = await asyncpg.connect(database.admin_dsn)
        await admin.fetchval("select pg_terminate_backend($1, 5000)", pid)
        await admin.close()
        assert await opened.pool.fetchval("select pg_backend_pid()") != pid


@pytest.mark.each_postgres
async def test_one_login_takes_the_serving_role_and_has_no_right_beyond_it(database: TestDatabase) -> None:
    connection = await connect(Session(dsn=database.admin_dsn))
    await check_rights(connection)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("delete from events")
    await connection.close()


async def test_a_login_that_may_not_take_the_role_is_told_what_to_grant(database: TestDatabase) -> None:
    with pytest.raises(UnfitDatabaseError, match='grant troth_app to "troth_owner"'):
        await connect(Session(dsn=database.owner_dsn))


async def test_an_older_server_is_refused(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "VERSION_MIN", 990_000)
    async with database.owner() as connection:
        with pytest.raises(UnfitDatabaseError, match="Troth needs PostgreSQL 15 or newer; this server is 18"):
            await check_server(connection)


async def test_a_database_that_is_not_utf8_is_refused(database: TestDatabase) -> None:
    admin = await asyncpg.connect(database.admin_dsn)
    name = f"{database.name}_ascii"
    await admin.execute(
        f"create database {name} template template0 encoding 'SQL_ASCII' locale_provider libc locale 'C'"
    )
    other = await asyncpg.connect(database.owner_dsn.replace(database.name, name))
    with pytest.raises(UnfitDatabaseError, match="stores text as SQL_ASCII"):
        await check_server(other)
    await other.close()
    await admin.execute(f"drop database {name}")
    await admin.close()


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (asyncpg.SerializationError(), True),
        (asyncpg.DeadlockDetectedError(), True),
        (asyncpg.InvalidCachedStatementError(), True),
        (asyncpg.ConnectionDoesNotExistError(), True),
        (asyncpg.AdminShutdownError(), True),
        (asyncpg.CannotConnectNowError(), True),
        (ConnectionResetError(), True),
        (asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"), True),
        (asyncpg.InterfaceError("cannot perform operation: connection is closed"), True),
        (asyncpg.InterfaceError("the server expects 3 arguments for this query, 2 were passed"), False),
        (asyncpg.DataError("invalid input for query argument $1: closed"), False),
        (asyncpg.QueryCanceledError(), True),
        (asyncpg.UniqueViolationError(), False),
        (asyncpg.UndefinedTableError(), False),
        (ValueError("closed"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, may_pass: bool) -> None:
    assert is_transient(error) is may_pass
