"""A process that runs jobs beside the one that serves: imports and exports hold no request up.

In the serving process, `jobs_beside` keeps one such process going and tells it when live events come. In that process,
`run_jobs` runs jobs as any worker does, with recorders beside it while it imports much. It goes on where one that was
killed has left off, by the job's lease.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from troth.api.logging import logger
from troth.config import Config
from troth.engine import Engine
from troth.jobs import running_jobs
from troth.processes.child import running_child
from troth.processes.crew import Crews
from troth.processes.engine import engine_of
from troth.processes.life import live
from troth.processes.link import Link
from troth.processes.messages import Done, GiveWay, Hello
from troth.runners import runners_with

TELL_SECONDS = 0.25  # between two looks at what has to be told
_PAUSE_SECONDS = 2.0  # before a process that has ended is started again


@asynccontextmanager
async def jobs_beside(engine: Engine, config: Config) -> AsyncIterator[None]:
    """A process runs the jobs for as long as the context lasts; what is under way is laid down at its next chunk."""
    hello = Hello(role="jobs", config=config, dsn=engine.database.session.dsn)
    keeping = asyncio.create_task(_keep(engine, hello))
    try:
        yield
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _keep(engine: Engine, hello: Hello) -> None:
    while True:
        try:
            async with running_child(hello) as link:
                await _accompany(engine, link)
            logger().warning("the process of jobs has ended")
        except OSError as error:
            logger().warning("the process of jobs cannot be started", error=type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _accompany(engine: Engine, link: Link) -> None:
    """Until the process ends: tell it of live events, count what it did."""
    telling = asyncio.create_task(_tell(engine, link))
    try:
        while (message := await link.receive()) is not None:
            if isinstance(message, Done):
                engine.batcher.statistics.add(message.done)
    finally:
        telling.cancel()


async def _tell(engine: Engine, link: Link) -> None:
    told_at = 0.0
    while True:
        await asyncio.sleep(TELL_SECONDS)
        if engine.batcher.queues.lived_at > told_at:
            told_at = engine.batcher.queues.lived_at
            link.send(GiveWay())


async def run_jobs(hello: Hello, link: Link) -> None:
    """The life of that process."""
    async with engine_of(hello) as engine:
        crews = Crews(config=hello.config)
        async with running_jobs(engine, runners_with(crews.recording)):
            counting = asyncio.create_task(_count(engine, link))
            try:
                while (message := await link.receive()) is not None:
                    if isinstance(message, GiveWay):
                        crews.give_way(engine)
            finally:
                counting.cancel()


async def _count(engine: Engine, link: Link) -> None:
    while True:
        await asyncio.sleep(TELL_SECONDS)
        if engine.batcher.statistics.batches:
            link.send(Done(engine.batcher.statistics.take()))


if __name__ == "__main__":
    live(run_jobs)
