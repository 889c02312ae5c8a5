"""Work beside serving: what falls due for quiet customers; as the owner, statistics and partitions of months to come.

In: an engine, the way to the database. Out: nothing; what fails is logged and tried again. It serves no request and
holds none up: due work goes in small batches that give way to live events. Workers share it without double work.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg

from troth import limits
from troth.api.logging import describe_fault, logger
from troth.embedded.access import DatabaseAccess
from troth.engine import Engine
from troth.pipeline.settle import revisit
from troth.store.pool import Database, UnfitDatabaseError
from troth.store.rejections import drop_rejections
from troth.store.source_inbox import drop_expired
from troth.store.upkeep import analyse_grown

DUE_SECONDS = 1.0  # between two looks when nothing is due
_PAUSE_SHARE = 3  # a batch of due work is followed by a pause so many times as long
ANALYSE_SECONDS = 2.0  # between two looks at what has grown
PARTITION_SECONDS = 6 * 3_600.0  # daily is enough; a failure then still leaves months
FLUSH_SECONDS = 1.0  # between two flushes of what doors keep in memory
REVISIT_SECONDS = 30.0  # between two looks at what waits for an order
EXPIRE_SECONDS = 60.0  # between two looks at what has expired
_DROPPED = 1_000  # at once
_PAUSE_SECONDS = 30.0  # after a failure
_FAULTS = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    UnfitDatabaseError,
)
Flush = Callable[[], Awaitable[None]]


@asynccontextmanager
async def settling(engine: Engine) -> AsyncIterator[None]:
    """Applies what falls due for as long as the context lasts; the batch under way is finished."""
    stopping = asyncio.Event()
    working = asyncio.create_task(_settle(engine, stopping))
    try:
        yield
    finally:
        stopping.set()
        await working


async def _settle(engine: Engine, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        pause = DUE_SECONDS
        try:
            revisited = await revisit(engine)
            started = time.monotonic()
            if await engine.settle() or revisited:
                pause = (time.monotonic() - started) * _PAUSE_SHARE  # the rest of the time is the live events'
        except _FAULTS as error:
            logger().warning("due work failed", **describe_fault(error))
            pause = _PAUSE_SECONDS
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)


@asynccontextmanager
async def upkeep(access: DatabaseAccess) -> AsyncIterator[None]:
    """Runs the upkeep for as long as the context lasts."""
    working = asyncio.create_task(_work(access))
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def _work(access: DatabaseAccess) -> None:
    while True:
        try:
            await _look_after(access)
        except _FAULTS as error:
            logger().warning("upkeep failed", **describe_fault(error))
            await asyncio.sleep(_PAUSE_SECONDS)


async def _look_after(access: DatabaseAccess) -> None:
    """One owner's connection until it is time to make partitions again, or it is lost."""
    async with access.owner() as connection:
        until = time.monotonic() + PARTITION_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(ANALYSE_SECONDS)
            await analyse_grown(connection)
    await access.make_partitions()


@asynccontextmanager
async def keeping(flushes: Sequence[Flush]) -> AsyncIterator[None]:
    """Writes what doors keep in memory (counters, refusals) for as long as the context lasts, and at its end."""
    stopping = asyncio.Event()
    working = asyncio.create_task(_keep(flushes, stopping))
    try:
        yield
    finally:
        stopping.set()
        await working


async def _keep(flushes: Sequence[Flush], stopping: asyncio.Event) -> None:
    """A flush under way is finished: cut short, it might count twice."""
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), FLUSH_SECONDS)
        await _flush(flushes)


async def _flush(flushes: Sequence[Flush]) -> None:
    for flush in flushes:
        try:
            await flush()
        except _FAULTS as error:
            logger().warning("flush failed", **describe_fault(error))


@asynccontextmanager
async def expiring(database: Database) -> AsyncIterator[None]:
    """Drops rejections and waiting payloads whose time is over, for as long as the context lasts."""
    working = asyncio.create_task(_expire(database))
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def _expire(database: Database) -> None:
    while True:
        try:
            dropped = await drop_old(database, datetime.now(UTC))
        except _FAULTS as error:
            logger().warning("dropping what expired failed", **describe_fault(error))
            dropped = 0
        await asyncio.sleep(0 if dropped >= _DROPPED else EXPIRE_SECONDS)


@asynccontextmanager
async def revisiting(revisit: Callable[[], Awaitable[int]]) -> AsyncIterator[None]:
    """Tries again what waits in inboxes for an order, for as long as the context lasts."""
    working = asyncio.create_task(_revisit(revisit))
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def _revisit(revisit: Callable[[], Awaitable[int]]) -> None:
    while True:
        await asyncio.sleep(REVISIT_SECONDS)
        try:
            await revisit()
        except _FAULTS as error:
            logger().warning("trying again what waits failed", **describe_fault(error))


async def drop_old(database: Database, now: datetime) -> int:
    """Drop what has expired by `now`, a bounded number at a time. Out: how much."""
    async with database.pool.acquire() as connection:
        waiting = await drop_expired(connection, now, _DROPPED)
        return waiting + await drop_rejections(connection, now, _DROPPED, limits.REJECTIONS_KEPT)
