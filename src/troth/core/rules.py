"""Rules: which of them apply to an event, and how many points each awards.

`compile_rules` turns a program into a `RuleBook` once per revision. `judge` is a pure function of the event, the
recorded inputs and the book; it gives a verdict for *every* rule of the type, those that do not apply included, so that
live judging, explanations and replays are one and the same computation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from troth import limits
from troth.core.calendar import end_of_day, local_day, period_key, wall_clock
from troth.core.coercion import show_scaled
from troth.core.event import Event
from troth.core.expression import Checked, Common, Compiled, check, common_to, compile_expression, scope_for
from troth.core.inputs import Inputs, Reader
from troth.core.order_state import Room
from troth.core.program import EventType, Expiry, Limit, Program, RoundingMode, Rule, Wallet
from troth.core.program.order_types import as_judged
from troth.core.state import Lacking, Use, UseKey
from troth.core.tiers import basis_of

Reason = Literal["applied", "disabled", "not_active", "condition_false", "nothing_to_award", "limit_reached", "group"]
_MULTIPLIER_UNIT = 10**limits.MULTIPLIER_PLACES


class OrderView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the rules of an order see: the order as it now stands, at the time of its opening event."""

    occurred_at: datetime
    values: tuple[object, ...]
    whole: tuple[object, ...]  # for rules that read the items: before refunds that name an amount only,
    factor: tuple[int, int]  # by whose share what they give is lowered


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one rule makes of one event, and the first reason why it awards nothing if it does not."""

    rule: Rule
    reason: Reason
    base: Decimal | None = None  # what the formula gave, exact
    multiplier: Decimal = Decimal(1)
    rounded: int = 0  # after multiplier and rounding, before limits
    points: int = 0  # awarded
    cap: str | None = None  # the limit that cut the award
    is_cut: bool = False  # cut to the largest award there is


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    rule: Rule
    condition: Callable[[tuple[object, ...], Sequence[object]], object]
    formula: Callable[[tuple[object, ...], Sequence[object]], int]
    places: int  # of the formula's result
    unit: int  # 10^places
    checked: tuple[Checked, Checked]  # condition and formula, for explanations
    reads_items: bool  # of an order


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeRules:
    """The rules of one event type, and the inputs they need."""

    slots: Mapping[str, int]  # input name → its place in what the compiled functions receive
    width: int
    reads: tuple[str, ...]  # names that any of the rules reads
    rules: tuple[CompiledRule, ...]
    limited: tuple[Rule, ...]  # those with limits
    has_multiplier: bool  # any rule asks for the tier multiplier
    has_groups: bool

    def arrange(self, values: Mapping[str, object]) -> list[object]:
        """Input values in slot order; what no rule reads stays None."""
        arranged: list[object] = [None] * self.width
        for name, value in values.items():
            arranged[self.slots[name]] = value
        return arranged


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """One revision of the program, ready to judge."""

    program: Program
    zone: ZoneInfo
    reader: Reader
    by_type: Mapping[str, TypeRules]  # only types that have rules
    expiries: Mapping[str, Expiry]  # wallet → its expiry

    limited_types: frozenset[str]  # event types that have rules with limits

    wallets: Mapping[str, Wallet]
    wallet_ids: tuple[str, ...]  # in document order
    tier_basis: str  # `tiers.basis_of` of the program

    @property
    def main_wallet(self) -> str:
        return self.program.wallets[0].id

    def least_end(self, now: datetime) -> datetime:
        """Before this moment no returned points and no increase of an order ends."""
        day = local_day(now, self.zone) + timedelta(days=self.program.settings.return_days_min)
        return end_of_day(day, self.zone)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The live program, and the revisions that orders were opened under."""

    live: RuleBook
    kept: Mapping[int, RuleBook]

    def at(self, revision: int) -> RuleBook:
        """The book of a revision. Raises Lacking when it is not compiled yet."""
        book = self.live if revision == self.live.program.revision else self.kept.get(revision)
        if book is None:
            raise Lacking(revision=revision)
        return book


def compile_rules(program: Program) -> RuleBook:
    """The book of a validated program; its expressions have been checked at publish."""
    profile = program.event_types["profile"]
    readable = {field.name: field for field in profile.properties if not field.pii}
    zone = ZoneInfo(program.settings.time_zone)
    types = {rule.event_type for rule in program.rules}
    levels = tuple(level.id for level in program.tiers.levels) if program.tiers else ()
    common = common_to(profile=profile, levels=levels, event_types=program.event_types.keys())
    by_type = {name: _compile_type(program, program.event_types[name], common) for name in types}
    return RuleBook(
        program=program,
        zone=zone,
        reader=Reader(wallet=program.wallets[0].id, zone=zone, attributes=readable),
        by_type=by_type,
        limited_types=frozenset(name for name, rules in by_type.items() if rules.limited),
        expiries={wallet.id: wallet.expiry for wallet in program.wallets},
        wallets={wallet.id: wallet for wallet in program.wallets},
        wallet_ids=tuple(wallet.id for wallet in program.wallets),
        tier_basis=basis_of(program.tiers, program.settings.time_zone),
    )


def _compile_type(program: Program, event_type: EventType, common: Common) -> TypeRules:
    scope = scope_for(as_judged(event_type), common)
    rules = tuple(rule for rule in program.rules if rule.event_type == event_type.id)
    checks = {rule.id: (check(rule.when, scope, "condition"), check(rule.award, scope, "number")) for rule in rules}
    reads = set[str]().union(*(checked.reads for pair in checks.values() for checked in pair))
    return TypeRules(
        slots={name: place for place, name in enumerate(scope.inputs)},
        width=len(scope.inputs),
        reads=tuple(name for name in scope.inputs if name in reads),
        rules=tuple(_compile_rule(rule, *checks[rule.id], event_type) for rule in rules),
        limited=tuple(rule for rule in rules if rule.limits),
        has_multiplier=any(rule.tier_multiplier for rule in rules),
        has_groups=any(rule.group is not None for rule in rules),
    )


def _compile_rule(rule: Rule, condition: Checked, formula: Checked, event_type: EventType) -> CompiledRule:
    when: Compiled = compile_expression(condition)
    award: Compiled = compile_expression(formula)
    items = event_type.order.items if event_type.order is not None else None
    return CompiledRule(
        rule=rule,
        condition=when.function,
        formula=award.function,
        places=award.places,
        unit=10**award.places,
        checked=(condition, formula),
        reads_items=items is not None and items in condition.property_reads | formula.property_reads,
    )


# Limits


def use_keys(rules: TypeRules, occurred_at: datetime, zone: ZoneInfo) -> list[UseKey]:
    """The uses that have to be known to judge an event of that time: a key per limit."""
    if not rules.limited:
        return []
    local = wall_clock(occurred_at, zone)
    return [(rule.id, period_key(limit.window, local)) for rule in rules.limited for limit in rule.limits]


def rooms(
    rules: TypeRules, occurred_at: datetime, zone: ZoneInfo, uses: Mapping[UseKey, Use]
) -> dict[str, tuple[Room, ...]]:
    """What each limit still leaves, per limited rule in order of its limits. In: every use that `use_keys` names."""
    local = wall_clock(occurred_at, zone)
    return {
        rule.id: tuple(room_left(limit, uses[rule.id, period_key(limit.window, local)]) for limit in rule.limits)
        for rule in rules.limited
    }


def room_left(limit: Limit, use: Use) -> Room:
    return (
        None if limit.times is None else max(limit.times - use.times, 0),
        None if limit.points is None else max(limit.points - use.points, 0),
    )


# Judging


def judge(rules: TypeRules, event: Event | OrderView, inputs: Inputs, rounding: RoundingMode) -> list[Verdict]:
    """A verdict per rule of the event's type, in document order."""
    arranged = rules.arrange(inputs.values)
    verdicts = [_judge_rule(rule, event, arranged, (inputs, rounding)) for rule in rules.rules]
    return _settle_groups(verdicts) if rules.has_groups else verdicts


def _judge_rule(
    compiled: CompiledRule, event: Event | OrderView, arranged: list[object], context: tuple[Inputs, RoundingMode]
) -> Verdict:
    rule = compiled.rule
    if not rule.enabled:
        return Verdict(rule=rule, reason="disabled")
    if not is_active(rule, event.occurred_at):
        return Verdict(rule=rule, reason="not_active")
    values = event.values
    if type(event) is OrderView and compiled.reads_items:
        values = event.whole
    if not compiled.condition(values, arranged):
        return Verdict(rule=rule, reason="condition_false")
    scaled = compiled.formula(values, arranged)
    if type(event) is OrderView and compiled.reads_items:
        return _award(compiled, scaled, event.factor, context)
    return _award(compiled, scaled, _WHOLE, context)


_WHOLE = (1, 1)


def _award(
    compiled: CompiledRule, scaled: int, factor: tuple[int, int], context: tuple[Inputs, RoundingMode]
) -> Verdict:
    """The formula's result × factor × multiplier, rounded once, then limited."""
    rule, unit, (inputs, rounding) = compiled.rule, compiled.unit, context
    multiplier = inputs.multiplier if rule.tier_multiplier and scaled > 0 else Decimal(1)
    base = Decimal(show_scaled(scaled, compiled.places))
    if factor != _WHOLE:
        numerator, denominator = factor
        scaled, unit = scaled * numerator, unit * denominator
        base = Decimal(show_scaled(_round(scaled * 10**_SHARE_PLACES, unit, "half_up"), _SHARE_PLACES))
    if multiplier == 1:
        rounded = _round(scaled, unit, rounding)
    else:
        rounded = _round(scaled * int(multiplier * _MULTIPLIER_UNIT), unit * _MULTIPLIER_UNIT, rounding)
    if rounded <= 0:
        return Verdict(rule=rule, reason="nothing_to_award", base=base, multiplier=multiplier)
    points, cap = _limit(rule, min(rounded, limits.AWARD_POINTS), inputs.rooms.get(rule.id, ()))
    return Verdict(
        rule=rule,
        reason="applied" if points else "limit_reached",
        base=base,
        multiplier=multiplier,
        rounded=rounded,
        points=points,
        cap=cap,
        is_cut=rounded > limits.AWARD_POINTS,
    )


_SHARE_PLACES = 8  # shown of a share; it is exact where it counts


def is_active(rule: Rule, occurred_at: datetime) -> bool:
    """`from` is inclusive, `until` exclusive."""
    if rule.active_from is not None and occurred_at < rule.active_from:
        return False
    return rule.active_until is None or occurred_at < rule.active_until


def _round(amount: int, unit: int, rounding: RoundingMode) -> int:
    """amount ÷ unit, rounded once: `floor` toward −∞, `ceil` toward +∞, `half_up` away from zero at the half."""
    match rounding:
        case "floor":
            return amount // unit
        case "ceil":
            return -(-amount // unit)
        case "half_up":
            half = (2 * abs(amount) + unit) // (2 * unit)
            return half if amount >= 0 else -half


def _limit(rule: Rule, points: int, left: tuple[Room, ...]) -> tuple[int, str | None]:
    """The award after every limit, and the tightest limit that cut it."""
    cap = None
    for limit, (times, room) in zip(rule.limits, left, strict=True):
        if times == 0 and points > 0:
            points, cap = 0, f"times {limit.window}"
        if room is not None and room < points:
            points, cap = room, f"points {limit.window}"
    return points, cap


def _settle_groups(verdicts: list[Verdict]) -> list[Verdict]:
    """Within a group only the best award stands; ties go to higher priority, then to the first of the document."""
    best: dict[str, Verdict] = {}
    for verdict in verdicts:
        group = verdict.rule.group
        if group is not None and verdict.points and (group not in best or _rank(verdict) > _rank(best[group])):
            best[group] = verdict
    if not best:
        return verdicts
    return [_lose(verdict) if best.get(verdict.rule.group or "", verdict) is not verdict else verdict
            for verdict in verdicts]  # fmt: skip


def _rank(verdict: Verdict) -> tuple[int, int]:
    return (verdict.points, verdict.rule.priority)


def _lose(verdict: Verdict) -> Verdict:
    return msgspec.structs.replace(verdict, reason="group", points=0) if verdict.points else verdict


def used(rule: Rule, points: int, occurred_at: datetime, zone: ZoneInfo) -> list[tuple[UseKey, Use]]:
    """What an award of so many points uses up of its rule's limits."""
    local = wall_clock(occurred_at, zone)
    keys = dict.fromkeys((rule.id, period_key(limit.window, local)) for limit in rule.limits)
    return [(key, Use(1, points)) for key in keys]
