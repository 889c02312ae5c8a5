"""Folding an order: what it now deserves against what was posted, netted per wallet, and its burned points.

The order of steps is that of semantics.md §5 and its answers 2, 13, 28, 40 and 41.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.simulator.model_books import Books, Lot
from tests.simulator.model_facts import ModelOrder
from tests.simulator.model_program import Item
from tests.simulator.model_rules import Due, deserved_by_order


@dataclass(kw_only=True)
class Fall:
    """Points that a rule's award has too many of."""

    rule: str
    points: int
    qualifying: bool


def fold(books: Books, order: ModelOrder, *, opens: bool) -> None:
    """Post what the facts now ask for. Raises Refused when burned points are not available; nothing is moved then."""
    _burn(books, order)
    deserved = deserved_by_order(order)
    for wallet in books.program.wallets:
        _settle_wallet(books, order, wallet, [due for due in deserved if _wallet(books, due) == wallet], opens=opens)
    order.held = {str(due.rule["id"]): due.points for due in deserved}
    _release(books, order)


def _wallet(books: Books, due: Due) -> str:
    return books.program.wallet_of(due.rule)


# Burned points


def _burn(books: Books, order: ModelOrder) -> None:
    """Take or give back the difference; held points are spent once the order is accepted."""
    wallet = books.program.wallets[0]
    missing = order.burn_target - sum(points for _, points in order.burned)
    taken: list[tuple[Lot, int]] = []
    if missing > 0:
        taken = books.take_all(wallet, missing)
    if missing < 0:
        parts = _last_taken(order, -missing)
        books.give_back(parts, "spent" if order.is_paid else "reserved", lives_on=True)
    if order.accepted_at is not None and not order.is_paid:
        order.is_paid = True
        for _, points in order.burned:
            books.move(wallet, "reserved>spent", points, "burn")
    for _, points in taken:
        books.move(wallet, "available>spent" if order.is_paid else "available>reserved", points, "burn")
    order.burned += taken


def _last_taken(order: ModelOrder, points: int) -> list[tuple[Lot, int]]:
    """Burned points to give back, those taken last first."""
    parts = []
    while points:
        lot, held = order.burned.pop()
        assert isinstance(lot, Lot)
        part = min(points, held)
        points -= part
        parts.append((lot, part))
        if held > part:
            order.burned.append((lot, held - part))
    return parts


# Awards


def _settle_wallet(books: Books, order: ModelOrder, wallet: str, deserved: Sequence[Due], *, opens: bool) -> None:
    falls = _falls(order, wallet, {str(due.rule["id"]): due.points for due in deserved})
    owns = {fall.rule: _own_lots(books, order, wallet, fall.rule) for fall in falls}
    for fall in falls:
        _reverse_pending(books, order, fall, owns[fall.rule])
    falls.sort(key=lambda fall: len(owns[fall.rule]))  # who has fewer lots of its own chooses first
    for fall in falls:
        _reverse(books, order, fall, (owns[fall.rule], "available"))
    made = _award(books, order, deserved, opens=opens)
    for fall in falls:
        _reverse(books, order, fall, ([lot for lot, _ in made], "available"))
    for fall in falls:
        _reverse(books, order, fall, (owns[fall.rule], "expired"))
    for fall in falls:
        _reverse(books, order, fall, (books.open_lots(wallet), "available"))
    for fall in falls:
        _owe(books, order, wallet, fall)
    for lot, _ in made:
        if lot.remaining:
            books.arrive(lot, lot.remaining)


def _falls(order: ModelOrder, wallet: str, deserved: dict[str, int]) -> list[Fall]:
    found = []
    for rule in order.program.rules_for(order.type):
        name = str(rule["id"])
        points = order.held.get(name, 0) - deserved.get(name, 0)
        if order.program.wallet_of(rule) == wallet and points > 0:
            found.append(Fall(rule=name, points=points, qualifying=bool(rule.get("qualifying", True))))
    return found


def _own_lots(books: Books, order: ModelOrder, wallet: str, rule: str) -> list[Lot]:
    """The order's lots that hold points of the rule."""
    lots = books.customer.lots
    return books.in_consumption_order(x for x in lots if x.order == order.id and rule in x.rules and x.wallet == wallet)


def _reverse_pending(books: Books, order: ModelOrder, fall: Fall, lots: Sequence[Lot]) -> None:
    """Every pending point is known to be its rule's."""
    for lot in lots:
        part = min(fall.points, lot.pending_of.get(fall.rule, 0))
        if part:
            lot.pending_of[fall.rule] -= part
            _take_back(books, order, fall, (lot.wallet, "pending", part))


def _reverse(books: Books, order: ModelOrder, fall: Fall, place: tuple[Sequence[Lot], str]) -> None:
    """Take what falls out of that state of these lots, as far as they go."""
    lots, state = place
    field = "remaining" if state == "available" else "expired"
    for lot in lots:
        part = min(fall.points, getattr(lot, field))
        if part:
            setattr(lot, field, getattr(lot, field) - part)
            _take_back(books, order, fall, (lot.wallet, state, part))


def _take_back(books: Books, order: ModelOrder, fall: Fall, what: tuple[str, str, int]) -> None:
    wallet, state, points = what
    fall.points -= points
    books.move(wallet, f"{state}>program", points, "reversal", qualifying=fall.qualifying)
    if fall.qualifying and state != "pending":
        books.note_taken_back(wallet, points, order.id)


def _owe(books: Books, order: ModelOrder, wallet: str, fall: Fall) -> None:
    """What nothing pays for: debt that the order's points had repaid comes back; the rest by the wallet's policy."""
    repaid = order.repaid.get(wallet, 0)
    debt = min(fall.points, repaid) if books.program.forgives(wallet) else fall.points
    if debt:
        order.repaid[wallet] = max(0, repaid - debt)
        _take_back(books, order, fall, (wallet, "debt", debt))
    if fall.points:
        order.forgiven[wallet] = order.forgiven.get(wallet, 0) + fall.points
        _take_back(books, order, fall, (wallet, "forgiven", fall.points))


def _award(books: Books, order: ModelOrder, deserved: Sequence[Due], *, opens: bool) -> list[tuple[Lot, int]]:
    """Post what rises; the lots of what is available at once, which have still to arrive."""
    made: dict[tuple[object, ...], Lot] = {}
    for due in deserved:
        rule, points = str(due.rule["id"]), due.points - order.held.get(str(due.rule["id"]), 0)
        if points <= 0:
            continue
        lot, is_qualifying = _lot_for(books, order, due.rule, made), bool(due.rule.get("qualifying", True))
        lot.rules.add(rule)
        lot.quiet |= set() if is_qualifying else {rule}
        lot.is_increase = not opens
        begins = _begins(order, lot.hold_end)
        state = "available" if begins is not None and begins <= books.now else "pending"
        books.move(lot.wallet, f"program>{state}", points, "award", qualifying=is_qualifying)
        if state == "pending":
            lot.pending_of[rule] = points
            continue
        lot.begins, lot.least_end = begins, None if opens else books.return_end()
        lot.remaining += points
        books.note_earned(lot, points, rule)
    return [(lot, lot.remaining) for lot in made.values() if lot.remaining]


def _lot_for(books: Books, order: ModelOrder, rule: Item, made: dict[tuple[object, ...], Lot]) -> Lot:
    """One lot for what ends together."""
    program = order.program
    wallet, hold_end = program.wallet_of(rule), order.opened_at + program.hold_of(rule)
    expiry = program.expiry_of(wallet, rule)
    key = (wallet, hold_end, tuple(sorted(expiry.items(), key=str)))
    if key not in made:
        made[key] = books.new_lot(wallet, order=order.id, earned_at=order.opened_at, expiry=expiry, hold_end=hold_end)
    return made[key]


def _begins(order: ModelOrder, hold_end: datetime) -> datetime | None:
    """When the order's points become available: hold over and order accepted; None: not accepted yet."""
    return None if order.accepted_at is None else max(order.opened_at, hold_end, order.accepted_at)


def _release(books: Books, order: ModelOrder) -> None:
    """What the order has pending although hold and acceptance are over."""
    for lot in books.in_consumption_order(x for x in books.customer.lots if x.order == order.id and x.pending):
        begins = _begins(order, lot.hold_end)
        if begins is not None and begins <= books.now:
            books.release(lot, order.accepted_at)


def release_at(books: Books, lot: Lot) -> datetime | None:
    """When the lot's pending points are due; None: nothing pending, or the order is not accepted."""
    if not lot.pending:
        return None
    order = books.customer.orders.get(lot.order or "")
    return lot.hold_end if order is None else _begins(order, lot.hold_end)
