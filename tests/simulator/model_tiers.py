"""Which level a customer holds at a moment: told anew each time, from the first point to the last.

In: qualifying points with the moment they count at and the moment they were known; what was taken back is not among
them. So a level is always what it would be had those points never been earned.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from tests.simulator.days import add_months, end_of_day, local_day
from tests.simulator.model_books import Books, Earned
from tests.simulator.model_program import ModelProgram

PERIOD_MONTHS = 12
_REVIEW = 1  # between BEFORE and AFTER


class Policy(NamedTuple):
    window: str
    months: int
    downgrade: str
    grace: timedelta


def policy_of(program: ModelProgram) -> Policy:
    tiers = program.section("tiers")
    basis = tiers.get("basis") or {}
    assert isinstance(basis, Mapping)
    return Policy(
        window=str(basis.get("window", "lifetime")),
        months=int(str(basis.get("months", 12))),
        downgrade=str(tiers.get("downgrade", "never")),
        grace=timedelta(days=int(str(tiers.get("grace_days", 0)))),
    )


def tier_at(books: Books, at: datetime) -> str | None:
    """The level at a moment that has come: the one set by hand while that lasts."""
    customer = books.customer
    if customer.manual is not None and (customer.manual_until is None or at < customer.manual_until):
        return customer.manual
    return Judged(books).at(at)


def reviews_between(books: Books, after: datetime, until: datetime) -> list[datetime]:
    """Moments at which time alone may change the level: later than `after`, not later than `until`."""
    customer = books.customer
    found = set(Judged(books).reviews(until))
    if customer.manual is not None and customer.manual_until is not None:
        found.add(customer.manual_until)
    return sorted(at for at in found if after < at <= until)


class Judged:
    """The level by points."""

    def __init__(self, books: Books) -> None:
        self.program, self.zone, self.policy = books.program, books.program.zone, policy_of(books.program)
        self.qualifying = books.wallet(books.tier_wallet)["qualifying"]
        self.entries = [entry for entry in books.customer.earned if entry.points]
        self.step = books.step  # of the last moment looked at: its reviews come before or after

    def _is_past(self, review: datetime, until: datetime) -> bool:
        return (review, _REVIEW) <= (until, self.step)

    def at(self, at: datetime) -> str | None:
        if not self.program.levels:
            return None
        match self.policy.window:
            case "lifetime":
                return self.program.level_at(self.qualifying)
            case "calendar_year":
                return self._by_year(at)
            case _:
                return self._walk(at)[0]

    def reviews(self, until: datetime) -> list[datetime]:
        match self.policy.window:
            case "lifetime":
                return []
            case "calendar_year":
                first = min((local_day(self.zone, entry.counted_at).year for entry in self.entries), default=9999)
                years = range(first, local_day(self.zone, until).year + 1)
                return [self._after(date(year, 12, 31)) for year in years]
            case _:
                return self._walk(until)[1]

    def _after(self, last: date) -> datetime:
        """The moment of a review: the end of that local day and of the days of grace."""
        return end_of_day(self.zone, last + self.policy.grace)

    # Calendar years

    def _by_year(self, at: datetime) -> str | None:
        """The level reached in a year is held to the end of the next one."""
        sums: dict[int, int] = {}
        for entry in self.entries:
            year = local_day(self.zone, entry.counted_at).year
            sums[year] = sums.get(year, 0) + entry.points
        if self.policy.downgrade == "at_period_end":
            held = {year: self._after(date(year + 1, 12, 31)) for year in sums}
            sums = {year: points for year, points in sums.items() if not self._is_past(held[year], at)}
        return self.program.level_at(max([0, *sums.values()]))

    # Rolling

    def _leaves(self, entry: Earned) -> date:
        """The last day on which it counts."""
        return add_months(local_day(self.zone, entry.counted_at), self.policy.months)

    def _sum(self, at: datetime, step: int) -> int:
        """What is in the window then."""
        return sum(
            entry.points
            for entry in self.entries
            if entry.known <= (at, step) and at < end_of_day(self.zone, self._leaves(entry))
        )

    def _walk(self, until: datetime) -> tuple[str | None, list[datetime]]:
        """The level at `until`, and every review that falls between the first point and then."""
        level = self.program.level_at(0)
        known = sorted({entry.known for entry in self.entries if entry.known_at <= until})
        if self.policy.downgrade == "at_period_end":
            return self._walk_periods(known, until)
        reviews = []
        if self.policy.downgrade == "immediately":
            reviews = sorted({self._after(self._leaves(entry)) for entry in self.entries})
            reviews = [at for at in reviews if self._is_past(at, until)]
        for at, step in sorted([*known, *((at, _REVIEW) for at in reviews)]):
            now = self.program.level_at(self._sum(at, step))
            rises = self.program.rank(now) > self.program.rank(level)
            if rises != (step == _REVIEW):
                level = now
        return level, reviews

    def _walk_periods(self, known: list[tuple[datetime, int]], until: datetime) -> tuple[str | None, list[datetime]]:
        """A level is kept for periods of twelve months from reaching it; then it is reviewed."""
        level, last, reviews = self.program.level_at(0), date.max, list[datetime]()
        while known or last != date.max:
            review = None if last == date.max else self._after(last)
            if review is not None and self._is_past(review, until) and (not known or (review, _REVIEW) < known[0]):
                reviews.append(review)
                now = self.program.level_at(self._sum(review, _REVIEW))
                started = last
                if self.program.rank(now) < self.program.rank(level):
                    level, started = now, local_day(self.zone, review)
                last = self._period(level, started)
            elif known:
                at, step = known.pop(0)
                now = self.program.level_at(self._sum(at, step))
                if self.program.rank(now) > self.program.rank(level):
                    level, last = now, self._period(now, local_day(self.zone, at))
            else:
                break
        return level, reviews

    def _period(self, level: str | None, started: date) -> date:
        """The last day of the period; the lowest level has none."""
        return date.max if level == self.program.level_at(0) else add_months(started, PERIOD_MONTHS)
