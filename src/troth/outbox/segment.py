"""The format `segment`: messages as the track and identify calls of Segment's public tracking API, in batches.

In: messages, and what their customers are like. Out: bodies for `{url}/v1/batch`, each with the places of the messages
that it carries. Must never: exceed what receivers take, or send a personal attribute.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from troth import limits
from troth.core.calendar import show_time
from troth.outbox.messages import EventData, Message
from troth.store.deliveries import Traits

_encoder = msgspec.json.Encoder(decimal_format="string")
IDENTIFIES = frozenset({"customer.created", "customer.updated"})
_LIBRARY = {"library": {"name": "troth"}}
_FRAME_BYTES = 100  # of a batch around its messages
NOBODY = "troth"  # who did what no customer did


class Batch(NamedTuple):
    places: tuple[int, ...]  # of its messages
    body: bytes


def batches(messages: Sequence[Message], traits: Mapping[str, Traits], now: datetime) -> list[Batch]:
    """All messages, in as few batches as the bounds allow. In: traits by the id of the customer, cus_…"""
    calls = [_encoder.encode(call_of(message, traits)) for message in messages]
    found: list[Batch] = []
    begin, size = 0, _FRAME_BYTES
    for place, call in enumerate(calls):
        is_full = place - begin == limits.SEGMENT_MESSAGES or size + len(call) + 1 > limits.SEGMENT_BYTES
        if is_full and place > begin:
            found.append(_batch(calls, range(begin, place), now))
            begin, size = place, _FRAME_BYTES
        size += len(call) + 1
    return [*found, _batch(calls, range(begin, len(calls)), now)] if calls else []


def call_of(message: Message, traits: Mapping[str, Traits]) -> dict[str, object]:
    """One call. Whoever has no name any more (or never had) is told apart by an anonymous id."""
    data = message.data
    customer = data.customer if isinstance(data, EventData) else None
    who = {"userId": customer} if customer is not None else {"anonymousId": getattr(data, "customer_id", NOBODY)}
    frame = {**who, "messageId": message.id, "timestamp": message.timestamp, "context": _LIBRARY}
    known = traits.get(data.customer_id) if isinstance(data, EventData) else None
    if message.type in IDENTIFIES and known is not None:
        given = {"tier": known.tier, "tags": known.tags}
        shown = {name: value for name, value in {**known.attributes, **given}.items() if value is not None}
        return {"type": "identify", **frame, "traits": shown}
    return {"type": "track", "event": event_name(message.type), **frame, "properties": data}


def event_name(topic: str) -> str:
    """`points.earned` as `Points Earned`, the way the ecommerce vocabulary names what happened."""
    return topic.replace(".", " ").title()


def batch_url(url: str) -> str:
    return f"{url.rstrip('/')}/v1/batch"


def authorization(write_key: str) -> str:
    """Basic, with the write key as the name and no password."""
    return "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()


def _batch(calls: Sequence[bytes], places: range, now: datetime) -> Batch:
    listed = b",".join(calls[place] for place in places)
    return Batch(tuple(places), b'{"batch":[' + listed + b'],"sentAt":"' + show_time(now).encode() + b'"}')
