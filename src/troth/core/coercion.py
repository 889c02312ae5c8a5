"""Properties as the schema reads them: raw JSON values → stored form and rule form, with every problem collected.

In: raw values (int, Decimal, str, bool, None, list, dict) and the declared properties. Out: per property the pair
(stored, value). `stored` is JSON-ready: a declared number is decimal text with exactly its places, a moment is RFC 3339
in UTC. `value` is what rules see: scaled integers, dates, wall-clock datetimes, tuples; None is missing.
No float and no decimal context takes part; sizes are checked before any arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from troth import limits
from troth.core.calendar import show_time, wall_clock
from troth.core.program import Property

_PLAIN_NUMBER = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,18}))?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TEN: tuple[int, ...] = tuple(10**power for power in range(64))
_FLOAT_NOISE = 9  # decimal digits: a difference below 1e-9 is the noise of a binary float


class Problem(msgspec.Struct, frozen=True, gc=False):
    """One thing wrong with an event: where (JSON pointer), which (stable code), and what to do."""

    pointer: str
    code: str
    detail: str


class Invalid:
    """The type of INVALID, the mark of a value that did not pass; its problems are in the list."""


INVALID = Invalid()
Read = tuple[object, object]  # (stored, value)
_BAD: Read = (INVALID, INVALID)


class Reading(msgspec.Struct):
    """What reading one event needs and gathers."""

    zone: ZoneInfo
    problems: list[Problem]

    def refuse(self, pointer: str, code: str, detail: str) -> Read:
        if len(self.problems) < limits.PROBLEMS_PER_EVENT:
            self.problems.append(Problem(pointer, code, detail))
        return _BAD


def read_fields(fields: tuple[Property, ...], raw: Mapping[str, object], pointer: str, reading: Reading) -> list[Read]:
    """Every declared field of `raw` in declared order; a missing one is (None, None) or its default."""
    found = []
    for field in fields:
        given = raw.get(field.name)
        if given is None:
            found.append(_absent(field, pointer, reading))
        else:
            found.append(_READERS[field.kind](field, given, f"{pointer}/{escape(field.name)}", reading))
    return found


def _absent(field: Property, pointer: str, reading: Reading) -> Read:
    if field.default is not None:
        return _READERS[field.kind](field, field.default, pointer, reading)
    if field.required:
        return reading.refuse(f"{pointer}/{escape(field.name)}", "missing", f"'{field.name}' is required")
    return (None, None)


def escape(name: str) -> str:
    """A name as one step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


# Numbers


class _Bounds(msgspec.Struct, frozen=True, gc=False):
    minimum: int  # scaled
    maximum: int


@lru_cache(maxsize=10_000)
def _bounds(minimum: Decimal, maximum: Decimal, places: int) -> _Bounds:
    return _Bounds(-_floor_scaled(-minimum, places), _floor_scaled(maximum, places))


def _floor_scaled(bound: Decimal, places: int) -> int:
    sign, digits, exponent = _parts(bound)
    shift = exponent + places
    number = sign * digits
    return number * _TEN[shift] if shift >= 0 else number // _TEN[-shift]


def _parts(number: Decimal) -> tuple[int, int, int]:
    """(sign, digits as an integer, exponent) of a finite number whose size was checked."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "finite"
    return (-1 if sign else 1), int("".join(map(str, digits))), exponent


def show_scaled(scaled: int, places: int) -> str:
    """A scaled integer as decimal text with exactly `places` places."""
    if not places:
        return str(scaled)
    whole, part = divmod(abs(scaled), _TEN[places])
    return f"{'-' if scaled < 0 else ''}{whole}.{part:0{places}d}"


def _read_number(field: Property, raw: object, pointer: str, reading: Reading) -> Read:
    scaled = _scale(field, raw)
    if isinstance(scaled, str):
        return reading.refuse(pointer, scaled, _NUMBER_DETAILS[scaled].format(name=field.name, places=field.places))
    bounds = _bounds(field.minimum, field.maximum, field.places)
    if scaled < bounds.minimum:
        return reading.refuse(pointer, "below_minimum", f"'{field.name}' must be at least {field.minimum}")
    if scaled > bounds.maximum:
        return reading.refuse(pointer, "above_maximum", f"'{field.name}' must be at most {field.maximum}")
    return (show_scaled(scaled, field.places), scaled)


_NUMBER_DETAILS = {
    "type": "'{name}' must be a number",
    "not_finite": "'{name}' must be a finite number",
    "too_large": f"'{{name}}' has more than {limits.NUMBER_DIGITS} digits or an exponent beyond "
    f"±{limits.NUMBER_EXPONENT}",
    "too_many_places": "'{name}' has more than {places} decimal places; round it before sending",
}


def _scale(field: Property, raw: object) -> int | str:
    """The number × 10^places, or the code of what is wrong with it."""
    kind = type(raw)
    if kind is int:
        assert isinstance(raw, int)
        return (
            raw * _TEN[field.places] if -_TEN[limits.NUMBER_DIGITS] < raw < _TEN[limits.NUMBER_DIGITS] else "too_large"
        )
    if kind is not Decimal and kind is not str:
        return "type"
    plain = _PLAIN_NUMBER.fullmatch(str(raw))
    if plain:
        sign, whole, part = plain.groups()
        part = part or ""
        if len(part) <= field.places:
            scaled = int(whole + part) * _TEN[field.places - len(part)]
            return -scaled if sign else scaled
    return _scale_decimal(field, raw)


def _scale_decimal(field: Property, raw: object) -> int | str:
    """The slow way: exponents, many digits, excess places, garbage."""
    number = as_decimal(raw)
    if isinstance(number, str):
        return number
    sign, digits, exponent = _parts(number)
    shift = exponent + field.places
    if shift >= 0:
        return sign * digits * _TEN[shift]
    unit = _TEN[-shift]
    nearest = (2 * digits + unit) // (2 * unit)  # half away from zero; the sign comes back below
    excess = abs(digits - nearest * unit)  # in units of 10^exponent
    is_noise = excess * _TEN[_FLOAT_NOISE] <= _TEN[-exponent]
    if excess and not is_noise and field.excess_places == "reject":
        return "too_many_places"
    return sign * nearest


def as_decimal(raw: object) -> Decimal | str:
    """`raw` as a finite Decimal of bounded size, or the code of what is wrong. Decides before any arithmetic."""
    if isinstance(raw, str) and len(raw) > 2 * limits.NUMBER_DIGITS + 8:
        return "too_large" if _NUMBER.fullmatch(raw) else "type"
    try:
        number = raw if isinstance(raw, Decimal) else Decimal(raw) if isinstance(raw, int | str) else None
    except (InvalidOperation, ValueError):  # garbage, or an exponent that no Decimal holds
        return "too_large" if isinstance(raw, str) and _NUMBER.fullmatch(raw) else "type"
    if number is None or (isinstance(raw, str) and (not raw.isascii() or "_" in raw or raw.strip() != raw)):
        return "type"
    if not number.is_finite():
        return "not_finite"
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if len(digits) > limits.NUMBER_DIGITS or abs(exponent) > limits.NUMBER_EXPONENT:
        return "too_large"
    return number


# Everything else


def _read_text(field: Property, raw: object, pointer: str, reading: Reading) -> Read:
    if type(raw) is not str:
        return reading.refuse(pointer, "type", f"'{field.name}' must be text")
    if len(raw) > field.max_length:
        return reading.refuse(pointer, "too_long", f"'{field.name}' is longer than {field.max_length} characters")
    if field.enum and raw not in field.enum:
        return reading.refuse(pointer, "not_in_enum", f"'{field.name}' must be one of {', '.join(field.enum)}")
    return (raw, raw)


def _read_boolean(field: Property, raw: object, pointer: str, reading: Reading) -> Read:
    if type(raw) is str and raw in ("true", "false"):
        raw = raw == "true"
    if type(raw) is not bool:
        return reading.refuse(pointer, "type", f"'{field.name}' must be true or false")
    return (raw, raw)


def _read_date(field: Property, raw: object, pointer: str, reading: Reading) -> Read:
    if type(raw) is str and _DATE.fullmatch(raw):
        try:
            return (raw, date.fromisoformat(raw))
        except ValueError:
            pass
    return reading.refuse(pointer, "invalid_date", f"'{field.name}' must be a date like 2026-11-20")


def _read_datetime(field: Property, raw: object, pointer: str, reading: Reading) -> Read:
    moment = parse_moment(raw)
    if moment is None:
        detail = f"'{field.name}' must be a time with an offset, like 2026-11-20T10:00:00Z"
        return reading.refuse(pointer, "invalid_datetime", detail)
    return (show_time(moment), wall_clock(moment, reading.zone))


def parse_moment(raw: object) -> datetime | None:
    """An aware datetime in UTC from RFC 3339 text (or an aware datetime); None when it is not one."""
    if isinstance(raw, datetime):
        return raw.astimezone(UTC) if raw.tzinfo else None
    if type(raw) is not str or not 20 <= len(raw) <= 35 or raw[10] not in "Tt ":
        return None
    try:
        moment = datetime.fromisoformat(raw.upper())
    except ValueError:
        return None
    in_reach = moment.tzinfo is not None and 1 < moment.year < 9999  # so that no zone carries it out of the calendar
    return moment.astimezone(UTC) if in_reach else None


def _read_list(field: Property, raw: object, pointer: str, reading: Reading) -> Read:
    if type(raw) is not list:
        return reading.refuse(pointer, "type", f"'{field.name}' must be a list")
    if len(raw) > field.max_items:
        return reading.refuse(pointer, "too_many_items", f"'{field.name}' has more than {field.max_items} items")
    found = [_read_item(field, item, f"{pointer}/{place}", reading) for place, item in enumerate(raw)]
    return ([stored for stored, _ in found], tuple(value for _, value in found))


def _read_item(field: Property, raw: object, pointer: str, reading: Reading) -> Read:
    if field.item is None:
        return _read_object(field, raw, pointer, reading)
    if raw is None:
        return reading.refuse(pointer, "type", "a list may not hold null")
    return _READERS[field.item.kind](field.item, raw, pointer, reading)


def _read_object(field: Property, raw: object, pointer: str, reading: Reading) -> Read:
    if type(raw) is not dict:
        return reading.refuse(pointer, "type", f"'{field.name}' must be an object")
    found = read_fields(field.of, raw, pointer, reading)
    stored = {member.name: kept for member, (kept, _) in zip(field.of, found, strict=True) if kept is not None}
    for name, extra in raw.items():
        if name not in stored and extra is not None:
            stored[name] = read_unknown(extra, f"{pointer}/{escape(name)}", reading)
    return (stored, tuple(value for _, value in found))


def read_unknown(raw: object, pointer: str, reading: Reading, depth: int = 3) -> object:
    """An undeclared value, kept as it came; only sizes are checked. No rule can read it."""
    if depth > limits.NESTING_DEPTH:
        return reading.refuse(pointer, "too_deep", f"nested deeper than {limits.NESTING_DEPTH}")[0]
    if isinstance(raw, dict):
        steps = {name: f"{pointer}/{escape(name)}" for name in raw}
        return {name: read_unknown(value, steps[name], reading, depth + 1) for name, value in raw.items()}
    if isinstance(raw, list):
        return [read_unknown(value, f"{pointer}/{place}", reading, depth + 1) for place, value in enumerate(raw)]
    if isinstance(raw, int | Decimal) and not isinstance(raw, bool):
        number = as_decimal(raw)
        if isinstance(number, str):
            return reading.refuse(pointer, number, _NUMBER_DETAILS[number].format(name=pointer, places=""))[0]
    elif not isinstance(raw, str | bool | None):
        return reading.refuse(pointer, "type", "not a JSON value")[0]
    return raw


_READERS: dict[str, Callable[[Property, object, str, Reading], Read]] = {
    "number": _read_number,
    "text": _read_text,
    "boolean": _read_boolean,
    "date": _read_date,
    "datetime": _read_datetime,
    "list": _read_list,
    "object": _read_object,
}
