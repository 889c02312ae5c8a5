"""The sections `settings` and `orders` of a program document, and what several sections share.

In: the fields of the document. Out: the records of `core/program/__init__.py`, with the defaults of semantics.md §9.
What this version does not build is refused here (`not_available`), since half of it would pay wrongly for ever.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, cast
from zoneinfo import ZoneInfo, available_timezones

from troth import limits
from troth.core.program import Orders, RoundingMode, Settings
from troth.core.program.currencies import CURRENCIES
from troth.core.program.fields import Fields
from troth.core.program.problem import meant

NOT_AVAILABLE = "not_available"
_ROUNDINGS = ("floor", "half_up", "ceil")
_POINT_VALUE_PLACES = 8
_RETURN_DAYS = 30  # unless the program says otherwise


def not_available(fields: Fields, name: str, what: str) -> None:
    fields.error(name, NOT_AVAILABLE, f"{what} is not available in this version", "leave it out")


def optional_whole(fields: Fields, name: str, *, least: int, most: int) -> int | None:
    """A whole number; None when the field is absent."""
    return None if fields.take(name) is None else fields.whole(name, least, least=least, most=most)


def read_period(fields: Fields, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """`active: {from, until}`: the first instant, and the first one after; None: open on that side."""
    active = fields.child("active")
    if active is None:
        return None, None
    begins, ends = active.moment("from", zone), active.moment("until", zone)
    if begins and ends and begins >= ends:
        active.error("until", "out_of_range", "this would end before it begins")
    active.close()
    return begins, ends


def read_settings(document: Fields) -> Settings:
    fields = document.child("settings")
    if fields is None:
        return Settings(name="Loyalty program")
    settings = Settings(
        name=fields.text("name", "Loyalty program"),
        time_zone=_time_zone(fields),
        rounding=cast("RoundingMode", fields.choice("rounding", _ROUNDINGS, "floor")),
        unknown_customer=cast(
            "Literal['create', 'reject']", fields.choice("unknown_customer", ("create", "reject"), "create")
        ),
        point_value=fields.decimal(
            "point_value", Decimal(0), least=Decimal(0), most=Decimal(10**6), places=_POINT_VALUE_PLACES
        ),
        currency=_currency(fields),
        require_signatures=fields.boolean("require_signatures", False),
        return_days_min=fields.whole("return_days_min", _RETURN_DAYS, least=0, most=limits.RETURN_DAYS),
        inactivity_days=optional_whole(fields, "inactivity_days", least=1, most=limits.DURATION_DAYS),
    )
    fields.close()
    return settings


def _time_zone(fields: Fields) -> str:
    name = fields.text("time_zone", "UTC")
    if _is_zone(name):
        return name
    hint = meant(name, sorted(available_timezones())) or "write an IANA name such as Europe/Budapest"
    fields.error("time_zone", "time_zone", f"there is no time zone {name!r}", hint)
    return "UTC"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, unsafe or a folder of the database
        return False
    return name not in {"", "localtime", "posixrules"}


def _currency(fields: Fields) -> str:
    code = fields.text("currency", "EUR")
    if code in CURRENCIES:
        return code
    hint = meant(code.upper(), sorted(CURRENCIES)) or "write an ISO 4217 code such as EUR"
    fields.error("currency", "currency", f"there is no currency {code!r}", hint)
    return "EUR"


def read_orders(document: Fields) -> Orders:
    fields = document.child("orders")
    if fields is None:
        return Orders()
    orders = _read_acceptance(fields)
    fields.close()
    return orders


def _read_acceptance(fields: Fields) -> Orders:
    """`immediate`, `manual`, or a mapping that says what an order becomes by itself, and after how long."""
    if isinstance(fields.take("acceptance"), dict):
        child = fields.child("acceptance")
        assert child is not None, "taken above"
        return _read_delayed(child)
    mode = fields.choice("acceptance", ("immediate", "manual"), "immediate")
    return Orders(acceptance=cast("Literal['immediate', 'manual']", mode))


def _read_delayed(fields: Fields) -> Orders:
    if not fields.has("after"):
        fields.error("", "required", "'after' is missing", "write {after: P14D, then: accept}")
    after = fields.duration("after")
    if after is not None and not after:
        message = "an order that is not decided at once waits for at least a minute"
        fields.error("after", "out_of_range", message, "write acceptance: immediate to accept orders at once")
    then = cast("Literal['accept', 'reject']", fields.choice("then", ("accept", "reject"), "accept"))
    fields.close()
    return Orders(acceptance="after", after=after or timedelta(0), then=then)
