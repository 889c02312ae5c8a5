"""A server on loopback for tests: the real application over a real database, behind the real HTTP server.

async def test_something(served):
    answer = await served.post("/v1/events", {"customer": "ada", "type": "signup"})
    assert answer.status_code == 201
"""

from __future__ import annotations

import asyncio
import copy
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

import httpx
import uvicorn
from litestar import Litestar
from litestar.datastructures import State

import troth.app
from troth.api.health import Readiness
from troth.api.keys import KeyRequest, make_key
from troth.app import Jobs, running_app
from troth.config import Config
from troth.embedded.access import DatabaseAccess
from troth.jobs import running_jobs
from troth.store.keys import KeyRecord, insert_key
from troth.store.vault import Vault

MASTER_KEY = bytes(range(32))
EVERYTHING = KeyRequest(name="test", mode="development", scopes=("*",))

_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the usual ones takes 60 ms; nothing here speaks TLS
_build = troth.app._litestar


@cache
def _routes() -> Litestar:
    return _build(State())


def _litestar(state: State, *, is_described: bool = False) -> Litestar:
    """The routes, registered once for all servers of this process, since that takes longer than most tests."""
    if is_described:
        return _build(state, is_described=True)
    application = copy.copy(_routes())
    application.state = state
    return application


troth.app._litestar = _litestar


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server, a client of it, and a key for everything."""

    database: DatabaseAccess
    readiness: Readiness
    client: httpx.AsyncClient
    address: str
    vault: Vault
    key: str
    config: Config

    async def get(self, path: str, **options: object) -> httpx.Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: object = None, **options: object) -> httpx.Response:
        """POST with `body` as JSON; bytes are sent as they are."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.request("POST", path, **content, **options)

    async def request(self, method: str, path: str, *, key: str | None = "", **options: object) -> httpx.Response:
        """A request with the key for everything, another `key`, or None for none."""
        headers = dict(options.pop("headers", None) or {})  # type: ignore[call-overload]
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key or self.key}")
        return await self.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]

    async def make_key(self, **asked: object) -> tuple[str, KeyRecord]:
        """A key of the server's mode, for everything unless `asked` says otherwise."""
        request = replace(EVERYTHING, **{"mode": self.config.mode, **asked})  # type: ignore[arg-type]
        return await store_key(self.database, request)


async def store_key(database: DatabaseAccess, request: KeyRequest) -> tuple[str, KeyRecord]:
    text, record = make_key(request, datetime.now(UTC), os.urandom)
    async with database.open_database(connections=1) as pool, pool.pool.acquire() as connection:
        await insert_key(connection, record)
    return text, record


@asynccontextmanager
async def serving(
    database: DatabaseAccess, config: Config | None = None, jobs: Jobs = running_jobs
) -> AsyncIterator[Served]:
    """The server over this database, until the context ends; `jobs` runs its jobs."""
    config, vault = config or Config(), Vault(MASTER_KEY)
    key, _ = await store_key(database, replace(EVERYTHING, mode=config.mode))
    async with running_app(config, database, vault, jobs) as (app, readiness):
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)  # type: ignore[arg-type]
        server = uvicorn.Server(settings)
        task = asyncio.create_task(server._serve(sockets=[listener]))  # serve() would take the signals
        try:
            while not server.started and not task.done():
                await asyncio.sleep(0.005)
            async with httpx.AsyncClient(base_url=address, timeout=30, verify=_NO_AUTHORITIES) as client:
                yield Served(
                    database=database,
                    readiness=readiness,
                    client=client,
                    address=address,
                    vault=vault,
                    key=key,
                    config=config,
                )
        finally:
            server.should_exit = True
            await task
