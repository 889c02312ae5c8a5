"""Earning: what rules award becomes postings and lots.

In: verdicts, and the terms under which points are given. Out: movements on the account: program → available, or →
pending where a hold or an acceptance is outstanding. One lot per event, wallet and end. What is already past its date
when it is recorded is posted available and expired at once (semantics.md §3).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from troth.core.account import About, Account
from troth.core.calendar import expires_at, expiry_text
from troth.core.order_state import LotKey
from troth.core.program import Rule
from troth.core.rules import RuleBook, Verdict
from troth.core.state import Lot


class Terms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """When points begin and end. Points of one event on equal terms share a lot."""

    wallet: str
    earned_at: datetime
    hold_until: datetime | None  # None: no hold
    release_at: datetime | None  # when pending points become available; None: not pending, or not accepted yet
    is_pending: bool
    expiry: str | None  # how they end
    expires_at: datetime | None  # None: never, or not known while pending
    order: UUID | None = None


def terms_of(
    rule: Rule,
    book: RuleBook,
    account: Account,
    *,
    earned_at: datetime,
    accepted_at: datetime | None,
    order: UUID | None = None,
) -> Terms:
    """The terms of a rule's award. `accepted_at`: of the order, None while it is not; `earned_at` without an order."""
    hold = rule.hold if rule.hold is not None else book.wallets[rule.wallet].hold
    expiry = rule.expiry or book.expiries[rule.wallet]
    hold_until = earned_at + hold if hold else None
    is_held = hold_until is not None and hold_until > account.event.judged_at
    begins = None if accepted_at is None else max(hold_until or earned_at, accepted_at)
    is_pending = begins is None or is_held
    return Terms(
        wallet=rule.wallet,
        earned_at=earned_at,
        hold_until=hold_until,
        release_at=begins if is_pending else None,
        is_pending=is_pending,
        expiry=expiry_text(expiry),
        expires_at=None if is_pending or begins is None else expires_at(expiry, begins, account.shelf.live.zone),
        order=order,
    )


Made = dict[tuple[object, ...], LotKey]  # the lots of one event so far, by what tells them apart


def earn(account: Account, verdicts: Sequence[Verdict], book: RuleBook, order: UUID | None = None) -> None:
    """The awards of an event, at once; `order`: of the order that it opens."""
    made: Made = {}
    moment = account.event.occurred_at
    for verdict in verdicts:
        if verdict.points:
            terms = terms_of(verdict.rule, book, account, earned_at=moment, accepted_at=moment, order=order)
            settle_made(account, award(account, verdict, terms, made), verdict.points)


def award(account: Account, verdict: Verdict, terms: Terms, made: Made) -> LotKey:
    """Post one award into its lot, which is not settled yet. In `made`: the event's lots so far."""
    rule = verdict.rule
    tag = rule.id if terms.order is not None else None
    lot = lot_on(account, terms, made, (rule.qualifying, tag))
    about = About(
        reason="award",
        qualifying=rule.qualifying,
        order_id=terms.order,
        rule=rule.id,
        base=verdict.base,
        multiplier=verdict.multiplier,
        cap=verdict.cap,
        earned_at=terms.earned_at,
        expires_at=None if terms.is_pending else account.end_of(lot),
    )
    account.post(about, verdict.points, ("program", "pending" if terms.is_pending else "available"), lot)
    return lot.key


def lot_on(account: Account, terms: Terms, made: Made, holds: tuple[bool, str | None]) -> Lot:
    """The event's lot on these terms, made when it is the first. What is pending keeps apart what counts for tiers.

    `holds`: whether the points count for tiers, and, in an order's lot, the rule that gives them.
    """
    qualifying, rule = holds
    held = (terms.hold_until, terms.release_at, qualifying) if terms.is_pending else None
    key = (terms.wallet, terms.expiry, terms.expires_at, held)
    known = made.get(key)
    if known is not None:
        lot = account.lots[known]
        if rule is None or rule in lot.rules:
            return lot
        return account.keep(msgspec.structs.replace(lot, rules=(*lot.rules, rule)))
    lot = Lot(
        event_id=account.event.id,
        n=account.made,
        wallet=terms.wallet,
        order=terms.order,
        rules=(rule,) if rule is not None else (),
        earned_at=terms.earned_at,
        expiry=terms.expiry,
        hold_until=terms.hold_until if terms.is_pending else None,
        qualifying=qualifying if terms.is_pending else True,
        release_at=terms.release_at,
        expires_at=terms.expires_at,
        points=0,
        remaining=0,
    )
    made[key] = account.add_lot(lot).key
    return lot


def settle_made(account: Account, key: LotKey, points: int) -> None:
    """What has just become available in a lot pays what is owed; pending points wait."""
    lot = account.lots[key]
    if not lot.pending:
        account.settle(key, points)
