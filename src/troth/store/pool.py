"""Connections of the serving role: a connection URL → a pool, and single connections for those who keep one.

Every session: search_path `troth`, UTC, READ COMMITTED, no JIT, bounded statement and idle times, rights of
`troth_app`. jsonb travels as text both ways, uuid as uuid.UUID, numeric as Decimal. A connection goes back to the pool
without a round trip, so nobody may leave session state behind: no SET, LISTEN or session lock on a pooled connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from troth import limits
from troth.store.sql import load

# Quoted, since asyncpg's classes take their parameter only when types are checked.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

SQL = load("pool.sql")
SCHEMA = "troth"
SERVING_ROLE = "troth_app"
WRITE_ONCE = ("events", "postings")
VERSION_MIN = 150000  # PostgreSQL 15

PlanMode = Literal["auto", "force_custom_plan", "force_generic_plan"]

_TRANSIENT: tuple[type[BaseException], ...] = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # a server's last words between two steps of one statement confuse asyncpg
    OSError,
)


class UnfitDatabaseError(Exception):
    """This database cannot serve; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How the sessions of one purpose are set up."""

    dsn: str = field(repr=False)  # may hold a password
    role: str | None = SERVING_ROLE  # None: the login's own, for the owner
    name: str = "troth"  # application_name, as pg_stat_activity shows it
    plan_mode: PlanMode = "auto"
    statement_seconds: float = 30  # 0: no bound
    idle_in_transaction_seconds: float = 30

    @property
    def answer_seconds(self) -> float | None:
        """How long an answer is waited for: the server ends the statement first, unless it cannot be reached."""
        return self.statement_seconds + limits.ANSWER_SECONDS if self.statement_seconds else None

    async def prepare(self, connection: Connection) -> None:
        """Set the session up; UnfitDatabaseError when this login may not become the serving role."""
        await connection.fetchrow(
            SQL["prepare_session"],
            self.name,
            self.plan_mode,
            str(round(self.statement_seconds * 1000)),
            str(round(self.idle_in_transaction_seconds * 1000)),
        )
        if self.role is not None:
            await _take_role(connection, self.role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The database as the serving role sees it."""

    pool: Pool
    session: Session

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection of one's own (a lane's), set up like the pooled ones; the caller closes it."""
        return await connect(self.session)


@asynccontextmanager
async def open_database(session: Session | str, *, connections: int = 8) -> AsyncIterator[Database]:
    """A pool of at most `connections`, for a session or a bare URL; connections still open at the end are cut."""
    session = Session(dsn=session) if isinstance(session, str) else session
    pool = asyncpg.create_pool(
        session.dsn,
        min_size=1,
        max_size=connections,
        init=session.prepare,
        reset=_leave_as_is,
        max_cached_statement_lifetime=0,
        command_timeout=session.answer_seconds,
    )
    async with pool:
        try:
            yield Database(pool=pool, session=session)
        finally:
            pool.terminate()


async def connect(session: Session) -> asyncpg.Connection[asyncpg.Record]:
    """One connection, set up for its purpose; the caller closes it."""
    connection = await asyncpg.connect(
        session.dsn, max_cached_statement_lifetime=0, command_timeout=session.answer_seconds
    )
    try:
        await session.prepare(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


def snapshot(connection: Connection) -> Transaction:
    """A transaction for reading only: what its statements read belongs to one moment."""
    return connection.transaction(isolation="repeatable_read", readonly=True)


async def set_plan_mode(connection: Connection, mode: PlanMode) -> None:
    """Choose how this session plans prepared statements; for a connection of one's own, never a pooled one."""
    await connection.fetchval(SQL["set_plan_mode"], mode)


def is_transient(error: BaseException) -> bool:
    """Whether running the whole transaction again may cure it: serialisation faults, deadlocks, plans made stale by a
    migration, a server that restarts, lost connections (asyncpg reports a closed one as a bare InterfaceError)."""
    return isinstance(error, _TRANSIENT) or (type(error) is asyncpg.InterfaceError and "closed" in str(error))


async def check_server(connection: Connection) -> None:
    """UnfitDatabaseError unless the server is PostgreSQL 15 or newer with UTF-8 text."""
    server = await connection.fetchrow(SQL["describe_server"])
    assert server is not None
    if server["version"] < VERSION_MIN:
        raise UnfitDatabaseError(f"Troth needs PostgreSQL 15 or newer; this server is {server['version_text']}.")
    if server["encoding"] != "UTF8":
        raise UnfitDatabaseError(
            f"This database stores text as {server['encoding']}; make one with `create database troth encoding 'UTF8' "
            "template template0` and name it in TROTH_DATABASE_URL."
        )


async def check_rights(connection: Connection) -> None:
    """UnfitDatabaseError when this session could change or delete an event or a posting."""
    rights = await connection.fetch(SQL["forbidden_rights"], list(WRITE_ONCE))
    if rights:
        listed = ", ".join(f"{row['right_name']} on {row['relation']}" for row in rights[:6])
        raise UnfitDatabaseError(
            f"The role {SERVING_ROLE} could change what is written once ({listed}). Take these rights away "
            f"(revoke update, delete, truncate, trigger on events, postings from {SERVING_ROLE}; it must be neither "
            "superuser nor member of the owner) and start again."
        )


async def _take_role(connection: Connection, role: str) -> None:
    """From the login to the serving role, unless they are one."""
    login = await connection.fetchval("select current_user")
    if login == role:
        return
    try:
        await connection.fetchval(SQL["take_role"], role)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError) as error:
        raise UnfitDatabaseError(
            f'The login "{login}" may not act as {role} ({error}). Run as the owner: grant {role} to "{login}"'
        ) from error


async def _leave_as_is(_connection: Connection) -> None:
    """In place of asyncpg's reset, which takes a round trip and would undo the session's settings."""
