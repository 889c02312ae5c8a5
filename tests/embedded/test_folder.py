"""Which folders are taken, which refused, and where the cluster and its socket come to lie."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from tests.embedded.conftest import needs_root
from troth.embedded.account import EmbeddedPostgresError
from troth.embedded.folder import SOCKET_PATH_BYTES, open_folder, socket_folder
from troth.embedded.postgres import running_cluster


def of_another_postgres(data: Path) -> None:
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    (data / "base").mkdir()


def of_somebodys_files(data: Path) -> None:
    data.mkdir()
    (data / "holiday.jpg").write_bytes(b"")


def with_a_foreign_cluster(data: Path) -> None:
    (data / "cluster").mkdir(parents=True)
    (data / "cluster" / "PG_VERSION").write_text("18\n")


def a_file(data: Path) -> None:
    data.write_text("")


def whose_cluster_is_gone(data: Path) -> None:
    data.mkdir()
    (data / "cluster").symlink_to("/nonexistent/cluster")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (of_another_postgres, "PostgreSQL data folder that Troth did not make.*TROTH_DATABASE_URL"),
        (of_somebodys_files, r"not Troth's \(holiday.jpg\).*--data"),
        (with_a_foreign_cluster, r"not Troth's \(PG_VERSION\).*--data"),
        (a_file, "not a folder.*--data"),
        (whose_cluster_is_gone, "names /nonexistent/cluster, which is gone.*remove the link"),
    ],
)
def test_a_foreign_folder_is_refused_and_left_alone(data: Path, make: Callable[[Path], None], says: str) -> None:
    make(data)
    before = sorted(data.rglob("*"))
    with pytest.raises(EmbeddedPostgresError, match=says):
        open_folder(data)
    assert sorted(data.rglob("*")) == before


def test_an_empty_folder_with_a_key_and_hidden_files_is_taken(data: Path) -> None:
    data.mkdir()
    for name in ("master.key", ".gitignore"):
        (data / name).write_text("")
    assert open_folder(data).cluster == data / "cluster"


async def test_a_cluster_of_another_major_version_is_refused_untouched(data: Path) -> None:
    async with running_cluster(data) as cluster:
        server = cluster.folder.server
    cluster.folder.account.write(server / "PG_VERSION", "17\n")
    before = (server / "postgresql.conf").stat().st_mtime_ns
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 17.*brings PostgreSQL 18.*pg_upgrade"):
        async with running_cluster(data):
            pass
    assert (server / "postgresql.conf").stat().st_mtime_ns == before
    assert (server / "PG_VERSION").read_text() == "17\n"


async def test_a_cluster_without_a_version_is_refused(data: Path) -> None:
    folder = open_folder(data)
    folder.account.write(folder.marker, f'{{"format": 1, "data_folder": "{folder.data}"}}')
    folder.account.run(["mkdir", folder.server])
    with pytest.raises(EmbeddedPostgresError, match="not a whole PostgreSQL cluster"):
        async with running_cluster(data):
            pass


@needs_root
async def test_below_a_closed_folder_the_cluster_lies_elsewhere(data: Path, state: Path) -> None:
    data.parent.chmod(0o700)
    for _ in range(2):
        async with running_cluster(data) as cluster:
            assert (data / "cluster").is_symlink()
            assert cluster.folder.cluster == (data / "cluster").resolve()
            assert cluster.folder.cluster.parent == state
            connection = await asyncpg.connect(cluster.app_dsn)
            await connection.close()
    assert list(state.glob("*/cluster.json")) == [cluster.folder.marker]


@needs_root
async def test_a_data_folder_made_anew_never_meets_the_old_cluster(data: Path, state: Path) -> None:
    data.parent.chmod(0o700)
    first = open_folder(data)
    shutil.rmtree(data)
    second = open_folder(data)
    assert first.cluster != second.cluster
    assert first.cluster.exists()


@needs_root
async def test_a_copy_of_a_data_folder_is_refused_and_a_moved_one_taken(data: Path, state: Path) -> None:
    data.parent.chmod(0o700)
    async with running_cluster(data):
        pass
    copy, moved = data.with_name("copy"), data.with_name("moved")
    shutil.copytree(data, copy, symlinks=True)
    with pytest.raises(EmbeddedPostgresError, match="is a copy of"):
        async with running_cluster(copy):
            pass
    shutil.rmtree(copy)
    data.rename(moved)
    async with running_cluster(moved) as cluster:
        assert cluster.folder.data == moved


async def test_a_path_too_long_for_a_socket_gets_a_short_one_of_its_own(data: Path) -> None:
    long = data.with_name("x" * SOCKET_PATH_BYTES)
    async with running_cluster(long) as cluster:
        assert cluster.sockets == socket_folder(cluster.folder) != cluster.folder.cluster
        assert cluster.sockets.stat().st_mode & 0o777 == 0o700
        connection = await asyncpg.connect(cluster.app_dsn)
        await connection.close()
    shutil.rmtree(cluster.sockets)


def test_a_short_socket_folder_that_others_may_enter_is_refused(data: Path) -> None:
    folder = open_folder(data.with_name("x" * SOCKET_PATH_BYTES))
    short = socket_folder(folder)
    short.chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match=f"{short} should belong to"):
        socket_folder(folder)
    short.rmdir()


@pytest.mark.parametrize("name", ["with space", "quote'd", "ünïcode", "a&b=c?d%20"])
async def test_any_name_will_do(data: Path, name: str) -> None:
    async with running_cluster(data.with_name(name)) as cluster:
        connection = await asyncpg.connect(cluster.app_dsn)
        await connection.close()
    assert os.path.lexists(data.with_name(name) / "cluster")
