"""What qualifying points were earned when: the record of a customer's days, and what windows of time show of it.

In: days that points count at, days on which they were known, points. Out: the record with them, and how many points a
window shows from which day on. Days are ordinals (`date.toordinal`) wherever they are only counted. Must never: lose a
point, or let a window show more than was earned.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from itertools import accumulate, groupby, pairwise

import msgspec

from troth import limits
from troth.core.calendar import add_months
from troth.core.state import Earned, TierHistory

# The record


def add_earned(history: TierHistory, counted: date, judged: date, points: int) -> TierHistory:
    """The history with points that count at one day and are known since another.

    Points taken back (negative) come out of what was earned on that day: first what was known on that other day, then
    the last known. What that day does not hold stays as a negative entry, so that the sum of all entries is the sum of
    all that was ever added.
    """
    earned = list(history.earned)
    if points < 0:
        points = -_take(earned, counted, _take_exactly(earned, (counted, judged), -points))
    _add(earned, Earned(counted, judged, points))
    kept = earned if len(earned) <= limits.TIER_DAYS else _join_oldest(earned)
    return msgspec.structs.replace(history, earned=tuple(kept))


def _place(entry: Earned) -> tuple[date, date]:
    return (entry.counted, entry.judged)


def _add(earned: list[Earned], new: Earned) -> None:
    """Into the entry of the same days, in order; entries of no points are not kept."""
    at = bisect_left(earned, _place(new), key=_place)
    if at < len(earned) and _place(earned[at]) == _place(new):
        new = msgspec.structs.replace(new, points=earned.pop(at).points + new.points)
    if new.points:
        earned.insert(at, new)


def _take_exactly(earned: list[Earned], place: tuple[date, date], points: int) -> int:
    """Take points out of the entry of these two days. Out: how many are still to be taken."""
    at = bisect_left(earned, place, key=_place)
    if at == len(earned) or _place(earned[at]) != place or earned[at].points <= 0:
        return points
    return points - _take_at(earned, at, points)


def _take_at(earned: list[Earned], at: int, points: int) -> int:
    """Take what an entry holds, at most so many points. Out: how many."""
    entry = earned[at]
    taken = min(entry.points, points)
    if taken == entry.points:
        del earned[at]
    else:
        earned[at] = msgspec.structs.replace(entry, points=entry.points - taken)
    return taken


def _take(earned: list[Earned], counted: date, points: int) -> int:
    """Take points out of the entries of one day. Out: how many are still to be taken."""
    at = bisect_right(earned, counted, key=lambda entry: entry.counted)
    while points and at and earned[at - 1].counted == counted:
        at -= 1
        points -= _take_at(earned, at, points)  # more, when the day owes points already: these are owed together
    return points


def _join_oldest(earned: Sequence[Earned]) -> Sequence[Earned]:
    """One entry less: of the two oldest days of one calendar year one is made, once what was taken back is settled.

    It counts at the earlier day and is known since the later one: the joined points enter a rolling window with the
    last of them and leave it with the first, so that no window ever shows more than was earned. Calendar years show
    the same as before, which is why days of two years are never joined.
    """
    found, owed = settled(earned)
    if owed:
        return [msgspec.structs.replace(earned[-1], points=-owed)]
    if len(found) <= limits.TIER_DAYS:
        return found
    for at, (one, other) in enumerate(pairwise(found)):
        if one.counted.year == other.counted.year:
            joined = Earned(one.counted, max(one.judged, other.judged), one.points + other.points)
            return [*found[:at], joined, *found[at + 2 :]]
    raise AssertionError("there are fewer years than entries")


def settled(earned: Sequence[Earned]) -> tuple[Sequence[Earned], int]:
    """The entries as if points that were taken back had never been earned, and how many more than all were taken.

    What a day does not hold itself is taken from the days before it, the latest first, and then from those after it.
    """
    for entry in earned:
        if entry.points < 0:
            break
    else:
        return earned, 0
    left: list[Earned] = []
    owed = 0
    for entry in sorted(earned, key=lambda entry: (entry.counted, entry.points < 0, entry.judged)):
        if entry.points > 0:
            left.append(entry)
        else:
            owed -= entry.points
        while owed and left:
            last = left.pop()
            taken = min(last.points, owed)
            owed -= taken
            if taken < last.points:
                left.append(msgspec.structs.replace(last, points=last.points - taken))
    return left, owed


# A rolling window

FOREVER = date.max.toordinal()
_DAYS_KEPT = 10_000  # whose ends are remembered


class Window(msgspec.Struct, frozen=True, gc=False):
    """How many points a rolling window shows, change by change, in order; also after today, when points only leave.

    The night before a day is the place 2 × day, the day itself 2 × day + 1: what leaves has left before what comes.
    """

    places: list[int]
    points: list[int]  # shown from that place on

    def on(self, day: int) -> int:
        """What it shows on a day, once the day's own points are known."""
        return self._at(2 * day + 1)

    def into(self, day: int) -> int:
        """What it shows at the first instant of a day."""
        return self._at(2 * day)

    def _at(self, place: int) -> int:
        at = bisect_right(self.places, place)
        return self.points[at - 1] if at else 0

    def most(self, first: int, last: int) -> int:
        """The most it shows from one day to another."""
        begin, end = bisect_right(self.places, 2 * first + 1), bisect_right(self.places, 2 * last + 1)
        return max(self.points[max(begin - 1, 0) : end], default=0)

    def held(self, threshold: int, grace_days: int) -> tuple[int, int]:
        """First and last day of the latest time that it showed so many points, bridged and followed by grace days.

        In: a threshold above zero that it has met.
        """
        begun = until = 0
        is_met = False
        for place, points in zip(self.places, self.points, strict=True):
            if (points >= threshold) == is_met:
                continue
            day = place >> 1
            if is_met:
                until = day - 1 + grace_days
            elif day > until:
                begun = day
            is_met = not is_met
        return begun, until


def window_of(earned: Sequence[Earned], months: int, today: int) -> Window:
    """The points of the last `months` months. In: entries above zero.

    They are shown from the day they were known (semantics-answers.md 36) to the end of the day so many months after the
    day they count at. Whatever is in the history is known today.
    """
    ends_of = _ends(months)
    coming: list[tuple[int, int]] = []
    leaving: list[tuple[int, int]] = []
    for entry in earned:
        begins = entry.judged.toordinal()
        if begins > today:
            begins = today
        ends, points = ends_of[entry.counted], entry.points
        if begins < ends:
            coming.append((2 * begins + 1, points))
            leaving.append((2 * ends, -points))
    changes = sorted(coming + leaving)
    return Window([place for place, _ in changes], list(accumulate([change for _, change in changes])))


class _Ends(dict[date, int]):
    """The first day on which points no longer show, by the day they count at; kept, as most customers share their days.

    A dictionary, since a call takes several times as long, and there is one for every entry.
    """

    def __init__(self, months: int) -> None:
        super().__init__()
        self.months = months

    def __missing__(self, counted: date) -> int:
        if len(self) >= _DAYS_KEPT:
            self.clear()
        self[counted] = add_months(counted, self.months).toordinal() + 1
        return self[counted]


@lru_cache(maxsize=20)
def _ends(months: int) -> _Ends:
    return _Ends(months)


# Calendar years

Years = dict[int, list[Earned]]


def years_of(earned: Sequence[Earned]) -> Years:
    """The entries by the year they count in, in order."""
    return {year: list(entries) for year, entries in groupby(earned, key=lambda entry: entry.counted.year)}


def points_of(entries: Iterable[Earned]) -> int:
    return sum([entry.points for entry in entries])


def end_of_next(year: int) -> int:
    """The last day that a level reached in this year is held without grace."""
    return date(year + 1, 12, 31).toordinal()


def held_by_years(years: Years, threshold: int, grace_days: int, today: int) -> tuple[int, int]:
    """First and last day of the latest time that so many points of one year held a level without a break.

    Each year holds from the day on which enough of its points were known. In: entries above zero.
    """
    times = []
    for year, entries in years.items():
        if points_of(entries) >= threshold:
            known = min(_day_of(entries, threshold), today)
            times.append((known, end_of_next(year) + grace_days))
    begun = until = 0
    for first, last in sorted(times):
        if first > until:
            begun = first
        until = max(until, last)
    return begun, until


def _day_of(entries: Iterable[Earned], threshold: int) -> int:
    """The day on which so many points of a year were known."""
    known = 0
    for entry in sorted(entries, key=lambda entry: entry.judged):
        known += entry.points
        if known >= threshold:
            return entry.judged.toordinal()
    raise AssertionError(f"the year has {known} points, not {threshold}")
