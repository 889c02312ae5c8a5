"""The record of what was earned when: what is added and taken back, its bound, and what windows show of it."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth import limits
from troth.core.state import NO_TIERS, Earned, TierHistory
from troth.core.tier_history import add_earned, points_of, settled, window_of, years_of

Entry = tuple[str, str, int]  # counted, judged, points
JUDGED = "2026-07-01"  # when points are taken back


def history_of(*entries: Entry) -> TierHistory:
    """Entries as they are."""
    return msgspec.structs.replace(NO_TIERS, earned=tuple(earned(*entry) for entry in entries))


def earned(counted: str, judged: str, points: int) -> Earned:
    return Earned(date.fromisoformat(counted), date.fromisoformat(judged), points)


def entries_of(history: TierHistory) -> list[Entry]:
    return [(str(entry.counted), str(entry.judged), entry.points) for entry in history.earned]


def add(history: TierHistory, counted: str, judged: str, points: int) -> TierHistory:
    return add_earned(history, date.fromisoformat(counted), date.fromisoformat(judged), points)


# Adding and taking back


@pytest.mark.parametrize(
    ("counted", "judged", "expected"),
    [
        ("2026-01-05", "2026-01-05", [("2026-01-05", "2026-01-05", 7), *[("2026-01-10", "2026-01-10", 100)]]),
        ("2026-01-10", "2026-01-10", [("2026-01-10", "2026-01-10", 107)]),
        ("2026-01-10", "2026-01-12", [("2026-01-10", "2026-01-10", 100), ("2026-01-10", "2026-01-12", 7)]),
        ("2026-01-10", "2026-01-09", [("2026-01-10", "2026-01-09", 7), ("2026-01-10", "2026-01-10", 100)]),
        ("2026-01-11", "2026-01-11", [("2026-01-10", "2026-01-10", 100), ("2026-01-11", "2026-01-11", 7)]),
    ],
)
def test_points_lie_in_order_of_their_days(counted: str, judged: str, expected: list[Entry]) -> None:
    assert entries_of(add(history_of(("2026-01-10", "2026-01-10", 100)), counted, judged, 7)) == expected


ONE_DAY_TWICE = (("2026-01-10", "2026-01-10", 100), ("2026-01-10", "2026-01-20", 50))


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        (30, [("2026-01-10", "2026-01-10", 100), ("2026-01-10", "2026-01-20", 20)]),  # the last known first
        (50, [("2026-01-10", "2026-01-10", 100)]),
        (120, [("2026-01-10", "2026-01-10", 30)]),  # 50 of the 20th, 70 of the 10th
        (150, []),
        (170, [("2026-01-10", JUDGED, -20)]),  # no point is lost: 20 are owed
    ],
)
def test_points_are_taken_from_their_day(taken: int, left: list[Entry]) -> None:
    before, after = ("2026-01-09", "2026-01-09", 500), ("2026-01-11", "2026-01-11", 500)
    history = history_of(before, *ONE_DAY_TWICE, after)
    assert entries_of(add(history, "2026-01-10", JUDGED, -taken)) == [before, *left, after]


def test_what_is_owed_is_paid_by_later_points_of_the_same_days() -> None:
    history = add(NO_TIERS, "2026-01-10", JUDGED, -20)
    assert entries_of(history) == [("2026-01-10", JUDGED, -20)]
    assert entries_of(add(history, "2026-01-10", "2026-08-01", -5)) == [("2026-01-10", "2026-08-01", -25)]
    assert entries_of(add(history, "2026-01-10", JUDGED, 20)) == []
    assert entries_of(add(history, "2026-01-10", JUDGED, 50)) == [("2026-01-10", JUDGED, 30)]


def test_nothing_changes_nothing() -> None:
    assert add(history_of(*ONE_DAY_TWICE), "2026-01-10", JUDGED, 0) == history_of(*ONE_DAY_TWICE)


# Settling what was taken back on a day that did not earn it

JANUARY, MARCH, MAY = (("2026-01-10",) * 2, ("2026-03-10",) * 2, ("2026-05-10",) * 2)


@pytest.mark.parametrize(
    ("entries", "left", "owed"),
    [
        ([(*JANUARY, 100), (*MARCH, 50)], [(*JANUARY, 100), (*MARCH, 50)], 0),
        ([(*JANUARY, 100), (*MARCH, 50), (*MAY, -30)], [(*JANUARY, 100), (*MARCH, 20)], 0),  # the latest before first
        ([(*JANUARY, 100), (*MARCH, 50), (*MAY, -70)], [(*JANUARY, 80)], 0),
        ([(*JANUARY, 100), (*MARCH, -30), (*MAY, 50)], [(*JANUARY, 70), (*MAY, 50)], 0),  # not from later days,
        ([(*JANUARY, 10), (*MARCH, -30), (*MAY, 50)], [(*MAY, 30)], 0),  # unless the days before hold too little
        ([(*JANUARY, 10), (*MARCH, -30), (*MAY, 15)], [], 5),
        ([(*JANUARY, 10), (*MARCH, -10)], [], 0),
        # A day's own points pay first, whenever they became known: 30 of 2026-03-20, none of January.
        (
            [(*JANUARY, 100), (*MARCH, -30), ("2026-03-10", "2026-03-20", 40)],
            [(*JANUARY, 100), ("2026-03-10", "2026-03-20", 10)],
            0,
        ),
    ],
)
def test_points_taken_back_were_never_earned(entries: list[Entry], left: list[Entry], owed: int) -> None:
    found, missing = settled(history_of(*entries).earned)
    assert entries_of(TierHistory(earned=tuple(found))) == left
    assert missing == owed


# The bound


def year_of_days(year: int, count: int) -> list[Entry]:
    days = [date(year, 1, 1) + timedelta(days=day) for day in range(count)]
    return [(str(day), str(day), 1) for day in days]


def test_the_oldest_days_of_a_year_are_joined_beyond_the_bound() -> None:
    """TIER_DAYS entries are told apart. With one more, two days of 2000 become one: counted first, known last."""
    full = history_of(*[entry for year in range(2000, 2016) for entry in year_of_days(year, 250)])
    assert len(full.earned) == limits.TIER_DAYS
    assert add(full, "2016-01-01", "2016-01-01", 0) == full
    more = add(full, "2016-01-01", "2016-01-01", 1)
    assert entries_of(more)[:2] == [("2000-01-01", "2000-01-02", 2), ("2000-01-03", "2000-01-03", 1)]
    assert len(more.earned) == limits.TIER_DAYS
    again = add(more, "2016-01-02", "2016-01-02", 1)
    assert entries_of(again)[0] == ("2000-01-01", "2000-01-03", 3)
    assert points_of(again.earned) == limits.TIER_DAYS + 2


def test_days_of_two_years_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TIER_DAYS", 3)
    history = history_of(("2000-05-01",) * 2 + (1,), ("2001-05-01",) * 2 + (2,), ("2001-06-01",) * 2 + (4,))
    assert entries_of(add(history, "2002-01-01", "2002-01-01", 8)) == [
        ("2000-05-01", "2000-05-01", 1),
        ("2001-05-01", "2001-06-01", 6),
        ("2002-01-01", "2002-01-01", 8),
    ]


def test_what_was_taken_back_is_settled_before_days_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TIER_DAYS", 3)
    history = history_of((*JANUARY, 10), (*MARCH, -4), (*MAY, 5))
    settled_days = [(*JANUARY, 6), (*MAY, 5), ("2026-06-10", "2026-06-10", 1)]
    assert entries_of(add(history, "2026-06-10", "2026-06-10", 1)) == settled_days
    owing = history_of((*JANUARY, -10), (*MARCH, -4), (*MAY, 5))
    assert entries_of(add(owing, "2026-06-10", "2026-06-10", 1)) == [("2026-06-10", "2026-06-10", -8)]


# What always holds

DAY = date(2024, 1, 1)
days = st.integers(0, 900).map(lambda number: DAY + timedelta(days=number))
gains = st.lists(st.tuples(days, st.integers(0, 500), st.integers(1, 300)), max_size=12)  # counted, late by, points
changes = st.lists(st.tuples(days, st.integers(0, 500), st.integers(-300, 300)), max_size=12)
Change = tuple[date, int, int]


def grown(changes: list[Change], history: TierHistory = NO_TIERS) -> TierHistory:
    for counted, late, points in changes:
        history = add_earned(history, counted, counted + timedelta(days=late), points)
    return history


@given(changes)
def test_no_point_is_lost(made: list[Change]) -> None:
    history = grown(made)
    total = sum(points for _, _, points in made)
    assert points_of(history.earned) == total
    assert 0 not in {entry.points for entry in history.earned}
    places = [(entry.counted, entry.judged) for entry in history.earned]
    assert places == sorted(set(places))
    left, owed = settled(history.earned)
    assert points_of(left) - owed == total
    assert all(entry.points > 0 for entry in left)
    assert not (left and owed)


@given(gains, st.randoms())
def test_the_order_of_additions_does_not_matter(made: list[Change], random: object) -> None:
    mixed = list(made)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert grown(mixed) == grown(made)


@given(gains, days, st.integers(1, 300), st.integers(0, 900))
def test_what_is_taken_back_at_once_was_never_added(made: list[Change], day: date, points: int, late: int) -> None:
    """Known last, and taken back later: the history is the one before."""
    history = grown(made)
    judged = max([entry.judged for entry in history.earned], default=DAY)
    added = add_earned(history, day, judged, points)
    assert add_earned(added, day, judged + timedelta(days=late), -points) == history


@given(gains, st.integers(1, 6))
def test_joined_days_never_show_more_and_calendar_years_show_the_same(made: list[Change], bound: int) -> None:
    whole = grown(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "TIER_DAYS", bound + 4)  # more than there are years
        joined = grown(made)
    assert len(joined.earned) <= bound + 4
    sums, found = (
        {year: points_of(of) for year, of in years_of(history.earned).items()} for history in (whole, joined)
    )
    assert found == sums
    first = DAY.toordinal()
    last = first + 2_000
    for months in (1, 12):
        showing, shown = window_of(joined.earned, months, last), window_of(whole.earned, months, last)
        assert all(showing.on(day) <= shown.on(day) for day in range(first, last))


def year_sums(history: TierHistory) -> dict[int, int]:
    return {year: points_of(entries) for year, entries in years_of(history.earned).items()}


@given(gains, days, st.integers(0, 900), st.sampled_from([1, 5, 12, 25]))
def test_a_window_shows_what_was_known_and_has_not_left(made: list[Change], day: date, ahead: int, months: int) -> None:
    """Day by day against the definition, with the months counted in another way."""
    today = max([counted + timedelta(days=late) for counted, late, _ in made], default=DAY)
    earned = grown(made).earned
    window, at = window_of(earned, months, today.toordinal()), day + timedelta(days=ahead)
    known = [entry for entry in earned if entry.judged <= at and not has_left(entry, months, at)]
    before = [entry for entry in earned if entry.judged < at and not has_left(entry, months, at)]
    assert window.on(at.toordinal()) == sum(entry.points for entry in known)
    assert window.into(at.toordinal()) == sum(entry.points for entry in before)


def has_left(entry: Earned, months: int, at: date) -> bool:
    """Months passed, and the day of the month too; a month that has no such day ends with its last."""
    passed = (at.year - entry.counted.year) * 12 + at.month - entry.counted.month
    return passed > months or (passed == months and at.day > entry.counted.day)
