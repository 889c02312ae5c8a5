"""The `rules` section of a program document.

In: the list of rules, and what they may refer to. Out: rules in document order, their expressions checked against the
schema of their event type. A published rule cannot fail on a valid event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, cast
from zoneinfo import ZoneInfo

from troth import limits
from troth.core.expression import Diagnostic, Scope, check, scope_for
from troth.core.program import EventType, Limit, Rule, Window
from troth.core.program.builtin_types import (
    ORDER_FAMILY_TYPES,
    PROFILE_TYPE,
    SYSTEM_TYPES,
    UNAVAILABLE_TYPES,
    WRITTEN_SYSTEM_TYPES,
)
from troth.core.program.fields import Fields, check_identifier
from troth.core.program.problem import ProgramProblem, Span
from troth.core.program.sections import not_available, read_expiry, read_hold

_WINDOWS = ("day", "week", "month", "year", "ever")
_TIMES_MAX = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What rules may refer to."""

    event_types: Mapping[str, EventType]
    wallets: tuple[str, ...]
    levels: tuple[str, ...]
    zone: ZoneInfo
    scopes: dict[str, Scope] = field(default_factory=dict)  # by event type; built when first asked for

    def scope(self, event_type: str) -> Scope:
        if event_type not in self.scopes:
            self.scopes[event_type] = scope_for(
                self.event_types[event_type],
                profile=self.event_types[PROFILE_TYPE],
                levels=self.levels,
                event_types=tuple(self.event_types),
            )
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
    return tuple(found.values())


def _read_rule(fields: Fields, around: Surroundings) -> Rule:
    rule_id = fields.identifier()
    event_type = _read_event_type(fields, around)
    _refuse_unavailable(fields)
    active = fields.child("active")
    rule = Rule(
        id=rule_id,
        label=fields.text("label", rule_id),
        event_type=event_type or "",
        when=_source(fields, "when") or "true",
        award=_source(fields, "award", required=True) or "0",
        wallet=fields.reference("wallet", around.wallets, "wallet") or around.wallets[0],
        tier_multiplier=fields.boolean("tier_multiplier", True),
        active_from=active.moment("from", around.zone) if active else None,
        active_until=active.moment("until", around.zone) if active else None,
        limits=tuple(_read_limit(item) for item in fields.items("limits", limits.RULE_LIMITS)),
        group=_read_group(fields),
        priority=fields.whole("priority", 0, least=-limits.PRIORITY, most=limits.PRIORITY),
        hold=read_hold(fields),
        expiry=read_expiry(fields),
        qualifying=fields.boolean("qualifying", True),
        enabled=fields.boolean("enabled", True),
    )
    _check_period(rule, active)
    if event_type is not None:
        _check_expressions(rule, fields, around.scope(event_type))
        _check_arrival(rule, fields)
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
        times=_bound(fields, "times", _TIMES_MAX),
        points=_bound(fields, "points", limits.AWARD_POINTS),
    )
    fields.close()
    return limit


def _bound(fields: Fields, name: Literal["times", "points"], most: int) -> int | None:
    return fields.whole(name, 1, least=1, most=most) if fields.has(name) else None


def _check_period(rule: Rule, active: Fields | None) -> None:
    if active is None:
        return
    if rule.active_from and rule.active_until and rule.active_from >= rule.active_until:
        active.error("until", "out_of_range", "the rule would end before it begins")
    active.close()


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


def _check_arrival(rule: Rule, fields: Fields) -> None:
    """A rule on events that cannot arrive would look as if it paid."""
    if rule.event_type in ORDER_FAMILY_TYPES:
        not_available(fields, "event_type", f"a rule on {rule.event_type!r} events")
    elif rule.enabled and rule.event_type in (SYSTEM_TYPES - WRITTEN_SYSTEM_TYPES) | UNAVAILABLE_TYPES:
        message = f"{rule.event_type!r} events do not exist in this version, so the rule awards nothing yet"
        fields.problems.warning(fields.at("event_type"), "cannot_arrive", message, "disable it until then")


def _warn_of_unlimited(rule: Rule, fields: Fields, around: Surroundings) -> None:
    """A browser key is public: whoever has it could send such events without end."""
    known = around.event_types.get(rule.event_type)
    if known is None or not known.client_allowed or known.once or rule.limits or not rule.enabled:
        return
    message = f"anyone with a publishable key can send {known.id!r} events, and this rule pays for each of them"
    hint = "add a limit, such as limits: [{times: 1, window: day}]"
    fields.problems.warning(fields.pointer, "client_award_unlimited", message, hint)
