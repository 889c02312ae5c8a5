"""Tiers: the level held, and the level that points call for, over a lifetime and in a rolling window. By hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.core.standings import (
    AT_ONCE,
    BEST,
    BEST_YEAR,
    BRONZE,
    BUDAPEST,
    FROM_ZERO,
    LIFETIME,
    NEW_YORK,
    PERIODS,
    YEARS,
    assert_levels,
    at,
    history_of,
    moment,
    name,
    varied,
)
from troth.core.program import Tiers
from troth.core.state import NO_TIERS, CustomerState
from troth.core.tiers import Standing, basis_of, held_level, reached_level, standing

# Levels


@pytest.mark.parametrize(
    ("qualifying", "level"),
    [(-50, None), (0, "bronze"), (99, "bronze"), (100, "silver"), (499, "silver"), (500, "gold")],
)
def test_thresholds_are_inclusive(qualifying: int, level: str | None) -> None:
    found = reached_level(FROM_ZERO, qualifying)
    assert (found.id if found else None) == level


def test_below_the_first_threshold_there_is_no_level() -> None:
    assert reached_level(LIFETIME, 99) is None


@pytest.mark.parametrize(
    ("tiers", "tier", "held"),
    [
        (FROM_ZERO, None, "bronze"),  # the level that asks for nothing is held from the start
        (FROM_ZERO, "gold", "gold"),
        (FROM_ZERO, "removed", "bronze"),  # a level that is gone
        (LIFETIME, None, None),
        (LIFETIME, "removed", None),
        (None, "gold", None),
    ],
)
def test_the_level_held(tiers: Tiers | None, tier: str | None, held: str | None) -> None:
    found = held_level(tiers, CustomerState(created_at=moment("2026-01-01T00:00Z"), tier=tier))
    assert (found.id if found else None) == held


@pytest.mark.parametrize(
    ("tiers", "basis"),
    [
        (None, ""),
        (LIFETIME, ""),
        (AT_ONCE, "points rolling 12 Europe/Budapest"),
        (varied(PERIODS, months=3), "points rolling 3 Europe/Budapest"),
        (YEARS, "points calendar_year Europe/Budapest"),
        (BEST_YEAR, "points calendar_year Europe/Budapest"),  # another policy needs no other history
    ],
)
def test_what_a_history_is_kept_for(tiers: Tiers | None, basis: str) -> None:
    assert basis_of(tiers, "Europe/Budapest") == basis


# Lifetime


@pytest.mark.parametrize(("qualifying", "level"), [(99, None), (100, "silver"), (500, "gold")])
def test_lifetime_points_are_all_that_counts(qualifying: int, level: str | None) -> None:
    found = standing(LIFETIME, NO_TIERS, qualifying, now=moment("2026-01-01T00:00Z"), zone=BUDAPEST)
    assert (name(found), found.points) == (level, qualifying)
    assert (found.since, found.review_at, found.kept_until, found.needed) == (None, None, None, 0)


@pytest.mark.parametrize("tiers", [LIFETIME, AT_ONCE, BEST, PERIODS, YEARS, BEST_YEAR])
def test_a_level_that_asks_for_nothing_is_never_lost(tiers: Tiers) -> None:
    """Also by those who owe points."""
    with_bronze = replace(tiers, levels=FROM_ZERO.levels)
    for lines in ((), ("2026-01-15 -30",), ("2024-01-15 +10", "2026-01-15 -30"), ("2020-01-15 +10",)):
        found = standing(with_bronze, history_of(*lines), -20, now=moment("2026-02-01T00:00Z"), zone=BUDAPEST)
        assert found.level == BRONZE
        assert (found.since, found.review_at, found.needed, found.points) == (None, None, 0, 0)


# Rolling, immediately: the last 12 months, to the end of the local day


@pytest.mark.parametrize(
    ("months", "zone", "counted", "falls"),
    [
        (12, BUDAPEST, "2026-01-15", "2027-01-15T23:00Z"),  # to the end of 15 January 2027; winter: UTC+1
        (6, BUDAPEST, "2026-01-15", "2026-07-15T22:00Z"),  # summer: UTC+2
        (12, BUDAPEST, "2024-02-29", "2025-02-28T23:00Z"),  # the last of February
        (12, BUDAPEST, "2023-02-28", "2024-02-28T23:00Z"),  # not the 29th
        (48, BUDAPEST, "2024-02-29", "2028-02-29T23:00Z"),
        (1, BUDAPEST, "2026-01-31", "2026-02-28T23:00Z"),
        (6, BUDAPEST, "2026-08-31", "2027-02-28T23:00Z"),
        (1, BUDAPEST, "2026-02-28", "2026-03-28T23:00Z"),  # the night before clocks go forward
        (1, BUDAPEST, "2026-03-01", "2026-04-01T22:00Z"),
        (1, BUDAPEST, "2026-09-25", "2026-10-25T23:00Z"),  # the day of 25 hours ends in winter time
        (1, NEW_YORK, "2026-02-08", "2026-03-09T04:00Z"),  # 8 March has 23 hours and ends in summer time: UTC-4
        (1, NEW_YORK, "2026-10-01", "2026-11-02T05:00Z"),  # 1 November has 25 hours and ends in winter time: UTC-5
        (12, NEW_YORK, "2025-12-31", "2027-01-01T05:00Z"),
    ],
)
def test_points_leave_the_window_with_the_local_day(months: int, zone: ZoneInfo, counted: str, falls: str) -> None:
    tiers, lines, end = varied(AT_ONCE, months=months), [f"{counted} +500"], moment(falls)
    before = standing(tiers, history_of(*lines), 0, now=end - timedelta(microseconds=1), zone=zone)
    assert (name(before), before.review_at, before.points, before.needed) == ("gold", end, 500, 500)
    assert before.kept_until == end
    assert standing(tiers, history_of(*lines), 0, now=end, zone=zone) == Standing(level=None)  # due means ≤ now


def test_levels_fall_one_by_one() -> None:
    """300 + 250 = 550 from 1 June; the 300 leave with 15 January, the 250 with 1 June of the next year."""
    lines = ["2026-01-15 +300", "2026-06-01 +250"]
    expected = {
        "2026-01-15T12:00+01:00": "silver",
        "2026-06-01T12:00+02:00": "gold",
        "2027-01-15T23:59:59+01:00": "gold",
        "2027-01-16T00:00+01:00": "silver",
        "2027-06-01T23:59:59+02:00": "silver",
        "2027-06-02T00:00+02:00": None,
    }
    for now, level in expected.items():
        known = lines if moment(now) >= moment("2026-05-31T22:00Z") else lines[:1]
        assert name(at(AT_ONCE, now, known)) == level
    gold = at(AT_ONCE, "2026-08-01T12:00Z", lines)
    assert (gold.since, gold.review_at) == (moment("2026-05-31T22:00Z"), moment("2027-01-15T23:00Z"))
    assert (gold.points, gold.needed) == (550, 250)
    silver = at(AT_ONCE, "2027-02-01T12:00Z", lines)
    assert (silver.since, silver.review_at) == (moment("2026-01-14T23:00Z"), moment("2027-06-01T22:00Z"))
    assert (silver.points, silver.needed) == (250, 100)


def test_who_falls_at_midnight_and_rises_on_that_day_begins_again() -> None:
    """On 15 January the 500 leave; 500 of the 15th join them in time, 500 of the 16th come too late."""
    in_time = at(AT_ONCE, "2027-01-16T12:00Z", ["2026-01-15 +500", "2027-01-15 +500"])
    assert (name(in_time), in_time.since) == ("gold", moment("2026-01-14T23:00Z"))
    late = at(AT_ONCE, "2027-01-16T12:00Z", ["2026-01-15 +500", "2027-01-16 +500"])
    assert (name(late), late.since) == ("gold", moment("2027-01-15T23:00Z"))


def test_grace_days_hold_a_level_after_its_points_have_left() -> None:
    """The 500 leave with 15 January, and 30 days of grace end with 14 February."""
    tiers, lines = varied(AT_ONCE, grace_days=30), ["2026-01-15 +500", "2027-01-20 +120"]
    assert_levels(
        tiers,
        lines,
        {
            "2027-01-20T12:00+01:00": "gold",
            "2027-02-14T23:59:59+01:00": "gold",
            "2027-02-15T00:00+01:00": "silver",  # by the 120
            "2028-02-19T23:59:59+01:00": "silver",  # they leave with 20 January, and grace ends with 19 February
            "2028-02-20T00:00+01:00": None,
        },
    )
    grace = at(tiers, "2027-02-01T12:00Z", lines)
    assert (grace.review_at, grace.points, grace.needed) == (moment("2027-02-14T23:00Z"), 120, 380)


def test_who_is_back_within_the_grace_days_was_never_gone() -> None:
    tiers = varied(AT_ONCE, grace_days=30)
    back = at(tiers, "2027-02-14T12:00Z", ["2026-01-15 +500", "2027-02-14 +500"])
    assert (name(back), back.since) == ("gold", moment("2026-01-14T23:00Z"))
    assert back.review_at == moment("2028-03-15T23:00Z")  # 14 February + 30 days; 2028 is a leap year
    late = at(tiers, "2027-02-15T12:00Z", ["2026-01-15 +500", "2027-02-15 +500"])
    assert (name(late), late.since) == ("gold", moment("2027-02-14T23:00Z"))


def test_late_old_events_count_from_the_day_they_are_known() -> None:
    """Of 1 August 2025, known on 1 May 2026, gone with 1 August 2026; what is known too late never counts."""
    found = at(AT_ONCE, "2026-05-01T12:00Z", ["2025-08-01/2026-05-01 +500"])
    assert (name(found), found.since, found.review_at) == (
        "gold",
        moment("2026-04-30T22:00Z"),
        moment("2026-08-01T22:00Z"),
    )
    assert name(at(AT_ONCE, "2026-05-01T12:00Z", ["2025-05-01/2026-05-01 +500"])) == "gold"  # leaves tonight
    assert name(at(AT_ONCE, "2026-05-01T12:00Z", ["2025-04-30/2026-05-01 +500"])) is None
    assert name(at(BEST, "2026-05-01T12:00Z", ["2025-04-30/2026-05-01 +500"])) is None
    held = at(AT_ONCE, "2026-05-01T12:00Z", ["2025-04-30/2026-05-01 +300", "2026-01-15 +500"])
    assert (held.since, held.points) == (moment("2026-01-14T23:00Z"), 500)


def test_what_occurs_in_a_few_minutes_counts_at_once() -> None:
    """At 23:58 an event of the next day, and one that another process, with a clock ahead, has judged tomorrow."""
    for tiers in (AT_ONCE, BEST, PERIODS, YEARS, BEST_YEAR):
        for line in ("2026-05-02/2026-05-01 +500", "2026-05-02/2026-05-02 +500"):
            found = at(tiers, "2026-05-01T23:58+02:00", [line])
            assert (name(found), found.since) == ("gold", moment("2026-04-30T22:00Z"))
    assert name(at(YEARS, "2026-12-31T23:58+01:00", ["2027-01-01/2026-12-31 +500"])) == "gold"


# Rolling, never: the best window there ever was


def test_the_best_window_stays() -> None:
    """300 of 15 January and 250 a year later meet on that day: 550. A day later they would not have."""
    met, missed = ["2026-01-15 +300", "2027-01-15 +250"], ["2026-01-15 +300", "2027-01-16 +250"]
    gold = at(BEST, "2035-01-01T00:00Z", met)
    assert (name(gold), gold.since, gold.review_at, gold.needed) == ("gold", moment("2027-01-14T23:00Z"), None, 0)
    silver = at(BEST, "2035-01-01T00:00Z", missed)
    assert (name(silver), silver.since, silver.review_at) == ("silver", moment("2026-01-14T23:00Z"), None)


@pytest.mark.parametrize(
    ("reversal", "level"),
    [
        ("2027-01-15 -50", "gold"),  # 300 + 200 = 500
        ("2027-01-15 -51", "silver"),
        ("2026-01-15 -201", "silver"),  # 99 + 250 = 349
        ("2026-01-15 -300", "silver"),  # 250
        ("2027-06-01 -51", "silver"),  # of no day of its own: the last ones before it, 199 of 2027 stay
        ("2029-01-01 -550", None),
    ],
)
def test_points_taken_back_after_decay_were_never_in_the_best_window(reversal: str, level: str | None) -> None:
    lines = ["2026-01-15 +300", "2027-01-15 +250", reversal.replace(" ", "/2029-01-01 ")]
    assert name(at(BEST, "2029-01-01T12:00Z", lines)) == level


def test_the_best_window_is_one_that_was_known() -> None:
    """300 of January 2025. 300 of March are known in February 2026, when the first have left: never 600 at once."""
    lines = ["2025-01-10 +300", "2025-03-01/2026-02-01 +300"]
    assert name(at(BEST, "2026-02-01T12:00Z", lines)) == "silver"
    assert name(at(BEST_YEAR, "2026-02-01T12:00Z", lines)) == "gold"  # a calendar year is their sum, whenever known
