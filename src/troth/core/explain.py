"""Explanations: every rule of an event's type, what it gave or why it gave nothing, with the values it saw.

In: the revision that judged the event, its properties and the inputs recorded with it; never current values. Of an
order's later events: the order before and after, under its own revision and inputs. The verdicts come from the same
`judge` that awarded the points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from troth.core.event import Event
from troth.core.expression import Checked, trace
from troth.core.inputs import Inputs
from troth.core.order_award import deserved, inputs_of, view_of
from troth.core.order_content import Net, net
from troth.core.order_state import Order
from troth.core.program import Rule
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
    reason: str  # one of the keys of REASONS
    detail: str
    wallet: str
    points: int  # of an order: what it gives in all, as the order stands after the event
    before: int | None  # of an order's later event: what it gave before; the difference was posted
    base: str | None
    multiplier: str
    rounded: int  # after multiplier and rounding, before limits
    cap: str | None
    when: ExplainedExpression | None
    award: ExplainedExpression | None


REASONS = {
    "applied": "the rule applied",
    "disabled": "the rule is switched off",
    "not_active": "the event occurred outside the rule's active period",
    "condition_false": "its condition does not hold",
    "nothing_to_award": "its formula gives no whole positive number of points",
    "limit_reached": "its limit for this customer is used up",
    "group": "another rule of its group gives more",
    "without_awards": "it was imported as history, without awards",
    "order_over": "the order was rejected or refunded as a whole",
    "order_empty": "nothing is left of the order after its refunds",
}


def explain(event: Event, inputs: Inputs, book: RuleBook) -> list[ExplainedRule]:
    """Every rule of the event's type in document order."""
    rules = book.by_type.get(event.type.id)
    if rules is None:
        return []
    if not inputs.may_earn:
        return [_ended(rule.rule, "without_awards", None) for rule in rules.rules]
    verdicts = judge(rules, event, inputs, book.program.settings.rounding)
    arranged = rules.arrange(inputs.values)
    return [
        _explain(rule, verdict, event.values, arranged) for rule, verdict in zip(rules.rules, verdicts, strict=True)
    ]


def explain_order(before: Order | None, order: Order, book: RuleBook) -> list[ExplainedRule]:
    """Every rule of the order's opening type, as the order stood after an event and before it. `book`: its own."""
    rules = book.by_type.get(order.type)
    if rules is None:
        return []
    given = {verdict.rule.id: verdict.points for verdict in _verdicts(before, book)} if before is not None else None
    reason, standing = _standing(order, book)
    if reason is not None:
        return [_ended(rule.rule, reason, given) for rule in rules.rules]
    inputs, view = inputs_of(order), view_of(order, standing, book)
    arranged = rules.arrange(inputs.values)
    verdicts = judge(rules, view, inputs, book.program.settings.rounding)
    return [
        _explain(
            rule, verdict, view.whole if rule.reads_items else view.values, arranged, before=_before(rule.rule, given)
        )
        for rule, verdict in zip(rules.rules, verdicts, strict=True)
    ]


def _standing(order: Order, book: RuleBook) -> tuple[str | None, Net]:
    """Why the order deserves nothing, if so, and what it comes to."""
    standing = net(book.program.event_types[order.type], order.content, order.refunds)
    if not order.may_earn:
        return "without_awards", standing
    if order.is_rejected or order.is_refunded:
        return "order_over", standing
    return ("order_empty" if standing.is_empty else None), standing


def _verdicts(order: Order, book: RuleBook) -> Sequence[Verdict]:
    reason, standing = _standing(order, book)
    return () if reason is not None else deserved(order, standing, book, inputs_of(order))


Given = Mapping[str, int] | None  # rule → points; None: there was nothing before


def _before(rule: Rule, given: Given) -> int | None:
    return None if given is None else given.get(rule.id, 0)


def _ended(rule: Rule, reason: str, given: Given) -> ExplainedRule:
    return ExplainedRule(
        rule=rule.id,
        label=rule.label,
        applied=False,
        reason=reason,
        detail=REASONS[reason],
        wallet=rule.wallet,
        points=0,
        before=_before(rule, given),
        base=None,
        multiplier="1",
        rounded=0,
        cap=None,
        when=None,
        award=None,
    )


def _explain(
    compiled: CompiledRule,
    verdict: Verdict,
    values: tuple[object, ...],
    arranged: list[object],
    *,
    before: int | None = None,
) -> ExplainedRule:
    condition, formula = compiled.checked
    is_considered = verdict.reason not in {"disabled", "not_active"}
    is_met = is_considered and verdict.reason != "condition_false"
    return ExplainedRule(
        rule=verdict.rule.id,
        label=verdict.rule.label,
        applied=verdict.reason == "applied",
        reason=verdict.reason,
        detail=REASONS[verdict.reason],
        wallet=verdict.rule.wallet,
        points=verdict.points,
        before=before,
        base=None if verdict.base is None else f"{verdict.base:f}",
        multiplier=f"{verdict.multiplier:f}",
        rounded=verdict.rounded,
        cap=verdict.cap,
        when=_trace(condition, verdict.rule.when, values, arranged) if is_considered else None,
        award=_trace(formula, verdict.rule.award, values, arranged) if is_met else None,
    )


def _trace(checked: Checked, source: str, values: tuple[object, ...], arranged: list[object]) -> ExplainedExpression:
    found = trace(checked, values, arranged)
    steps = tuple(Step(start=at.start, end=at.end, text=at.text, type=at.type, value=at.value) for at in found)
    return ExplainedExpression(source=source, value=steps[0].value if steps else None, steps=steps)
