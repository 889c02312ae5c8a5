"""The life of a cluster: first start, restart, crash, adoption, keepers and guests."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import asyncpg
import pytest

from tests.embedded.conftest import Start
from troth.embedded.account import EmbeddedPostgresError
from troth.embedded.folder import open_folder
from troth.embedded.options import Options
from troth.embedded.postgres import Cluster, running_cluster
from troth.embedded.process import find_postmaster
from troth.store.pool import is_transient


async def run(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def until_it_answers(cluster: Cluster) -> None:
    for _ in range(600):
        try:
            await run(cluster.owner_dsn, "select 1")
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not come back")


def server_pid(cluster: Cluster) -> int:
    found = find_postmaster(cluster.folder)
    assert found is not None
    return found.pid


async def test_a_restart_finds_what_was_committed(data: Path) -> None:
    seconds = []
    for expected in (None, 42):
        begun = time.monotonic()
        async with running_cluster(data) as cluster:
            seconds.append(time.monotonic() - begun)
            if expected is None:
                await run(cluster.owner_dsn, "create table kept as select 42 as number")
            else:
                assert await run(cluster.owner_dsn, "select number from kept") == expected
        assert find_postmaster(cluster.folder) is None
    print(f"first start {seconds[0]:.2f} s, restart {seconds[1]:.2f} s")
    assert seconds[0] < 10
    assert seconds[1] < 5


async def test_the_server_is_durable_closed_to_the_network_and_exact_about_text(data: Path) -> None:
    expected = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "jit": "off",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
    }
    async with running_cluster(data) as cluster:
        for name, value in expected.items():
            assert await run(cluster.owner_dsn, f'show "{name}"') == value, name
        locale = await run(cluster.owner_dsn, "select datlocale from pg_database where datname = current_database()")
        assert locale == "C.UTF-8"
        assert await run(cluster.app_dsn, "select rolsuper from pg_roles where rolname = current_user") is False
        assert await run(cluster.owner_dsn, "select rolsuper from pg_roles where rolname = current_user") is False


async def test_a_server_left_by_a_killed_keeper_is_adopted_and_stopped(data: Path, start: Start) -> None:
    keeper = start(data)
    await run(keeper.said["dsn"], "create table kept as select 1 as number")
    keeper.kill()
    async with running_cluster(data) as cluster:
        assert cluster.is_keeper
        assert server_pid(cluster) == keeper.said["pid"]
        assert await run(cluster.owner_dsn, "select number from kept") == 1
    assert find_postmaster(cluster.folder) is None


async def test_after_a_crash_of_keeper_and_server_the_next_start_recovers(data: Path, start: Start) -> None:
    keeper = start(data)
    await run(keeper.said["dsn"], "create table kept as select generate_series(1, 10000) as number")
    session = await asyncpg.connect(keeper.said["dsn"])  # its backend outlives the server for a moment
    keeper.kill()
    os.kill(keeper.said["pid"], signal.SIGKILL)
    async with running_cluster(data) as cluster:
        assert server_pid(cluster) != keeper.said["pid"]
        assert await run(cluster.owner_dsn, "select count(*) from kept") == 10_000
    session.terminate()


async def test_no_second_server_starts_while_a_process_of_the_first_still_writes(data: Path, start: Start) -> None:
    keeper = start(data)
    session = await asyncpg.connect(keeper.said["dsn"])
    os.kill(session.get_server_pid(), signal.SIGSTOP)
    keeper.kill()
    os.kill(keeper.said["pid"], signal.SIGKILL)
    waiting = asyncio.create_task(open_and_close(data))
    await asyncio.sleep(1)
    assert not waiting.done()
    os.kill(session.get_server_pid(), signal.SIGCONT)
    assert await waiting
    session.terminate()


@pytest.mark.parametrize("victim", ["server", "session"])
async def test_a_killed_process_of_postgres_is_survived(data: Path, victim: str) -> None:
    async with running_cluster(data) as cluster:
        await run(cluster.owner_dsn, "create table kept as select generate_series(1, 1000) as number")
        session = await asyncpg.connect(cluster.owner_dsn)
        pid = server_pid(cluster) if victim == "server" else session.get_server_pid()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Exception) as lost:  # noqa: PT011 - which one is a matter of moments
            await session.fetchval("select pg_sleep(60)")
        assert is_transient(lost.value)
        await until_it_answers(cluster)
        assert await run(cluster.owner_dsn, "select count(*) from kept") == 1_000
        session.terminate()
    assert find_postmaster(cluster.folder) is None


async def test_a_guest_uses_the_keepers_server_and_leaves_it_running(data: Path, start: Start) -> None:
    keeper = start(data, "serve")
    async with running_cluster(data) as cluster:
        assert not cluster.is_keeper
        assert server_pid(cluster) == keeper.said["pid"]
        await run(cluster.owner_dsn, "create table kept as select 1 as number")
    assert await run(keeper.said["dsn"], "select number from kept") == 1
    keeper.leave()
    assert find_postmaster(cluster.folder) is None


async def test_a_second_server_is_refused_and_told_who_runs(data: Path, start: Start) -> None:
    keeper = start(data, "serve")
    reason = start(data, "serve").fails()
    assert f"process {keeper.process.pid} (serve)" in reason
    assert "--data" in reason


async def test_a_server_waits_for_a_command_that_runs_alone(data: Path, start: Start) -> None:
    command = start(data)
    waiting = asyncio.create_task(open_and_close(data, Options(purpose="serve", may_join=False)))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await asyncio.to_thread(command.leave)
    assert await waiting


async def test_two_first_starts_at_once_share_one_server(data: Path, start: Start) -> None:
    first, second = await asyncio.gather(asyncio.to_thread(start, data), asyncio.to_thread(start, data))
    assert first.said["pid"] == second.said["pid"]
    assert sorted([first.said["keeper"], second.said["keeper"]]) == [False, True]


async def test_a_stale_number_that_a_stranger_now_has_does_not_hinder(data: Path) -> None:
    assert await open_and_close(data)
    folder = open_folder(data)
    with subprocess.Popen(["sleep", "60"], **folder.account.process_settings()) as stranger:
        text = f"{stranger.pid}\n{folder.server}\n1\n5432\n{folder.cluster}\n\n  1 1\nready   \n"
        folder.account.write(folder.server / "postmaster.pid", text)
        assert find_postmaster(folder) is None
        assert await open_and_close(data)
        assert stranger.poll() is None
        stranger.kill()


async def test_an_interrupted_first_start_begins_again(data: Path) -> None:
    folder = open_folder(data)
    unfinished = folder.cluster / "data.new"
    folder.account.write(folder.marker, '{"format": 1, "data_folder": "' + str(folder.data) + '"}')
    assert folder.account.run(["mkdir", unfinished]).returncode == 0
    folder.account.write(unfinished / "PG_VERSION", "18\n")
    assert await open_and_close(data)
    assert not unfinished.exists()


async def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    assert await open_and_close(data)
    folder = open_folder(data)
    folder.account.write(folder.server / "postgresql.auto.conf", "shared_buffers = nonsense\n")
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        await open_and_close(data)
    folder.account.write(folder.server / "postgresql.auto.conf", "")
    assert await open_and_close(data)


async def open_and_close(data: Path, options: Options | None = None) -> bool:
    async with running_cluster(data, options) as cluster:
        return cluster.is_keeper
