"""The way to the database for `serve` and every command: a data folder or a server of one's own → ready to use.

    async with data_folder(config, purpose="keys create") as access:      # beside a running server, or alone
        async with access.open_database(connections=4) as database:       # serving role
            async with database.pool.acquire() as connection: …
        async with access.owner() as connection: …                        # migrations, partitions, ANALYZE

`serve` passes `may_join=False`: it must keep the server itself, and waits a while for a command that runs alone.
When the context is entered the database is migrated, this month's and the next three months' partitions exist, and the
serving role is proven unable to change events or postings. EmbeddedPostgresError and UnfitDatabaseError say what to do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg

from troth.config import Config
from troth.embedded.conf import Settings
from troth.embedded.options import Options
from troth.embedded.postgres import running_cluster
from troth.store.migrate import migrate
from troth.store.pool import (
    Connection,
    Database,
    PlanMode,
    Session,
    UnfitDatabaseError,
    check_rights,
    connect,
    open_database,
)
from troth.store.upkeep import make_partitions


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAccess:
    """Where the database is, for its two roles."""

    app_dsn: str = field(repr=False)
    owner_dsn: str = field(repr=False)

    def open_database(
        self, *, connections: int = 8, plan_mode: PlanMode = "auto", statement_seconds: float = 30
    ) -> AbstractAsyncContextManager[Database]:
        """A pool of the serving role."""
        session = Session(dsn=self.app_dsn, plan_mode=plan_mode, statement_seconds=statement_seconds)
        return open_database(session, connections=connections)

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[Connection]:
        """A connection of the owner, without time limits."""
        connection = await connect(
            Session(
                dsn=self.owner_dsn, role=None, name="troth owner", statement_seconds=0, idle_in_transaction_seconds=0
            )
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def make_partitions(self) -> list[str]:
        """At start and daily: the partitions of this month and the next three."""
        async with self.owner() as connection:
            return await make_partitions(connection, datetime.now(UTC))

    async def prepare(self) -> None:
        """Migrate, make partitions, and prove that the serving role cannot change what is written once."""
        async with self.owner() as connection:
            await migrate(connection)
            await make_partitions(connection, datetime.now(UTC))
        serving = await connect(Session(dsn=self.app_dsn))
        try:
            await check_rights(serving)
        finally:
            await serving.close()


@asynccontextmanager
async def data_folder(config: Config, *, purpose: str, may_join: bool = True) -> AsyncIterator[DatabaseAccess]:
    """The database of this configuration, ready to use; the embedded server runs at least until the context ends."""
    if config.database_url is not None:
        yield await _own_server(config.database_url, config.database_owner_url)
        return
    options = Options(
        purpose=purpose,
        may_join=may_join,
        start_seconds=config.start_seconds,
        settings=Settings(buffers_mb=config.postgres_buffers_mb),
    )
    async with running_cluster(config.data, options) as cluster:
        access = DatabaseAccess(app_dsn=cluster.app_dsn, owner_dsn=cluster.owner_dsn)
        await access.prepare()
        yield access


async def _own_server(url: str, owner_url: str | None) -> DatabaseAccess:
    access = DatabaseAccess(app_dsn=url, owner_dsn=owner_url or url)
    try:
        await access.prepare()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UnfitDatabaseError(
            "The server in TROTH_DATABASE_URL (or TROTH_DATABASE_OWNER_URL) cannot be used: "
            f"{str(error) or type(error).__name__}"
        ) from error
    return access
