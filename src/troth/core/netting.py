"""Netting: the difference between what an order's rules deserve and what they hold, posted wallet by wallet.

A fold takes back in this order (semantics-answers.md 2, 13, 40, 41): the falling awards' own pending, then own
available points; the wallet's new awards that are available at once; own expired points; other available lots in
consumption order; debt that the order's awards had repaid; then debt, or forgiveness, as the wallet's policy says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from troth.core.account import About, Account, without_zeros
from troth.core.earning import Made, award, settle_made, terms_of
from troth.core.order_state import LotKey, Order
from troth.core.rules import RuleBook, Verdict
from troth.core.state import Lot


class Fall(msgspec.Struct):
    """What one rule's award loses, and how much of it is still to be found."""

    rule: str
    wallet: str
    qualifying: bool
    rest: int
    verdict: Verdict | None  # what the rule deserves now; None: nothing


Rise = tuple[Verdict, int]
Held = Literal["pending", "available", "expired"]


def post_differences(account: Account, order_id: UUID, verdicts: Sequence[Verdict], book: RuleBook) -> None:
    """Post falls and rises of every award of the order. Raises Lacking."""
    order = account.order(order_id)
    falls, rises = _differences(order, verdicts)
    for wallet in dict.fromkeys([fall.wallet for fall in falls] + [verdict.rule.wallet for verdict, _ in rises]):
        _post_wallet(
            account,
            order_id,
            [fall for fall in falls if fall.wallet == wallet],
            [rise for rise in rises if rise[0].rule.wallet == wallet],
        )


def _differences(order: Order, verdicts: Sequence[Verdict]) -> tuple[list[Fall], list[Rise]]:
    deserved = {verdict.rule.id: verdict for verdict in verdicts if verdict.points}
    falls = []
    for rule, held in order.held.items():
        verdict = deserved.get(rule)
        lost = held.points - (verdict.points if verdict is not None else 0)
        if lost > 0:
            falls.append(Fall(rule, held.wallet, held.qualifying, lost, verdict))
    rises = []
    for rule, verdict in deserved.items():
        gained = verdict.points - (order.held[rule].points if rule in order.held else 0)
        if gained > 0:
            rises.append((verdict, gained))
    return falls, rises


def _post_wallet(account: Account, order_id: UUID, falls: list[Fall], rises: list[Rise]) -> None:
    _take_own(account, order_id, falls, "pending")
    _take_own(account, order_id, falls, "available")
    made = _raise(account, order_id, rises)
    for fall in falls:
        _take_from(account, order_id, fall, ("available", [account.lots[key] for key in made]))
    _take_own(account, order_id, falls, "expired")
    for key in made:
        lot = account.lots[key]
        if lot.remaining:
            settle_made(account, key, lot.remaining)
    for fall in falls:
        _take_elsewhere(account, order_id, fall)


def _about(account: Account, order_id: UUID, fall: Fall) -> About:
    return About(
        reason="reversal",
        qualifying=fall.qualifying,
        order_id=order_id,
        rule=fall.rule,
        base=fall.verdict.base if fall.verdict is not None else None,
        multiplier=fall.verdict.multiplier if fall.verdict is not None else None,
        cap=fall.verdict.cap if fall.verdict is not None else None,
        earned_at=account.order(order_id).opened_at,
    )


def _raise(account: Account, order_id: UUID, rises: list[Rise]) -> list[LotKey]:
    """Post what the awards gain. Out: their new lots, not settled yet."""
    order = account.order(order_id)
    book = account.shelf.at(order.revision)
    made: Made = {}
    for verdict, gained in rises:
        terms = terms_of(verdict.rule, book, account, earned_at=order.opened_at, accepted_at=order.accepted_at)
        ends = terms.expires_at
        if ends is not None and account.event.id != order_id:  # an increase of an older order lives so long at least
            ends = max(ends, account.shelf.live.least_end(account.event.judged_at))
        terms = msgspec.structs.replace(terms, order=order_id, expires_at=ends)
        award(account, msgspec.structs.replace(verdict, points=gained), terms, made)
    lots = tuple(key for key in made.values())
    if account.event.id == order_id:  # `add_lot` notes those of later events
        order = account.order(order_id)
        account.keep_order(msgspec.structs.replace(order, lots=(*order.lots, *lots)))
    return list(lots)


def _take_own(account: Account, order_id: UUID, falls: list[Fall], state: Held) -> None:
    """Out of each falling rule's own lots, the order's lots that hold points of it (semantics-answers.md 28). Rules may
    share a lot: who has fewer lots chooses first. What is pending is certain to lie in one of them, so it is found in
    the lots that those share a rule with, too."""
    lots = [account.lot(key) for key in account.order(order_id).lots]
    for fall in sorted(falls, key=lambda fall: sum(fall.rule in lot.rules for lot in lots)):
        _take_tagged(account, order_id, fall, ({fall.rule}, state))
    if state == "pending":
        for fall in falls:
            _take_tagged(account, order_id, fall, (_sharing(account, order_id, fall.rule), state))


def _take_tagged(account: Account, order_id: UUID, fall: Fall, source: tuple[set[str], Held]) -> None:
    if fall.rest:
        rules, state = source
        lots = [account.lot(key) for key in account.order(order_id).lots]
        _take_from(account, order_id, fall, (state, [lot for lot in lots if not rules.isdisjoint(lot.rules)]))


def _sharing(account: Account, order_id: UUID, rule: str) -> set[str]:
    """The rules that share lots of this order with a rule, directly or through each other."""
    tags = [set(account.lot(key).rules) for key in account.order(order_id).lots]
    found = {rule}
    while True:
        more = set[str]().union(*(rules for rules in tags if not rules.isdisjoint(found))) | found
        if more == found:
            return found
        found = more


def _take_from(account: Account, order_id: UUID, fall: Fall, source: tuple[Held, Sequence[Lot]]) -> None:
    """Out of what these lots hold in one state, in consumption order."""
    state, lots = source
    about = _about(account, order_id, fall)
    for lot in account.in_order(lots):
        taken = min(lot.remaining if state == "available" else getattr(lot, state), fall.rest)
        if taken:
            account.post(about, taken, (state, "program"), lot)
            fall.rest -= taken


def _take_elsewhere(account: Account, order_id: UUID, fall: Fall) -> None:
    """Other available lots, then debt or forgiveness."""
    about = _about(account, order_id, fall)
    found = min(fall.rest, account.wallet(fall.wallet).available)
    if found:
        account.take(fall.wallet, found, about, ("available", "program"))
        fall.rest -= found
    if not fall.rest:
        return
    order = account.order(order_id)
    again = min(fall.rest, order.repaid.get(fall.wallet, 0))
    policy = account.policy_of(fall.wallet, order)
    owed = fall.rest if policy == "allow" else again
    if owed:
        account.post(about, owed, ("debt", "program"), fall.wallet)
    forgiven = fall.rest - owed
    if forgiven:
        account.post(about, forgiven, ("forgiven", "program"), fall.wallet)
    account.keep_order(
        msgspec.structs.replace(
            order,
            repaid=_less(order.repaid, fall.wallet, again),
            forgiven=_less(order.forgiven, fall.wallet, -forgiven),
        )
    )
    fall.rest = 0


def _less(numbers: Mapping[str, int], wallet: str, points: int) -> Mapping[str, int]:
    return without_zeros({**numbers, wallet: numbers.get(wallet, 0) - points}) if points else numbers
