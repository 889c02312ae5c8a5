"""Validation: a raw event and the live program → a valid event, or every problem it has. Pure.

Precedence: fields of the event (customer, type, reference, occurred_at, unknown ones), then whether the sender may send
the type, then its properties. A type that is unknown hides the properties, since nothing says how to read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from troth import limits
from troth.core.coercion import Problem, Reading, escape, parse_moment, read_fields, read_unknown
from troth.core.ids import reference_hash
from troth.core.program import EventType, Program
from troth.core.program.builtin_types import COMMAND_TYPES, ORDER_FAMILY_TYPES, PROFILE_TYPE, UNAVAILABLE_TYPES
from troth.pipeline.outcome import RawEvent

_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")


class ValidEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that can be judged; it has no id yet."""

    customer: str | None  # None: an event of an order, and the order's customer is meant
    type: EventType
    reference: str | None
    order_id: str | None  # of an opening type and of the order family
    occurred_at: datetime | None  # None: when it is recorded
    values: tuple[object, ...]
    properties: str  # canonical JSON without personal ones
    attributes: Mapping[str, object]  # profile events: what changes; None removes
    tags: tuple[str, ...] | None
    personal_properties: Mapping[str, object]
    birth_date: date | msgspec.UnsetType | None = msgspec.UNSET  # profile events that change it
    raw: RawEvent


class Refused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is wrong with an event, and the name and reference it may have been recorded under before."""

    problems: tuple[Problem, ...]
    customer: str | None
    reference: str | None  # None: there is none, or the sender may not know what became of it
    raw: RawEvent


class _Split(msgspec.Struct):
    """Coerced properties of one type, parted into plain and personal ones."""

    type: EventType
    values: tuple[object, ...]
    stored: dict[str, object]
    personal: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """Validates under one revision of the program."""

    program: Program
    zone: ZoneInfo
    demands_signatures: bool  # production: types marked `sensitive` only by signed requests
    declared: Mapping[str, frozenset[str]]  # event type → its property names
    order_ids: tuple[str, ...]  # the id properties of the types that open orders
    currencies: frozenset[str]  # the properties that name an order's currency

    def validate(self, raw: RawEvent, now: datetime) -> ValidEvent | Refused:
        """In: an event as a door read it, and the present moment. Never raises on bad input."""
        reading = Reading(self.zone, [])
        is_of_order = isinstance(raw.type, str) and raw.type in ORDER_FAMILY_TYPES
        customer = _read_identifier(raw.customer, "customer", reading, is_required=not is_of_order)
        reference = _read_identifier(raw.reference, "reference", reading, is_required=False)
        if reference is not None and reference.startswith("sys:"):
            reading.refuse("/reference", "reserved_reference", "references that start with 'sys:' belong to the engine")
        occurred_at = _read_moment(raw.occurred_at, now, reading)
        for name in raw.extra:
            reading.refuse(f"/{escape(name)}", "unknown_field", f"an event has no field '{name}'; is it a property?")
        event_type = self._read_type(raw, reading)
        may_send = self._may_send(event_type, raw, reading)
        split = None if event_type is None else self._read_properties(event_type, raw, reading)
        if reading.problems or event_type is None or split is None:
            known_as = reference if may_send else None
            return Refused(problems=tuple(reading.problems), customer=customer, reference=known_as, raw=raw)
        return self._assemble(raw, split, (customer, reference, occurred_at), reading)

    def content(self, raw: RawEvent, type_id: str) -> str | None:
        """The canonical properties of `raw` as this revision reads that type; None when it does not fit."""
        event_type = self.program.event_types.get(type_id)
        reading = Reading(self.zone, [])
        split = None if event_type is None else self._read_properties(event_type, raw, reading)
        if split is None or reading.problems:
            return None
        text = _encode(split, reading)
        return None if reading.problems else text

    def _read_type(self, raw: RawEvent, reading: Reading) -> EventType | None:
        type_id = _read_identifier(raw.type, "type", reading, is_required=True)
        if type_id is None:
            return None
        event_type = self.program.event_types.get(type_id)
        if event_type is None:
            reading.refuse("/type", "unknown_type", f"the program has no event type '{type_id}'")
        return event_type

    def _may_send(self, event_type: EventType | None, raw: RawEvent, reading: Reading) -> bool:
        if event_type is None:
            return not raw.is_client
        problem = self._forbid(event_type, raw)
        if problem is not None:
            reading.refuse("/type", *problem)
        return problem is None

    def _forbid(self, event_type: EventType, raw: RawEvent) -> tuple[str, str] | None:
        """Why this sender may not send this type."""
        if event_type.system and not (raw.is_command and event_type.id in COMMAND_TYPES):
            return ("system_type", f"'{event_type.id}' events are written by the engine only")
        if event_type.id in UNAVAILABLE_TYPES:
            return ("not_available", f"'{event_type.id}' is not available in this version")
        if raw.is_client and not event_type.client_allowed:
            return ("not_client_allowed", f"a publishable key may not send '{event_type.id}'; send it from your server")
        if event_type.scope is not None and raw.scopes is not None and event_type.scope not in raw.scopes:
            return ("forbidden", f"to send '{event_type.id}' the key needs the scope {event_type.scope}")
        if self.demands_signatures and not (raw.is_signed or raw.is_trusted) and self._is_sensitive(event_type):
            return ("signature_required", f"'{event_type.id}' is sensitive: send it in a signed request")
        return None

    def _is_sensitive(self, event_type: EventType) -> bool:
        if event_type.sensitive or not self.program.settings.require_signatures:
            return event_type.sensitive
        return event_type.order is not None or any(field.pii for field in event_type.properties)

    def _read_properties(self, event_type: EventType, raw: RawEvent, reading: Reading) -> _Split | None:
        if not isinstance(raw.properties, Mapping):
            reading.refuse("/properties", "type", "'properties' must be an object")
            return None
        found = read_fields(event_type.properties, raw.properties, "/properties", reading)
        split = _Split(event_type, (), {}, {})
        values: list[object] = []
        for field, (stored, value) in zip(event_type.properties, found, strict=True):
            values.append(None if field.pii else value)
            if stored is not None:
                (split.personal if field.pii else split.stored)[field.name] = stored
        split.values = tuple(values)
        declared = self.declared[event_type.id]
        if not declared.issuperset(raw.properties):
            undeclared = {name: value for name, value in raw.properties.items() if name not in declared}
            _read_undeclared(event_type, undeclared, split, reading)
        if event_type.id == PROFILE_TYPE:
            _keep_named(raw.properties, split, {field.name for field in event_type.properties if field.pii})
        if event_type.id == "partial_refund" and not reading.problems:
            _identify(split, raw.reference)
        return split

    def _assemble(
        self, raw: RawEvent, split: _Split, head: tuple[str | None, str | None, datetime | None], reading: Reading
    ) -> ValidEvent | Refused:
        customer, reference, occurred_at = head
        event_type = split.type
        order_id = self._order_id(split, reference, reading)
        self._check_order(split, reading)
        properties = _encode(split, reading)
        if reading.problems:
            return Refused(problems=tuple(reading.problems), customer=customer, reference=reference, raw=raw)
        changes = split.stored if event_type.id == PROFILE_TYPE else {}
        tags = changes.get("tags")
        return ValidEvent(
            customer=customer,
            type=event_type,
            reference=reference,
            order_id=order_id,
            occurred_at=occurred_at,
            values=split.values,
            properties=properties,
            attributes={name: value for name, value in changes.items() if name != "tags"},
            tags=tuple(tags) if isinstance(tags, list) else None,
            personal_properties=split.personal,
            birth_date=_birth_date(split) if event_type.id == PROFILE_TYPE else msgspec.UNSET,
            raw=raw,
        )

    def _order_id(self, split: _Split, reference: str | None, reading: Reading) -> str | None:
        """The order that an event opens (its mapped id, else its reference) or belongs to (by `order_id`, or by the id
        property of the type that opens it)."""
        is_family = split.type.id in ORDER_FAMILY_TYPES
        mapping = split.type.order
        if mapping is None and not is_family:
            return None
        names = ("order_id", *self.order_ids) if is_family else (mapping.id,) if mapping and mapping.id else ()
        name = next((name for name in names if split.stored.get(name) is not None), None)
        if name is None:
            if is_family:
                reading.refuse("/properties/order_id", "missing", "name the order in 'order_id'")
            return None if is_family else reference
        order_id = split.stored[name]
        if isinstance(order_id, str) and 0 < len(order_id) <= limits.IDENTIFIER_LENGTH:
            return order_id
        detail = f"an order id has 1 to {limits.IDENTIFIER_LENGTH} characters"
        reading.refuse(f"/properties/{name}", "too_long" if order_id else "missing", detail)
        return None

    def _check_order(self, split: _Split, reading: Reading) -> None:
        """What an order event needs beside its id: the program's currency, and a refund an identity of its own."""
        if split.type.order is None and split.type.id not in ORDER_FAMILY_TYPES:
            return
        for name in self.currencies:
            given = split.stored.get(name)
            if given is not None and given != self.program.settings.currency:
                detail = f"this program counts in {self.program.settings.currency}; convert the order before sending it"
                reading.refuse(f"/properties/{name}", "currency_mismatch", detail)
        if split.type.id == "partial_refund" and not split.stored.get("refund_id"):
            detail = "a refund needs an identity of its own: a 'refund_id' or a reference"
            reading.refuse("/properties/refund_id", "missing", detail)


def _identify(split: _Split, reference: object) -> None:
    """A refund without a `refund_id` is known by its reference. Recorded is the hash: references are sealed."""
    if isinstance(reference, str) and reference and not split.stored.get("refund_id"):
        split.stored["refund_id"] = f"ref:{reference_hash('reference', reference).hex()[:32]}"


def _birth_date(split: _Split) -> date | msgspec.UnsetType | None:
    if "birth_date" not in split.personal:
        return msgspec.UNSET
    stored = split.personal["birth_date"]
    return None if stored is None else date.fromisoformat(str(stored))


def validator_for(program: Program, *, demands_signatures: bool) -> Validator:
    """The validator of one revision."""
    mappings = [known.order for known in program.event_types.values() if known.order is not None]
    return Validator(
        program=program,
        zone=ZoneInfo(program.settings.time_zone),
        demands_signatures=demands_signatures,
        declared={
            event_type.id: frozenset(field.name for field in event_type.properties)
            for event_type in program.event_types.values()
        },
        order_ids=tuple(dict.fromkeys(mapping.id for mapping in mappings if mapping.id is not None)),
        currencies=frozenset(mapping.currency for mapping in mappings if mapping.currency is not None),
    )


def _read_undeclared(event_type: EventType, undeclared: Mapping[str, object], split: _Split, reading: Reading) -> None:
    """Unknown properties: kept unless the type is strict; no rule can read them."""
    for name, value in undeclared.items():
        pointer = f"/properties/{escape(name)}"
        if event_type.strict:
            reading.refuse(pointer, "unknown_property", f"'{event_type.id}' has no property '{name}'")
        elif value is not None:
            split.stored[name] = read_unknown(value, pointer, reading)


def _keep_named(raw: Mapping[str, object], split: _Split, personal_names: set[str]) -> None:
    """A profile event changes what it names: no default overwrites an attribute, and an explicit null removes one."""
    split.stored = {name: value for name, value in split.stored.items() if name in raw}
    split.personal = {name: value for name, value in split.personal.items() if name in raw}
    for name, value in raw.items():
        if value is None and name != "tags":
            (split.personal if name in personal_names else split.stored)[name] = None


def _read_identifier(raw: object, name: str, reading: Reading, *, is_required: bool) -> str | None:
    """customer, type, reference: text of 1–255 code points, compared exactly."""
    if raw is None or raw == "":
        if is_required or raw == "":
            reading.refuse(f"/{name}", "missing", f"'{name}' is required" if is_required else f"'{name}' is empty")
        return None
    if not isinstance(raw, str):
        reading.refuse(f"/{name}", "type", f"'{name}' must be text; send numbers as text to keep every digit")
        return None
    if len(raw) > limits.IDENTIFIER_LENGTH:
        detail = f"'{name}' is longer than {limits.IDENTIFIER_LENGTH} characters"
        reading.refuse(f"/{name}", "too_long", detail)
        return None
    return raw if _is_storable(raw, f"/{name}", reading) else None


def _read_moment(raw: object, now: datetime, reading: Reading) -> datetime | None:
    if raw is None:
        return None
    moment = parse_moment(raw)
    if moment is None:
        detail = "'occurred_at' must be a time with an offset, like 2026-11-20T10:00:00Z"
        reading.refuse("/occurred_at", "invalid_datetime", detail)
    elif moment > now + timedelta(seconds=limits.FUTURE_SECONDS):
        detail = f"'occurred_at' is more than {limits.FUTURE_SECONDS} seconds in the future"
        reading.refuse("/occurred_at", "in_future", detail)
    elif moment.year < limits.OCCURRED_YEAR_MIN:
        reading.refuse("/occurred_at", "too_early", f"'occurred_at' is before {limits.OCCURRED_YEAR_MIN}")
    return moment


def _is_storable(text: str, pointer: str, reading: Reading) -> bool:
    """Whether PostgreSQL can hold the text: no NUL, no lone surrogates."""
    if text.isascii() and text.isprintable():
        return True
    if "\0" in text:
        reading.refuse(pointer, "nul_character", "text may not hold NUL characters")
        return False
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        reading.refuse(pointer, "invalid_text", "text holds half of a surrogate pair")
        return False
    return True


def _encode(split: _Split, reading: Reading) -> str:
    """Canonical JSON of the plain properties; text that cannot be stored is found here, in all of them."""
    try:
        text = _encoder.encode(split.stored).decode()
        personal = _encoder.encode(split.personal) if split.personal else b""
    except UnicodeEncodeError:
        text, personal = "", b"\\u0000"
    if "\\u0000" in text or b"\\u0000" in personal:
        _check_texts(split.stored, "/properties", reading)
        _check_texts(split.personal, "/properties", reading)
    return text


def _check_texts(value: object, pointer: str, reading: Reading) -> None:
    if isinstance(value, str):
        _is_storable(value, pointer, reading)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if _is_storable(name, pointer, reading):
                _check_texts(member, f"{pointer}/{escape(name)}", reading)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _check_texts(item, f"{pointer}/{place}", reading)
