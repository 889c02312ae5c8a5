"""The engine as a command uses it: beside a running server or alone, with the starter program where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta

import asyncpg

from troth.api.logging import configure_logging
from troth.config import Config
from troth.embedded.access import DatabaseAccess, data_folder
from troth.engine import Engine, open_vault_of, running_engine, settle_memory
from troth.starter import starter_document
from troth.store.programs import Signature, ensure_program
from troth.store.upkeep import analyse_grown

STOPPED = 130  # exit code of a command that Ctrl-C has stopped
_ANALYSE_SECONDS = 1.0  # between two looks at what has grown


@asynccontextmanager
async def command_engine(config: Config, *, purpose: str) -> AsyncIterator[Engine]:
    """An engine for one command. Whoever runs it holds the data, so types that demand a signature are let in.

    Tables that grow are analysed on the way and at the end: plans for reading depend on it.
    """
    configure_logging(level=logging.WARNING)
    settle_memory()
    vault = open_vault_of(config)
    async with data_folder(config, purpose=purpose) as access:
        async with access.open_database(connections=2, statement_seconds=config.statement_seconds) as database:
            async with database.pool.acquire() as connection:
                signature = Signature(author="troth", published_at=datetime.now(UTC), note="starter program")
                await ensure_program(connection, starter_document(), signature)
            async with (
                _analysing(access),
                running_engine(
                    database, vault, lanes=config.lanes, keep_files=timedelta(days=config.file_days)
                ) as engine,
            ):
                await engine.books.live()
                yield engine
        await _analyse(access)


@contextmanager
def stopping_by_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop`; what runs is finished."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _analysing(access: DatabaseAccess) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            await asyncio.sleep(_ANALYSE_SECONDS)
            await _analyse(access)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _analyse(access: DatabaseAccess) -> None:
    """Only advice to the planner: a database that is away for a moment is no reason to stop."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        async with access.owner() as connection:
            await analyse_grown(connection)
