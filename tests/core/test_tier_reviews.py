"""Tiers that are reviewed: at the end of a period of twelve months, and at the end of calendar years. By hand."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.core.standings import (
    BEST_YEAR,
    BUDAPEST,
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
from troth.core.tiers import Standing, standing

# Rolling, at the end of a period: 12 months from reaching the level


def test_a_level_is_reviewed_at_the_end_of_its_period() -> None:
    """Gold from 15 January 2026 to the end of 15 January 2027. Then the window shows the 100 of June: silver, for a new
    period from the 16th to the end of 16 January 2028. Then it shows nothing."""
    lines = ["2026-01-15 +500", "2026-06-01 +100"]
    assert_levels(
        PERIODS,
        lines,
        {
            "2026-06-01T12:00+02:00": "gold",
            "2027-01-15T23:59:59+01:00": "gold",
            "2027-01-16T00:00+01:00": "silver",
            "2027-06-02T00:00+02:00": "silver",  # the 100 have left, the period has not ended
            "2028-01-16T23:59:59+01:00": "silver",
            "2028-01-17T00:00+01:00": None,
        },
    )
    gold = at(PERIODS, "2026-12-01T12:00Z", lines)
    assert (gold.since, gold.review_at) == (moment("2026-01-14T23:00Z"), moment("2027-01-15T23:00Z"))
    assert (gold.points, gold.needed) == (600, 400)
    silver = at(PERIODS, "2027-02-01T12:00Z", lines)
    assert (silver.since, silver.review_at) == (moment("2026-01-14T23:00Z"), moment("2028-01-16T23:00Z"))
    assert (silver.points, silver.needed) == (100, 100)


@pytest.mark.parametrize(
    ("reached", "grace_days", "zone", "review"),
    [
        ("2024-02-29", 0, BUDAPEST, "2025-02-28T23:00Z"),
        ("2023-02-28", 0, BUDAPEST, "2024-02-28T23:00Z"),
        ("2025-03-29", 0, BUDAPEST, "2026-03-29T22:00Z"),  # ends with the day of 23 hours
        ("2025-10-25", 0, BUDAPEST, "2026-10-25T23:00Z"),  # ends with the day of 25 hours
        ("2025-12-31", 0, BUDAPEST, "2026-12-31T23:00Z"),
        ("2025-02-28", 1, BUDAPEST, "2026-03-01T23:00Z"),  # to the end of 1 March
        ("2023-02-28", 1, BUDAPEST, "2024-02-29T23:00Z"),
        ("2026-01-15", 90, BUDAPEST, "2027-04-15T22:00Z"),  # 16 + 28 + 31 + 15 days
        ("2025-11-01", 0, NEW_YORK, "2026-11-02T05:00Z"),
    ],
)
def test_a_period_ends_with_the_local_day_and_grace_postpones_its_review(
    reached: str, grace_days: int, zone: ZoneInfo, review: str
) -> None:
    tiers, end = varied(PERIODS, grace_days=grace_days), moment(review)
    found = standing(tiers, history_of(f"{reached} +500"), 0, now=end - timedelta(microseconds=1), zone=zone)
    assert (name(found), found.review_at) == ("gold", end)
    assert standing(tiers, history_of(f"{reached} +500"), 0, now=end, zone=zone) == Standing(level=None)


def test_who_is_back_when_grace_ends_keeps_the_level() -> None:
    """Reviewed at the end of 14 February 2027. Then the window shows 500 of 1 February: gold, to the end of 15 February
    2028 and 30 days more: 16 March, as 2028 is a leap year. The 500 have left with 1 February."""
    tiers, lines = varied(PERIODS, grace_days=30), ["2026-01-15 +500", "2027-02-01 +500"]
    found = at(tiers, "2027-02-15T00:00+01:00", lines)
    assert (name(found), found.since) == ("gold", moment("2026-01-14T23:00Z"))
    assert (found.review_at, found.needed) == (moment("2028-03-16T23:00Z"), 500)
    too_late = at(tiers, "2027-02-15T12:00Z", ["2026-01-15 +500", "2027-02-15 +500"])  # not there at the review
    assert (name(too_late), too_late.since) == ("gold", moment("2027-02-14T23:00Z"))


def test_an_upgrade_starts_a_new_period() -> None:
    """Silver from January; gold from June, reviewed at the end of 1 June 2027, when the 450 have just left."""
    lines = ["2026-01-15 +100", "2026-06-01 +450"]
    found = at(PERIODS, "2027-05-01T12:00Z", lines)
    assert (name(found), found.since, found.review_at) == (
        "gold",
        moment("2026-05-31T22:00Z"),
        moment("2027-06-01T22:00Z"),
    )
    assert name(at(PERIODS, "2027-06-01T22:00Z", lines)) is None


def test_a_level_can_be_reached_again_after_its_review() -> None:
    """Silver at the review of January 2027 by 100 of June; 100 + 450 on 1 March: gold again, to the end of 1 March
    2028. Then all have left."""
    lines = ["2026-01-15 +500", "2026-06-01 +100", "2027-03-01 +450"]
    found = at(PERIODS, "2027-03-01T12:00Z", lines)
    assert (name(found), found.since, found.review_at) == (
        "gold",
        moment("2027-02-28T23:00Z"),
        moment("2028-03-01T23:00Z"),
    )
    assert name(at(PERIODS, "2028-03-01T23:00Z", lines)) is None


def test_a_level_that_stands_its_reviews_is_kept_through_them() -> None:
    """500 every 1 January and 1 July. Reviews: the ends of 1 January 2025, 2 January 2026, 3 January 2027, each shows
    the 500 of July at least. Nothing follows: the next, at the end of 4 January 2028, finds none."""
    lines = [f"{year}-{day} +500" for year in (2024, 2025, 2026) for day in ("01-01", "07-01")]
    found = at(PERIODS, "2026-07-01T12:00Z", lines)
    assert (name(found), found.since) == ("gold", moment("2023-12-31T23:00Z"))
    assert (found.review_at, found.needed) == (moment("2028-01-04T23:00Z"), 500)


def test_points_that_leave_in_one_night_leave_together() -> None:
    """A window of one month: 29, 30 and 31 January leave with 28 February, the night of the review. What is left while
    they leave is no upgrade."""
    lines = ["2026-02-28 +500", "2027-01-29 +100", "2027-01-30 +150", "2027-01-31 +400"]
    found = at(varied(PERIODS, months=1), "2027-02-28T12:00Z", lines)
    assert (name(found), found.points, found.review_at) == ("gold", 650, moment("2027-02-28T23:00Z"))
    assert name(at(varied(PERIODS, months=1), "2027-03-01T12:00Z", lines)) is None


def test_points_taken_back_are_judged_at_once_and_protection_stays() -> None:
    """A window of three months. In June 2026 it shows nothing, but gold of January is protected to January 2027."""
    tiers, now = varied(PERIODS, months=3), "2026-06-20T12:00Z"
    lines = ["2026-01-15 +500", "2026-02-01 +60"]
    assert name(at(tiers, now, lines)) == "gold"
    assert name(at(tiers, now, [*lines, "2026-02-01/2026-06-20 -60"])) == "gold"  # gold without them
    found = at(tiers, now, [*lines, "2026-01-15/2026-06-20 -1"])  # 499, then 559 on 1 February
    assert (name(found), found.since) == ("gold", moment("2026-01-31T23:00Z"))
    found = at(tiers, now, [*lines, "2026-01-15/2026-06-20 -100"])  # 400, then 460: silver since January
    assert (name(found), found.since, found.review_at) == (
        "silver",
        moment("2026-01-14T23:00Z"),
        moment("2027-01-15T23:00Z"),
    )
    assert name(at(tiers, now, [*lines, "2026-01-15/2026-06-20 -500"])) is None


def test_who_rises_sooner_is_reviewed_sooner() -> None:
    """50 + 50: silver from 1 March 2026 for a year. With 50 more in January: silver from then, and at the end of
    10 January 2027 the window shows only the 50 of March."""
    lines, now = ["2025-06-01 +50", "2026-03-01 +50"], "2027-02-01T12:00Z"
    assert name(at(PERIODS, now, lines)) == "silver"
    assert name(at(PERIODS, now, [*lines, "2026-01-10 +50"])) is None


# Calendar years


def test_a_years_level_is_held_to_the_end_of_the_next() -> None:
    """500 in 2025: gold to the end of 2026. 120 in 2026: silver to the end of 2027."""
    lines = ["2025-03-01 +200", "2025-12-31 +300", "2026-05-01 +120"]
    assert_levels(
        YEARS,
        lines,
        {
            "2026-12-31T23:59:59+01:00": "gold",
            "2027-01-01T00:00+01:00": "silver",
            "2027-12-31T23:59:59+01:00": "silver",
            "2028-01-01T00:00+01:00": None,
        },
    )
    gold = at(YEARS, "2026-06-01T12:00Z", lines)
    assert (gold.since, gold.review_at) == (moment("2025-12-30T23:00Z"), moment("2026-12-31T23:00Z"))
    assert (gold.points, gold.needed) == (120, 380)
    silver = at(YEARS, "2027-06-01T12:00Z", lines)
    assert (silver.since, silver.review_at) == (moment("2025-02-28T23:00Z"), moment("2027-12-31T23:00Z"))
    assert (silver.points, silver.needed) == (0, 100)


def test_a_year_ends_with_the_local_day() -> None:
    assert at(YEARS, "2026-06-01T12:00Z", ["2025-03-01 +500"], NEW_YORK).review_at == moment("2027-01-01T05:00Z")
    assert name(at(YEARS, "2027-01-01T04:59:59Z", ["2025-03-01 +500"], NEW_YORK)) == "gold"
    assert name(at(YEARS, "2027-01-01T05:00Z", ["2025-03-01 +500"], NEW_YORK)) is None


def test_this_year_holds_longer_than_the_last() -> None:
    """Gold in 2025 and in 2026 already: nothing is missing until the end of 2027, and then a whole year's points."""
    found = at(YEARS, "2026-06-01T12:00Z", ["2025-03-01 +500", "2026-05-01 +500"])
    assert (found.review_at, found.needed, found.points) == (moment("2027-12-31T23:00Z"), 500, 500)
    assert found.since == moment("2025-02-28T23:00Z")


def test_grace_days_after_the_year() -> None:
    """31 days: to the end of 31 January 2027. Points of January count in 2027."""
    tiers, lines = varied(YEARS, grace_days=31), ["2025-03-01 +500", "2026-05-01 +120", "2027-01-10 +200"]
    before = at(tiers, "2026-12-31T12:00Z", lines[:2])
    assert (before.review_at, before.needed) == (moment("2027-01-31T23:00Z"), 380)
    grace = at(tiers, "2027-01-31T22:59:59Z", lines)
    assert (name(grace), grace.review_at, grace.points, grace.needed) == ("gold", moment("2027-01-31T23:00Z"), 200, 300)
    silver = at(tiers, "2027-01-31T23:00Z", lines)  # by 2027: to the end of 2028, and grace to 31 January 2029
    assert (name(silver), silver.review_at) == ("silver", moment("2029-01-31T23:00Z"))
    back = at(tiers, "2027-01-31T12:00Z", [*lines, "2027-01-31 +300"])
    assert (name(back), back.since, back.review_at) == (
        "gold",
        moment("2025-02-28T23:00Z"),
        moment("2029-01-31T23:00Z"),
    )


def test_grace_of_more_than_a_year() -> None:
    """400 days after 2026: to the end of 4 February 2028, 365 + 35 days."""
    found = at(varied(YEARS, grace_days=400), "2027-06-01T12:00Z", ["2025-03-01 +500"])
    assert (name(found), found.review_at) == ("gold", moment("2028-02-04T23:00Z"))


def test_a_year_that_changes_after_its_review_is_judged_again() -> None:
    """450 in 2026: silver at the review of New Year 2027. 50 of December are released in February: gold to the end of
    2027. In June 1 of them is taken back: silver."""
    lines = ["2025-03-01 +500", "2026-05-01 +450"]
    assert name(at(YEARS, "2027-01-01T12:00Z", lines)) == "silver"
    lines.append("2026-12-30/2027-02-10 +50")
    found = at(YEARS, "2027-02-10T12:00Z", lines)
    assert (name(found), found.since, found.review_at) == (
        "gold",
        moment("2027-02-09T23:00Z"),
        moment("2027-12-31T23:00Z"),
    )
    lines.append("2026-12-30/2027-06-01 -1")
    assert name(at(YEARS, "2027-06-01T12:00Z", lines)) == "silver"


def test_years_that_are_over_give_nothing_when_they_are_known_later() -> None:
    """500 of 2023 are known in 2026: the end of 2024 has passed. Under `never` the level stays for ever."""
    lines = ["2023-03-01/2026-02-01 +500"]
    assert name(at(YEARS, "2026-02-01T12:00Z", lines)) is None
    found = at(BEST_YEAR, "2026-02-01T12:00Z", lines)
    assert (name(found), found.since, found.review_at) == ("gold", moment("2026-01-31T23:00Z"), None)


def test_years_hold_from_the_day_they_are_known() -> None:
    """2026 since March; 2025, known in December only, does not begin it anew."""
    found = at(YEARS, "2026-12-24T12:00Z", ["2025-06-01/2026-12-20 +500", "2026-03-01 +500"])
    assert (name(found), found.since, found.review_at) == (
        "gold",
        moment("2026-02-28T23:00Z"),
        moment("2027-12-31T23:00Z"),
    )


def test_the_best_year_stays_until_its_points_are_taken_back() -> None:
    """2024: 500. 2025: 300. In 2030 points of 2024 are taken back: 499, and 2025 alone is silver too."""
    lines = ["2024-03-01 +500", "2025-03-01 +300"]
    assert at(BEST_YEAR, "2030-01-01T12:00Z", lines).since == moment("2024-02-29T23:00Z")
    assert name(at(BEST_YEAR, "2030-01-01T12:00Z", [*lines, "2024-03-01/2030-01-01 -1"])) == "silver"
    assert name(at(BEST_YEAR, "2030-01-01T12:00Z", [*lines, "2024-03-01/2030-01-01 -500"])) == "silver"
    all_gone = [*lines, "2024-03-01/2030-01-01 -500", "2025-03-01/2030-01-01 -300"]
    assert name(at(BEST_YEAR, "2030-01-01T12:00Z", all_gone)) is None


def test_points_taken_by_hand_are_the_last_ones_earned() -> None:
    """500 in 2025; 200 in 2026; 250 taken back on a day of 2026 that earned none: 200 of 2026 and 50 of 2025."""
    lines = ["2025-03-01 +500", "2026-02-01 +200", "2026-06-01 -250"]
    found = at(YEARS, "2026-06-01T12:00Z", lines)
    assert (name(found), found.points, found.review_at) == ("silver", 0, moment("2026-12-31T23:00Z"))
