"""Calendar arithmetic in the program's zone: periods, months, days of 23 and 25 hours, expiry. Worked out by hand."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.core.judging import moment
from troth.core.calendar import add_months, end_of_day, expires_at, period_key, show_time, wall_clock
from troth.core.program import Expiry, Window

UTC, BUDAPEST, SAO_PAULO = ZoneInfo("UTC"), ZoneInfo("Europe/Budapest"), ZoneInfo("America/Sao_Paulo")


@pytest.mark.parametrize(
    ("window", "local", "expected"),
    [
        ("day", "2026-11-20T23:59:59", "day 2026-11-20"),
        ("week", "2026-11-20T00:00:00", "week 2026-W47"),
        ("week", "2026-11-22T23:59:59", "week 2026-W47"),  # Sunday: weeks begin on Monday
        ("week", "2026-11-23T00:00:00", "week 2026-W48"),
        ("week", "2027-01-03T12:00:00", "week 2026-W53"),  # Sunday of a 53rd week
        ("week", "2024-12-30T00:00:00", "week 2025-W01"),  # Monday of next year's first week
        ("week", "2023-01-01T00:00:00", "week 2022-W52"),
        ("month", "2026-02-28T23:59:59", "month 2026-02"),
        ("year", "2026-12-31T23:59:59", "year 2026"),
        ("ever", "1990-01-01T00:00:00", "ever"),
    ],
)
def test_period(window: Window, local: str, expected: str) -> None:
    assert period_key(window, datetime.fromisoformat(local)) == expected


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-01-31", 1, "2026-02-28"),  # clamped
        ("2024-01-31", 1, "2024-02-29"),  # leap year
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-11-30", 3, "2027-02-28"),
        ("2026-08-31", 1, "2026-09-30"),
        ("2026-01-31", 0, "2026-01-31"),
    ],
)
def test_months_clamp_to_the_last_day(day: str, months: int, expected: str) -> None:
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        (UTC, "2026-11-20", "2026-11-21T00:00Z"),
        (BUDAPEST, "2026-03-28", "2026-03-28T23:00Z"),  # winter: UTC+1
        (BUDAPEST, "2026-03-29", "2026-03-29T22:00Z"),  # the day of 23 hours ends in summer time: UTC+2
        (BUDAPEST, "2026-10-25", "2026-10-25T23:00Z"),  # the day of 25 hours ends in winter time
        # Clocks in São Paulo went from 00:00 to 01:00 on 2018-11-04: that day had no midnight. It began at 03:00Z.
        (SAO_PAULO, "2018-11-03", "2018-11-04T03:00Z"),
        # On 2018-02-17 they went from 24:00 back to 23:00: the 18th begins at the second midnight, UTC-3.
        (SAO_PAULO, "2018-02-17", "2018-02-18T03:00Z"),
        (SAO_PAULO, "2018-02-16", "2018-02-17T02:00Z"),
    ],
)
def test_end_of_day(zone: ZoneInfo, day: str, expected: str) -> None:
    assert end_of_day(date.fromisoformat(day), zone) == moment(expected)


YEAR = Expiry(kind="months_after_earning", months=12)
MONTH = Expiry(kind="months_after_earning", months=1)
YEAR_TO_MONTH_END = Expiry(kind="months_after_earning", months=12, month_end=True)


@pytest.mark.parametrize(
    ("expiry", "zone", "earned", "expected"),
    [
        (YEAR, UTC, "2026-11-20T10:00Z", "2027-11-21T00:00Z"),  # to the end of the 20th
        (YEAR_TO_MONTH_END, UTC, "2026-11-20T10:00Z", "2027-12-01T00:00Z"),
        (YEAR_TO_MONTH_END, UTC, "2027-02-28T10:00Z", "2028-03-01T00:00Z"),  # the month ends on the 29th
        (YEAR, UTC, "2024-02-29T10:00Z", "2025-03-01T00:00Z"),  # 28 February is the last day
        (MONTH, UTC, "2026-01-31T23:59:59Z", "2026-03-01T00:00Z"),
        # 23:30Z on 31 January is 00:30 on 1 February in Budapest: good to the end of 1 March there, 23:00Z.
        (MONTH, BUDAPEST, "2026-01-31T23:30Z", "2026-03-01T23:00Z"),
        # Earned in winter, ends in summer: the end of 28 April is 22:00Z.
        (MONTH, BUDAPEST, "2026-03-28T10:00Z", "2026-04-28T22:00Z"),
        (Expiry(), UTC, "2026-11-20T10:00Z", None),
    ],
)
def test_expiry(expiry: Expiry, zone: ZoneInfo, earned: str, expected: str | None) -> None:
    found = expires_at(expiry, moment(earned), zone)
    assert found == (moment(expected) if expected else None)


def test_wall_clock_shows_both_hours_of_the_night_of_25() -> None:
    assert wall_clock(moment("2026-10-25T00:30Z"), BUDAPEST) == wall_clock(moment("2026-10-25T01:30Z"), BUDAPEST)
    assert wall_clock(moment("2026-10-25T01:30Z"), BUDAPEST) == datetime.fromisoformat("2026-10-25T02:30")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00Z"),
        ("2026-11-20T10:00:00.100000Z", "2026-11-20T10:00:00.1Z"),
        ("2026-11-20T10:00:00.123456Z", "2026-11-20T10:00:00.123456Z"),
        ("2026-11-20T10:00:10Z", "2026-11-20T10:00:10Z"),
    ],
)
def test_times_are_shown_in_utc(text: str, shown: str) -> None:
    assert show_time(moment(text)) == shown
