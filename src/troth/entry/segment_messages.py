"""One message of a Segment-compatible library → what it asks for, by the settings of its source. Pure.

In: a message as plain JSON values, when it was sent and received. Out: who it is about, and the event it becomes.
Must never: judge the event; the pipeline does, for all doors alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from troth import limits
from troth.core.coercion import parse_moment
from troth.core.program.builtin_types import CUSTOMERS_SCOPE, PROFILE_TYPE
from troth.core.sources.segment import EventMapping, SegmentSettings
from troth.entry.segment_vocabulary import at, attributes_of, items_of, read_event
from troth.pipeline.outcome import RawEvent

Message = Mapping[str, object]
Mapped = tuple[str, object]  # a type, and its properties as they came

KEPT = (  # what of a message says something here; the rest is not even looked at
    *("type", "event", "name", "category", "userId", "anonymousId", "previousId", "groupId", "messageId"),
    *("timestamp", "originalTimestamp", "sentAt", "properties", "traits"),
)
_PROFILE_SCOPES = frozenset({CUSTOMERS_SCOPE})


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request beside its messages."""

    at: datetime
    sent_at: object = None  # as the batch says
    ip: str | None = None
    user_agent: str | None = None


def kept(message: Message) -> dict[str, object]:
    """What of a message says something here; `context.traits` are an identified visitor's traits in some libraries."""
    found = {name: message[name] for name in KEPT if message.get(name) is not None}
    if message.get("type") == "identify" and "traits" not in found:
        traits = at(message, "context.traits")
        if isinstance(traits, dict):
            found["traits"] = traits
    return found


def user_of(message: Message, name: str = "userId") -> object:
    """An id as text; a whole number counts as one. None: there is none."""
    value = message.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if value != "" else None


def visitor_of(message: Message) -> str | None:
    """The anonymous id, as a key of the inbox; None when there is none that may be one."""
    return _key(user_of(message, "anonymousId"))


def named_by(message: Message) -> dict[str, str]:
    """Visitors that this message gives a name to: inbox key → customer."""
    user = user_of(message)
    if not isinstance(user, str) or message.get("type") not in ("identify", "alias"):
        return {}
    visitors = [visitor_of(message)]
    if message["type"] == "alias":
        visitors = [_key(user_of(message, "previousId"))]
    return {visitor: user for visitor in visitors if visitor is not None}


def _key(visitor: object) -> str | None:
    is_sound = isinstance(visitor, str) and len(visitor) <= limits.IDENTIFIER_LENGTH
    return f"anonymous:{visitor}" if is_sound else None


def event_of(message: Message, settings: SegmentSettings, received: Received) -> RawEvent | None:
    """The event that a message becomes, for the customer it names. None: it becomes none."""
    mapped = _mapped(message, settings)
    if mapped is None:
        return None
    type_id, properties = mapped
    is_profile = message.get("type") == "identify"
    return RawEvent(
        customer=user_of(message),
        type=type_id,
        reference=message.get("messageId"),
        occurred_at=occurred_at(message, received),
        properties=properties,
        ip=received.ip,
        user_agent=received.user_agent,
        scopes=_PROFILE_SCOPES if is_profile else None,
    )


def occurred_at(message: Message, received: Received) -> object:
    """The sender's time, put right by how wrong its clock was when it sent; None for now, and for what is to come."""
    given = message.get("timestamp", message.get("originalTimestamp"))
    moment = parse_moment(given)
    if moment is None:
        return given  # to be refused by its place, unless there is none
    sent_at = parse_moment(received.sent_at if received.sent_at is not None else message.get("sentAt"))
    drift = received.at - sent_at if sent_at is not None else timedelta(0)
    try:
        corrected = moment + drift
    except OverflowError:
        return given
    return None if corrected >= received.at else corrected.astimezone(UTC).isoformat()


def _mapped(message: Message, settings: SegmentSettings) -> Mapped | None:
    match message.get("type"):
        case "track":
            return _tracked(message, settings)
        case "identify" if settings.identify == "profile":
            return PROFILE_TYPE, _attributes(message.get("traits"), settings)
        case "page":
            return _viewed(message, settings.page)
        case "screen":
            return _viewed(message, settings.screen)
        case "group" if settings.group is not None:
            traits = _object(message.get("traits"))
            return _applied(settings.group, {**traits, "groupId": message.get("groupId")})
        case _:
            return None


def _tracked(message: Message, settings: SegmentSettings) -> Mapped | None:
    name, properties = message.get("event"), message.get("properties", {})
    if not isinstance(name, str):
        return None
    if name in settings.events:
        mapping = settings.events[name]
        return _applied(mapping, properties) if mapping is not None else None
    found = read_event(name, _object(properties)) if settings.default_events else None
    if found is None and settings.unmapped == "same_name":
        return name, properties
    return found if found is None or isinstance(properties, dict) else (found[0], properties)


def _viewed(message: Message, mapping: EventMapping | None) -> Mapped | None:
    if mapping is None:
        return None
    named = {name: message[name] for name in ("name", "category") if name in message}
    return _applied(mapping, {**named, **_object(message.get("properties"))})


def _applied(mapping: EventMapping, properties: object) -> Mapped:
    """`items` takes the products of the vocabulary; everything else is taken as it is."""
    if mapping.properties is None:
        return mapping.type, properties
    found = {ours: at(properties, path) for ours, path in mapping.properties.items()}
    if mapping.properties.get("items") == "products":
        found["items"] = items_of(found["items"])
    return mapping.type, {name: value for name, value in found.items() if value is not None}


def _attributes(traits: object, settings: SegmentSettings) -> dict[str, object]:
    known = _object(traits)
    if settings.traits is None:
        return attributes_of(known)
    found = {attribute: at(known, path) for attribute, path in settings.traits.items()}
    return {attribute: value for attribute, value in found.items() if value is not None}


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
