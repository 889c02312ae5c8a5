"""A generic webhook's JSON → events, by the mapping of its source. Pure.

In: a body, read exactly, and its headers. Out: the events it becomes; which of them the filter or the names leave out
is counted. Must never: guess. What a mapping does not find is missing, and the pipeline says so by its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256

import msgspec

from troth import limits
from troth.core.coercion import Problem, as_decimal
from troth.core.program.builtin_types import CUSTOMERS_SCOPE, PROFILE_TYPE
from troth.core.sources.filters import counts
from troth.core.sources.paths import at
from troth.core.sources.webhook import StandardAuth, Taken, Value, WebhookSettings
from troth.pipeline.outcome import RawEvent

Headers = Mapping[bytes, bytes]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MAX = 253_402_300_799  # 9999-12-31
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What a body says."""

    events: tuple[RawEvent, ...] = ()
    dropped: int = 0  # by the filter, or by name
    problem: Problem | None = None  # why it says nothing at all


def read_incoming(
    body: object, settings: WebhookSettings, headers: Headers, *, source_id: str, is_signed: bool
) -> Read:
    """The events of a body, in its order."""
    items = [body] if settings.events is None else at(body, settings.events)
    if not isinstance(items, list):
        return Read(problem=Problem(_pointer(settings.events), "type", "the list of events is not there"))
    if len(items) > limits.BULK_EVENTS:
        detail = f"a webhook brings at most {limits.BULK_EVENTS} events; this one has {len(items)}"
        return Read(problem=Problem(_pointer(settings.events), "too_many_events", detail))
    events = []
    for place, item in enumerate(items):
        event = _event(item, settings, headers)
        if event is not None:
            reference = event.reference or _reference(item, settings, headers, (source_id, place))
            events.append(msgspec.structs.replace(event, reference=reference, is_signed=is_signed))
    return Read(events=tuple(events), dropped=len(items) - len(events))


def _event(item: object, settings: WebhookSettings, headers: Headers) -> RawEvent | None:
    if settings.filter is not None and not counts(settings.filter, item):
        return None
    named = _text(_take(item, settings.type, headers))
    type_id = _type(named, settings)
    if type_id is None and named is not None:
        return None
    found = settings.properties
    return RawEvent(
        customer=_text(_take(item, settings.customer, headers)),
        type=type_id,
        reference=_text(_take(item, settings.reference, headers)) if settings.reference is not None else None,
        occurred_at=_take(item, settings.occurred_at, headers) if settings.occurred_at is not None else None,
        properties=_object(item, found, headers) if found is not None else _whole(item),
        scopes=frozenset({CUSTOMERS_SCOPE}) if type_id == PROFILE_TYPE else None,
    )


def _type(named: object, settings: WebhookSettings) -> object:
    """Our name of a type; None drops it."""
    if isinstance(named, str) and named in settings.type_names:
        return settings.type_names[named]
    return named if settings.unmapped == "same_name" else None


def _whole(item: object) -> object:
    found = at(item, "properties")
    return {} if found is None else found


def _object(item: object, properties: Mapping[str, Value], headers: Headers) -> dict[str, object]:
    found = {name: _take(item, value, headers) for name, value in properties.items()}
    return {name: value for name, value in found.items() if value is not None}


def _take(item: object, value: Value, headers: Headers) -> object:
    if isinstance(value, str):
        return at(item, value)
    found: object = None
    if value.constant is not None:
        found = value.constant
    elif value.header is not None:
        found = headers.get(value.header.lower().encode(), b"").decode("latin-1") or None
    elif value.path is not None:
        found = at(item, value.path)
    if value.properties is not None:
        return _each(found, value.properties, headers)
    if found is None:
        return value.default
    return _prefixed(_read(found, value), value)


def _each(found: object, properties: Mapping[str, Value], headers: Headers) -> object:
    """A list item by item; a single object is mapped as it is, what is neither is left to be refused by its place."""
    if isinstance(found, list):
        return [_object(item, properties, headers) if isinstance(item, dict) else item for item in found]
    return _object(found, properties, headers) if isinstance(found, dict) else found


def _read(found: object, value: Taken) -> object:
    match value.read:
        case "as_is":
            return found
        case "text":
            return _text(found)
        case "lower":
            text = _text(found)
            return text.strip().lower() if isinstance(text, str) else text
        case "cents":
            number = as_decimal(found)
            return found if isinstance(number, str) else _hundredth(number)
        case "unix_seconds":
            return _moment(found, 1)
        case "unix_milliseconds":
            return _moment(found, 1_000)


def _hundredth(number: Decimal) -> str:
    """Exact, whatever the length: no decimal context takes part."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "finite"
    return format(Decimal((sign, digits, exponent - 2)), "f")


def _prefixed(found: object, value: Taken) -> object:
    if not value.prefix:
        return found
    text = _text(found)
    return f"{value.prefix}{text}" if isinstance(text, str) else text


def _moment(found: object, parts: int) -> object:
    number = as_decimal(found)
    if isinstance(number, str):
        return found
    seconds = Fraction(number) / parts
    if not 0 <= seconds <= _SECONDS_MAX:
        return found
    return (_EPOCH + timedelta(microseconds=int(seconds * 1_000_000))).isoformat()


def _text(found: object) -> object:
    """Ids that came as numbers, to the last digit; anything else is left to be refused by its place."""
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else found


def _reference(item: object, settings: WebhookSettings, headers: Headers, where: tuple[str, int]) -> str:
    """A name for an event that has none: the message's, else what it says, so that a repeated delivery is known."""
    source_id, place = where
    message_id = headers.get(b"webhook-id", b"").decode("latin-1")
    if isinstance(settings.auth, StandardAuth) and 0 < len(message_id) <= limits.IDENTIFIER_LENGTH // 2:
        return f"{source_id}:{message_id}:{place}"
    return f"{source_id}:{sha256(_encode(item)).hexdigest()}"


def _pointer(path: str | None) -> str:
    if not path or path.startswith("/"):
        return path or ""
    return "/" + path.replace(".", "/")
