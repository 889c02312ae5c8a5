"""What a webhook said → the pipeline; an event of an order that is not open yet waits in the source's inbox for it.

In: a source and what its webhook said. Out: how many events were accepted, waited, were dropped. Must never: lose a
refund that came before its order, or let one wait whose order is open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from troth import limits
from troth.api.source_registry import Source
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.entry.events import outcome_name
from troth.entry.hook_reading import Understood
from troth.entry.json_text import JsonReader
from troth.entry.refusals import text_of
from troth.entry.source_door import Delivery, SourceDoor
from troth.entry.source_inbox import Waiting
from troth.pipeline.outcome import Applied, Duplicate, Outcome, RawEvent

_ORDER_IDS = ("order_id", "transaction_id")  # the properties of the starter program that name an order
_KEPT_BYTES = limits.REJECTION_BYTES // 2  # of a payload beside its event
_COUNTED = {"created": "accepted", "duplicate": "duplicates", "rejected": "refused", "conflict": "refused"}
_encode = msgspec.json.Encoder(decimal_format="number").encode


class HookAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the events of a webhook."""

    received: int
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0  # and kept in /v1/rejections
    dropped: int = 0  # by the source's settings
    waiting: int = 0  # for their order, in the source's inbox


async def record_hook(door: SourceDoor, source: Source, understood: Understood, body: bytes) -> HookAnswer:
    """Record what a webhook said. Raises Overloaded; then it is sent again."""
    if understood.problems:
        door.count_unreadable(source, understood.problems, text_of(body))
        return HookAnswer(received=1, refused=1)
    payload = understood.payload if len(body) <= _KEPT_BYTES else None
    deliveries = [Delivery(raw=raw, payload=payload) for raw in understood.events]
    owned = [delivery for delivery in deliveries if not _has_no_owner(delivery.raw)]
    outcomes = await door.record(source, owned) if owned else []
    if understood.dropped:
        door.sources.count(source.id, received=understood.dropped, dropped=understood.dropped)
    names = Counter(_COUNTED[outcome_name(outcome)] for outcome in outcomes)
    names["dropped"] = understood.dropped
    for delivery in deliveries:
        if _has_no_owner(delivery.raw):
            outcome = await door.record_or_wait(source, delivery, _key(str(_order_of(delivery.raw))))
            names[_COUNTED[outcome_name(outcome)] if outcome is not None else "waiting"] += 1
    await _take_out(door, source, owned, outcomes)
    return HookAnswer(received=len(deliveries) + understood.dropped, **names)


async def _take_out(
    door: SourceDoor, source: Source, deliveries: Sequence[Delivery], outcomes: Sequence[Outcome]
) -> None:
    """What waits for orders that are open now."""
    keys = {
        _key(order)
        for delivery, outcome in zip(deliveries, outcomes, strict=True)
        if isinstance(outcome, Applied | Duplicate) and outcome.record.outcome == "applied"
        if (order := _order_of(delivery.raw)) is not None
    }
    if keys:
        await door.record_waiting(source, sorted(keys), read_waiting)


def read_waiting(waiting: Waiting) -> Delivery:
    """An event as it was put into the inbox."""
    document = JsonReader().read(waiting.payload, depth=limits.HOOK_DEPTH)
    return Delivery(raw=msgspec.convert(document.value, type=RawEvent))


def _has_no_owner(raw: RawEvent) -> bool:
    """Whether the event belongs to its order's customer, whoever that is."""
    return raw.customer is None and raw.type in ORDER_FAMILY_TYPES and _order_of(raw) is not None


def _order_of(raw: RawEvent) -> str | None:
    properties = raw.properties if isinstance(raw.properties, dict) else {}
    return next((order for name in _ORDER_IDS if isinstance(order := properties.get(name), str) and order), None)


def _key(order: str) -> str:
    return f"order:{order}"
