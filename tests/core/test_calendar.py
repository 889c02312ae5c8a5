"""Calendar arithmetic in the program's zone: periods, months, days of 23 and 25 hours, expiry, yearly dates. Worked out
by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from troth.core.calendar import (
    add_months,
    after_silence,
    anniversary_of,
    birthday_in,
    end_of_day,
    expires_at,
    expiry_text,
    local_day,
    period_key,
    read_expiry,
    show_time,
    start_of_day,
    wall_clock,
)
from troth.core.program import Expiry, Window

UTC, BUDAPEST, SAO_PAULO = ZoneInfo("UTC"), ZoneInfo("Europe/Budapest"), ZoneInfo("America/Sao_Paulo")
NEW_YORK, APIA = ZoneInfo("America/New_York"), ZoneInfo("Pacific/Apia")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


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
        (NEW_YORK, "2026-03-08", "2026-03-09T04:00Z"),  # 23 hours
        (NEW_YORK, "2026-11-01", "2026-11-02T05:00Z"),  # 25 hours
        # Samoa left out 30 December 2011, from UTC-10 to UTC+14: the 29th ends where the 31st begins.
        (APIA, "2011-12-29", "2011-12-30T10:00Z"),
        (APIA, "2011-12-30", "2011-12-30T10:00Z"),
    ],
)
def test_end_of_day(zone: ZoneInfo, day: str, expected: str) -> None:
    found = end_of_day(date.fromisoformat(day), zone)
    assert found == moment(expected)
    assert found.utcoffset() == timedelta(0)
    assert start_of_day(date.fromisoformat(day) + timedelta(days=1), zone) == found


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        (UTC, "2026-11-20T23:59:59.999999Z", "2026-11-20"),
        (BUDAPEST, "2026-11-20T22:59:59Z", "2026-11-20"),
        (BUDAPEST, "2026-11-20T23:00Z", "2026-11-21"),
        (BUDAPEST, "2026-07-20T22:00Z", "2026-07-21"),
        (NEW_YORK, "2026-11-20T04:59:59Z", "2026-11-19"),
        (NEW_YORK, "2026-11-20T10:00+14:00", "2026-11-19"),
    ],
)
def test_local_day(zone: ZoneInfo, at: str, day: str) -> None:
    assert local_day(moment(at), zone) == date.fromisoformat(day)


@pytest.mark.parametrize("zone", [UTC, BUDAPEST, NEW_YORK, SAO_PAULO])
def test_a_day_is_what_lies_between_its_ends(zone: ZoneInfo) -> None:
    """Every day of 2018, in which the clocks of each zone but UTC changed twice."""
    for number in range(365):
        day = date(2018, 1, 1) + timedelta(days=number)
        assert local_day(start_of_day(day, zone), zone) == day
        assert local_day(end_of_day(day, zone) - timedelta(microseconds=1), zone) == day


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


AFTER_ACTIVITY = Expiry(kind="months_after_activity", months=12)
TO_MONTH_END_AFTER_ACTIVITY = Expiry(kind="months_after_activity", months=6, month_end=True)


@pytest.mark.parametrize(
    ("expiry", "earned", "active", "expected"),
    [
        (AFTER_ACTIVITY, "2026-01-15T10:00Z", None, "2027-01-15T23:00Z"),
        (AFTER_ACTIVITY, "2026-01-15T10:00Z", "2026-01-14T10:00Z", "2027-01-15T23:00Z"),  # activity before earning
        (AFTER_ACTIVITY, "2026-01-15T10:00Z", "2026-05-31T22:30Z", "2027-06-01T22:00Z"),  # 1 June in Budapest
        (AFTER_ACTIVITY, "2026-01-15T10:00Z", "2028-02-29T10:00Z", "2029-02-28T23:00Z"),
        (TO_MONTH_END_AFTER_ACTIVITY, "2026-01-15T10:00Z", None, "2026-07-31T22:00Z"),
        (TO_MONTH_END_AFTER_ACTIVITY, "2026-01-15T10:00Z", "2026-08-31T10:00Z", "2027-02-28T23:00Z"),
        (YEAR, "2026-01-15T10:00Z", "2026-05-31T10:00Z", "2027-01-15T23:00Z"),  # activity moves nothing
        (Expiry(), "2026-01-15T10:00Z", "2026-05-31T10:00Z", None),
    ],
)
def test_expiry_after_activity(expiry: Expiry, earned: str, active: str | None, expected: str | None) -> None:
    found = expires_at(expiry, moment(earned), BUDAPEST, moment(active) if active else None)
    assert found == (moment(expected) if expected else None)


@pytest.mark.parametrize(
    ("expiry", "text"),
    [
        (Expiry(), None),
        (YEAR, "12"),
        (YEAR_TO_MONTH_END, "12e"),
        (AFTER_ACTIVITY, "12a"),
        (TO_MONTH_END_AFTER_ACTIVITY, "6ae"),
        (Expiry(kind="months_after_earning", months=1_200), "1200"),
    ],
)
def test_a_lot_keeps_its_expiry_as_text(expiry: Expiry, text: str | None) -> None:
    assert expiry_text(expiry) == text
    assert read_expiry(text) == expiry


@pytest.mark.parametrize(
    ("born", "year", "expected"),
    [
        ("1990-07-15", 2026, "2026-07-15"),
        ("1992-02-29", 2026, "2026-02-28"),
        ("1992-02-29", 2028, "2028-02-29"),
        ("1992-02-29", 2100, "2100-02-28"),  # no leap year
        ("1992-02-29", 2000, "2000-02-29"),
        ("1991-02-28", 2028, "2028-02-28"),
        ("1992-12-31", 2026, "2026-12-31"),
    ],
)
def test_birthdays_and_anniversaries(born: str, year: int, expected: str) -> None:
    day = date.fromisoformat(born)
    assert birthday_in(day, year) == date.fromisoformat(expected)
    assert anniversary_of(day, year - day.year) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("last_activity", "days", "expected"),
    [
        ("2026-11-20T10:00Z", 30, "2026-12-20T23:00Z"),  # the end of 20 December
        ("2026-11-20T23:30Z", 30, "2026-12-21T23:00Z"),  # 21 November in Budapest
        ("2026-03-28T10:00Z", 1, "2026-03-29T22:00Z"),  # the day of 23 hours
        ("2026-10-24T10:00Z", 1, "2026-10-25T23:00Z"),  # the day of 25 hours
        ("2028-02-28T10:00Z", 1, "2028-02-29T23:00Z"),
    ],
)
def test_a_silence_is_told_at_the_end_of_its_last_day(last_activity: str, days: int, expected: str) -> None:
    assert after_silence(moment(last_activity), days, BUDAPEST) == moment(expected)


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
