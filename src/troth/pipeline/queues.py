"""Queues: one per lane, bounded, with no linger. A lane takes what waits, up to BATCH_EVENTS, and runs it at once.

Patient events (of imports) stand in a line of their own and are taken when nobody else waits; in small batches while
others come, so that these never wait long. An event's lane follows from its customer, so one customer's events keep
the order in which they were put.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence

import msgspec

from troth import limits
from troth.core.ids import bucket_of
from troth.pipeline.ingest import Companion
from troth.pipeline.lane import Lane
from troth.pipeline.outcome import Overloaded, Problem, Rejected
from troth.pipeline.work import Work

_REST_SHARE = 2  # a patient batch beside live events is followed by a rest so many times as long


class Group(msgspec.Struct, eq=False):
    """Works of one caller for one lane, settled together."""

    works: list[Work]
    done: asyncio.Future[None]
    companion: Companion | None = None


class BatchStatistics(msgspec.Struct):
    """What the lanes did so far, for /metrics."""

    batches: int = 0
    events: int = 0
    seconds: float = 0.0

    def add(self, other: BatchStatistics) -> None:
        self.batches += other.batches
        self.events += other.events
        self.seconds += other.seconds

    def take(self) -> BatchStatistics:
        """All of it, for somebody else to count; nothing is left."""
        taken = BatchStatistics(self.batches, self.events, self.seconds)
        self.batches, self.events, self.seconds = 0, 0, 0.0
        return taken


class Line(msgspec.Struct, eq=False):
    """What waits for one lane."""

    live: deque[Group] = msgspec.field(default_factory=deque)
    patient: deque[Group] = msgspec.field(default_factory=deque)
    live_events: int = 0
    patient_events: int = 0
    lived_at: float = 0.0  # when live events were last put in
    rests_until: float = 0.0  # patient events wait until then


class Queues:
    """The queues of one process and the tasks that empty them."""

    def __init__(self, lanes: Sequence[Lane], *, events_max: int) -> None:
        self.statistics = BatchStatistics()
        self.events_max = events_max  # waiting, per lane
        self._lanes = lanes
        self._lines = [Line() for _ in lanes]
        self._wakes = [asyncio.Event() for _ in lanes]
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._serve(place)) for place in range(len(self._lanes))]

    async def stop(self) -> None:
        """Finish what was put in, then end the lanes."""
        self._closing = True
        for wake in self._wakes:
            wake.set()
        await asyncio.gather(*self._tasks)
        for lane in self._lanes:
            await lane.close()

    @property
    def lived_at(self) -> float:
        """When live events were last put in, or told of; monotonic seconds."""
        return max(line.lived_at for line in self._lines)

    def give_way(self) -> None:
        """Live events come to another process of this database: patient ones go in small batches for a while."""
        self._lines[0].lived_at = time.monotonic()

    @property
    def waiting_events(self) -> int:
        return sum(line.live_events + line.patient_events for line in self._lines)

    def put(self, works: list[Work], companion: Companion | None = None, *, is_patient: bool = False) -> list[Group]:
        """Put works in line, all or none; await the groups with `finish`. Raises Overloaded."""
        if self._closing:
            raise Overloaded("The server is stopping", retry_seconds=5)
        parts: dict[int, list[Work]] = {}
        for work in works:
            place = 0 if companion else bucket_of(work.valid.customer) % len(self._lanes)
            parts.setdefault(place, []).append(work)
        if companion is not None:
            parts.setdefault(0, [])
        if any(self._waiting(place, is_patient) + len(part) > self.events_max for place, part in parts.items()):
            raise Overloaded("Too many events are waiting")
        if companion is not None:
            return [self._put(0, parts[0], companion)]
        size = limits.PATIENT_EVENTS if is_patient else limits.BATCH_EVENTS
        return [
            self._put(place, part[first : first + size], is_patient=is_patient)
            for place, part in parts.items()
            for first in range(0, len(part), size)
        ]

    def _waiting(self, place: int, is_patient: bool) -> int:
        line = self._lines[place]
        return line.patient_events if is_patient else line.live_events

    def _put(
        self, place: int, works: list[Work], companion: Companion | None = None, *, is_patient: bool = False
    ) -> Group:
        group, line = Group(works, asyncio.get_running_loop().create_future(), companion), self._lines[place]
        if is_patient:
            line.patient.append(group)
            line.patient_events += len(works)
        else:
            line.live.append(group)
            line.live_events += len(works)
            line.lived_at = time.monotonic()
        self._wakes[place].set()
        return group

    async def _serve(self, place: int) -> None:
        """A lane's life: take what waits, run it, answer; until closing and nothing waits."""
        wake, line = self._wakes[place], self._lines[place]
        while True:
            rest = line.rests_until - time.monotonic()
            if line.live:
                await self._run(self._lanes[place], _take_live(line))
            elif line.patient and rest <= 0:
                await self._run_patient(self._lanes[place], line)
            elif line.patient or not self._closing:
                wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), rest if line.patient else None)
            else:
                return

    async def _run_patient(self, lane: Lane, line: Line) -> None:
        """As much as fits one batch; while live events come, on any lane, only as much as they may wait for, and then
        the machine is theirs for a while."""
        started = time.monotonic()
        is_alone = started - self.lived_at > limits.PATIENCE_SECONDS
        groups = _take(line.patient, limits.BATCH_EVENTS if is_alone else limits.PATIENT_EVENTS)
        line.patient_events -= sum(len(group.works) for group in groups)
        await self._run(lane, groups)
        if not is_alone:
            ended = time.monotonic()
            line.rests_until = ended + (ended - started) * _REST_SHARE

    async def _run(self, lane: Lane, groups: list[Group]) -> None:
        works = [work for group in groups for work in group.works]
        started = time.monotonic()
        try:
            await lane.run(works, groups[0].companion)
        except Exception as error:
            for group in groups:
                if not group.done.cancelled():
                    group.done.set_exception(error)
        else:
            for group in groups:
                if not group.done.cancelled():
                    group.done.set_result(None)
        self.statistics.batches += 1
        self.statistics.events += len(works)
        self.statistics.seconds += time.monotonic() - started


async def finish(groups: list[Group]) -> None:
    """Wait for all groups of one caller. When some fail and others are stored, the failed events say so themselves."""
    if len(groups) == 1:  # nearly always, and gathering costs more than waiting
        await groups[0].done
        return
    failures = await asyncio.gather(*(group.done for group in groups), return_exceptions=True)
    errors = [failure for failure in failures if failure is not None]
    if errors and len(errors) == len(groups):
        raise errors[0]
    for group, failure in zip(groups, failures, strict=True):
        if failure is not None:
            for work in group.works:
                work.outcome = unavailable(failure)


def unavailable(failure: BaseException) -> Rejected:
    """The outcome of an event whose neighbours were stored while it was not."""
    return Rejected((Problem("", "unavailable", f"{failure} Other events of this batch were stored."),))


def _take_live(line: Line) -> list[Group]:
    groups = _take(line.live, limits.BATCH_EVENTS)
    line.live_events -= sum(len(group.works) for group in groups)
    return groups


def _take(queue: deque[Group], events_max: int) -> list[Group]:
    """The groups of the next batch: at least one, at most `events_max` events; a companion stays alone."""
    groups = [queue.popleft()]
    size = len(groups[0].works)
    while queue and groups[0].companion is None and queue[0].companion is None:
        size += len(queue[0].works)
        if size > events_max:
            break
        groups.append(queue.popleft())
    return groups
