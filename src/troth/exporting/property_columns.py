"""Properties as columns of their own: what fits its column exactly goes there, all else stays in `properties`.

In: stored properties, the columns of one event type as it is declared now. An event of an older revision may hold what
that declaration would not: it is never bent to fit, so nothing is lost and nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal

from troth.api.export_columns import PROPERTY, Column, ColumnKind
from troth.core.calendar import show_time
from troth.core.coercion import parse_moment

_NUMBER = re.compile(r"-?[0-9]{1,36}(?:\.([0-9]{1,18}))?")
DIGITS_MAX = 38  # of a decimal in a Parquet file


def part_properties(properties: Mapping[str, object], columns: Iterable[Column]) -> dict[str, object]:
    """Column → value, `properties` for the rest; None when nothing is left of it."""
    rest = dict(properties)
    found: dict[str, object] = {}
    for column in columns:
        name = column.name.removeprefix(PROPERTY)
        given = rest.get(name)
        value = _FITTING[column.kind](given, column) if given is not None else None
        if value is not None:
            found[column.name] = value
            del rest[name]
    found["properties"] = rest or None
    return found


def _number(given: object, column: Column) -> Decimal | None:
    parts = _NUMBER.fullmatch(given) if isinstance(given, str) else None
    if parts is None or not isinstance(given, str):
        return None
    places, most = len(parts[1] or ""), column.places or 0
    digits = len(given.lstrip("-").replace(".", "")) + most - places
    return Decimal(given) if places <= most and digits <= DIGITS_MAX else None


def _text(given: object, _: Column) -> str | None:
    """An empty one would read as absent."""
    return given if isinstance(given, str) and given else None


def _boolean(given: object, _: Column) -> bool | None:
    return given if isinstance(given, bool) else None


def _date(given: object, _: Column) -> date | None:
    try:
        day = date.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        return None
    return day if day is not None and day.isoformat() == given else None


def _time(given: object, _: Column) -> object:
    moment = parse_moment(given)
    return moment if moment is not None and show_time(moment) == given else None


def _json(given: object, _: Column) -> object:
    return given if isinstance(given, list | dict) else None


def _never(_given: object, _: Column) -> None:
    return None


_FITTING: Mapping[ColumnKind, Callable[[object, Column], object]] = {
    "decimal": _number,
    "text": _text,
    "boolean": _boolean,
    "date": _date,
    "time": _time,
    "json": _json,
    "integer": _never,  # no property has such a column
}
