"""What always holds of standings: they are what a plain day-by-day reading of the rules says, whatever was earned.

The model below knows no ordinals, places or runs: it looks at every day, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.standings import AT_ONCE, BEST, BEST_YEAR, BRONZE, BUDAPEST, NEW_YORK, PERIODS, YEARS, varied
from troth.core.calendar import add_months, local_day, start_of_day
from troth.core.program import Tiers
from troth.core.state import NO_TIERS, Earned, TierHistory
from troth.core.tiers import Standing, add_earned, standing

FIRST, SPAN = date(2023, 12, 1), 600  # days on which points are earned; 29 February and two year ends among them
ONE = timedelta(days=1)

entries = st.lists(
    st.builds(
        lambda day, late, points: Earned(FIRST + timedelta(days=day), FIRST + timedelta(days=day + late), points),
        st.integers(0, SPAN),
        st.one_of(st.just(0), st.integers(0, 250)),
        st.one_of(st.integers(1, 300), st.sampled_from([100, 400, 500])),
    ),
    max_size=8,
)
later = st.integers(0, 500)  # days after everything is known
zones = st.sampled_from([BUDAPEST, NEW_YORK])
falling = st.one_of(
    st.builds(varied, st.sampled_from([AT_ONCE, PERIODS]), st.sampled_from([1, 5, 12]), st.sampled_from([0, 1, 40])),
    st.builds(varied, st.just(YEARS), st.just(12), st.sampled_from([0, 40, 400])),
)
policies = st.one_of(falling, st.builds(varied, st.sampled_from([BEST, BEST_YEAR]), st.sampled_from([5, 12])))


def kept(earned: Sequence[Earned]) -> TierHistory:
    history = NO_TIERS
    for entry in sorted(earned, key=lambda entry: entry.judged):
        history = add_earned(history, entry.counted, entry.judged, entry.points)
    return history


def last_known(earned: Sequence[Earned]) -> date:
    return max([entry.judged for entry in earned], default=FIRST)


def stands(tiers: Tiers, earned: Sequence[Earned], day: date, zone: ZoneInfo = BUDAPEST) -> Standing:
    """At the first instant of a day."""
    return standing(tiers, kept(earned), 0, now=start_of_day(day, zone), zone=zone)


def rank(tiers: Tiers, found: Standing) -> int:
    return -1 if found.level is None else tiers.levels.index(found.level)


# The model


def shown(tiers: Tiers, earned: Sequence[Earned], day: date) -> int:
    """What a rolling window shows at the end of a day."""
    known = [entry for entry in earned if entry.judged <= day]
    return sum(entry.points for entry in known if day <= add_months(entry.counted, tiers.months))


def reached(tiers: Tiers, points: int) -> int:
    return max([-1, *[place for place, level in enumerate(tiers.levels) if level.threshold <= points]])


def modelled(tiers: Tiers, earned: Sequence[Earned], today: date) -> int:
    """The rank that is held at the end of a day."""
    if tiers.window == "calendar_year":
        return max([-1, *[reached(tiers, points) for points in holding_years(tiers, earned, today)]])
    days = [FIRST + timedelta(days=day) for day in range((today - FIRST).days + 1)]
    if tiers.downgrade == "at_period_end":
        return by_periods(tiers, earned, days)
    if tiers.downgrade == "immediately":
        days = days[-1 - tiers.grace_days :]
    return max(reached(tiers, shown(tiers, earned, day)) for day in days)


def holding_years(tiers: Tiers, earned: Sequence[Earned], today: date) -> list[int]:
    sums: dict[int, int] = {}
    for entry in earned:
        sums[entry.counted.year] = sums.get(entry.counted.year, 0) + entry.points
    if tiers.downgrade == "never":
        return list(sums.values())
    grace = timedelta(days=tiers.grace_days)
    return [points for year, points in sums.items() if today <= date(year + 1, 12, 31) + grace]


def by_periods(tiers: Tiers, earned: Sequence[Earned], days: Sequence[date]) -> int:
    held, review = -1, None
    for day in days:
        if day == review:
            held = reached(tiers, shown(tiers, [entry for entry in earned if entry.judged < day], day))
            review = review_of(tiers, day)
        risen = reached(tiers, shown(tiers, earned, day))
        if risen > held:
            held, review = risen, review_of(tiers, day)
    return held


def review_of(tiers: Tiers, begun: date) -> date:
    """The first day after period and grace."""
    return add_months(begun, 12) + timedelta(days=1 + tiers.grace_days)


# What holds


@settings(max_examples=150, deadline=None)
@given(policies, entries, later)
def test_the_level_is_what_the_model_says(tiers: Tiers, earned: list[Earned], ahead: int) -> None:
    today = last_known(earned) + timedelta(days=ahead)
    now = start_of_day(today, BUDAPEST) + timedelta(hours=20)
    assert rank(tiers, standing(tiers, kept(earned), 0, now=now, zone=BUDAPEST)) == modelled(tiers, earned, today)


@settings(max_examples=50, deadline=None)
@given(falling, entries, later, zones)
def test_the_level_holds_to_the_instant_before_its_review(
    tiers: Tiers, earned: list[Earned], ahead: int, zone: ZoneInfo
) -> None:
    """Day by day, nothing happens before, and at the review it falls; so on to the last level."""
    history, day = kept(earned), last_known(earned) + timedelta(days=ahead)
    found = standing(tiers, history, 0, now=start_of_day(day, zone), zone=zone)
    while found.level is not None:
        assert found.review_at is not None
        day += ONE
        now = start_of_day(day, zone)
        next_one = standing(tiers, history, 0, now=now, zone=zone)
        if now < found.review_at:
            assert next_one == found_again(found, next_one)
            continue
        assert now == found.review_at
        before = standing(tiers, history, 0, now=now - timedelta(microseconds=1), zone=zone)
        assert (before.level, before.since) == (found.level, found.since)
        assert rank(tiers, next_one) < rank(tiers, found)
        found = next_one
    assert found.review_at is None
    assert all(stands(tiers, earned, day + timedelta(days=more), zone).level is None for more in (1, 400, 4_000))


def found_again(found: Standing, later: Standing) -> Standing:
    """The same level since the same time until the same time; what counts for it may have become less."""
    return Standing(
        level=found.level, since=found.since, review_at=found.review_at, points=later.points, needed=later.needed
    )


@example(varied(PERIODS, 12, 0), [Earned(FIRST, FIRST, 401)], 0, False)  # with 99 more it is gold before the review
@given(falling, entries, later, st.booleans())
def test_what_is_needed_keeps_the_level_and_one_point_less_does_not(
    tiers: Tiers, earned: list[Earned], ahead: int, enough: bool
) -> None:
    """Earned on the last day before the review, or, of a calendar year, before the year ends.

    One point less may still reach a higher level on that day, beside what counts until then.
    """
    found = stands(tiers, earned, last_known(earned) + timedelta(days=ahead))
    if found.level is None or found.review_at is None or found.needed + enough == 1:
        return
    last = local_day(found.review_at, BUDAPEST) - ONE
    if tiers.window == "calendar_year":
        last = max(last - timedelta(days=tiers.grace_days), last_known(earned) + timedelta(days=ahead))
    more = [*earned, Earned(last, last, found.needed - 1 + enough)]
    if not enough and rank(tiers, stands(tiers, more, last)) > rank(tiers, found):
        return
    assert (rank(tiers, standing_at(tiers, more, found.review_at)) >= rank(tiers, found)) == enough


def standing_at(tiers: Tiers, earned: Sequence[Earned], now: datetime) -> Standing:
    return standing(tiers, kept(earned), 0, now=now, zone=BUDAPEST)


@settings(max_examples=40, deadline=None)
@given(policies, entries, later)
def test_since_is_the_last_time_the_level_began(tiers: Tiers, earned: list[Earned], ahead: int) -> None:
    """Going back day by day, each with what was known then."""
    day = last_known(earned) + timedelta(days=ahead)
    evening = start_of_day(day + ONE, BUDAPEST) - timedelta(seconds=1)
    found = standing(tiers, kept(earned), 0, now=evening, zone=BUDAPEST)
    if found.level is None:
        assert found.since is None
        return
    for back in count():
        then = day - timedelta(days=back)
        morning = stands(tiers, [entry for entry in earned if entry.judged < then], then)
        if rank(tiers, morning) < rank(tiers, found):
            assert found.since == start_of_day(then, BUDAPEST)
            return


@given(policies, entries, later, st.integers(-400, 0), st.integers(1, 600))
def test_who_earns_never_falls(tiers: Tiers, earned: list[Earned], ahead: int, counted: int, points: int) -> None:
    """Whenever the points count."""
    today = last_known(earned) + timedelta(days=ahead)
    more = [*earned, Earned(today + timedelta(days=counted), today, points)]
    assert rank(tiers, stands(tiers, more, today)) >= rank(tiers, stands(tiers, earned, today))


@given(policies, entries, st.integers(0, SPAN), st.integers(1, 600), later)
def test_who_had_earned_more_holds_no_less(
    tiers: Tiers, earned: list[Earned], day: int, points: int, ahead: int
) -> None:
    """Except where periods start by what was earned: who rises sooner is reviewed sooner."""
    if tiers.window == "rolling" and tiers.downgrade == "at_period_end":
        return
    then = FIRST + timedelta(days=day)
    more = [*earned, Earned(then, then, points)]
    today = last_known(more) + timedelta(days=ahead)
    assert rank(tiers, stands(tiers, more, today)) >= rank(tiers, stands(tiers, earned, today))


@given(policies, entries, st.integers(0, SPAN), st.integers(1, 600), later)
def test_points_taken_back_were_never_earned(
    tiers: Tiers, earned: list[Earned], day: int, points: int, ahead: int
) -> None:
    """Taken from their own day, or, when that has been joined or emptied, from none: the standing is the same."""
    counted = FIRST + timedelta(days=day)
    judged = max(last_known(earned), counted)
    today = judged + timedelta(days=ahead)
    without = kept(earned)
    back = add_earned(add_earned(without, counted, judged, points), counted, today, -points)
    now = start_of_day(today, BUDAPEST)
    assert standing(tiers, back, 0, now=now, zone=BUDAPEST) == standing(tiers, without, 0, now=now, zone=BUDAPEST)


@given(policies, entries, st.randoms(), later)
def test_the_order_of_arrival_does_not_matter(tiers: Tiers, earned: list[Earned], random: object, ahead: int) -> None:
    mixed = list(earned)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    history = NO_TIERS
    for entry in mixed:
        history = add_earned(history, entry.counted, entry.judged, entry.points)
    now = start_of_day(last_known(earned) + timedelta(days=ahead), BUDAPEST)
    sorted_one = standing(tiers, kept(earned), 0, now=now, zone=BUDAPEST)
    assert standing(tiers, history, 0, now=now, zone=BUDAPEST) == sorted_one


@given(policies, entries, st.integers(0, SPAN), st.integers(1, 900), later)
def test_a_level_that_asks_for_nothing_is_under_everything(
    tiers: Tiers, earned: list[Earned], day: int, taken: int, ahead: int
) -> None:
    """Also for those who owe points: the levels above it are the same with and without it."""
    history = add_earned(kept(earned), FIRST + timedelta(days=day), last_known(earned), -taken)
    with_bronze = replace(tiers, levels=(BRONZE, *tiers.levels))
    now = start_of_day(last_known(earned) + timedelta(days=ahead), BUDAPEST)
    found = standing(tiers, history, 0, now=now, zone=BUDAPEST)
    above = standing(with_bronze, history, 0, now=now, zone=BUDAPEST)
    assert above.level == (found.level or BRONZE)
    assert (above.since, above.review_at, above.needed) == (found.since, found.review_at, found.needed)
