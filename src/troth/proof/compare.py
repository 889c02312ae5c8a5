"""The caches of one customer beside the fold of its events: every difference, and the caches as they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from troth.core.account import end_of
from troth.core.ids import show_id
from troth.core.order_state import LotKey, Order
from troth.core.replay import Difference, Fold, due_moment, lost_lots
from troth.core.rules import Shelf
from troth.core.state import CalendarState, Lot, Use, UseKey
from troth.store.proof import Caches

_COMPARED = ("seq", "tier", "tier_since", "tiers", "orders", "waiting", "counts", "attributes", "tags")
Where = tuple[str, str, str]  # kind, id, detail
K = TypeVar("K")


def compare(customer_id: UUID, fold: Fold, found: Caches, shelf: Shelf | None) -> Iterator[Difference]:
    """Everything in which the caches differ from the fold."""
    name = show_id("cus", customer_id)
    expected = caches_of(fold)
    for field in (*_COMPARED, "last_activity_at"):
        yield from _differ(("customer", name, field), getattr(fold.state, field), getattr(found.state, field))
    calendars = _without_birthday(fold.state.calendar), _without_birthday(found.state.calendar)
    yield from _differ(("customer", name, "calendar"), *calendars)
    yield from _compare_due(name, fold, found, shelf)
    yield from _compare_named(("balance", name), fold.wallets, found.wallets)
    yield from _compare_uses(name, fold, found)
    last = fold.state.last_activity_at
    yield from _compare_named(("lot", name), _ended(fold.state.lots, last, shelf), _ended(found.lots, last, shelf))
    yield from lost_lots(fold)
    yield from _compare_named(("order", name), expected.orders, found.orders)
    yield from _compare_named(("reservation", name), expected.reservations, found.reservations)
    yield from _compare_named(("redemption", name), expected.redemptions, found.redemptions)
    yield from _differ(("waiting", name, "events"), sorted(expected.waiting), sorted(found.waiting))


def caches_of(fold: Fold) -> Caches:
    """The caches as the fold says."""
    state = fold.state
    return Caches(
        state=state,
        due_at=None,
        wallets=dict(fold.wallets),
        lots=dict(state.lots),
        uses=_used(state.uses),
        orders={
            **dict.fromkeys(state.plain_orders),
            **{key: _kept(order) for key, order in state.order_states.items()},
        },
        waiting={(key, event.event_id) for key, events in state.waiting_events.items() for event in events},
        reservations={key: held for key, held in state.reservations.items() if held is not None},
        redemptions={key: claim for key, claim in state.redemptions.items() if claim is not None},
    )


def _kept(order: Order) -> Order | None:
    return None if order.is_as_opened else order


def _without_birthday(calendar: CalendarState) -> CalendarState:
    """Birth dates are personal: the fold does not know which birthdays have passed."""
    return msgspec.structs.replace(calendar, birthday=0, birthday_passed=0)


def _compare_due(name: str, fold: Fold, found: Caches, shelf: Shelf | None) -> Iterator[Difference]:
    """`due_at` may be early, never late."""
    moment = due_moment(fold, shelf) if shelf is not None else None
    if moment is not None and (found.due_at is None or found.due_at > moment):
        yield from _differ(("customer", name, "due_at"), moment, found.due_at)


def _compare_uses(name: str, fold: Fold, found: Caches) -> Iterator[Difference]:
    expected, stored = _used(fold.state.uses), _used(found.uses)
    for key in expected.keys() | stored.keys():
        yield from _differ(("limit_use", name, " ".join(key)), expected.get(key), stored.get(key))


def _used(uses: Mapping[UseKey, Use]) -> dict[UseKey, Use]:
    """Uses that were given back leave a row of zeros, which says the same as none."""
    return {key: use for key, use in uses.items() if use.times or use.points}


def _ended(lots: Mapping[LotKey, Lot], last: datetime | None, shelf: Shelf | None) -> Mapping[LotKey, Lot]:
    """Lots with their ends as activity has moved them."""
    if shelf is None:
        return lots
    return {key: msgspec.structs.replace(lot, expires_at=end_of(lot, last, shelf)) for key, lot in lots.items()}


def _compare_named(
    kind: tuple[str, str], expected: Mapping[K, object], found: Mapping[K, object]
) -> Iterator[Difference]:
    missing = object()
    for key in expected.keys() | found.keys():
        pair = expected.get(key, missing), found.get(key, missing)
        if pair[0] is missing or pair[1] is missing or pair[0] != pair[1]:
            shown = [None if side is missing else side if side is not None else "as opened" for side in pair]
            yield from _differ((*kind, _show_key(key)), *shown)


def _show_key(key: object) -> str:
    if isinstance(key, UUID):
        return show_id("evt", key)
    if isinstance(key, tuple) and isinstance(key[0], UUID):
        return f"{show_id('evt', key[0])}/{key[1]}"
    return str(key)


def _differ(where: Where, expected: object, found: object) -> Iterator[Difference]:
    if expected != found:
        kind, name, detail = where
        yield Difference(kind=kind, id=name, detail=detail, expected=_show(expected), found=_show(found))


def _show(value: object) -> object:
    return msgspec.to_builtins(value, str_keys=True)
