"""What every door of a source shares: events that it mapped → the pipeline → outcomes, counted; refused ones are kept.

In: a source and its deliveries. Out: an outcome for each, in order.
Must never: let a source send what its allow-list does not name, or lose a refusal without a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, cast

import msgspec
from litestar import Request
from litestar.datastructures import State

from troth import limits
from troth.api.metrics import Metrics
from troth.api.source_registry import Source, Sources
from troth.core.coercion import Problem
from troth.core.sources.kinds import KINDS
from troth.entry.events import outcome_name
from troth.entry.refusals import Refusal, Refusals, clear_type
from troth.entry.source_inbox import Inbox, Item, Waiting
from troth.pipeline.outcome import Conflict, Outcome, RawEvent, Rejected
from troth.store.sources import SourceError

_NUMBERS = {"created": "accepted", "duplicate": "duplicates", "rejected": "refused", "conflict": "refused"}
_NO_SCOPES: frozenset[str] = frozenset()
_encode = msgspec.json.Encoder(decimal_format="number").encode


Reader = Callable[[Waiting], "Delivery | None"]  # what waited → the event it becomes now


class Pipeline(Protocol):
    async def ingest(self, batch: Sequence[RawEvent]) -> list[Outcome]: ...


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event that a foreign payload became."""

    raw: RawEvent  # `source` and `source_detail` are set here
    payload: object = None  # the part of the foreign payload it came from, for the view of rejections


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDoor:
    """The doors of sources of one process. Handlers find it in `app.state["source_door"]`."""

    pipeline: Pipeline
    sources: Sources
    refusals: Refusals
    inbox: Inbox
    metrics: Metrics

    async def record(self, source: Source, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Record what a request brought. Raises Overloaded; then nothing is counted."""
        outcomes = await self._ingest(source, deliveries)
        self._note(source, deliveries, outcomes, received=len(deliveries))
        return outcomes

    async def record_waiting(self, source: Source, keys: Sequence[str], read: Reader) -> int:
        """Record what waits for these keys, and take it out. Out: how much that was. Raises Overloaded.

        What `read` makes nothing of is dropped.
        """
        if not keys or not await self.inbox.waiting(source.id, keys, 1):
            return 0
        async with self.sources.taking(source.id):
            return await self._take(source, keys, read)

    async def _take(self, source: Source, keys: Sequence[str], read: Reader) -> int:
        total = 0
        while waiting := await self.inbox.waiting(source.id, keys):
            found = [read(item) for item in waiting]
            deliveries = [delivery for delivery in found if delivery is not None]
            outcomes = await self._ingest(source, deliveries)
            taken = await self.inbox.remove(source.id, [item.id for item in waiting])
            if taken == len(waiting):  # else another process took them too, and counts them
                self._note(source, deliveries, outcomes, waiting=-taken, dropped=len(found) - len(deliveries))
            else:
                self.sources.count(source.id, waiting=-taken, duplicates=taken)
            total += len(waiting)
        return total

    async def record_or_wait(self, source: Source, delivery: Delivery, key: str) -> Outcome | None:
        """Record an event that belongs to its order's customer; while the order is not open it waits for `key`.

        It is put into the inbox first, so that whoever opens the order meanwhile finds it there. Out: None while it
        waits. Raises Overloaded.
        """
        async with self.sources.taking(source.id):
            return await self._record_or_wait(source, delivery, key)

    async def _record_or_wait(self, source: Source, delivery: Delivery, key: str) -> Outcome | None:
        raw = named(source, delivery.raw)
        item = Item(key=key, reference=str(raw.reference), payload=_encode(raw))
        fits = len(item.payload) <= limits.SOURCE_INBOX_BYTES
        put = (await self.inbox.put(source.id, [item], limits.SOURCE_INBOX_DAYS))[0] if fits else "full"
        (outcome,) = await self._ingest(source, [delivery])
        if put != "full" and _lacks_order(outcome):
            is_new = put == "put"
            self.sources.count(source.id, received=1, waiting=int(is_new), duplicates=int(not is_new))
            return None
        gone = await self._take_back(source, item) if put != "full" else 0
        if put == "put" and not gone:  # whoever opened the order has recorded and counted it
            self.sources.count(source.id, received=1, waiting=1)
        else:
            before = gone if put == "held" else 0  # the same, delivered before, that was counted as waiting
            self._note(source, [delivery], [outcome], received=1, waiting=-before, duplicates=before)
        return outcome

    async def _take_back(self, source: Source, item: Item) -> int:
        waiting = await self.inbox.waiting(source.id, [item.key])
        return await self.inbox.remove(source.id, [found.id for found in waiting if found.payload == item.payload])

    async def retry_waiting(
        self, source: Source, waiting: Sequence[Waiting], read: Callable[[Waiting], Delivery]
    ) -> int:
        """Try again what waits for an order, and take out what was recorded or refused. Raises Overloaded."""
        deliveries = [read(item) for item in waiting]
        outcomes = await self._ingest(source, deliveries)
        settled = [place for place, outcome in enumerate(outcomes) if not _lacks_order(outcome)]
        taken = await self.inbox.remove(source.id, [waiting[place].id for place in settled]) if settled else 0
        if taken == len(settled):
            done = [deliveries[place] for place in settled], [outcomes[place] for place in settled]
            self._note(source, *done, waiting=-taken)
        else:  # somebody else took some too, and counts them
            self.sources.count(source.id, waiting=-taken, duplicates=taken)
        return taken

    def refuse(self, source: Source, delivery: Delivery, outcome: Rejected) -> None:
        """Something that the door itself refuses: kept, and counted."""
        self._note(source, [delivery], [outcome], received=1)

    def count_unreadable(self, source: Source, problems: Sequence[Problem], text: str | None = None) -> None:
        """Something that came with a sound secret but cannot be read: kept, and counted as refused."""
        refusal = Refusal(problems=tuple(problems), raw=None, text=text)
        rejection = self.refusals.keep(refusal, KINDS[source.kind].source, source.id)
        errors = [_error(problems, None, rejection)]
        self.sources.count(source.id, errors, received=1, refused=1)

    def note_error(self, source: Source, code: str) -> None:
        """A request refused whole, for whoever looks after the source; it brought no event."""
        self.sources.count(source.id, [_error([Problem("", code, "")], None, None)])

    async def _ingest(self, source: Source, deliveries: Sequence[Delivery]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        raws: dict[int, RawEvent] = {}
        for place, delivery in enumerate(deliveries):
            raw = named(source, delivery.raw)
            if source.settings.may_send(raw.type):
                raws[place] = raw
            else:
                outcomes[place] = Rejected((_not_allowed(source, raw.type),))
        if raws:
            outcomes |= dict(zip(raws, await self.pipeline.ingest(list(raws.values())), strict=True))
        return [outcomes[place] for place in range(len(deliveries))]

    def _note(
        self, source: Source, deliveries: Sequence[Delivery], outcomes: Sequence[Outcome], **numbers: int
    ) -> None:
        """Count the outcomes, keep what was refused."""
        errors = []
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            name = outcome_name(outcome)
            self.metrics.count_events(name)
            numbers[_NUMBERS[name]] = numbers.get(_NUMBERS[name], 0) + 1
            if isinstance(outcome, Rejected | Conflict):
                raw = named(source, delivery.raw)
                rejection = self.refusals.keep_outcome(raw, outcome, delivery.payload)
                problems = outcome.problems if isinstance(outcome, Rejected) else (outcome.problem,)
                errors.append(_error(problems, raw.type, rejection))
        self.sources.count(source.id, errors, **numbers)


def source_door_of(request: Request[object, object, State]) -> SourceDoor:
    return cast("SourceDoor", request.app.state["source_door"])


def named(source: Source, raw: RawEvent) -> RawEvent:
    """The event as sent by this source: a client's, if the source's secret is public.

    A type that needs a scope is sent if the allow-list names it, or if the door itself gave the scope to `raw`.
    """
    return msgspec.structs.replace(
        raw,
        source=KINDS[source.kind].source,
        source_detail=source.id,
        is_client=source.settings.is_public,
        scopes=None if source.settings.names(raw.type) else raw.scopes or _NO_SCOPES,
    )


def _lacks_order(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and outcome.problems[0].code == "unknown_order"


def _not_allowed(source: Source, type_id: object) -> Problem:
    detail = f"the source '{source.id}' may not send this type; its setting 'types' names those it may"
    return Problem("/type", "type_not_allowed", detail)


def _error(problems: Sequence[Problem], type_id: object, rejection: str | None) -> SourceError:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return SourceError(at=now, code=problems[0].code, type=clear_type(type_id), rejection=rejection)
