"""The engine without its doors: database, vault, compiled programs and the batcher, put together once.

Used by the server and by every command that records or checks events.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from troth import limits
from troth.config import Config
from troth.core.program import Program
from troth.pipeline.batcher import Batcher
from troth.pipeline.books import Books
from troth.store.pool import Database
from troth.store.programs import load_program
from troth.store.vault import MasterKeyError, Vault, open_vault

_GC_YOUNG = 50_000  # allocations between collections


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    database: Database
    vault: Vault
    books: Books
    batcher: Batcher
    keep_files: timedelta = timedelta(days=limits.FILE_DAYS)  # uploads, and what jobs produce

    async def settle(self, most: int = limits.DUE_CUSTOMERS) -> int:
        """Apply what fell due for at most `most` quiet customers. Out: how many were looked at; 0: nothing is due."""
        return await self.batcher.settle(most)


@asynccontextmanager
async def running_engine(
    database: Database,
    vault: Vault,
    *,
    lanes: int = limits.LANES,
    queue_events: int = limits.QUEUE_EVENTS,
    demands_signatures: bool = False,
    keep_files: timedelta = timedelta(days=limits.FILE_DAYS),
) -> AsyncIterator[Engine]:
    """An engine whose lanes run until the context ends; what was taken in is finished first."""

    async def read(revision: int | None) -> Program:
        async with database.pool.acquire() as connection:
            return await load_program(connection, revision)

    books = Books(read, demands_signatures=demands_signatures)
    batcher = Batcher(database, books, vault, lanes=lanes, queue_events=queue_events)
    async with batcher:
        yield Engine(database=database, vault=vault, books=books, batcher=batcher, keep_files=keep_files)


def settle_memory() -> None:
    """What was made at start stays; collections look at what events make, thousands of short-lived objects a batch."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_YOUNG, 20, 50)


def open_vault_of(config: Config) -> Vault:
    """The vault of this configuration; the key file is made when it is missing. Raises MasterKeyError."""
    if config.master_key is not None:
        return Vault(config.master_key)
    if config.database_url is not None and config.mode == "production":
        raise MasterKeyError(
            "set TROTH_MASTER_KEY to 32 random bytes (openssl rand -base64 32), the same for every server of this "
            "database, and keep a copy"
        )
    return open_vault(None, config.data / "master.key")
