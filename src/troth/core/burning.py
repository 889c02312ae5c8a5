"""Burned points: what an order is paid with, taken before its own award (semantics.md §5.6).

They are reserved until the order is accepted, then spent; what is no longer burned comes back in reverse order of
taking, with its date or `return_days_min` days.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from troth.core.account import About, Account, Refused, Way
from troth.core.order_state import Order, Part
from troth.core.state import PointState


def burn(account: Account, order_id: UUID, target: int) -> None:
    """Take or give back burned points until the order holds `target`. Raises Lacking, Refused."""
    order = account.order(order_id)
    held = sum(part.points for part in order.burned)
    if target < held:
        order = _return(account, order, target)
    if order.accepted_at is not None and target and not order.is_paid:
        order = _pay(account, order)
    if target > held:
        _check(account, order, target - held)
        about = About(reason="burn", order_id=order_id)
        way: Way = ("available", "spent" if order.is_paid else "reserved")
        parts = account.take(account.shelf.live.main_wallet, target - held, about, way)
        account.keep_order(msgspec.structs.replace(account.order(order_id), burned=(*order.burned, *parts)))


def _return(account: Account, order: Order, target: int) -> Order:
    """Give back what the order no longer burns."""
    kept, returned = split(order.burned, target)
    account.keep_order(msgspec.structs.replace(order, burned=kept))
    state: PointState = "spent" if order.is_paid else "reserved"
    account.give_back(returned, state, About(reason="return", order_id=order.id), extends=True)
    return account.order(order.id)


def _pay(account: Account, order: Order) -> Order:
    """What was reserved until the order is accepted is spent now."""
    about = About(reason="burn", order_id=order.id)
    for part in order.burned:
        account.post(about, part.points, ("reserved", "spent"), account.lot((part.event_id, part.n)))
    return account.keep_order(msgspec.structs.replace(account.order(order.id), is_paid=True))


def _check(account: Account, order: Order, points: int) -> None:
    available = account.wallet(account.shelf.live.main_wallet).available
    if points > available:
        opening = account.shelf.at(order.revision).program.event_types[order.type]
        name = opening.order.burned if opening.order is not None else None
        detail = f"this order is paid with {points} more points, and {available} are there"
        raise Refused(f"/properties/{name}" if name else "/properties", "insufficient_points", detail)


def split(parts: Sequence[Part], kept: int) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The first `kept` points, and what was taken after them."""
    first: list[Part] = []
    rest: list[Part] = []
    for part in parts:
        here = min(part.points, kept)
        kept -= here
        if here:
            first.append(Part(part.event_id, part.n, here))
        if part.points > here:
            rest.append(Part(part.event_id, part.n, part.points - here))
    return tuple(first), tuple(rest)
