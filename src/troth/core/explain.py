"""Explanations: every rule of an event's type, what it gave or why it gave nothing, with the values it saw.

In: the revision that judged the event, its properties and the inputs recorded with it; never current values.
The verdicts come from the same `judge` that awarded the points.
"""

from __future__ import annotations

import msgspec

from troth.core.event import Event
from troth.core.expression import Checked, trace
from troth.core.inputs import Inputs
from troth.core.rules import CompiledRule, RuleBook, Verdict, judge


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One sub-expression and its value."""

    start: int  # code point in the source, from 0
    end: int  # exclusive
    text: str
    type: str
    value: object  # numbers as exact decimal text; null: missing


class ExplainedExpression(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    source: str
    value: object
    steps: tuple[Step, ...]


class ExplainedRule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One rule and its verdict. `award` is left out when the condition did not hold."""

    rule: str
    label: str
    applied: bool
    reason: str  # applied, disabled, not_active, condition_false, nothing_to_award, limit_reached, group
    detail: str
    wallet: str
    points: int
    base: str | None
    multiplier: str
    rounded: int  # after multiplier and rounding, before limits
    cap: str | None
    when: ExplainedExpression | None
    award: ExplainedExpression | None


_DETAILS = {
    "applied": "the rule applied",
    "disabled": "the rule is switched off",
    "not_active": "the event occurred outside the rule's active period",
    "condition_false": "its condition does not hold",
    "nothing_to_award": "its formula gives no whole positive number of points",
    "limit_reached": "its limit for this customer is used up",
    "group": "another rule of its group gives more",
}


def explain(event: Event, inputs: Inputs, book: RuleBook) -> list[ExplainedRule]:
    """Every rule of the event's type in document order."""
    rules = book.by_type.get(event.type.id)
    if rules is None:
        return []
    verdicts = judge(rules, event, inputs, book.program.settings.rounding)
    arranged = rules.arrange(inputs.values)
    return [_explain(rule, verdict, event, arranged) for rule, verdict in zip(rules.rules, verdicts, strict=True)]


def _explain(compiled: CompiledRule, verdict: Verdict, event: Event, arranged: list[object]) -> ExplainedRule:
    condition, formula = compiled.checked
    is_considered = verdict.reason not in {"disabled", "not_active"}
    is_met = is_considered and verdict.reason != "condition_false"
    return ExplainedRule(
        rule=verdict.rule.id,
        label=verdict.rule.label,
        applied=verdict.reason == "applied",
        reason=verdict.reason,
        detail=_DETAILS[verdict.reason],
        wallet=verdict.rule.wallet,
        points=verdict.points,
        base=None if verdict.base is None else f"{verdict.base:f}",
        multiplier=f"{verdict.multiplier:f}",
        rounded=verdict.rounded,
        cap=verdict.cap,
        when=_trace(condition, verdict.rule.when, event, arranged) if is_considered else None,
        award=_trace(formula, verdict.rule.award, event, arranged) if is_met else None,
    )


def _trace(checked: Checked, source: str, event: Event, arranged: list[object]) -> ExplainedExpression:
    found = trace(checked, event.values, arranged)
    steps = tuple(Step(start=at.start, end=at.end, text=at.text, type=at.type, value=at.value) for at in found)
    return ExplainedExpression(source=source, value=steps[0].value if steps else None, steps=steps)
