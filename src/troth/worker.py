"""Work beside serving: due work, webhooks, counters of doors, what has expired; as the owner, statistics, partitions.

In: an engine, the way to the database. Out: nothing; what fails is logged and tried again. It serves no request and
holds none up: due work goes in small batches that give way to live events. Workers share it without double work.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import asyncpg

from troth import limits
from troth.api.logging import describe_fault, logger
from troth.config import Config
from troth.embedded.access import DatabaseAccess
from troth.engine import Engine
from troth.outbox.outcomes import Pace
from troth.outbox.relay import Relay
from troth.outbox.run import Office
from troth.outbox.sending import open_sender
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
    async with _until_told(partial(_settle, engine)):
        yield


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
async def delivering(engine: Engine, config: Config) -> AsyncIterator[None]:
    """Tells webhooks what happens for as long as the context lasts; what cannot end in time is given back."""
    pace = Pace()
    async with open_sender(allows_private=config.webhooks_private, timeout_seconds=pace.timeout_seconds) as sender:
        relay = Relay(office=Office(database=engine.database, vault=engine.vault, sender=sender, pace=pace))
        try:
            async with _until_told(partial(_deliver, relay)):
                yield
        finally:
            await relay.close()


async def _deliver(relay: Relay, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            pause = await relay.look()
        except Exception as error:  # a mistake of ours, too, must not end deliveries unseen
            logger().warning("webhooks failed", **describe_fault(error))
            pause = _PAUSE_SECONDS
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)


@asynccontextmanager
async def upkeep(access: DatabaseAccess) -> AsyncIterator[None]:
    """Runs the upkeep for as long as the context lasts."""
    async with _beside(_work(access)):
        yield


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
    async with _until_told(partial(_keep, flushes)):
        yield


async def _keep(flushes: Sequence[Flush], stopping: asyncio.Event) -> None:
    """A flush under way is finished: cut short, it might count twice. The last one comes when it is told to stop."""
    is_last = False
    while not is_last:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), FLUSH_SECONDS)
        is_last = stopping.is_set()
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
    async with _beside(_expire(database)):
        yield


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
    async with _beside(_revisit(revisit)):
        yield


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


# How work goes on beside serving


@asynccontextmanager
async def _until_told(work: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
    """Work that ends by itself once its event is set, with what is under way finished."""
    stopping = asyncio.Event()
    working = asyncio.ensure_future(work(stopping))
    try:
        yield
    finally:
        stopping.set()
        await working


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Work that may be cut off anywhere."""
    working = asyncio.create_task(work)
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
