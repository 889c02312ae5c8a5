"""Which rows an export holds: the filters of each kind, read from JSON with every problem collected.

In: a JSON value. Out: an `ExportFilter`; what is wrong with it is added to the problems, with its pointer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

import msgspec

from troth import limits
from troth.api.export_columns import ExportKind
from troth.api.problems import ErrorItem, faulty
from troth.core.coercion import escape, parse_moment
from troth.core.ids import read_id

OrderStatus = Literal["pending", "accepted", "rejected", "refunded"]


class ExportFilter(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True,
    rename={"moment_from": "from", "moment_to": "to"},
):  # fmt: skip
    """Which rows. Which of these there are depends on the kind."""

    type: str | None = None  # events
    source: str | None = None  # events
    customer: str | None = None  # events, postings, orders
    moment_from: datetime | None = None  # inclusive: occurred_at; of customers created_at, of orders opened_at
    moment_to: datetime | None = None  # exclusive
    reference: str | None = None  # events
    order_id: str | None = None  # events: the one that opened this order
    has_points: bool | None = None  # events
    ids: tuple[str, ...] | None = None  # events
    importable: bool | None = None  # events: true leaves out those that no import takes in, as the engine wrote them
    wallet: str | None = None  # postings
    reason: str | None = None  # postings
    search: str | None = None  # customers: the beginning of the integrator's id
    tag: str | None = None  # customers
    tier: str | None = None  # customers: as it is now
    active_from: datetime | None = None  # customers: last_activity_at, inclusive
    active_to: datetime | None = None  # customers: last_activity_at, exclusive
    status: OrderStatus | None = None  # orders: as it is now


FILTERS: Mapping[ExportKind, tuple[str, ...]] = {
    "events": ("type", "customer", "source", "from", "to", "reference", "order_id", "has_points", "ids", "importable"),
    "customers": ("search", "tag", "tier", "from", "to", "active_from", "active_to"),
    "postings": ("customer", "wallet", "reason", "from", "to"),
    "orders": ("customer", "status", "from", "to"),
}


class Problems:
    """What is wrong so far."""

    def __init__(self) -> None:
        self.found: list[ErrorItem] = []

    def add(self, pointer: str, code: str, detail: str) -> None:
        if len(self.found) < limits.PROBLEMS_PER_EVENT:
            self.found.append(ErrorItem(pointer=pointer, code=code, detail=detail))

    def one_of(self, document: dict[str, object], name: str, allowed: Sequence[str], default: str | None) -> str:
        given = document.get(name, default)
        if given is None:
            self.add(f"/{name}", "missing", f"'{name}' is one of: {', '.join(allowed)}.")
        elif given not in allowed:
            self.add(f"/{name}", "not_allowed", f"'{name}' is one of: {', '.join(allowed)}.")
        return str(given)

    def tell(self) -> None:
        if self.found:
            raise faulty("export", self.found)


FLAGS = ("has_points", "importable")


def read_filter(given: object, kind: str, problems: Problems) -> ExportFilter:
    if given is None:
        return ExportFilter()
    if not isinstance(given, dict):
        problems.add("/filter", "type", "'filter' is an object.")
        return ExportFilter()
    allowed = FILTERS.get(kind, ())  # type: ignore[call-overload]
    found: dict[str, object] = {}
    for name, value in given.items():
        pointer = f"/filter/{escape(str(name))}"
        if name in allowed and value is not None:
            found[_FIELDS.get(name, str(name))] = _READERS.get(name, _text)(value, pointer, problems)
        elif name not in allowed and allowed:
            detail = f"{kind.capitalize()} have no filter '{name}'; there are: {', '.join(allowed)}."
            problems.add(pointer, "unknown_filter", detail)
    return ExportFilter(**found)  # type: ignore[arg-type]


def _text(value: object, pointer: str, problems: Problems) -> str | None:
    if not isinstance(value, str) or not 1 <= len(value) <= limits.TEXT_LENGTH:
        problems.add(pointer, "type", f"A text of 1 to {limits.TEXT_LENGTH} characters.")
        return None
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        problems.add(pointer, "invalid_character", "Text may not contain NUL or half a surrogate pair.")
        return None
    return value


def _moment(value: object, pointer: str, problems: Problems) -> datetime | None:
    found = parse_moment(value) if isinstance(value, str) else None
    if found is None:
        problems.add(pointer, "invalid_datetime", "A time with an offset, like 2026-11-20T10:00:00Z.")
    return found


def _flag(value: object, pointer: str, problems: Problems) -> bool | None:
    if not isinstance(value, bool):
        problems.add(pointer, "type", "true or false.")
        return None
    return value


def _status(value: object, pointer: str, problems: Problems) -> object:
    allowed = get_args(OrderStatus)
    if value not in allowed:
        problems.add(pointer, "not_allowed", f"'status' is one of: {', '.join(allowed)}.")
    return value


def _ids(value: object, pointer: str, problems: Problems) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        problems.add(pointer, "type", "A list of event ids.")
        return None
    if len(value) > limits.EXPORT_IDS:
        problems.add(pointer, "too_many_ids", f"An export names at most {limits.EXPORT_IDS} ids.")
        return None
    for place, item in enumerate(value):
        if not isinstance(item, str) or read_id("evt", item) is None:
            problems.add(f"{pointer}/{place}", "not_an_id", "An event's id, like evt_0197….")
    return tuple(str(item) for item in value)


_FIELDS = {"from": "moment_from", "to": "moment_to"}
_READERS: Mapping[str, Callable[[object, str, Problems], object]] = {
    **dict.fromkeys(("from", "to", "active_from", "active_to"), _moment),
    **dict.fromkeys(FLAGS, _flag),
    "status": _status,
    "ids": _ids,
}
