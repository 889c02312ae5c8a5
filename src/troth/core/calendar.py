"""Calendar arithmetic in the program's time zone: limit periods, expiry dates, wall-clock readings.

In: aware datetimes and a zone. Out: period keys, aware UTC datetimes, naive wall-clock datetimes. Never asks for "now".
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
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
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant after the local day, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)


def expires_at(expiry: Expiry, earned_at: datetime, zone: ZoneInfo) -> datetime | None:
    """The first instant at which points earned then are gone, in UTC; None: never.

    Points live to the end of the local day n months after earning, or of that month (semantics.md §3).
    """
    if expiry.kind == "never":
        return None
    assert expiry.kind == "months_after_earning", "publish refuses every other kind"
    return _end_after(expiry.months, expiry.month_end, earned_at.astimezone(zone).date(), zone)


@lru_cache(maxsize=10_000)
def _end_after(months: int, to_month_end: bool, day: date, zone: ZoneInfo) -> datetime:
    last = add_months(day, months)
    if to_month_end:
        last = last.replace(day=monthrange(last.year, last.month)[1])
    return end_of_day(last, zone)


@lru_cache(maxsize=10_000)  # of a batch's moments most are the same: when it was recorded, when its points end
def show_time(moment: datetime) -> str:
    """RFC 3339 in UTC, with a fraction only when there is one."""
    text = moment.astimezone(UTC).isoformat()[:-6]  # without +00:00
    return f"{text.rstrip('0') if moment.microsecond else text}Z"
