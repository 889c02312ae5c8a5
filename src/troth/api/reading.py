"""What reads stand on: the database, the vault, and the compiled program of any revision."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from litestar import Request
from litestar.datastructures import State

from troth.api.auth import caller_of
from troth.core.rules import RuleBook
from troth.store.pool import Connection, Database, snapshot
from troth.store.programs import live_revision
from troth.store.vault import Vault

ReadRequest = Request[object, object, State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The parts of a server that reads use. Handlers find it in `app.state["reading"]`."""

    database: Database
    vault: Vault
    book_at: Callable[[int], Awaitable[RuleBook]]  # revision → compiled; takes a connection of its own

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncIterator[Connection]:
        """A connection whose statements all read the database as it stands now, whatever is recorded meanwhile."""
        async with self.database.pool.acquire() as connection, snapshot(connection):
            yield connection

    async def live_book(self) -> RuleBook:
        """The program that is live now. Ask before taking a connection, so that one reader never holds two."""
        async with self.database.pool.acquire() as connection:
            number = await live_revision(connection)
        return await self.book_at(number)


def reading_of(request: ReadRequest) -> Reading:
    return cast("Reading", request.app.state["reading"])


def may(request: ReadRequest, permission: str) -> bool:
    """Whether this request's key has the permission beside the one its address demands."""
    caller = caller_of(request.scope)
    return caller is not None and caller.may(permission)
