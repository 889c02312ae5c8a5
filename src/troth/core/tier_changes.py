"""Tier changes: what points, time and hands do to the level a customer holds.

Upgrades come at once. Points taken back are judged at once under every policy; what time takes away falls due as a
review. A level set by hand stays until its date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from troth.core.account import Account, Refused
from troth.core.calendar import local_day
from troth.core.coercion import parse_moment
from troth.core.event import Event
from troth.core.order_state import Known
from troth.core.program import Level
from troth.core.rules import RuleBook
from troth.core.state import CustomerState, Lacking, Posting, TierHistory, qualifying_change
from troth.core.tiers import Standing, add_earned, held_level, standing


def enter_program(state: CustomerState, book: RuleBook) -> CustomerState:
    """Who holds no tier, or one that is gone, starts at the level that asks for no points. That is no upgrade."""
    level = held_level(book.program.tiers, state)
    if (level.id if level else None) == state.tier:
        return state
    since = state.created_at if level else None
    return msgspec.structs.replace(state, tier=level.id if level else None, tier_since=since)


def with_history(state: CustomerState, book: RuleBook) -> CustomerState:
    """The state with the history that the program's tiers are judged by.

    Raises Lacking when it was kept for another basis: it is drawn from all postings then (`history_of`).
    """
    if state.tiers.basis == book.tier_basis:
        return state
    if book.tier_basis and state.seq:
        assert book.program.tiers is not None
        raise Lacking(qualifying=book.program.tiers.wallet)
    tiers = msgspec.structs.replace(state.tiers, basis=book.tier_basis, earned=())
    return msgspec.structs.replace(state, tiers=tiers)


def keep_history(account: Account, history: TierHistory) -> TierHistory:
    """The days on which qualifying points count, the account's postings included, for tiers that time takes away.

    Its orders keep since when their points are known. Raises Lacking.
    """
    event, book = account.event, account.shelf.live
    tiers = book.program.tiers
    if not book.tier_basis or tiers is None:
        return history
    today = local_day(event.judged_at, book.zone)
    for posting in account.postings:
        change = qualifying_change(posting) if posting.wallet == tiers.wallet else 0
        if change:
            counted = local_day(posting.earned_at or posting.occurred_at, book.zone)
            for known in _by_day_known(account, posting, Known(today, change)):
                history = add_earned(history, counted, known.day, known.points)
            history = msgspec.structs.replace(history, seen_at=event.judged_at)
    return history


def _by_day_known(account: Account, posting: Posting, change: Known) -> tuple[Known, ...]:
    """A change by the days since which its points are known: what an order loses is what it was given last."""
    opens_plainly = posting.order_id == account.event.id and posting.order_id not in account.orders
    if posting.order_id is None or opens_plainly:
        return (change,)
    order = account.order(posting.order_id)
    kept, parts, rest = list(order.known), list[Known](), change.points
    while rest < 0 and kept:
        last = kept.pop()
        taken = min(last.points, -rest)
        rest += taken
        parts.append(Known(last.day, -taken))
        if taken < last.points:
            kept.append(Known(last.day, last.points - taken))
    if rest > 0:
        same = kept.pop().points if kept and kept[-1].day == change.day else 0
        kept.append(Known(change.day, same + rest))
    account.keep_order(msgspec.structs.replace(order, known=tuple(kept)))
    return (*parts, Known(change.day, rest)) if rest else tuple(parts)


def history_of(
    history: TierHistory, book: RuleBook, now: datetime, found: Iterable[tuple[datetime, datetime, int]]
) -> TierHistory:
    """The history for the basis of this program, from all (counts at, judged at, qualifying points) so far.

    Levels are judged by it from `now` on: another basis takes no level away, only time and reversals do.
    """
    fresh = msgspec.structs.replace(history, basis=book.tier_basis, earned=(), seen_at=now)
    for counts_at, judged_at, points in found:
        fresh = add_earned(fresh, local_day(counts_at, book.zone), local_day(judged_at, book.zone), points)
    return fresh


def is_manual(state: CustomerState, now: datetime) -> bool:
    until = state.tiers.manual_until
    return state.tiers.manual is not None and (until is None or now < until)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A move to another level."""

    level: Level | None
    is_rise: bool
    since: datetime


def change_of(
    state: CustomerState, book: RuleBook, *, now: datetime, occurred_at: datetime, may_fall: bool
) -> Change | None:
    """The level that hand or points call for, if it is another one. `may_fall`: points were taken back, or time has."""
    tiers = book.program.tiers
    if tiers is None:
        return None
    if is_manual(state, now):
        reached = next((level for level in tiers.levels if level.id == state.tiers.manual), None)
    else:
        reached = standing_of(state, now, book).level
    held = held_level(tiers, state)
    difference = _threshold(reached) - _threshold(held)
    if difference == 0 or (difference < 0 and not may_fall):
        return None
    return Change(level=reached, is_rise=difference > 0, since=now if book.tier_basis else occurred_at)


def standing_of(state: CustomerState, now: datetime, book: RuleBook) -> Standing:
    tiers = book.program.tiers
    assert tiers is not None
    return standing(tiers, state.tiers, state.wallet(tiers.wallet).qualifying, now=now, zone=book.zone)


def _threshold(level: Level | None) -> int:
    return level.threshold if level is not None else -1


def moved(state: CustomerState, change: Change) -> CustomerState:
    """The state at another level."""
    tier = change.level.id if change.level is not None else None
    tiers = state.tiers
    if change.is_rise and tier is not None and tier not in tiers.reached:
        tiers = msgspec.structs.replace(tiers, reached=(*tiers.reached, tier))
    since = change.since if tier is not None else None
    return msgspec.structs.replace(state, tier=tier, tier_since=since, tiers=tiers)


def review_at(state: CustomerState, book: RuleBook) -> datetime | None:
    """When the level has to be looked at again although nothing happens; None: never."""
    if book.program.tiers is None:
        return None
    if state.tiers.manual is not None:
        return state.tiers.manual_until
    return standing_of(state, state.tiers.seen_at or state.created_at, book).review_at if book.tier_basis else None


def set_by_hand(state: CustomerState, event: Event, given: Mapping[str, object], book: RuleBook) -> TierHistory:
    """`tier_set`: this level until that date, or, without one, judged by points again. Raises Refused."""
    level_id = str(given["tier"]) if given.get("tier") is not None else None
    until = parse_moment(given["until"]) if given.get("until") is not None else None
    levels = {level.id for level in book.program.tiers.levels} if book.program.tiers is not None else set()
    if level_id is not None and level_id not in levels:
        raise Refused("/properties/tier", "unknown_level", f"the program has no tier '{level_id}'")
    if until is not None and until <= event.judged_at:
        raise Refused("/properties/until", "out_of_range", "a tier is set until a moment in the future")
    return msgspec.structs.replace(state.tiers, manual=level_id, manual_until=until if level_id else None)
