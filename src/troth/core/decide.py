"""The decision: state + event + program → what is recorded, posted and carried on. Pure and total.

Order (semantics.md §1): apply what fell due → rules → post → tier → everything it caused. The same state, event and
book give the same decision, byte for byte; ids of events written along are neighbours of the event's own id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from troth import limits
from troth.core.coercion import Problem, Reading, read_fields
from troth.core.event import Event
from troth.core.ids import neighbour, recorded_at
from troth.core.inputs import Inputs
from troth.core.points import by_expiry_day, earn, expire
from troth.core.program import Level
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.core.rules import RuleBook, TypeRules, Verdict, judge, rooms, used
from troth.core.state import CustomerState, Lot, Posting, Use, UseKey, apply_postings
from troth.core.tiers import held_level, upgrade


class Judged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event with everything that is written because of it."""

    event: Event
    seq: int
    inputs: Inputs
    postings: tuple[Posting, ...]
    lots: tuple[Lot, ...]  # earned
    warnings: tuple[Problem, ...]
    after: CustomerState  # after it and everything it caused
    caused: tuple[Judged, ...] = ()  # direct and indirect, in seq order


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to write for one event of one customer."""

    due: tuple[Judged, ...]  # what fell due before it; written even when it is refused
    closed: tuple[Lot, ...]  # lots whose points that took
    judged: Judged | None  # the event itself; None: refused
    refusal: Problem | None
    state: CustomerState  # to carry to the customer's next event

    @property
    def recorded(self) -> tuple[Judged, ...]:
        """Every event to write, in seq order."""
        own = (self.judged, *self.judged.caused) if self.judged else ()
        return (*self.due, *own)


NOTHING = Inputs(values={})


def decide(state: CustomerState, event: Event, book: RuleBook, now: datetime) -> Decision:
    """Judge one event at the moment `now`. Expected refusals are values (`not_repeatable`, `balance_limit`)."""
    due, settled = apply_due(state, now, book, event.id)
    problem = _refuse(settled, event)
    judged = None
    if problem is None:
        judged = record_event(settled, event, book)
        problem = _over_limit(judged.after)
    if problem is not None:
        return Decision(due=due, closed=state.due_lots, judged=None, refusal=problem, state=settled)
    assert judged is not None
    return Decision(due=due, closed=state.due_lots, judged=judged, refusal=None, state=judged.after)


def _refuse(state: CustomerState, event: Event) -> Problem | None:
    if event.type.once and state.counts.get(event.type.id):
        return Problem("/type", "not_repeatable", f"this customer already has a '{event.type.id}' event")
    return None


def _over_limit(state: CustomerState) -> Problem | None:
    for wallet_id, wallet in state.wallets.items():
        if wallet.available > limits.BALANCE_POINTS or wallet.lifetime > limits.BALANCE_POINTS:
            return Problem(
                "", "balance_limit", f"wallet '{wallet_id}' cannot hold more than {limits.BALANCE_POINTS} points"
            )
    return None


# What fell due


def apply_due(
    state: CustomerState, now: datetime, book: RuleBook, before: UUID
) -> tuple[tuple[Judged, ...], CustomerState]:
    """Expire what is past its date: one `points_expired` event per local day and wallet, in order of due time.

    In: `state.due_lots`, complete up to `now`. `before` is the id that the new events' ids precede.
    """
    if not state.due_lots:
        return (), state
    days = by_expiry_day(state.due_lots, book)
    current = msgspec.structs.replace(state, due_lots=())
    due: list[Judged] = []
    for place, lots in enumerate(days):
        event = _expired_event(lots, book, neighbour(before, place * _DUE_STEP - len(days) * _DUE_STEP))
        judged = record_event(current, event, book, expire(lots))
        due.extend((judged, *judged.caused))
        current = judged.after
    assert all(lot.expires_at is not None and lot.expires_at <= now for lot in state.due_lots)
    return tuple(due), current


_DUE_STEP = limits.CAUSED_DEPTH + 1  # ids kept free for what a due event causes


def _expired_event(lots: Sequence[Lot], book: RuleBook, event_id: UUID) -> Event:
    ends = lots[0].expires_at
    assert ends is not None
    raw = {"wallet": lots[0].wallet, "points": sum(lot.remaining for lot in lots)}
    return system_event("points_expired", raw, book, event_id=event_id, occurred_at=ends)


def system_event(
    type_id: str, raw: Mapping[str, object], book: RuleBook, *, event_id: UUID, occurred_at: datetime,
    parent: Event | None = None,
) -> Event:  # fmt: skip
    """An event the engine writes itself, read by its type's schema like any other."""
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
        values=tuple(value for _, value in found),
        properties=msgspec.json.encode(stored).decode(),
        parent=parent.id if parent else None,
        depth=parent.depth + 1 if parent else 0,
    )


# One event


def record_event(state: CustomerState, event: Event, book: RuleBook, own: tuple[Posting, ...] = ()) -> Judged:
    """One event's whole effect: judge, post, count, lift the tier, and judge what that causes.

    `own` is what the event posts by itself, before any award.
    """
    rules = book.by_type.get(event.type.id)
    state = _enter_program(state, book)
    inputs, verdicts = (NOTHING, []) if rules is None else _judge(rules, state, event, book)
    awards, lots = earn(event, verdicts, book)
    postings = (
        own + tuple(msgspec.structs.replace(posting, n=posting.n + len(own)) for posting in awards) if own else awards
    )
    effect = _Effect(postings=postings, lots=lots, uses=_uses(verdicts, event, book))
    after = _fold(state, event, effect)
    stopped = _stop(after, event, book)
    caused, after = _rise(after, event, book)
    return Judged(
        event=event,
        seq=state.seq + 1,
        inputs=inputs,
        postings=postings,
        lots=lots,
        warnings=(*(_cut_warning(verdict) for verdict in verdicts if verdict.is_cut), *stopped),
        after=after,
        caused=caused,
    )


def _judge(rules: TypeRules, state: CustomerState, event: Event, book: RuleBook) -> tuple[Inputs, list[Verdict]]:
    level = held_level(book.program.tiers, state) if rules.has_multiplier else None
    inputs = Inputs(
        values=book.reader.take(rules.reads, event, state) if rules.reads else {},
        multiplier=level.multiplier if level else Decimal(1),
        rooms=rooms(rules, event.occurred_at, book.zone, state.uses) if rules.limited else {},
    )
    return inputs, judge(rules, event, inputs, book.program.settings.rounding)


def _cut_warning(verdict: Verdict) -> Problem:
    return Problem(
        "", "award_limit", f"rule '{verdict.rule.id}' gave {verdict.rounded} points; {limits.AWARD_POINTS} is the most"
    )


def _uses(verdicts: Sequence[Verdict], event: Event, book: RuleBook) -> list[tuple[UseKey, Use]]:
    limited = [verdict for verdict in verdicts if verdict.points and verdict.rule.limits]
    return [entry for verdict in limited for entry in used(verdict, event.occurred_at, book.zone)]


def _enter_program(state: CustomerState, book: RuleBook) -> CustomerState:
    """Who holds no tier, or one that is gone, starts at the level that asks for no points. That is no upgrade."""
    level = held_level(book.program.tiers, state)
    if (level.id if level else None) == state.tier:
        return state
    since = state.created_at if level else None
    return msgspec.structs.replace(state, tier=level.id if level else None, tier_since=since)


class _Effect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an event moves and uses up."""

    postings: tuple[Posting, ...]
    lots: tuple[Lot, ...]
    uses: list[tuple[UseKey, Use]]


def _fold(state: CustomerState, event: Event, effect: _Effect) -> CustomerState:
    """The state after the event's own effects."""
    counts = dict(state.counts)
    counts[event.type.id] = counts.get(event.type.id, 0) + 1
    dates = [lot.expires_at for lot in effect.lots if lot.expires_at is not None and lot.remaining]
    if state.due_at is not None:
        dates.append(state.due_at)
    opens_order = event.type.order is not None and event.type.id not in ORDER_FAMILY_TYPES
    return msgspec.structs.replace(
        state,
        seq=state.seq + 1,
        orders=state.orders + opens_order,
        counts=counts,
        attributes=_merge(state.attributes, event.attributes) if event.attributes else state.attributes,
        tags=state.tags if event.tags is None else event.tags,
        last_activity_at=_later(state.last_activity_at, event) if event.type.activity else state.last_activity_at,
        wallets=apply_postings(state.wallets, effect.postings),
        uses=_add_uses(state.uses, effect.uses) if effect.uses else state.uses,
        due_at=min(dates, default=None),
    )


def _merge(attributes: Mapping[str, object], changes: Mapping[str, object | None]) -> Mapping[str, object]:
    merged = {**attributes, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _later(known: datetime | None, event: Event) -> datetime | None:
    if event.type.system:
        return known
    return event.occurred_at if known is None or event.occurred_at > known else known


def _add_uses(known: Mapping[UseKey, Use], new: list[tuple[UseKey, Use]]) -> Mapping[UseKey, Use]:
    sums = dict(known)
    for key, use in new:
        before = sums.get(key, Use())
        sums[key] = Use(before.times + use.times, before.points + use.points)
    return sums


# Tiers and what they cause


def _rise(state: CustomerState, cause: Event, book: RuleBook) -> tuple[tuple[Judged, ...], CustomerState]:
    """Rise to the level the points reach, and judge the `tier_upgraded` event of it, to CAUSED_DEPTH."""
    level = upgrade(book.program.tiers, state)
    if level is None or cause.depth >= limits.CAUSED_DEPTH:
        return (), state
    assert book.program.tiers is not None
    raw = {"from_tier": state.tier, "to_tier": level.id, "wallet": book.program.tiers.wallet, "first_time": True}
    event_id = neighbour(cause.id, 1)
    event = system_event("tier_upgraded", raw, book, event_id=event_id, occurred_at=cause.occurred_at, parent=cause)
    judged = record_event(_hold(state, level, cause), event, book)
    return (judged, *judged.caused), judged.after


def _stop(state: CustomerState, cause: Event, book: RuleBook) -> tuple[Problem, ...]:
    """A rise that CAUSED_DEPTH cuts off is an error on record; the cause stands, the next event brings the rise."""
    level = upgrade(book.program.tiers, state) if cause.depth >= limits.CAUSED_DEPTH else None
    if level is None:
        return ()
    detail = f"the rise to '{level.id}' waits for the next event: effects are judged to depth {limits.CAUSED_DEPTH}"
    return (Problem("", "caused_depth", detail),)


def _hold(state: CustomerState, level: Level, cause: Event) -> CustomerState:
    return msgspec.structs.replace(state, tier=level.id, tier_since=cause.occurred_at)
