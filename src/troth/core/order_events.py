"""Events of an order: opening it, changing it, accepting, rejecting and refunding it (semantics.md §5).

In: an event of the order family or of an opening type, on the account. Out: the order folded with the new fact, or the
fact kept waiting until its order opens. No order event is refused for the order's status or amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from troth import limits
from troth.core.account import Account, Refused
from troth.core.coercion import Problem, Reading, read_fields
from troth.core.direct import stored
from troth.core.event import Event
from troth.core.inputs import Inputs
from troth.core.order_award import new_order
from troth.core.order_course import opening_type, with_fact
from troth.core.order_facts import is_same_content, read_fact
from troth.core.order_fold import Folded, fold_order, measure_rooms
from troth.core.order_state import Fact, Order, Waiting
from troth.core.program import EventType, Orders
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.core.state import Lacking


class SameOrder(Exception):
    """An opening event of a known order with the same content: a duplicate of the order's opening event."""

    def __init__(self, opening: UUID) -> None:
        super().__init__()
        self.opening = opening


class OrderEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What an order event came to. `folded` is None while it waits for its order."""

    folded: Folded | None
    counted: int = 0  # change of customer.orders
    waiting: tuple[Waiting, ...] | None = None  # what waits for the order now; None: as before
    gone: int = 0  # how many events waited and do no more
    warnings: tuple[Problem, ...] = ()
    inputs: Inputs | None = None  # of a later event: the rooms it measured


def belongs_to_order(event: Event) -> bool:
    return event.order_key is not None


def open_or_change(account: Account, inputs: Inputs) -> OrderEffect:
    """An event with an order key. `inputs`: what an opening event's rules read. Raises Lacking, Refused, SameOrder."""
    event = account.event
    known = known_order(account)
    if event.type.id in ORDER_FAMILY_TYPES:
        return _wait(account) if known is None else _change(account, known)
    if known is None:
        return _open(account, inputs)
    fact = _fact(account, event.type)
    is_stated = event.is_timed or fact.stamp != event.occurred_at
    if is_same_content(fact, known.content) and (not is_stated or fact.stamp <= known.content.stamp):
        raise SameOrder(known.id)
    return _apply(account, known, fact)


def opens_plainly(account: Account) -> bool:
    """An opening event that is accepted at once, pays with no points, and meets nothing that waits or is owed: its
    order needs no state of its own, and its awards are those of any event."""
    event, state, book = account.event, account.state, account.shelf.live
    mapping = event.type.order
    if mapping is None or state.waiting or any(wallet.debt for wallet in state.wallets.values()):
        return False
    burned = _value_of(event, mapping.burned)
    accepts = _value_of(event, mapping.auto_accept)
    is_accepted = book.program.orders.acceptance == "immediate" if accepts is None else bool(accepts)
    return is_accepted and not burned


def _value_of(event: Event, name: str | None) -> object:
    return None if name is None else event.values[event.type.property_places[name]]


def known_order(account: Account) -> Order | None:
    """The order that the event names, if it is open. Raises Lacking."""
    key = account.event.order_key
    assert key is not None
    state = account.state
    if key not in state.order_ids:
        if state.is_whole:
            return None
        raise Lacking(order_key=key)
    opening = state.order_ids[key]
    return account.order(opening) if opening is not None else None


# Opening


def _open(account: Account, inputs: Inputs) -> OrderEffect:
    event, book = account.event, account.shelf.live
    content = _fact(account, event.type)
    waiting = _waiting(account)
    mode = _mode(content, book.program.orders)
    order = msgspec.structs.replace(
        new_order(event, inputs, content, book.program.revision),
        accepted_at=event.occurred_at if mode == "immediate" else None,
        decides_at=event.occurred_at + book.program.orders.after if mode == "after" else None,
        is_counted=False,
    )
    kept: list[str] = []
    for past in waiting:
        order = with_fact(order, _past_fact(account, past), account.shelf, kept)
    folded = fold_order(account, order, inputs)
    return OrderEffect(
        folded=folded,
        counted=int(folded.order.is_counted),
        waiting=() if waiting else None,
        gone=len(waiting),
        warnings=(*_kept_warnings(kept), *_cut_warnings(folded, None)),
    )


def _mode(content: Fact, orders: Orders) -> str:
    """How the order is accepted; its opening event decides for good."""
    if content.auto_accept is None:
        return orders.acceptance
    return "immediate" if content.auto_accept else "manual"


def _waiting(account: Account) -> tuple[Waiting, ...]:
    """What came before the order. Raises Lacking."""
    key, state = account.event.order_key, account.state
    assert key is not None
    if key not in state.waiting_events and state.waiting and not state.is_whole:
        raise Lacking(waiting=key)
    return state.waiting_events.get(key, ())


def _wait(account: Account) -> OrderEffect:
    """The order is not open: the fact is kept until it is."""
    known = _waiting(account)
    if len(known) >= limits.ORDER_WAITING:
        detail = f"{len(known)} events wait for this order already"
        raise Refused("/properties/order_id", "too_many_waiting", detail)
    if account.event.type.id == "checkout_update":
        _check_type_named(account)
    event = account.event
    now = Waiting(event_id=event.id, type=event.type.id, occurred_at=event.occurred_at, properties=stored(account))
    return OrderEffect(folded=None, waiting=(*known, now))


def _check_type_named(account: Account) -> None:
    """An update of an order that is not open says which type opens it: by that type's id property, or by name."""
    given = stored(account)
    types = account.shelf.live.program.event_types
    named = given.get("order_type")
    if named is not None:
        if named not in types or types[str(named)].order is None:
            raise Refused("/properties/order_type", "unknown_type", f"no event type '{named}' opens orders")
        return
    ids = {known.order.id for known in types.values() if known.order is not None}
    if not any(name in given for name in ids if name is not None):
        detail = "the order is not open; name the event type that opens it in 'order_type'"
        raise Refused("/properties/order_type", "missing", detail)


# Changing


def _change(account: Account, order: Order) -> OrderEffect:
    opening = opening_type(order, account.shelf)
    fact = _fact(account, opening)
    if fact.kind == "content":
        _check_whole(account, opening, fact)
    is_new = fact.kind == "partial" and all(known.identity != fact.identity for known in order.refunds)
    if is_new and len(order.refunds) >= limits.ORDER_REFUNDS:
        raise Refused("", "too_many_refunds", f"the order has {len(order.refunds)} refunds already")
    return _apply(account, order, fact)


def _check_whole(account: Account, opening: EventType, fact: Fact) -> None:
    """Content is always whole: an update brings what its opening type requires."""
    reading = Reading(account.shelf.live.zone, [])
    plain = tuple(field for field in opening.properties if not field.pii)  # facts leave personal ones out
    read_fields(plain, fact.properties, "/properties", reading)
    missing = [problem for problem in reading.problems if problem.code == "missing"]
    if missing:
        raise Refused(missing[0].pointer, "missing", missing[0].detail)


def _apply(account: Account, order: Order, fact: Fact) -> OrderEffect:
    """Fold the order with one more fact."""
    kept: list[str] = []
    changed = with_fact(order, fact, account.shelf, kept)
    inputs = None
    if changed.content is not order.content:
        changed = msgspec.structs.replace(changed, rooms=measure_rooms(account, order))
        inputs = Inputs(values={}, rooms=changed.rooms) if changed.rooms else None
    folded = fold_order(account, changed)
    return OrderEffect(
        folded=folded,
        counted=folded.order.is_counted - order.is_counted,
        warnings=(*_kept_warnings(kept), *_cut_warnings(folded, fact)),
        inputs=inputs,
    )


# Facts


def _past_fact(account: Account, past: Waiting) -> Fact:
    """What waited, read by the type that opens the order."""
    return read_fact(
        event_type=account.shelf.live.program.event_types[past.type],
        opening=account.event.type,
        event_id=past.event_id,
        occurred_at=past.occurred_at,
        properties=past.properties,
    )


def _fact(account: Account, opening: EventType) -> Fact:
    event = account.event
    return read_fact(
        event_type=event.type,
        opening=opening,
        event_id=event.id,
        occurred_at=event.occurred_at,
        properties=stored(account),
    )


def _kept_warnings(names: Sequence[str]) -> list[Problem]:
    return [
        Problem(f"/properties/{name}", "content_from_previous", f"'{name}' is needed by this order and keeps its value")
        for name in dict.fromkeys(names)
    ]


def _cut_warnings(folded: Folded, fact: Fact | None) -> list[Problem]:
    """A refund counts only up to what the order holds."""
    is_cut = bool(folded.cut) if fact is None else fact.kind == "partial" and fact.identity in folded.cut
    if not is_cut:
        return []
    return [Problem("", "refund_exceeds_order", "the refund is larger than what the order holds, and was cut to it")]
