"""Reads one mapping of a program document field by field and reports everything that is wrong with it.

In: a raw mapping and its pointer. Out: typed values; where a field is wrong, its default, with the problem collected.
`close()` reports the fields nobody asked for. Must never: raise for anything a document can contain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from troth import limits
from troth.core.program.problem import Problems, ProgramProblem, meant, pointer_to

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DURATION = re.compile(r"P(?:([0-9]{1,5})W)?(?:([0-9]{1,6})D)?(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,8})M)?)?")
_ID_HINT = "letters, digits, '_', '-' and '.', beginning with a letter or a digit"
_NAMES = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", Decimal: "a number"}


class Fields:
    """One mapping of the document. Every reading method names its field once."""

    __slots__ = ("_asked", "_raw", "pointer", "problems")

    def __init__(self, raw: object, pointer: str, problems: Problems) -> None:
        self.pointer = pointer
        self.problems = problems
        self._asked: list[str] = []
        self._raw: dict[str, object] = raw if isinstance(raw, dict) else {}
        if not isinstance(raw, dict):
            self.wrong_type("", raw, "a mapping")
            self.problems = Problems()  # nothing more to say about the fields of what has none

    def take(self, name: str, *, required: bool = False) -> object:
        """The raw value of a field; null and absent are the same."""
        self._asked.append(name)
        value = self._raw.get(name)
        if value is None and required:
            self.problems.error(self.pointer, "required", f"{name!r} is missing")
        return value

    def has(self, name: str) -> bool:
        return self._raw.get(name) is not None

    def at(self, name: str | int) -> str:
        return pointer_to(self.pointer, name) if name != "" else self.pointer

    def error(self, name: str, code: str, message: str, hint: str | None = None) -> None:
        self.problems.error(self.at(name), code, message, hint)

    def wrong_type(self, name: str, value: object, expected: str, hint: str | None = None) -> None:
        given = _NAMES.get(type(value), "nothing")
        self.error(name, "type", f"{expected} is expected here, not {given}", hint)

    def text(self, name: str, default: str = "", *, length: int = limits.PROGRAM_LABEL_LENGTH) -> str:
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong_type(name, value, "text", "put it in quotes")
            return default
        if len(value) > length:
            self.error(name, "too_long", f"at most {length:,} characters are allowed here, not {len(value):,}")
        return value

    def identifier(self, name: str = "id") -> str:
        """A required id; what is no id is reported and read as an empty text."""
        value = self.take(name, required=True)
        if value is None:
            return ""
        return check_identifier(value, self.at(name), self.problems)

    def boolean(self, name: str, default: bool) -> bool:
        value = self.take(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.wrong_type(name, value, "true or false")
        return default

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, str) and value in allowed:
            return value
        message = f"one of {', '.join(allowed)} is expected here, not {_shown(value)}"
        self.error(name, "choice", message, meant(value, allowed) if isinstance(value, str) else None)
        return default

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self.take(name)
        if value is None:
            return default
        number = exact_number(value)
        if number is None:
            self.wrong_type(name, value, "a whole number")
            return default
        if number != number.to_integral_value():
            self.error(name, "too_many_places", f"a whole number is expected here, not {number}")
            return default
        if not least <= number <= most:
            self.error(name, "out_of_range", f"{number} is not between {least} and {most}")
            return default
        return int(number)

    def decimal(self, name: str, default: Decimal, *, least: Decimal, most: Decimal, places: int) -> Decimal:
        value = self.take(name)
        if value is None:
            return default
        number = exact_number(value)
        if number is None:
            self.wrong_type(name, value, "a number")
            return default
        if not least <= number <= most:
            self.error(name, "out_of_range", f"{number} is not between {least} and {most}")
            return default
        if decimal_places(number) > places:
            self.error(name, "too_many_places", f"{number} has more than {places} decimal places")
            return default
        return number

    def duration(self, name: str) -> timedelta | None:
        """An ISO 8601 duration of weeks, days, hours and minutes."""
        value = self.take(name)
        if value is None:
            return None
        length = read_duration(value) if isinstance(value, str) else None
        if length is None:
            hint = "write it as ISO 8601: P14D is 14 days, PT12H is 12 hours"
            self.error(name, "duration", f"a duration is expected here, not {_shown(value)}", hint)
            return None
        if length > timedelta(days=limits.DURATION_DAYS):
            self.error(name, "out_of_range", f"a duration is at most {limits.DURATION_DAYS} days")
            return None
        return length

    def moment(self, name: str, zone: ZoneInfo) -> datetime | None:
        """A date or time; without an offset it is meant in the program's zone, a date as its first instant."""
        value = self.take(name)
        if value is None:
            return None
        moment = _moment(value) if isinstance(value, str) else None
        if moment is None:
            hint = "write 2026-12-01, 2026-12-01T08:00 or 2026-12-01T08:00:00Z"
            self.error(name, "datetime", f"a date or time is expected here, not {_shown(value)}", hint)
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)

    def reference(self, name: str, known: Sequence[str], what: str) -> str | None:
        """The id of another item, which must exist."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, str) and value in known:
            return value
        hint = meant(value, known) if isinstance(value, str) else None
        self.error(name, "unknown_reference", f"there is no {what} {_shown(value)}", hint)
        return None

    def child(self, name: str) -> Fields | None:
        value = self.take(name)
        return None if value is None else Fields(value, self.at(name), self.problems)

    def values(self, name: str, most: int) -> list[object]:
        """The raw items of a list."""
        value = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong_type(name, value, "a list")
            return []
        if len(value) > most:
            self.error(name, "too_many", f"at most {most:,} are allowed here, not {len(value):,}")
        return value[:most]

    def items(self, name: str, most: int) -> Iterator[Fields]:
        """The mappings of a list."""
        for index, raw in enumerate(self.values(name, most)):
            yield Fields(raw, pointer_to(self.at(name), index), self.problems)

    def members(self) -> Iterator[tuple[str, object]]:
        """Every name and value; for mappings whose names the writer chooses."""
        self._asked.extend(self._raw)
        yield from self._raw.items()

    def close(self) -> None:
        """Reports every field that was not asked for."""
        for name in self._raw:
            if name not in self._asked:
                hint = meant(name, self._asked)
                message = f"unknown field {name[: limits.PROGRAM_LABEL_LENGTH]!r}"
                problem = ProgramProblem(
                    pointer=self.at(name), code="unknown_field", message=message, hint=hint, at_key=True
                )
                self.problems.add(problem)


def read_duration(text: str) -> timedelta | None:
    """ISO 8601 weeks, days, hours and minutes, such as P14D or PT30M; None when it is no such duration."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    weeks, days, hours, minutes = (int(part or 0) for part in match.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)


def check_identifier(value: object, pointer: str, problems: Problems) -> str:
    if not isinstance(value, str):
        hint = "put it in quotes"
        problems.error(pointer, "type", f"an id is text, not {_NAMES.get(type(value), 'nothing')}", hint)
        return ""
    if len(value) > limits.PROGRAM_ID_LENGTH:
        problems.error(pointer, "too_long", f"an id has at most {limits.PROGRAM_ID_LENGTH} characters")
        return ""
    if not _ID.fullmatch(value):
        problems.error(pointer, "invalid_id", f"{value!r} is no id", _ID_HINT)
        return ""
    return value


def exact_number(value: object) -> Decimal | None:
    """An int, a Decimal or decimal text as Decimal; None for everything else, NaN and infinities too."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal, str)):
        return None
    if isinstance(value, str) and (len(value) > limits.NUMBER_DIGITS + 8 or not _looks_decimal(value)):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > limits.NUMBER_EXPONENT:
        return None
    return number


def decimal_places(number: Decimal) -> int:
    """Places after the point that are needed to write `number`."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "finite"
    written = "".join(map(str, digits))
    return max(0, -exponent - (len(written) - len(written.rstrip("0")))) if number else 0


def _looks_decimal(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?", text) is not None


def _moment(text: str) -> datetime | None:
    try:
        if len(text) == len("2026-12-01"):
            return datetime.combine(date.fromisoformat(text), time())
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else _NAMES.get(type(value), "nothing")
    return text if len(text) <= 80 else text[:77] + "…'"
