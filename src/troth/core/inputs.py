"""Inputs: every value that rules read beyond an event's own properties, taken once and recorded with the event.

`take` reads them from the customer's state; `to_json` and `from_json` carry them through the record, so that an
explanation or a replay sees the same values for ever. Nothing else of the state reaches a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from troth.core.calendar import wall_clock
from troth.core.coercion import Reading, read_fields
from troth.core.event import Event
from troth.core.order_state import Room
from troth.core.program import Property
from troth.core.state import CustomerState


class Inputs(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`values` by input name; `multiplier` of the tier held before; `rooms` per limited rule, one per limit."""

    values: Mapping[str, object]
    multiplier: Decimal = Decimal(1)
    rooms: Mapping[str, tuple[Room, ...]] = {}
    may_earn: bool = True  # False: no rule was asked


class Reader(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How one program reads a customer's state."""

    wallet: str  # the main wallet
    zone: ZoneInfo
    attributes: Mapping[str, Property]  # readable ones, by name

    def take(self, names: Sequence[str], event: Event, state: CustomerState) -> dict[str, object]:
        return {name: self._value(name, event, state) for name in names}

    def _value(self, name: str, event: Event, state: CustomerState) -> object:
        plain = _PLAIN.get(name)
        if plain is not None:
            return plain(self, event, state)
        if name.startswith(_COUNT):
            return state.counts.get(name[len(_COUNT) : -2], 0)
        assert name.startswith(_ATTRIBUTE), name
        return self.read_attribute(name[len(_ATTRIBUTE) :], state.attributes)

    def read_attribute(self, name: str, attributes: Mapping[str, object]) -> object:
        """A stored attribute in rule form; None when it is missing or no longer fits its declaration."""
        reading = Reading(self.zone, [])
        ((_, value),) = read_fields((self.attributes[name],), attributes, "", reading)
        return None if reading.problems else value


_COUNT = 'customer.count("'
_ATTRIBUTE = "customer.attributes."

_PLAIN: dict[str, Callable[[Reader, Event, CustomerState], object]] = {
    "event.type": lambda _, event, __: event.type.id,
    "event.time": lambda reader, event, _: wall_clock(event.occurred_at, reader.zone),
    "customer.tier": lambda _, __, state: state.tier,
    "customer.balance": lambda reader, _, state: state.wallet(reader.wallet).balance,
    "customer.lifetime": lambda reader, _, state: state.wallet(reader.wallet).lifetime,
    "customer.created_at": lambda reader, _, state: wall_clock(state.created_at, reader.zone),
    "customer.tags": lambda _, __, state: state.tags,
    "customer.orders": lambda _, __, state: state.orders,
}


def to_json(inputs: Inputs) -> dict[str, object] | None:
    """The recorded form; None when nothing beyond the properties was read."""
    record: dict[str, object] = {}
    if inputs.values:
        record["values"] = {name: _to_plain(value) for name, value in inputs.values.items()}
    if inputs.multiplier != 1:
        record["multiplier"] = str(inputs.multiplier)
    if inputs.rooms:
        record["rooms"] = inputs.rooms
    if not inputs.may_earn:
        record["awards"] = False
    return record or None


def from_json(record: Mapping[str, object] | None) -> Inputs:
    """The inputs as they were when the event was judged. In: what `to_json` gave, read back from JSON."""
    record = record or {}
    values = record.get("values") or {}
    rooms = record.get("rooms") or {}
    assert isinstance(values, Mapping)
    assert isinstance(rooms, Mapping)
    return Inputs(
        values={name: _from_plain(value) for name, value in values.items()},
        may_earn=bool(record.get("awards", True)),
        multiplier=Decimal(str(record.get("multiplier", "1"))),
        rooms={rule: tuple((room[0], room[1]) for room in left) for rule, left in rooms.items()},
    )


def _to_plain(value: object) -> object:
    """JSON has no dates and no tuples: dates are tagged objects, tuples are lists."""
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    return value


def _from_plain(value: object) -> object:
    if isinstance(value, Mapping):
        ((kind, text),) = value.items()
        return datetime.fromisoformat(text) if kind == "datetime" else date.fromisoformat(text)
    if isinstance(value, list):
        return tuple(_from_plain(item) for item in value)
    return value
