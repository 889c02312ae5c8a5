"""The model's own calendar: local days of a time zone, months that clamp, and the periods of limits.

Slow on purpose: the first instant of a day is searched for, never computed, so that no change of clocks is overlooked.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


def moment(text: str) -> datetime:
    """A time as the workload writes it."""
    found = datetime.fromisoformat(text)
    assert found.tzinfo is not None, text
    return found.astimezone(UTC)


def show(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration(text: str) -> timedelta | None:
    """None for what is no duration."""
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    weeks, days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)


def local_day(zone: ZoneInfo, at: datetime) -> date:
    return at.astimezone(zone).date()


@lru_cache(maxsize=200_000)
def first_instant(zone: ZoneInfo, day: date) -> datetime:
    """The first quarter of an hour that belongs to the day, or to a later one where the zone skipped it."""
    at = datetime.combine(day, time(), tzinfo=UTC) - timedelta(hours=16)
    while at.astimezone(zone).date() < day:
        at += timedelta(minutes=15)
    return at


def end_of_day(zone: ZoneInfo, day: date) -> datetime:
    """The first instant after this local day."""
    return first_instant(zone, day + timedelta(days=1))


def add_months(day: date, months: int) -> date:
    """The same day so many months later; the month's last day where there is no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def end_of_month(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def same_day_in(year: int, day: date) -> date:
    """The day's return in that year; 29 February is 28 February in a common year."""
    if (day.month, day.day) == (2, 29) and not calendar.isleap(year):
        return date(year, 2, 28)
    return day.replace(year=year)


def period(zone: ZoneInfo, at: datetime, window: str) -> str:
    """The period of a limit that a moment lies in. Weeks begin on Monday."""
    day = local_day(zone, at)
    monday = day - timedelta(days=day.weekday())
    names: Mapping[str, str] = {
        "day": f"day {day}",
        "week": f"week of {monday}",
        "month": f"month {day.year}-{day.month}",
        "year": f"year {day.year}",
        "ever": "ever",
    }
    return names[window]


def expiry_end(zone: ZoneInfo, expiry: Mapping[str, object], begins: datetime) -> datetime | None:
    """When points whose time begins then are gone; None: never."""
    if expiry["kind"] == "never":
        return None
    last = add_months(local_day(zone, begins), int(str(expiry["months"])))
    if expiry.get("month_end"):
        last = end_of_month(last)
    return end_of_day(zone, last)
