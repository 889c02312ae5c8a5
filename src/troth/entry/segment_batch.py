"""The messages of one request of a Segment-compatible library → events, names of visitors, and what waits for a name.

In: a source, its messages as they came, what is known of the request. Out: nothing; counters and rejections tell.
Must never: let one bad message keep its neighbours out, or lose what an anonymous visitor did between its arrival and
its name: names are written before what waits is taken, and what waits is put before names are looked up again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast
from uuid import uuid4

import msgspec

from troth import limits
from troth.api.source_registry import Source
from troth.core.coercion import Problem
from troth.core.sources.segment import SegmentSettings
from troth.entry.json_text import JsonReader, find_flaws, show_flawed
from troth.entry.segment_messages import Message, Received, event_of, kept, named_by, visitor_of
from troth.entry.segment_vocabulary import at
from troth.entry.source_door import Delivery, SourceDoor
from troth.entry.source_inbox import Item, Waiting
from troth.pipeline.outcome import RawEvent, Rejected

_CALLS = frozenset({"track", "identify", "page", "screen", "group", "alias"})
_IP_LENGTH = 45
_DEPTH = limits.NESTING_DEPTH + 4
_FULL = Problem("", "inbox_full", f"an inbox holds {limits.SOURCE_INBOX_ITEMS} payloads; name or drop visitors sooner")
_LARGE = Problem("", "too_large", f"what waits for a name has at most {limits.SOURCE_INBOX_BYTES} bytes")
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Anonymous(NamedTuple):
    """An event whose customer has no name yet."""

    visitor: str  # key of the inbox
    delivery: Delivery


class Unread(NamedTuple):
    """What came in place of a message."""

    problems: tuple[Problem, ...]
    text: str


class Sorted(msgspec.Struct, kw_only=True):
    """The messages of a request by what is to be done with them."""

    named: list[Delivery] = []
    anonymous: list[Anonymous] = []
    names: dict[str, str] = {}  # visitors → customers
    unread: list[Unread] = []
    linked: int = 0  # messages that only name a visitor
    dropped: int = 0


async def receive(door: SourceDoor, source: Source, messages: Sequence[object], received: Received) -> None:
    """Record what the messages say. Raises Overloaded; then they may be sent again."""
    settings = cast("SegmentSettings", source.settings)
    found = sort(messages, settings, received)
    deliveries, late = await _resolve(door, source, found)
    names = {**late, **found.names}
    await door.record_waiting(source, [*names], lambda waiting: _of_waiting(waiting, settings, names))
    if deliveries:
        await door.record(source, deliveries)
    for unread in found.unread:
        door.count_unreadable(source, unread.problems, unread.text)
    told = found.linked + found.dropped
    if told:
        door.sources.count(source.id, received=told, accepted=found.linked, dropped=found.dropped)


def sort(messages: Sequence[object], settings: SegmentSettings, received: Received) -> Sorted:
    """What is to be done with each message. Pure."""
    found = Sorted()
    for message in messages:
        unread = _unread(message)
        if unread is not None:
            found.unread.append(unread)
        else:
            assert isinstance(message, dict)
            told = received if settings.is_public else _as_told(message, received)
            _sort_one(kept(message), settings, told, found)
    return found


def _sort_one(message: Message, settings: SegmentSettings, received: Received, found: Sorted) -> None:
    waits, names = settings.anonymous == "wait", named_by(message)
    raw = event_of(message, settings, received)
    if waits:
        found.names |= names
    if raw is None:
        found.linked += bool(names)
        found.dropped += not names
        return
    delivery, visitor = Delivery(raw=raw, payload=message), visitor_of(message)
    if raw.customer is not None or visitor is None:
        found.named.append(delivery)
    elif waits:
        found.anonymous.append(Anonymous(visitor, delivery))
    else:
        found.dropped += 1


async def _resolve(door: SourceDoor, source: Source, found: Sorted) -> tuple[list[Delivery], dict[str, str]]:
    """Everything that has a customer by now, and visitors who were named while their events were put to wait."""
    settings = cast("SegmentSettings", source.settings)
    await door.inbox.name(source.id, found.names, settings.anonymous_days)
    if not found.anonymous:
        return found.named, {}
    visitors = {visitor for visitor, _ in found.anonymous}
    known = await door.inbox.names(source.id, visitors)
    named = [_for(known[visitor], delivery) for visitor, delivery in found.anonymous if visitor in known]
    waiting = [item for item in found.anonymous if item.visitor not in known]
    if not waiting:
        return found.named + named, {}
    await _wait(door, source, waiting, settings.anonymous_days)
    return found.named + named, await door.inbox.names(source.id, {visitor for visitor, _ in waiting})


async def _wait(door: SourceDoor, source: Source, waiting: Sequence[Anonymous], days: int) -> None:
    """Put them into the inbox; what finds no room is refused."""
    items = [(_item(visitor, delivery), delivery) for visitor, delivery in waiting]
    small = [item for item in items if len(item[0].payload) <= limits.SOURCE_INBOX_BYTES]
    put = await door.inbox.put(source.id, [item for item, _ in small], days)
    fresh, held = put.count("put"), put.count("held")
    door.sources.count(source.id, received=fresh + held, waiting=fresh, duplicates=held)
    full = [delivery for (_, delivery), became in zip(small, put, strict=True) if became == "full"]
    large = [delivery for item, delivery in items if len(item.payload) > limits.SOURCE_INBOX_BYTES]
    for delivery in full:
        door.refuse(source, delivery, Rejected((_FULL,)))
    for delivery in large:
        door.refuse(source, delivery, Rejected((_LARGE,)))


def _item(visitor: str, delivery: Delivery) -> Item:
    raw = delivery.raw
    reference = raw.reference if isinstance(raw.reference, str) else uuid4().hex
    message = {**cast("Message", delivery.payload), "messageId": reference}
    told = {"message": message, "occurred_at": raw.occurred_at}
    return Item(
        key=visitor,
        reference=reference,
        payload=_encode({**told, "ip": raw.ip, "user_agent": raw.user_agent}),
    )


def _of_waiting(waiting: Waiting, settings: SegmentSettings, names: Mapping[str, str]) -> Delivery | None:
    """What waited, by the settings of today. None: it has become nothing."""
    value, _ = JsonReader().scan(waiting.payload, depth=_DEPTH)
    told = cast("dict[str, object]", value)
    message = {**cast("Message", told["message"]), "userId": names[waiting.key]}
    received = Received(
        at=waiting.received_at,
        ip=cast("str | None", told["ip"]),
        user_agent=cast("str | None", told["user_agent"]),
    )
    raw = event_of(message, settings, received)
    if raw is None:
        return None
    then = told["occurred_at"] if told["occurred_at"] is not None else waiting.received_at.isoformat()
    return Delivery(raw=msgspec.structs.replace(raw, occurred_at=then), payload=message)


def _for(customer: str, delivery: Delivery) -> Delivery:
    raw: RawEvent = msgspec.structs.replace(delivery.raw, customer=customer)
    return msgspec.structs.replace(delivery, raw=raw)


def _unread(message: object) -> Unread | None:
    """Why a message cannot be read; None: it can."""
    if not isinstance(message, dict):
        flaws = find_flaws(message)
        problems = tuple(Problem(flaw.pointer, flaw.code, flaw.detail) for flaw in flaws)
        return Unread(problems or (Problem("", "not_an_object", "a message is a JSON object"),), show_flawed(message))
    flaws = find_flaws(kept(message))
    problems = tuple(Problem(flaw.pointer, flaw.code, flaw.detail) for flaw in flaws)
    if not problems and not isinstance(message.get("type"), str):
        problems = (Problem("/type", "missing", f"a message has a type: {', '.join(sorted(_CALLS))}"),)
    return Unread(problems, show_flawed(kept(message))) if problems else None


def _as_told(message: Message, received: Received) -> Received:
    """Where the person was, as a server that passes events on tells it; of a browser we know it ourselves."""
    ip, user_agent = at(message, "context.ip"), at(message, "context.userAgent")
    told = {"ip": ip, "user_agent": user_agent}
    bounds = {"ip": _IP_LENGTH, "user_agent": limits.USER_AGENT_LENGTH}
    sound = {
        name: value[: bounds[name]] for name, value in told.items() if isinstance(value, str) and value.isprintable()
    }
    return msgspec.structs.replace(received, **sound) if sound else received
