"""The `rules` section of a program document.

In: the list of rules, and what they may refer to. Out: rules in document order, their expressions checked against the
schema of their event type. A published rule cannot fail on a valid event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from troth import limits
from troth.core.expression import Common, Diagnostic, Scope, check, scope_for
from troth.core.program import EventType, Limit, Rule, Settings, Wallet, Window
from troth.core.program.builtin_types import ABSENT_TYPES, ORDER_FAMILY_TYPES, UNAVAILABLE_TYPES
from troth.core.program.fields import Fields, check_identifier
from troth.core.program.order_types import as_judged
from troth.core.program.problem import ProgramProblem, Span
from troth.core.program.sections import not_available, optional_whole, read_period
from troth.core.program.wallets import read_expiry

_WINDOWS = ("day", "week", "month", "year", "ever")
_TIMES_MAX = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What rules may refer to."""

    event_types: Mapping[str, EventType]
    wallets: Mapping[str, Wallet]  # the first is the main one
    common: Common  # what rules on any event type may read
    settings: Settings
    zone: ZoneInfo
    scopes: dict[str, Scope] = field(default_factory=dict)  # by event type; built when first asked for

    def scope(self, event_type: str) -> Scope:
        if event_type not in self.scopes:
            self.scopes[event_type] = scope_for(as_judged(self.event_types[event_type]), self.common)
        return self.scopes[event_type]


def read_rules(document: Fields, around: Surroundings) -> tuple[Rule, ...]:
    found: dict[str, Rule] = {}
    groups: dict[str, str] = {}  # group → the wallet of its first rule
    for fields in document.items("rules", limits.RULES):
        rule = _read_rule(fields, around)
        if rule.id in found:
            fields.error("id", "duplicate_id", f"there is already a rule {rule.id!r}")
            continue
        if rule.group is not None and groups.setdefault(rule.group, rule.wallet) != rule.wallet:
            message = f"the rules of group {rule.group!r} award to {groups[rule.group]!r}; a group has one wallet"
            fields.error("wallet", "group_wallet", message)
        if rule.id:
            found[rule.id] = rule
        _warn_of_unlimited(rule, fields, around)
        _warn_of_feedback(rule, fields, around)
    return tuple(found.values())


def _read_rule(fields: Fields, around: Surroundings) -> Rule:
    rule_id = fields.identifier()
    event_type = _read_event_type(fields, around)
    _refuse_unavailable(fields)
    active_from, active_until = read_period(fields, around.zone)
    rule = Rule(
        id=rule_id,
        label=fields.text("label", rule_id),
        event_type=event_type or "",
        when=_source(fields, "when") or "true",
        award=_source(fields, "award", required=True) or "0",
        wallet=fields.reference("wallet", tuple(around.wallets), "wallet") or next(iter(around.wallets)),
        tier_multiplier=fields.boolean("tier_multiplier", True),
        active_from=active_from,
        active_until=active_until,
        limits=tuple(_read_limit(item) for item in fields.items("limits", limits.RULE_LIMITS)),
        group=_read_group(fields),
        priority=fields.whole("priority", 0, least=-limits.PRIORITY, most=limits.PRIORITY),
        hold=fields.duration("hold"),
        expiry=read_expiry(fields),
        qualifying=fields.boolean("qualifying", True),
        enabled=fields.boolean("enabled", True),
    )
    if event_type is not None:
        _check_expressions(rule, fields, around.scope(event_type))
        _check_arrival(rule, fields, around)
    fields.close()
    return rule


def _read_event_type(fields: Fields, around: Surroundings) -> str | None:
    if not fields.has("event_type"):
        fields.error("", "required", "'event_type' is missing", "name the event type this rule answers to")
    return fields.reference("event_type", tuple(around.event_types), "event type")


def _refuse_unavailable(fields: Fields) -> None:
    if fields.take("segments") not in (None, []):
        not_available(fields, "segments", "limiting a rule to segments")
    if fields.take("campaign") is not None:
        not_available(fields, "campaign", "binding a rule to a campaign")


def _source(fields: Fields, name: str, *, required: bool = False) -> str | None:
    """The text of an expression; a bare number or true/false is one too."""
    value = fields.take(name, required=required)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    fields.wrong_type(name, value, "an expression")
    return None


def _read_group(fields: Fields) -> str | None:
    value = fields.take("group")
    return None if value is None else check_identifier(value, fields.at("group"), fields.problems) or None


def _read_limit(fields: Fields) -> Limit:
    if not fields.has("window"):
        fields.error("", "required", "'window' is missing", "one of " + ", ".join(_WINDOWS))
    if not fields.has("times") and not fields.has("points"):
        fields.error("", "required", "a limit needs 'times' or 'points'", "say how often or how many points")
    limit = Limit(
        window=cast("Window", fields.choice("window", _WINDOWS, "ever")),
        times=optional_whole(fields, "times", least=1, most=_TIMES_MAX),
        points=optional_whole(fields, "points", least=1, most=limits.AWARD_POINTS),
    )
    fields.close()
    return limit


def _check_expressions(rule: Rule, fields: Fields, scope: Scope) -> None:
    if fields.has("when"):
        for found in check(rule.when, scope, "condition").diagnostics:
            fields.problems.add(_problem(found, fields.at("when")))
    if fields.has("award"):
        for found in check(rule.award, scope, "number").diagnostics:
            fields.problems.add(_problem(found, fields.at("award")))


def _problem(found: Diagnostic, pointer: str) -> ProgramProblem:
    return ProgramProblem(
        pointer=pointer,
        code=found.code,
        message=found.message,
        hint=found.hint,
        severity=found.severity,
        span=Span(start=found.start, end=found.end, line=found.line, column=found.column),
    )


def _check_arrival(rule: Rule, fields: Fields, around: Surroundings) -> None:
    """A rule on events that it never judges would look as if it paid."""
    event_type = rule.event_type
    if event_type in ORDER_FAMILY_TYPES:
        openers = [known.id for known in around.event_types.values() if known.order is not None]
        message = f"{event_type!r} events change an order, and orders are judged by the rules of their opening type"
        hint = f"put the rule on {' or '.join(map(repr, openers[:3]))}" if openers else "map an order on an event type"
        fields.error("event_type", "order_family_rule", message, hint)
    elif not rule.enabled:
        return
    elif event_type in ABSENT_TYPES | UNAVAILABLE_TYPES:
        message = f"{event_type!r} events do not exist in this version, so the rule awards nothing yet"
        fields.problems.warning(fields.at("event_type"), "cannot_arrive", message, "disable it until then")
    elif event_type == "inactivity" and around.settings.inactivity_days is None:
        message = "nobody is told to be inactive while settings.inactivity_days is not set, so the rule awards nothing"
        fields.problems.warning(fields.at("event_type"), "cannot_arrive", message, "set settings.inactivity_days")


def _warn_of_unlimited(rule: Rule, fields: Fields, around: Surroundings) -> None:
    """A browser key is public: whoever has it could send such events without end."""
    known = around.event_types.get(rule.event_type)
    if known is None or not known.client_allowed or known.once or rule.limits or not rule.enabled:
        return
    message = f"anyone with a publishable key can send {known.id!r} events, and this rule pays for each of them"
    hint = "add a limit, such as limits: [{times: 1, window: day}]"
    fields.problems.warning(fields.pointer, "client_award_unlimited", message, hint)


def _warn_of_feedback(rule: Rule, fields: Fields, around: Surroundings) -> None:
    """Points on hold are told when they are released; if that awards points on hold, it never ends."""
    hold = around.wallets[rule.wallet].hold if rule.hold is None else rule.hold
    if rule.event_type != "points_released" or not hold or rule.limits or not rule.enabled:
        return
    message = "what this rule awards is held, and its own release awards again: this may never end"
    hint = "write hold: P0D, or add a limit, such as limits: [{times: 1, window: day}]"
    fields.problems.warning(fields.pointer, "feeds_itself", message, hint)
