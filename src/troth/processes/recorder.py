"""A process that records events for another one: chunks in, their outcomes out.

Chunks go to the lanes in the order in which they come, so each customer's events keep theirs. When the link closes,
what was taken in is finished.
"""

from __future__ import annotations

import asyncio

from troth.api.logging import describe_fault, logger
from troth.engine import Engine
from troth.pipeline.outcome import Applied, Outcome, Overloaded
from troth.processes.engine import engine_of
from troth.processes.life import live
from troth.processes.link import Link
from troth.processes.messages import Chunk, Failed, GiveWay, Hello, Settled, Told


async def record(hello: Hello, link: Link) -> None:
    under_way: set[asyncio.Task[None]] = set()
    async with engine_of(hello) as engine:
        await engine.books.live()
        while (message := await link.receive()) is not None:
            match message:
                case GiveWay():
                    engine.batcher.queues.give_way()
                case Chunk():
                    task = asyncio.create_task(_record(engine, link, message))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)


async def _record(engine: Engine, link: Link, chunk: Chunk) -> None:
    try:
        outcomes = await engine.batcher.ingest(chunk.events, is_patient=True)
    except Overloaded as error:
        link.send(Failed(chunk.number, str(error), is_overload=True))
    except Exception as error:  # our mistake: whoever runs the import lets it fail
        logger().error("chunk failed", **describe_fault(error))
        link.send(Failed(chunk.number, type(error).__name__, is_overload=False))
    else:
        link.send(Settled(chunk.number, [_told(outcome) for outcome in outcomes], engine.batcher.statistics.take()))


def _told(outcome: Outcome) -> Told:
    """What an import reads of an outcome; a whole record is not worth its way."""
    return outcome.brief if isinstance(outcome, Applied) else outcome


if __name__ == "__main__":
    live(record)
