"""Runs the PostgreSQL of one data folder: starts or adopts it, watches it, stops it, or joins one that runs.

The process that holds the cluster's lock is its keeper: it starts the server, starts it again should it end, and stops
it at the end. All others are guests beside the keeper. A keeper killed with -9 leaves its server running; the next
keeper adopts that server by the number in its own folder. A server killed with -9 recovers when it is started again.

In: a data folder. Out: connection URLs on a Unix socket. It never deletes a cluster, never signals by process name, and
never touches a cluster of another major version.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from troth.embedded.account import EmbeddedPostgresError
from troth.embedded.binaries import Binaries, find_binaries, read_binaries
from troth.embedded.folder import Folder, claim, open_folder, socket_folder
from troth.embedded.lock import ClusterLock, holder, try_take
from troth.embedded.options import Options
from troth.embedded.process import find_postmaster
from troth.embedded.server import Server
from troth.embedded.setup import DATABASE, prepare_database, prepare_files
from troth.store.pool import is_transient

_POLL_SECONDS = 0.05
_ENDING_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster."""

    folder: Folder
    sockets: Path  # folder of the Unix socket
    is_keeper: bool  # this process holds the lock and stops the server

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """A connection URL that asyncpg, psql and pgbench understand."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='/')}&port=5432"

    @property
    def app_dsn(self) -> str:
        return self.dsn("troth_app")

    @property
    def owner_dsn(self) -> str:
        return self.dsn("troth_owner")

    @property
    def admin_dsn(self) -> str:
        """The superuser, in the maintenance database."""
        return self.dsn("postgres", "postgres")


@asynccontextmanager
async def running_cluster(data: Path, options: Options | None = None) -> AsyncIterator[Cluster]:
    """The cluster of a data folder, with our roles and our database in it, for as long as the context lasts.

    EmbeddedPostgresError when it cannot run here, or when another process keeps it and `may_join` is False.
    """
    options = options or Options()
    folder = open_folder(data)
    place = await _keep_or_join(folder, options)
    if isinstance(place, Cluster):
        yield place
        return
    try:
        claim(folder)
        async with _kept(folder, options) as cluster:
            yield cluster
    finally:
        place.release()


async def _keep_or_join(folder: Folder, options: Options) -> ClusterLock | Cluster:
    deadline = time.monotonic() + (options.start_seconds if options.may_join else options.lock_seconds)
    while time.monotonic() < deadline:
        lock = try_take(folder.lock, folder.account, options.purpose)
        if lock is not None:
            return lock
        cluster = await _join(folder) if options.may_join else None
        if cluster is not None:
            return cluster
        await asyncio.sleep(_POLL_SECONDS)
    raise EmbeddedPostgresError(
        f"{folder.data} is in use by {holder(folder.lock)}. Stop that process, or name another folder with --data."
    )


async def _join(folder: Folder) -> Cluster | None:
    """The keeper's cluster, or None while it starts or stops."""
    found = find_postmaster(folder)
    if found is None or not found.is_ready:
        return None
    cluster = Cluster(folder=folder, sockets=found.sockets, is_keeper=False)
    try:
        await prepare_database(cluster.admin_dsn)
    except Exception as error:
        if not is_transient(error):
            raise
        return None
    return cluster


@asynccontextmanager
async def _kept(folder: Folder, options: Options) -> AsyncIterator[Cluster]:
    binaries = _binaries(folder, options)
    prepare_files(folder, binaries, options)
    server = Server(folder, binaries, options)
    watch: asyncio.Task[None] | None = None
    try:
        cluster = await _start(server, folder)
        watch = asyncio.create_task(server.keep_running())
        yield cluster
    finally:
        if watch is not None:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
        await server.stop()


async def _start(server: Server, folder: Folder) -> Cluster:
    """Start until our database is there: a server killed a moment ago can look alive and still be ending."""
    patience = time.monotonic() + _ENDING_SECONDS
    while True:
        await server.start()
        cluster = Cluster(folder=folder, sockets=_sockets(folder), is_keeper=True)
        try:
            await prepare_database(cluster.admin_dsn)
        except Exception as error:
            if not is_transient(error) or time.monotonic() > patience:
                raise
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return cluster


def _binaries(folder: Folder, options: Options) -> Binaries:
    if options.programs is None:
        return find_binaries(folder.account)
    found = read_binaries(options.programs, folder.account)
    if found is None:
        raise EmbeddedPostgresError(f"The user {folder.account.name} cannot run {options.programs / 'postgres'}.")
    return found


def _sockets(folder: Folder) -> Path:
    """Where the server listens: an adopted one may have been started with another folder."""
    found = find_postmaster(folder)
    return found.sockets if found is not None else socket_folder(folder)
