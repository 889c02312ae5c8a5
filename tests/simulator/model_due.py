"""What falls due for a customer by itself: the earliest thing first.

In: the books as of a moment that has come. Out: the next due thing, or None. Ties of one moment: release, decision of
an order, reservation time-out, expiry, tier review, calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.simulator.days import end_of_day, first_instant, local_day, same_day_in
from tests.simulator.model_books import Books, Lot
from tests.simulator.model_facts import ModelOrder
from tests.simulator.model_orders import release_at
from tests.simulator.model_tiers import reviews_between, tier_at

RELEASE, DECISION, TIMEOUT, EXPIRY, REVIEW, CALENDAR = range(6)


@dataclass(frozen=True, kw_only=True)
class DueThing:
    at: datetime
    kind: int
    name: str = ""  # wallet, order, reservation, or event type
    years: int = 0


def next_due(books: Books, now: datetime) -> DueThing | None:
    """The earliest thing that is due (≤ now)."""
    found = [due for find in _FINDERS for due in find(books, now) if due.at <= now]
    return min(found, key=lambda due: (due.at, due.kind), default=None)


def _releases(books: Books, _: datetime) -> Iterator[DueThing]:
    for lot in books.customer.lots:
        at = release_at(books, lot)
        if at is not None:
            yield DueThing(at=at, kind=RELEASE, name=lot.wallet)


def _decisions(books: Books, _: datetime) -> Iterator[DueThing]:
    for order in books.customer.orders.values():
        if order.decides_at is not None:
            yield DueThing(at=order.decides_at, kind=DECISION, name=order.id)


def _timeouts(books: Books, _: datetime) -> Iterator[DueThing]:
    for reference, taken in books.customer.reservations.items():
        if taken.status == "open" and taken.due_at is not None:
            yield DueThing(at=taken.due_at, kind=TIMEOUT, name=reference)


def _expiries(books: Books, _: datetime) -> Iterator[DueThing]:
    for lot in books.customer.lots:
        end = books.end_of(lot) if lot.remaining else None
        if end is not None:
            yield DueThing(at=end, kind=EXPIRY, name=lot.wallet)


def _reviews(books: Books, now: datetime) -> Iterator[DueThing]:
    """Only those that change the level are events."""
    after = books.customer.tier_checked or books.customer.created_at
    for at in reviews_between(books, after, now):
        if tier_at(books, at) != books.customer.tier:
            yield DueThing(at=at, kind=REVIEW)
            return


def _birthdays(books: Books, now: datetime) -> Iterator[DueThing]:
    customer = books.customer
    if customer.birth is None or customer.birth_known_at is None:
        return
    for year in range(customer.birth_known_at.year, now.year + 2):
        if year in customer.birthdays or year < customer.birth.year:
            continue
        at = first_instant(books.program.zone, same_day_in(year, customer.birth))
        if at > max(customer.created_at, customer.birth_known_at):
            yield DueThing(at=at, kind=CALENDAR, name="birthday", years=year)


def _anniversaries(books: Books, now: datetime) -> Iterator[DueThing]:
    customer = books.customer
    if customer.joined is None or customer.joined_known_at is None:
        return
    for year in range(max(customer.joined.year + 1, customer.joined_known_at.year), now.year + 2):
        at = first_instant(books.program.zone, same_day_in(year, customer.joined))
        if at > max(customer.created_at, customer.joined_known_at) and year not in customer.anniversaries:
            yield DueThing(at=at, kind=CALENDAR, name="anniversary", years=year)


def _silence(books: Books, _: datetime) -> Iterator[DueThing]:
    customer, days = books.customer, books.program.settings.get("inactivity_days")
    if days is None or customer.last_activity is None:
        return
    zone = books.program.zone
    if customer.silence_told is not None and customer.silence_told == local_day(zone, customer.last_activity):
        return
    at = end_of_day(zone, local_day(zone, customer.last_activity) + timedelta(days=int(str(days))))
    if at > customer.created_at:
        yield DueThing(at=at, kind=CALENDAR, name="inactivity", years=int(str(days)))


_FINDERS: tuple[Callable[[Books, datetime], Iterator[DueThing]], ...] = (
    _releases,
    _decisions,
    _timeouts,
    _expiries,
    _reviews,
    _birthdays,
    _anniversaries,
    _silence,
)


def lots_to_release(books: Books, due: DueThing) -> list[Lot]:
    """All of the wallet and the instant: they are one event."""
    lots = (lot for lot in books.customer.lots if lot.wallet == due.name and release_at(books, lot) == due.at)
    return books.in_consumption_order(lots)


def lots_to_expire(books: Books, due: DueThing) -> list[Lot]:
    return [lot for lot in books.open_lots(due.name) if books.end_of(lot) == due.at]


def order_of(books: Books, due: DueThing) -> ModelOrder:
    return books.customer.orders[due.name]
