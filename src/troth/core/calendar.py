"""Calendar arithmetic in the program's time zone: days, limit periods, expiry dates, yearly dates, wall-clock readings.

In: aware datetimes and a zone. Out: period keys, local days, aware UTC datetimes, naive wall-clock datetimes. Never
asks for "now".
"""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import assert_never
from zoneinfo import ZoneInfo

from troth.core.program import Expiry, Window


def wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """The naive local date and time that a clock in `zone` shows."""
    return moment.astimezone(zone).replace(tzinfo=None)


def period_key(window: Window, local: datetime) -> str:
    """The program-zone period a limit counts in: `day 2026-11-20`, `week 2026-W47` (from Monday), …, `ever`."""
    match window:
        case "day":
            return f"day {local:%Y-%m-%d}"
        case "week":
            year, week, _ = local.isocalendar()
            return f"week {year}-W{week:02}"
        case "month":
            return f"month {local:%Y-%m}"
        case "year":
            return f"year {local.year}"
        case "ever":
            return "ever"


def add_months(day: date, months: int) -> date:
    """The same day of the month `months` later, clamped to that month's last day."""
    count = day.year * 12 + day.month - 1 + months
    year, month = divmod(count, 12)
    last = 28 if day.day <= 28 else monthrange(year, month + 1)[1]  # every month has 28 days
    return date(year, month + 1, min(day.day, last))


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The date that a calendar in `zone` shows."""
    return moment.astimezone(zone).date()


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of the local day, in UTC; where clocks skip midnight, the instant at which they do."""
    return _midnight(day, zone)


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant after the local day, in UTC."""
    return _midnight(day + timedelta(days=1), zone)


@lru_cache(maxsize=10_000)
def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


# When points end


def expires_at(
    expiry: Expiry, start: datetime, zone: ZoneInfo, last_activity: datetime | None = None
) -> datetime | None:
    """The first instant at which points are gone whose validity begins at `start`, in UTC; None: never.

    Points live to the end of the local day n months later, or of that month (semantics.md §3). With
    `months_after_activity` the months count from the last activity, when there was one after `start`.
    """
    match expiry.kind:
        case "never":
            return None
        case "months_after_earning":
            counted_from = start
        case "months_after_activity":
            counted_from = start if last_activity is None else max(start, last_activity)
        case _:
            assert_never(expiry.kind)
    return _end_after(expiry.months, expiry.month_end, local_day(counted_from, zone), zone)


@lru_cache(maxsize=10_000)
def _end_after(months: int, to_month_end: bool, day: date, zone: ZoneInfo) -> datetime:
    last = add_months(day, months)
    if to_month_end:
        last = last.replace(day=monthrange(last.year, last.month)[1])
    return end_of_day(last, zone)


def expiry_text(expiry: Expiry) -> str | None:
    """The expiry as a lot keeps it: its months, `a` when counted from activity, `e` to the month's end. None: never."""
    if expiry.kind == "never":
        return None
    counted_from = "a" if expiry.kind == "months_after_activity" else ""
    return f"{expiry.months}{counted_from}{'e' if expiry.month_end else ''}"


@lru_cache(maxsize=1_000)
def read_expiry(text: str | None) -> Expiry:
    """The expiry that `expiry_text` wrote."""
    if text is None:
        return Expiry()
    return Expiry(
        kind="months_after_activity" if "a" in text else "months_after_earning",
        months=int(text.rstrip("ae")),
        month_end="e" in text,
    )


# Dates that come back every year, and silences


def birthday_in(birth_date: date, year: int) -> date:
    """The birthday of that year; who was born on 29 February has it on the 28th in common years."""
    if birth_date.month == 2 and birth_date.day == 29 and not isleap(year):
        return date(year, 2, 28)
    return birth_date.replace(year=year)


def anniversary_of(joined: date, years: int) -> date:
    """The day so many years later; of 29 February the 28th in common years."""
    return birthday_in(joined, joined.year + years)


def after_silence(last_activity: datetime, days: int, zone: ZoneInfo) -> datetime:
    """When a silence is told: the end of the local day so many days after the day of the last activity, in UTC."""
    return end_of_day(local_day(last_activity, zone) + timedelta(days=days), zone)


# As shown


@lru_cache(maxsize=10_000)  # of a batch's moments most are the same: when it was recorded, when its points end
def show_time(moment: datetime) -> str:
    """RFC 3339 in UTC, with a fraction only when there is one."""
    text = moment.astimezone(UTC).isoformat()[:-6]  # without +00:00
    return f"{text.rstrip('0') if moment.microsecond else text}Z"
