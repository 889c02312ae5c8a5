"""The way in for every command: a data folder, or a server of one's own with one login or two."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import POSTGRES_15, make_scratch_folder
from tests.embedded.conftest import Start
from troth.config import Config
from troth.embedded.access import data_folder
from troth.embedded.conf import Settings
from troth.embedded.options import Options
from troth.embedded.postgres import Cluster, running_cluster
from troth.store.pool import UnfitDatabaseError


async def serves(config: Config) -> bool:
    """Whether the database is migrated and a session of the serving role reads it."""
    async with (
        data_folder(config, purpose="test") as access,
        access.open_database() as database,
        database.pool.acquire() as connection,
    ):
        assert await connection.fetchval("select current_user") == "troth_app"
        return await connection.fetchval("select count(*) from events") == 0


async def test_a_data_folder_alone(data: Path) -> None:
    assert await serves(Config(data=data))


async def test_a_data_folder_beside_its_server(data: Path, start: Start) -> None:
    keeper = start(data, "serve")
    assert await serves(Config(data=data))
    connection = await asyncpg.connect(keeper.said["dsn"])
    assert await connection.fetchval("select count(*) from troth.migrations") > 0
    await connection.close()


@pytest.fixture
async def own_server(postgres: str) -> AsyncIterator[Cluster]:
    """Stands for a company's server: a cluster whose roles a test may change. No role troth_app exists."""
    folder = make_scratch_folder()
    programs = POSTGRES_15 if postgres == "15" else None
    options = Options(programs=programs, dies_with_us=True, settings=Settings(durable=False))
    async with running_cluster(folder / "data", options) as cluster:
        await as_admin(cluster, "drop role troth_app")
        yield cluster
    shutil.rmtree(folder)


async def as_admin(cluster: Cluster, *statements: str) -> None:
    connection = await asyncpg.connect(cluster.admin_dsn)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.mark.each_postgres
async def test_one_login_migrates_creates_the_serving_role_and_serves_as_it(own_server: Cluster) -> None:
    config = Config(database_url=own_server.owner_dsn)
    assert await serves(config)
    assert await serves(config)


@pytest.mark.each_postgres
async def test_an_owner_login_migrates_and_another_serves(own_server: Cluster) -> None:
    await as_admin(own_server, "create role troth_app login", "alter role troth_owner nocreaterole")
    assert await serves(Config(database_url=own_server.app_dsn, database_owner_url=own_server.owner_dsn))


@pytest.mark.each_postgres
async def test_an_owner_that_may_not_create_roles_is_told_what_to_run(own_server: Cluster) -> None:
    await as_admin(own_server, "alter role troth_owner nocreaterole")
    with pytest.raises(UnfitDatabaseError, match="create role troth_app nologin; grant troth_app to"):
        await serves(Config(database_url=own_server.owner_dsn))
    await as_admin(own_server, "create role troth_app nologin")
    with pytest.raises(UnfitDatabaseError, match='grant troth_app to "troth_owner"'):
        await serves(Config(database_url=own_server.owner_dsn))
    await as_admin(own_server, "grant troth_app to troth_owner")
    assert await serves(Config(database_url=own_server.owner_dsn))


@pytest.mark.each_postgres
async def test_a_superuser_url_serves_without_its_power(own_server: Cluster) -> None:
    assert await serves(Config(database_url=own_server.dsn("postgres")))


async def test_rights_that_reach_too_far_stop_the_start(own_server: Cluster) -> None:
    config = Config(database_url=own_server.owner_dsn)
    assert await serves(config)
    connection = await asyncpg.connect(own_server.owner_dsn)
    await connection.execute("grant update on troth.events to troth_app")
    await connection.close()
    with pytest.raises(UnfitDatabaseError, match="could change what is written once"):
        await serves(config)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://somebody@/troth?host=/nonexistent", "No such file"),
        ("postgresql://somebody:hidden@127.0.0.1:1/troth", "onnect"),
        ("postgresql://somebody@127.0.0.1:port/troth", "cannot be used"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_named_without_its_password(url: str, says: str) -> None:
    with pytest.raises(UnfitDatabaseError, match=says) as refused:
        await serves(Config(database_url=url))
    assert "hidden" not in str(refused.value)
    assert "hidden" not in repr(Config(database_url=url))
