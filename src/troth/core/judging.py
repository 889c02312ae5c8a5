"""One event judged: its own effect, what rules give for it, the state after it, and the tier moves it causes.

In: the state before it, what fell due already applied. Out: everything that is written because of it. Where a part of
the state is not loaded, `Lacking` says which; what cannot be recorded is `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from troth import limits
from troth.core.account import Account, later_activity
from troth.core.actions import ACTIONS, Effect
from troth.core.coercion import Problem, Reading, read_fields
from troth.core.earning import earn
from troth.core.event import Event, Outcome
from troth.core.ids import neighbour, recorded_at
from troth.core.inputs import Inputs
from troth.core.moments import calendar_after, occasions
from troth.core.order_events import OrderEffect, known_order, open_or_change, opens_plainly
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.core.rules import RuleBook, Shelf, TypeRules, Verdict, judge, rooms, use_keys, used
from troth.core.state import CustomerState, Lacking, Plain, Posting, Use, UseKey, qualifying_change
from troth.core.tier_changes import Change, change_of, enter_program, keep_history, moved, review_at, with_history
from troth.core.tiers import held_level


class Judged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event with everything that is written because of it."""

    event: Event
    seq: int
    inputs: Inputs
    postings: tuple[Posting, ...]
    warnings: tuple[Problem, ...]
    after: CustomerState  # after it and everything it caused
    caused: tuple[Judged, ...] = ()  # direct and indirect, in seq order
    outcome: Outcome = "applied"
    code: tuple[str, int] | None = None  # reward and number of the code that was given


NOTHING = Inputs(values={})
UNREWARDED = Inputs(values={}, may_earn=False)


def system_event(
    type_id: str, raw: Mapping[str, object], book: RuleBook, *, event_id: UUID, occurred_at: datetime,
    parent: Event | None = None, order_key: UUID | None = None,
) -> Event:  # fmt: skip
    """An event the engine writes itself, read by its type's schema like any other. Due work is judged at its moment."""
    event_type = book.program.event_types[type_id]
    reading = Reading(book.zone, [])
    found = read_fields(event_type.properties, raw, "/properties", reading)
    assert not reading.problems, reading.problems
    stored = {
        field.name: kept for field, (kept, _) in zip(event_type.properties, found, strict=True) if kept is not None
    }
    return Event(
        id=event_id,
        type=event_type,
        occurred_at=occurred_at,
        recorded_at=parent.recorded_at if parent else recorded_at(event_id),
        judged_at=parent.judged_at if parent else occurred_at,
        values=tuple(value for _, value in found),
        properties=msgspec.json.encode(stored).decode(),
        parent=parent.id if parent else None,
        depth=parent.depth + 1 if parent else 0,
        order_key=order_key,
    )


# One event


def record_event(
    state: CustomerState, event: Event, shelf: Shelf, act: Callable[[Account], Effect] | None = None
) -> Judged:
    """One event's whole effect: judge, post, count, move the tier, and judge what that causes.

    `act` is what due work does by itself, in place of what the type does. Raises Lacking, Refused, SameOrder.
    """
    book = shelf.live
    state = with_history(enter_program(state, book), book)
    account = Account(state, event, shelf)
    inputs, effect = _judge(account, act)
    postings = tuple(account.postings)
    after = _fold(account, effect)
    warnings = (*effect.warnings, *_stop(after, account, postings))
    caused, after = _move_tier(after, event, shelf, postings)
    return Judged(
        event=event if effect.event is None else effect.event,
        seq=state.seq + 1,
        inputs=inputs,
        postings=postings,
        warnings=warnings,
        after=_dated(after, account, effect),
        caused=caused,
        outcome=effect.outcome,
        code=effect.code,
    )


def _judge(account: Account, act: Callable[[Account], Effect] | None) -> tuple[Inputs, Effect]:
    """What the event does by itself, then what rules give for it."""
    event, book = account.event, account.shelf.live
    if act is None and event.order_key is not None:
        return _judge_order(account)
    action = act or ACTIONS.get(event.type.id)
    effect = action(account) if action is not None else Effect()
    if not event.may_earn:
        return UNREWARDED, effect
    rules = book.by_type.get(event.type.id)
    if rules is None:
        return NOTHING, effect
    seen = event if effect.event is None else effect.event
    inputs = take_inputs(rules, account.state, seen, book)
    verdicts = judge(rules, seen, inputs, book.program.settings.rounding)
    earn(account, verdicts, book)
    effect.warnings += _cut_warnings(verdicts)
    effect.uses = _uses(verdicts, event, book)
    return inputs, effect


def _judge_order(account: Account) -> tuple[Inputs, Effect]:
    event, book = account.event, account.shelf.live
    is_opening = event.type.id not in ORDER_FAMILY_TYPES and known_order(account) is None
    rules = book.by_type.get(event.type.id) if is_opening and event.may_earn else None
    inputs = take_inputs(rules, account.state, event, book) if rules is not None else NOTHING
    if is_opening and not event.may_earn:
        inputs = UNREWARDED
    if is_opening and opens_plainly(account):
        return inputs, _open_plainly(account, inputs, rules)
    found = open_or_change(account, inputs)
    effect = Effect(order=found, outcome="applied" if found.folded else "waiting_for_order")
    effect.warnings += found.warnings
    if found.folded is not None:
        effect.warnings += _cut_warnings(found.folded.verdicts)
        effect.uses = list(found.folded.uses.items())
    return found.inputs or inputs, effect


def _open_plainly(account: Account, inputs: Inputs, rules: TypeRules | None) -> Effect:
    """The usual purchase: awards like those of any event, and an order that its opening event tells all of."""
    event, book, state = account.event, account.shelf.live, account.state
    assert event.order_key is not None
    plain = Plain(event, inputs, book.program.revision)
    changes = {
        "orders": state.orders + 1,
        "order_ids": {**state.order_ids, event.order_key: event.id},
        "plain_orders": {**state.plain_orders, event.id: plain},
    }
    effect = Effect(changes=changes)
    if rules is not None:
        verdicts = judge(rules, event, inputs, book.program.settings.rounding)
        earn(account, verdicts, book, order=event.id)
        effect.warnings, effect.uses = _cut_warnings(verdicts), _uses(verdicts, event, book)
    return effect


def take_inputs(rules: TypeRules, state: CustomerState, event: Event, book: RuleBook) -> Inputs:
    """What the rules of a type read beyond the event. Raises Lacking for limit uses that are not loaded."""
    level = held_level(book.program.tiers, state) if rules.has_multiplier else None
    left = {}
    if rules.limited:
        uses = state.uses
        keys = use_keys(rules, event.occurred_at, book.zone)
        missing = tuple(key for key in keys if key not in uses)
        if missing and not state.is_whole:
            raise Lacking(uses=missing)
        known = {**dict.fromkeys(missing, Use()), **uses} if missing else uses
        left = rooms(rules, event.occurred_at, book.zone, known)
    return Inputs(
        values=book.reader.take(rules.reads, event, state) if rules.reads else {},
        multiplier=level.multiplier if level else Decimal(1),
        rooms=left,
    )


def _cut_warnings(verdicts: Sequence[Verdict]) -> tuple[Problem, ...]:
    return tuple(
        Problem("", "award_limit", f"rule '{cut.rule.id}' gave {cut.rounded} points; {limits.AWARD_POINTS} is the most")
        for cut in verdicts
        if cut.is_cut
    )


def _uses(verdicts: Sequence[Verdict], event: Event, book: RuleBook) -> list[tuple[UseKey, Use]]:
    limited = [verdict for verdict in verdicts if verdict.points and verdict.rule.limits]
    return [entry for cut in limited for entry in used(cut.rule, cut.points, event.occurred_at, book.zone)]


# The state after it


def _fold(account: Account, effect: Effect) -> CustomerState:
    """The state after the event's own effects; its due date comes last."""
    state, event, book = account.state, account.event, account.shelf.live
    counts = dict(state.counts)
    counts[event.type.id] = counts.get(event.type.id, 0) + 1
    changes: dict[str, object] = dict(effect.changes)
    if effect.order is not None:
        changes |= _order_changes(account, effect.order)
    if event.birth_date is not msgspec.UNSET:
        changes["birth_date"] = event.birth_date
    tiers = keep_history(account, effect.tiers or state.tiers)
    return msgspec.structs.replace(
        state,
        seq=state.seq + 1,
        counts=counts,
        attributes=_merge(state.attributes, event.attributes) if event.attributes else state.attributes,
        tags=state.tags if event.tags is None else event.tags,
        last_activity_at=later_activity(state.last_activity_at, event),
        calendar=calendar_after(state, event, book),
        wallets=account.wallets,
        lots=account.lots,
        order_states=account.orders,
        uses=_add_uses(state.uses, effect.uses) if effect.uses else state.uses,
        tiers=tiers,
        **changes,
    )


def _order_changes(account: Account, effect: OrderEffect) -> dict[str, object]:
    state, key = account.state, account.event.order_key
    assert key is not None
    changes: dict[str, object] = {"orders": state.orders + effect.counted}
    if effect.folded is not None:
        changes["order_ids"] = {**state.order_ids, key: effect.folded.order.id}
        if effect.gone:
            changes["waiting"] = state.waiting - effect.gone
    elif effect.waiting is not None:
        changes["waiting"] = state.waiting + 1
    if effect.waiting is not None:
        changes["waiting_events"] = {**state.waiting_events, key: effect.waiting}
    return changes


def _merge(attributes: Mapping[str, object], changes: Mapping[str, object | None]) -> Mapping[str, object]:
    merged = {**attributes, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _add_uses(known: Mapping[UseKey, Use], new: Sequence[tuple[UseKey, Use]]) -> Mapping[UseKey, Use]:
    sums = dict(known)
    for key, use in new:
        before = sums.get(key, Use())
        sums[key] = Use(before.times + use.times, before.points + use.points)
    return sums


def _dated(state: CustomerState, account: Account, effect: Effect) -> CustomerState:
    """The state with the earliest moment at which something of it falls due, as far as this event changed that."""
    dates = list(effect.dates)
    for key in account.touched:
        lot = account.lots[key]
        if lot.pending and lot.release_at is not None:
            dates.append(lot.release_at)
        if lot.remaining and lot.expires_at is not None:
            dates.append(lot.expires_at)
    if effect.order is not None and effect.order.folded is not None:
        decides_at = effect.order.folded.order.decides_at
        dates += [decides_at] if decides_at is not None else []
    before, book = account.state, account.shelf.live
    is_watched = book.program.settings.inactivity_days is not None and account.event.type.activity
    if state.calendar is not before.calendar or state.birth_date != before.birth_date or is_watched:
        dates += [occasion.moment for occasion in occasions(state, book)]
    if book.tier_basis or state.tiers is not before.tiers:
        review = review_at(state, book)
        dates += [review] if review is not None else []
    if not dates:
        return state
    if state.due_at is not None:
        dates.append(state.due_at)
    earliest = min(dates)
    return state if earliest == state.due_at else msgspec.structs.replace(state, due_at=earliest)


# Tiers and what they cause


def _move_tier(
    state: CustomerState, cause: Event, shelf: Shelf, postings: Sequence[Posting]
) -> tuple[tuple[Judged, ...], CustomerState]:
    """Move to the level the points call for, and judge the event that says so, to CAUSED_DEPTH."""
    change = _change(state, cause, shelf, postings)
    if change is None or cause.depth >= limits.CAUSED_DEPTH:
        return (), state
    event = tier_event(state, change, shelf.live, event_id=neighbour(cause.id, 1), cause=cause)
    judged = record_event(moved(state, change), event, shelf)
    return (judged, *judged.caused), judged.after


def _change(state: CustomerState, cause: Event, shelf: Shelf, postings: Sequence[Posting]) -> Change | None:
    tiers = shelf.live.program.tiers
    if tiers is None:
        return None
    taken = any(qualifying_change(posting) < 0 for posting in postings if posting.wallet == tiers.wallet)
    is_set = cause.type.id == "tier_set"
    return change_of(state, shelf.live, now=cause.judged_at, occurred_at=cause.occurred_at, may_fall=taken or is_set)


def tier_event(
    state: CustomerState, change: Change, book: RuleBook, *, event_id: UUID, cause: Event | None = None,
    moment: datetime | None = None,
) -> Event:  # fmt: skip
    """`tier_upgraded` or `tier_downgraded`, naming both levels. In: the state before the move."""
    assert book.program.tiers is not None
    level = change.level.id if change.level is not None else None
    raw = {"from_tier": state.tier, "to_tier": level, "wallet": book.program.tiers.wallet}
    if change.is_rise:
        raw["first_time"] = level not in state.tiers.reached  # type: ignore[assignment]
    type_id = "tier_upgraded" if change.is_rise else "tier_downgraded"
    occurred_at = cause.occurred_at if cause is not None else moment
    assert occurred_at is not None
    return system_event(type_id, raw, book, event_id=event_id, occurred_at=occurred_at, parent=cause)


def _stop(state: CustomerState, account: Account, postings: Sequence[Posting]) -> tuple[Problem, ...]:
    """A move that CAUSED_DEPTH cuts off is an error on record; the cause stands, the next event brings the move."""
    cause = account.event
    if cause.depth < limits.CAUSED_DEPTH:
        return ()
    change = _change(state, cause, account.shelf, postings)
    if change is None:
        return ()
    level = change.level.id if change.level is not None else "no tier"
    detail = f"the move to '{level}' waits for the next event: effects are judged to depth {limits.CAUSED_DEPTH}"
    return (Problem("", "caused_depth", detail),)
