"""The engine of a process that was started by another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from troth.engine import Engine, open_vault_of, running_engine
from troth.processes.messages import Hello
from troth.store.pool import Session, open_database

_CONNECTIONS = 4  # beside one per lane


@asynccontextmanager
async def engine_of(hello: Hello) -> AsyncIterator[Engine]:
    """As the serving process has it, over the same database."""
    config = hello.config
    session = Session(dsn=hello.dsn, statement_seconds=config.statement_seconds)
    async with (
        open_database(session, connections=_CONNECTIONS) as database,
        running_engine(
            database,
            open_vault_of(config),
            lanes=config.lanes,
            queue_events=config.queue_events,
            demands_signatures=config.mode == "production",
            keep_files=timedelta(days=config.file_days),
        ) as engine,
    ):
        yield engine
