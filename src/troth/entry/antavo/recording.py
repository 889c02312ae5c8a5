"""The events of one request, one after the other as that product handles them, in as few batches as that allows.

In: what the mapper read, in order. Out: for each the records it left, or the error that answers it, in order.
Must never: let an event be judged before one of the same customer that stands above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from troth.api.source_registry import Source
from troth.core.coercion import Problem
from troth.core.record import RecordedEvent
from troth.core.sources.antavo import AntavoSettings
from troth.entry.antavo.errors import AntavoError, error_of, repeated
from troth.entry.antavo.mapping import OPT_IN, Mapper, Translated
from troth.entry.source_door import SourceDoor
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, Rejected
from troth.store.batch import read
from troth.store.pool import Database


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event that was taken."""

    event: Translated
    records: tuple[RecordedEvent, ...]  # of its steps


Result = Recorded | AntavoError


@dataclass(slots=True, kw_only=True)
class _Wave:
    """Events that go into the pipeline together."""

    events: dict[int, Translated] = field(default_factory=dict)
    customers: set[str] = field(default_factory=set)
    unsettled: set[str] = field(default_factory=set)  # customers whose opt-in is among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Records for one source."""

    door: SourceDoor
    database: Database
    source: Source
    settings: AntavoSettings
    mapper: Mapper

    async def record(self, events: Sequence[Translated | AntavoError]) -> list[Result]:
        """A result for each. Raises Overloaded."""
        results: dict[int, Result] = {}
        wave = _Wave()
        for place, event in enumerate(events):
            if isinstance(event, AntavoError):
                results[place] = event
                continue
            is_behind = event.customer in (wave.customers if self._is_checked(event) else wave.unsettled)
            if is_behind:
                results |= await self._settle(wave)
                wave = _Wave()
            wave.events[place] = event
            wave.customers.add(event.customer)
            if event.is_opt_in:
                wave.unsettled.add(event.customer)
        results |= await self._settle(wave)
        return [results[place] for place in range(len(events))]

    def _is_checked(self, event: Translated) -> bool:
        """Whether it matters if the customer has opted in."""
        return event.is_opt_in or self.settings.requires_opt_in

    async def _settle(self, wave: _Wave) -> dict[int, Result]:
        results = await self._check(wave)
        under_way = {place: event for place, event in wave.events.items() if place not in results}
        records: dict[int, tuple[RecordedEvent, ...]] = dict.fromkeys(under_way, ())
        while under_way:
            step = {place: event.steps[len(records[place])] for place, event in under_way.items()}
            outcomes = await self.door.record(self.source, list(step.values()))
            for (place, event), outcome in zip(list(under_way.items()), outcomes, strict=True):
                found = _understood(event, outcome)
                if isinstance(found, AntavoError):
                    results[place] = found
                    del under_way[place]
                    continue
                records[place] = (*records[place], found)
                if len(records[place]) == len(event.steps):
                    results[place] = Recorded(event=event, records=records[place])
                    del under_way[place]
        return results

    async def _check(self, wave: _Wave) -> dict[int, Result]:
        """Refuse who opts in again, and, if so set, who has not opted in."""
        checked = {place: event for place, event in wave.events.items() if self._is_checked(event)}
        opted_in = await self._opted_in({event.customer for event in checked.values()}) if checked else set()
        refused: dict[int, Result] = {}
        for place, event in checked.items():
            problem = None
            if event.is_opt_in and event.customer in opted_in:
                problem = Problem("/customer", "already_opted_in", "this customer has opted in already")
            elif not event.is_opt_in and event.customer not in opted_in:
                problem = Problem("/customer", "unknown_customer", "this customer has not opted in")
            if problem is not None:
                self.door.refuse(self.source, event.steps[-1], Rejected((problem,)))
                refused[place] = error_of((problem,), event.action)
        return refused

    async def _opted_in(self, customers: set[str]) -> set[str]:
        mapping = self.mapper.mapping_of(OPT_IN)
        type_id = mapping.type if mapping is not None else OPT_IN
        async with self.database.pool.acquire() as connection:
            rows = (await read(connection, sorted(customers))).rows
        return {customer for customer, row in rows.items() if row.state.counts.get(type_id)}


def _understood(event: Translated, outcome: Outcome) -> RecordedEvent | AntavoError:
    """A transaction that was sent before is an error there; any other resend is answered as recorded."""
    match outcome:
        case Applied():
            return outcome.record
        case Duplicate():
            return repeated(event.transaction) if event.transaction is not None else outcome.record
        case Conflict():
            return error_of((outcome.problem,), event.action)
        case Rejected():
            return error_of(outcome.problems, event.action)
