"""Tiers: which level a customer holds, and the level that the points call for at a moment (semantics.md §6).

In: what was earned when, the tiers of the program, a moment. Out: the level as a pure function of these, since when,
until when, and what is missing to keep it. A reversal changes what was earned, and so gives the level that would be
held had its points never been earned. Levels set by hand are not judged here. Never asks for "now".
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from troth.core.calendar import add_months, local_day, start_of_day
from troth.core.program import Level, Tiers
from troth.core.state import CustomerState, TierHistory
from troth.core.tier_history import (
    FOREVER,
    Window,
    Years,
    end_of_next,
    held_by_years,
    points_of,
    settled,
    window_of,
    years_of,
)
from troth.core.tier_history import add_earned as add_earned  # whoever judges by a history also adds to it

PERIOD_MONTHS = 12  # of a level under a rolling window that is reviewed at the end of its period
_NEVER_REACHED = 1 << 63  # points


class Standing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the points call for at a moment."""

    level: Level | None  # None: below the first
    since: datetime | None = None  # first instant of the local day on which this level, or a higher one, began to be
    # held without a break; None: from the start, or without a level, or not known (lifetime)
    review_at: datetime | None = None  # first instant at which the level falls if nothing else happens; None: never
    points: int = 0  # that count now: all, in the window, or in this year
    needed: int = 0  # points still to be earned before `review_at` to keep the level then

    @property
    def kept_until(self) -> datetime | None:
        """The level is safe before this moment; None: for ever."""
        return self.review_at


def reached_level(tiers: Tiers, qualifying: int) -> Level | None:
    """The highest level whose threshold `qualifying` points meet; None below the first."""
    reached = None
    for level in tiers.levels:
        if level.threshold > qualifying:
            break
        reached = level
    return reached


def held_level(tiers: Tiers | None, state: CustomerState) -> Level | None:
    """The level the customer holds: the recorded one, else the one that asks for no points, if there is one."""
    if tiers is None:
        return None
    for level in tiers.levels:
        if level.id == state.tier:
            return level
    return reached_level(tiers, 0)


def basis_of(tiers: Tiers | None, zone_name: str) -> str:
    """What a history has to be kept for: `points rolling 12 Europe/Budapest`. "": nothing is kept."""
    if tiers is None or tiers.window == "lifetime":
        return ""
    window = f"rolling {tiers.months}" if tiers.window == "rolling" else tiers.window
    return f"{tiers.wallet} {window} {zone_name}"


def standing(tiers: Tiers, history: TierHistory, qualifying: int, *, now: datetime, zone: ZoneInfo) -> Standing:
    """The level that was earned, at `now`. `qualifying`: all points of the wallet that count for tiers.

    Fewer than no points count as none: a level that asks for nothing is never lost.
    """
    if tiers.window == "lifetime":
        points = max(qualifying, 0)
        return Standing(level=reached_level(tiers, points), points=points)
    today = local_day(now, zone).toordinal()
    earned, _ = settled(history.earned)
    if tiers.window == "calendar_year":
        return _standing(_held_by_years(tiers, years_of(earned), today), zone)
    window = window_of(earned, tiers.months, today)
    hold = _held_by_periods if tiers.downgrade == "at_period_end" else _held_by_window
    return _standing(hold(tiers, window, today), zone)


class _Held(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A standing in days."""

    level: Level | None
    points: int  # that count today
    begun: int = 0  # the day the level began to be held; 0: from the start
    until: int = FOREVER  # the last day it is held if nothing else happens
    left: int = 0  # points that count on the day after


def _standing(held: _Held, zone: ZoneInfo) -> Standing:
    falls = held.level is not None and held.until < FOREVER
    return Standing(
        level=held.level,
        since=start_of_day(date.fromordinal(held.begun), zone) if held.begun else None,
        review_at=start_of_day(date.fromordinal(held.until + 1), zone) if falls else None,
        points=held.points,
        needed=held.level.threshold - held.left if held.level is not None and falls else 0,
    )


def _grace(tiers: Tiers) -> int:
    """Days that a level is held beyond what its points say."""
    return FOREVER if tiers.downgrade == "never" else tiers.grace_days


def _held_by_window(tiers: Tiers, window: Window, today: int) -> _Held:
    """The most that the window shows now, or showed within the grace days, or, if time takes nothing, ever."""
    grace_days, points = _grace(tiers), window.on(today)
    level = reached_level(tiers, window.most(today - grace_days, today))
    if level is None or level.threshold <= 0:
        return _Held(level=level, points=points)
    begun, until = window.held(level.threshold, grace_days)
    return _Held(level=level, points=points, begun=begun, until=until, left=window.into(until + 1))


def _held_by_years(tiers: Tiers, years: Years, today: int) -> _Held:
    """A year's level is held to the end of the next year and through its grace, or, if time takes nothing, for ever."""
    grace_days, this_year = _grace(tiers), date.fromordinal(today).year
    sums = {year: points_of(entries) for year, entries in years.items()}
    points = sums.get(this_year, 0)
    holding = [sums[year] for year in sums if end_of_next(year) + grace_days >= today]
    level = reached_level(tiers, max(holding, default=0))
    if level is None or level.threshold <= 0:
        return _Held(level=level, points=points)
    begun, until = held_by_years(years, level.threshold, grace_days, today)
    if until >= FOREVER:
        return _Held(level=level, points=points, begun=begun)
    reviewed = max(date.fromordinal(until - grace_days).year, this_year)  # in grace, points count in the new year
    return _Held(level=level, points=points, begun=begun, until=until, left=sums.get(reviewed, 0))


def _held_by_periods(tiers: Tiers, window: Window, today: int) -> _Held:
    """What was reached is held to the end of a period and through its grace; then the window is looked at again."""
    course = _Course(tiers, window)
    due, higher = course.due, course.higher
    for place, points in zip(window.places, window.points, strict=True):
        if place < due and points < higher:
            continue
        if place > 2 * today + 1:
            break
        course.review_to(place >> 1)
        if place & 1:  # what leaves in one night leaves together: the rest before it is no upgrade
            course.rise(place >> 1, points)
        due, higher = course.due, course.higher
    course.review_to(today)
    points = window.on(today)
    if course.count == course.floor:
        return _Held(level=reached_level(tiers, 0), points=points)
    falls, held = course.fall(), course.count - 1
    begun, left = course.begun[held], window.into(falls)
    return _Held(level=tiers.levels[held], points=points, begun=begun, until=falls - 1, left=left)


class _Course:
    """The levels of a customer, period by period. Days must come in order."""

    def __init__(self, tiers: Tiers, window: Window) -> None:
        self.thresholds = [level.threshold for level in tiers.levels]
        self.grace_days = tiers.grace_days
        self.window = window
        self.begun = [0] * len(self.thresholds)  # when each level began
        self.floor = self._count_of(0)  # so many levels are never lost
        self._hold(self.floor, FOREVER)

    def rise(self, day: int, points: int) -> None:
        """An upgrade, if the points call for one; it starts a new period."""
        reached = self._count_of(points)
        if reached > self.count:
            self.begun[self.count : reached] = [day] * (reached - self.count)
            self._hold(reached, self._review_after(day))

    def review_to(self, day: int) -> None:
        """Every review up to the first instant of a day. Each starts a new period, whatever it finds."""
        while self.review <= day:
            left = self._count_of(self.window.into(self.review))
            self._hold(left, self._review_after(self.review) if left > self.floor else FOREVER)

    def fall(self) -> int:
        """The first review that takes the level away if nothing more is earned. In: a level above the floor."""
        found = self.review
        while self._count_of(self.window.into(found)) >= self.count:
            found = self._review_after(found)
        return found

    def _hold(self, count: int, review: int) -> None:
        self.count = count  # levels held
        self.higher = self.thresholds[count] if count < len(self.thresholds) else _NEVER_REACHED  # the next level's
        self.review = review  # the first day after period and grace
        self.due = 2 * review  # its place in the window

    def _count_of(self, points: int) -> int:
        return bisect_right(self.thresholds, points)

    def _review_after(self, day: int) -> int:
        """A period that starts on a day ends with the same day of the twelfth month after it."""
        return add_months(date.fromordinal(day), PERIOD_MONTHS).toordinal() + self.grace_days + 1
