"""The fold of an order: what it deserves as it now stands, against what was posted for it (semantics.md §5).

In: the order with its facts so far, on the customer's account. Out: burned points taken or given back, the difference
of each rule's award posted, netted per wallet, and the order as it then is. Deserving is a pure function of the facts,
the order's revision and the inputs of its opening event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from troth.core.account import Account
from troth.core.burning import burn
from troth.core.calendar import period_key, wall_clock
from troth.core.inputs import Inputs
from troth.core.netting import post_differences
from troth.core.order_award import NO_VERDICTS, deserved, held_by, inputs_of
from troth.core.order_content import net
from troth.core.order_state import Order, Room
from troth.core.program import Limit, Rule
from troth.core.rules import RuleBook, Verdict, room_left
from troth.core.state import NO_USE, Lacking, Use, UseKey


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """What a fold came to, beside the postings."""

    order: Order
    uses: Mapping[UseKey, Use]  # changes of limit uses
    verdicts: Sequence[Verdict]  # what the order deserves now
    cut: frozenset[str]  # identities of refunds that exceed it


def fold_order(account: Account, order: Order, inputs: Inputs | None = None) -> Folded:
    """Post the difference between what `order` deserves and what it holds. Raises Lacking, Refused.

    `order` has its facts and what it held before. `inputs`: of the opening event, when that is being judged.
    """
    book = account.shelf.at(order.revision)
    opening = book.program.event_types[order.type]
    standing = net(opening, order.content, order.refunds)
    is_over = order.is_rejected or order.is_refunded
    account.keep_order(order)
    burn(account, order.id, 0 if is_over else standing.burned)
    order = account.order(order.id)
    verdicts = NO_VERDICTS
    if not is_over and not standing.is_empty:
        verdicts = deserved(order, standing, book, inputs or inputs_of(order))
    post_differences(account, order.id, verdicts, book)
    uses = _changed_uses(order, verdicts, book)
    missing = tuple(key for key in uses if key not in account.state.uses)
    if missing and not account.state.is_whole:
        raise Lacking(uses=missing)
    decided = is_over or order.accepted_at is not None
    order = msgspec.structs.replace(
        account.order(order.id),
        held=held_by(verdicts),
        is_counted=not is_over and not standing.is_empty,
        decides_at=None if decided else order.decides_at,
    )
    account.keep_order(order)
    if order.accepted_at is not None and not is_over:
        _accept(account, order)
    return Folded(order=account.order(order.id), uses=uses, verdicts=verdicts, cut=standing.cut)


# Limits


def measure_rooms(account: Account, order: Order) -> Mapping[str, tuple[Room, ...]]:
    """What each limit leaves this order at most when content arrives: the room that other events leave, and never less
    than it holds already (answer 39). Raises Lacking."""
    book = account.shelf.at(order.revision)
    rules = book.by_type.get(order.type)
    if rules is None or not rules.limited:
        return {}
    uses = _uses_of(account, rules.limited, order, book)
    return {rule.id: tuple(_room(limit, uses[rule.id, limit.window], _held(order, rule)) for limit in rule.limits)
            for rule in rules.limited}  # fmt: skip


def _uses_of(account: Account, limited: Sequence[Rule], order: Order, book: RuleBook) -> dict[tuple[str, str], Use]:
    """(rule, window) → what is used up in the order's period, its own use included."""
    local = wall_clock(order.opened_at, book.zone)
    keys = {(rule.id, limit.window): (rule.id, period_key(limit.window, local)) for rule in limited
            for limit in rule.limits}  # fmt: skip
    known = account.state.uses
    missing = tuple(dict.fromkeys(key for key in keys.values() if key not in known))
    if missing and not account.state.is_whole:
        raise Lacking(uses=missing)
    return {name: known.get(key, NO_USE) for name, key in keys.items()}


def _held(order: Order, rule: Rule) -> int:
    held = order.held.get(rule.id)
    return held.points if held is not None else 0


def _room(limit: Limit, use: Use, held: int) -> Room:
    times, points = room_left(limit, Use(use.times - (held > 0), use.points - held))
    return (None if times is None else max(times, int(held > 0)), None if points is None else max(points, held))


def _changed_uses(order: Order, verdicts: Sequence[Verdict], book: RuleBook) -> dict[UseKey, Use]:
    """A use counts only while points are deserved for it."""
    rules = book.by_type.get(order.type)
    if rules is None or not rules.limited:
        return {}
    local = wall_clock(order.opened_at, book.zone)
    now = {verdict.rule.id: verdict.points for verdict in verdicts}
    changes: dict[UseKey, Use] = {}
    for rule in rules.limited:
        before, after = _held(order, rule), now.get(rule.id, 0)
        if before != after:
            for key in dict.fromkeys((rule.id, period_key(limit.window, local)) for limit in rule.limits):
                changes[key] = Use((after > 0) - (before > 0), after - before)
    return changes


# Acceptance


def _accept(account: Account, order: Order) -> None:
    """Pending points become available when hold and acceptance are over: at once, or at a date of their own."""
    assert order.accepted_at is not None
    for key in order.lots:
        lot = account.lot(key)
        if not lot.pending:
            continue
        begins = max(lot.hold_until or lot.earned_at, order.accepted_at)
        if lot.hold_until is None or begins <= account.event.judged_at:
            account.release(key, begins)
        elif lot.release_at != begins:
            account.keep(msgspec.structs.replace(lot, release_at=begins))
