"""Recording an import's events in several processes: this one's own lanes and those of recorders.

In: chunks of events in the order of the file. Out: their outcomes. A customer's events always go to the same process,
in their order; which one follows from the customer's bucket. Must never: take a chunk for settled of which a process
that has ended held a part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from troth import limits
from troth.config import Config
from troth.core.ids import bucket_of
from troth.core.record import RecordedEvent
from troth.engine import Engine
from troth.entry.import_run import Pipeline
from troth.pipeline.outcome import Applied, Brief, Outcome, Overloaded, RawEvent
from troth.processes.child import running_child
from troth.processes.link import Link
from troth.processes.messages import Chunk, Failed, GiveWay, Hello, Settled, Told


@dataclass(slots=True, kw_only=True)
class Recorder:
    """The way to one recording process."""

    link: Link
    engine: Engine  # whose statistics count what it does
    waiting: dict[int, asyncio.Future[list[Outcome]]] = field(default_factory=dict)
    numbered: int = 0
    has_ended: bool = False

    def ingest(self, events: list[RawEvent]) -> asyncio.Future[list[Outcome]]:
        """Send events at once. Out: their outcomes to come; Overloaded when another try may cure it."""
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        if self.has_ended:
            future.set_exception(Overloaded("A recording process has ended"))
            return future
        self.numbered += 1
        self.waiting[self.numbered] = future
        self.link.send(Chunk(self.numbered, events))
        return future

    async def listen(self) -> None:
        """Hand on what comes back, until the process ends."""
        while (message := await self.link.receive()) is not None:
            match message:
                case Settled(number, outcomes, done):
                    self.engine.batcher.statistics.add(done)
                    self.waiting.pop(number).set_result([_outcome(told) for told in outcomes])
                case Failed(number, problem, is_overload):
                    error = Overloaded(problem) if is_overload else RuntimeError(problem)
                    self.waiting.pop(number).set_exception(error)
        self.has_ended = True
        for future in self.waiting.values():
            future.set_exception(Overloaded("A recording process has ended"))


@dataclass(slots=True, kw_only=True)
class Crew:
    """All processes of one import, as a pipeline."""

    engine: Engine
    recorders: Sequence[Recorder]

    async def ingest(self, events: Sequence[RawEvent], *, is_patient: bool) -> list[Outcome]:
        """Outcomes in the order of the events. Raises Overloaded when a part was not taken in."""
        count = len(self.recorders) + 1
        places = [_bucket(event) * count // limits.BUCKETS for event in events]
        parts: list[list[RawEvent]] = [[] for _ in range(count)]
        for place, event in zip(places, events, strict=True):
            parts[place].append(event)
        sent = [recorder.ingest(part) for recorder, part in zip(self.recorders, parts[1:], strict=True) if part]
        own = [self.engine.batcher.ingest(parts[0], is_patient=is_patient)] if parts[0] else []
        found = await asyncio.gather(*own, *sent, return_exceptions=True)
        failures = [answer for answer in found if isinstance(answer, BaseException)]
        if failures:
            raise failures[0]
        answers = iter(found)
        outcomes = [iter(next(answers)) if part else iter(()) for part in parts]  # type: ignore[arg-type]
        return [next(outcomes[place]) for place in places]

    def give_way(self) -> None:
        for recorder in self.recorders:
            recorder.link.send(GiveWay())


@dataclass(slots=True, kw_only=True)
class Crews:
    """A crew for each import that is worth starting processes for."""

    config: Config
    under_way: Crew | None = None

    @asynccontextmanager
    async def recording(self, engine: Engine, size: int) -> AsyncIterator[Pipeline]:
        """What records a file of so many bytes."""
        recorders = self.config.job_processes - 1
        if recorders < 1 or size < limits.CREW_BYTES:
            yield engine.batcher
            return
        hello = Hello(role="recorder", config=self.config, dsn=engine.database.session.dsn)
        async with running_crew(engine, hello, recorders) as crew:
            self.under_way = crew
            try:
                yield crew
            finally:
                self.under_way = None

    def give_way(self, engine: Engine) -> None:
        """Live events come to another process."""
        engine.batcher.queues.give_way()
        if self.under_way is not None:
            self.under_way.give_way()


@asynccontextmanager
async def running_crew(engine: Engine, hello: Hello, recorders: int) -> AsyncIterator[Crew]:
    """A crew of this process and so many recorders, which end with the context."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(recorders):
            link = await stack.enter_async_context(running_child(hello))
            found.append(Recorder(link=link, engine=engine))
        listening = [asyncio.create_task(recorder.listen()) for recorder in found]
        try:
            yield Crew(engine=engine, recorders=found)
        finally:
            for task in listening:
                task.cancel()


def _outcome(told: Told) -> Outcome:
    return Applied(told, _no_record) if isinstance(told, Brief) else told


def _no_record() -> RecordedEvent:
    raise RuntimeError("a crew's outcomes hold no records of new events")


def _bucket(event: RawEvent) -> int:
    """Of the event's customer; an event that names none that can be recorded is refused wherever it goes."""
    if not isinstance(event.customer, str):
        return 0
    try:
        return bucket_of(event.customer)
    except UnicodeEncodeError:
        return 0
