"""Shared by all tests: asynchronous tests and fixtures, and a real database for each test that asks for one.

`async def` tests and fixtures run on uvloop through anyio's pytest plugin; nothing needs a mark. Tests and fixtures
share one event loop, which lasts for the session.

    async def test_something(database):            # a fresh, migrated, empty database of its own
        async with database.open_database() as pool_of_app: …
        async with database.owner() as connection: …

    @pytest.mark.each_postgres                     # runs on the embedded PostgreSQL and on Debian's PostgreSQL 15

One server per session (per worker under xdist) with nothing flushed to disk; the kernel ends it when this process dies.
"""

from __future__ import annotations

import fcntl
import inspect
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from troth.embedded.access import DatabaseAccess
from troth.embedded.conf import Settings
from troth.embedded.options import Options
from troth.embedded.postgres import Cluster, running_cluster

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
_TEMPLATE = "template_troth"
_CLIENTS = Path(__file__).resolve().parent / "clients"
_SCRATCH_BYTES = 4 << 30


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "each_postgres: run on the embedded PostgreSQL and on PostgreSQL 15")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", returncode=143))


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Every `async def` test is anyio's."""
    if inspect.iscoroutinefunction(obj) and name.startswith("test"):
        pytest.mark.anyio(obj)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `long` begin first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("each_postgres"):
        metafunc.parametrize("postgres", ["embedded", "15"], indirect=True)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDatabase(DatabaseAccess):
    """A database of one test."""

    __test__ = False
    name: str
    admin_dsn: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Servers:
    """The servers of this session, started when first asked for."""

    stack: AsyncExitStack
    folder: Path
    running: dict[str, Cluster] = field(default_factory=dict)

    async def get(self, version: str) -> Cluster:
        if version not in self.running:
            self.running[version] = await self._start(version)
        return self.running[version]

    async def _start(self, version: str) -> Cluster:
        programs = POSTGRES_15 if version == "15" else None
        options = Options(
            purpose="tests", programs=programs, dies_with_us=True, settings=Settings(durable=False, buffers_mb=64)
        )
        cluster = await self.stack.enter_async_context(running_cluster(self.folder / version, options))
        await _on_server(cluster, f"create database {_TEMPLATE} owner troth_owner")
        template = DatabaseAccess(
            app_dsn=cluster.dsn("troth_app", _TEMPLATE), owner_dsn=cluster.dsn("troth_owner", _TEMPLATE)
        )
        await template.prepare()
        return cluster


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """Where the servers of this session lie."""
    folder = make_scratch_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def servers(session_folder: Path) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(stack=stack, folder=session_folder)


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> str:
    """Which server a test runs on: "embedded", or "15" where it is marked `each_postgres`."""
    version: str = getattr(request, "param", "embedded")
    if version == "15" and not POSTGRES_15.is_dir():
        pytest.skip("PostgreSQL 15 is not installed")
    return version


@pytest.fixture
async def database(servers: Servers, postgres: str) -> AsyncIterator[TestDatabase]:
    """A fresh copy of the migrated, empty database."""
    cluster = await servers.get(postgres)
    async with fresh_database(cluster, template=_TEMPLATE) as fresh:
        yield fresh


@pytest.fixture
async def empty_database(servers: Servers, postgres: str) -> AsyncIterator[TestDatabase]:
    """A database that no migration has touched."""
    async with fresh_database(await servers.get(postgres), template="template1") as fresh:
        yield fresh


def make_scratch_folder() -> Path:
    """A folder that every account may pass; in memory where there is room, since disks delete clusters slowly."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > _SCRATCH_BYTES
    folder = Path(tempfile.mkdtemp(prefix="troth-tests-", dir=memory if has_room else None))
    folder.chmod(0o711)
    return folder


@asynccontextmanager
async def fresh_database(cluster: Cluster, *, template: str) -> AsyncIterator[TestDatabase]:
    name = f"test_{secrets.token_hex(6)}"
    await _on_server(cluster, f"create database {name} template {template} strategy file_copy owner troth_owner")
    try:
        yield TestDatabase(
            name=name,
            app_dsn=cluster.dsn("troth_app", name),
            owner_dsn=cluster.dsn("troth_owner", name),
            admin_dsn=cluster.dsn("postgres", name),
        )
    finally:
        await _on_server(cluster, f"drop database {name} with (force)")


async def _on_server(cluster: Cluster, statement: str) -> None:
    connection = await asyncpg.connect(cluster.admin_dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The libraries of tests/clients/package-lock.json, installed by the first worker that needs them."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node is not installed")
    installed, lock = _CLIENTS / "node_modules" / ".package-lock.json", _CLIENTS / "package-lock.json"
    with (_CLIENTS / "package.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=_CLIENTS, check=True, capture_output=True)
            os.utime(installed)
    return installed.parent
