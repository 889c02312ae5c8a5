"""Due work: what falls due for a customer without an event, one step after the other in order of due time.

In: a state in which everything due is loaded. Out: the events that say so, and the state after them. Each step is
judged as at its own moment, so that money never depends on when, or in how many goes, it is applied (semantics.md §1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

import msgspec

from troth import limits
from troth.core.account import About, Account, end_of
from troth.core.actions import Effect, release_reservation
from troth.core.event import Event
from troth.core.ids import neighbour, show_id
from troth.core.judging import Judged, record_event, system_event, tier_event
from troth.core.moments import Occasion, occasions, told
from troth.core.rules import Shelf
from troth.core.state import CustomerState, Lacking, Lot, Reservation
from troth.core.tier_changes import change_of, moved, review_at, with_history

_RELEASE, _ORDER, _RESERVATION, _EXPIRY, _REVIEW, _CALENDAR = range(6)  # ties of due time go in this order
_IDS_BEFORE = 1 << 18  # due events' ids precede the id they are given by so far
_STEP = limits.CAUSED_DEPTH + 1  # ids kept free for what a due event causes


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that falls due. Its place in the order is (moment, rank, name)."""

    moment: datetime
    rank: int
    name: str
    lots: tuple[Lot, ...] = ()
    order: UUID | None = None
    reservation: Reservation | None = None
    occasion: Occasion | None = None

    @property
    def is_review(self) -> bool:
        return self.rank == _REVIEW

    @property
    def place(self) -> tuple[datetime, int, str]:
        return (self.moment, self.rank, self.name)


def apply_due(
    state: CustomerState, now: datetime, shelf: Shelf, before: UUID, *, most: int | None = None
) -> tuple[tuple[Judged, ...], CustomerState]:
    """Everything due at `now`, at most `most` steps. `before` is the id that the new events' ids precede.

    Raises Lacking when what is due is not loaded.
    """
    if state.due_at is None or state.due_at > now:
        return (), state
    if not state.is_whole and (state.due_to is None or state.due_to < now):
        raise Lacking(due=True)
    due: list[Judged] = []
    count = 0
    while True:
        state = with_history(state, shelf.live)
        step = next_step(state, shelf)
        if step is None or step.moment > now or (most is not None and count >= most):
            break
        judged, state = take_step(state, step, shelf, neighbour(before, count * _STEP - _IDS_BEFORE))
        due.extend(judged)
        count += 1
    dates = [step.moment] if step is not None else []
    if state.later is not None:
        dates.append(state.later)
    return tuple(due), msgspec.structs.replace(state, due_at=min(dates, default=None))


def next_step(state: CustomerState, shelf: Shelf) -> Step | None:
    """The first of everything that falls due for this customer, as far as it is loaded."""
    return min(_steps(state, shelf), key=lambda step: step.place, default=None)


def take_step(
    state: CustomerState, step: Step, shelf: Shelf, event_id: UUID
) -> tuple[tuple[Judged, ...], CustomerState]:
    """The events of one step, none for a review that changes nothing; the state after them."""
    if step.rank == _REVIEW:
        return _review(state, step.moment, shelf, event_id)
    event, state, act = _event(state, step, shelf, event_id)
    judged = record_event(state, event, shelf, act)
    return (judged, *judged.caused), judged.after


# What there is


def _steps(state: CustomerState, shelf: Shelf) -> Iterator[Step]:
    yield from _lot_steps(state, shelf)
    for order in state.order_states.values():
        if order.decides_at is not None:
            yield Step(moment=order.decides_at, rank=_ORDER, name=order.id.hex, order=order.id)
    for held in state.reservations.values():
        if held is not None and held.status == "held":
            yield Step(moment=held.due_at, rank=_RESERVATION, name=held.id.hex, reservation=held)
    review = review_at(state, shelf.live)
    if review is not None:
        yield Step(moment=review, rank=_REVIEW, name="")
    for occasion in occasions(state, shelf.live):
        yield Step(moment=occasion.moment, rank=_CALENDAR, name=occasion.type, occasion=occasion)


def _lot_steps(state: CustomerState, shelf: Shelf) -> Iterator[Step]:
    """One release, and one expiry, per wallet and moment."""
    found: dict[tuple[datetime, int, str], list[Lot]] = {}
    for lot in state.lots.values():
        if lot.pending and lot.release_at is not None:
            found.setdefault((lot.release_at, _RELEASE, lot.wallet), []).append(lot)
        if lot.remaining:
            ends = end_of(lot, state.last_activity_at, shelf)
            if ends is not None:
                found.setdefault((ends, _EXPIRY, lot.wallet), []).append(lot)
    for (moment, rank, wallet), lots in found.items():
        lots.sort(key=lambda lot: (lot.earned_at, lot.event_id, lot.n))
        yield Step(moment=moment, rank=rank, name=wallet, lots=tuple(lots))


# What each does


Act = Callable[[Account], Effect]


def _event(state: CustomerState, step: Step, shelf: Shelf, event_id: UUID) -> tuple[Event, CustomerState, Act | None]:
    """The event of a step, the state it is judged from, and what it does by itself."""
    book, at = shelf.live, step.moment

    def event_of(type_id: str, raw: dict[str, object], order_key: UUID | None = None) -> Event:
        return system_event(type_id, raw, book, event_id=event_id, occurred_at=at, order_key=order_key)

    if step.rank == _RELEASE:
        raw = {"wallet": step.name, "points": sum(lot.pending for lot in step.lots)}
        return event_of("points_released", raw), state, lambda account: _release(account, step)
    if step.rank == _EXPIRY:
        raw = {"wallet": step.name, "points": sum(lot.remaining for lot in step.lots)}
        return event_of("points_expired", raw), state, lambda account: _expire(account, step)
    if step.order is not None:
        order = state.order_states[step.order]
        then = shelf.at(order.revision).program.orders.then
        return event_of(f"checkout_{then}", {}, order.key), state, None
    if step.reservation is not None:
        raw = {"reservation": show_id("res", step.reservation.id), "reason": "timeout"}
        return event_of("reservation_released", raw), state, release_reservation
    assert step.occasion is not None
    event = event_of(step.occasion.type, _told(step.occasion))
    return event, told(state, step.occasion), None


def _told(occasion: Occasion) -> dict[str, object]:
    match occasion.type:
        case "birthday":
            return {}
        case "anniversary":
            return {"years": occasion.number}
        case "inactivity":
            return {"days": occasion.number}


def _release(account: Account, step: Step) -> Effect:
    for lot in step.lots:
        account.release(lot.key, step.moment)
    return Effect()


def _expire(account: Account, step: Step) -> Effect:
    for lot in step.lots:
        account.post(About(reason="expiry"), lot.remaining, ("available", "expired"), lot)
    return Effect()


def _review(
    state: CustomerState, moment: datetime, shelf: Shelf, event_id: UUID
) -> tuple[tuple[Judged, ...], CustomerState]:
    """A level that time takes away, or that was set by hand until now. What changes nothing leaves no event."""
    tiers = msgspec.structs.replace(state.tiers, manual=None, manual_until=None, seen_at=moment)
    state = msgspec.structs.replace(state, tiers=tiers)
    change = change_of(state, shelf.live, now=moment, occurred_at=moment, may_fall=True)
    if change is None:
        return (), state
    event = tier_event(state, change, shelf.live, event_id=event_id, moment=moment)
    judged = record_event(moved(state, change), event, shelf)
    return (judged, *judged.caused), judged.after
