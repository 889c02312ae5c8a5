"""Every operation of the checked tree: the fixed piece of Python it becomes, and what it does when traced.

A template's level is its binding strength in Python; `needs` are the strengths its arguments must have, else they are
bracketed. `{detail}` is a slot, an index or a variable's number; no input text gets into a template.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import compress

from troth.core.expression import runtime

CONDITION, OR, AND, NOT, COMPARISON, SUM, PRODUCT, SIGN, ATOM = range(1, 10)


@dataclass(frozen=True, slots=True)
class Operation:
    level: int
    needs: tuple[int, ...]  # the last one holds for all further arguments
    template: str  # {all} stands for all arguments, with commas between them
    apply: Callable[..., object] | None = None  # None: `trace.py` decides which arguments it looks at


def _infix(level: int, sign: str, apply: Callable[..., object]) -> Operation:
    return Operation(level, (level, level + 1), f"{{0}} {sign} {{1}}", apply)


def _compare(sign: str, apply: Callable[..., object]) -> Operation:
    return Operation(COMPARISON, (SUM, SUM), f"{{0}} {sign} {{1}}", apply)


def _call(name: str, apply: Callable[..., object]) -> Operation:
    return Operation(ATOM, (CONDITION,), f"{name}({{all}})", apply)


def _macro(template: str, apply: Callable[..., object]) -> Operation:
    """{rows} stands for the loop over the list; `apply` takes the list and the values of the body, one per item."""
    return Operation(ATOM, (OR, OR), template, apply)


OPERATIONS = {
    "property": Operation(ATOM, (), "v[{detail}]"),  # or "p{detail}", loaded once
    "input": Operation(ATOM, (), "n[{detail}]"),  # or "n{detail}"
    "item": Operation(ATOM, (), "i{detail}"),
    "field": Operation(ATOM, (ATOM,), "{0}[{detail}]"),
    "optional_field": Operation(ATOM, (CONDITION,), "field({0}, {detail})"),
    "add": _infix(SUM, "+", operator.add),
    "subtract": _infix(SUM, "-", operator.sub),
    "multiply": _infix(PRODUCT, "*", operator.mul),
    "floor_divide": _infix(PRODUCT, "//", operator.floordiv),
    "modulo": _infix(PRODUCT, "%", operator.mod),
    "negate": Operation(SIGN, (SIGN,), "-{0}", operator.neg),
    "half_up": _call("half_up", runtime.half_up),
    "remainder": _call("remainder", runtime.remainder),
    "scale": _call("scale", runtime.scale),
    "absolute": _call("abs", abs),
    "least": _call("min", min),
    "greatest": _call("max", max),
    "equal": _compare("==", operator.eq),
    "unequal": _compare("!=", operator.ne),
    "less": _compare("<", operator.lt),
    "at_most": _compare("<=", operator.le),
    "more": _compare(">", operator.gt),
    "at_least": _compare(">=", operator.ge),
    "missing": Operation(COMPARISON, (SUM,), "{0} is None", lambda value: value is None),
    "present": Operation(COMPARISON, (SUM,), "{0} is not None", lambda value: value is not None),
    "in": _compare("in", lambda value, values: value in values),
    "and": Operation(AND, (AND, NOT), "{0} and {1}"),
    "or": Operation(OR, (OR, AND), "{0} or {1}"),
    "not": Operation(NOT, (NOT,), "not {0}", operator.not_),
    "choose": Operation(CONDITION, (OR, OR, CONDITION), "{1} if {0} else {2}"),
    "default": _call("pick", runtime.pick),
    "plain_default": Operation(CONDITION, (SUM, OR), "{1} if {0} is None else {0}", runtime.pick),
    "list": Operation(ATOM, (CONDITION,), "[{all}]", lambda *values: list(values)),
    "or_empty": Operation(ATOM, (OR,), "({0} or ())", lambda values: values or ()),
    "size": _call("len", len),
    "sum": _macro("sum([{body} {rows}])", lambda _, values: sum(values)),
    "map": _macro("[{body} {rows}]", lambda _, values: values),
    "any": _macro("any({body} {rows})", lambda _, values: any(values)),
    "all": _macro("all({body} {rows})", lambda _, values: all(values)),
    "filter": _macro("[i{detail} {rows} if {body}]", lambda items, flags: list(compress(items, flags))),
    "count": _macro("len([1 {rows} if {body}])", lambda _, values: sum(values)),
    "least_of": _macro("least_of([{body} {rows}])", lambda _, values: runtime.least_of(values)),
    "greatest_of": _macro("greatest_of([{body} {rows}])", lambda _, values: runtime.greatest_of(values)),
    "starts": Operation(ATOM, (ATOM, CONDITION), "{0}.startswith({1})", str.startswith),
    "ends": Operation(ATOM, (ATOM, CONDITION), "{0}.endswith({1})", str.endswith),
    "contains": Operation(COMPARISON, (SUM, SUM), "{1} in {0}", operator.contains),
    "lower": Operation(ATOM, (ATOM,), "{0}.lower()", str.lower),
    "upper": Operation(ATOM, (ATOM,), "{0}.upper()", str.upper),
    "weekday": Operation(ATOM, (ATOM,), "{0}.isoweekday()", date.isoweekday),
    "hour": Operation(ATOM, (ATOM,), "{0}.hour", operator.attrgetter("hour")),
    "day": Operation(ATOM, (ATOM,), "{0}.day", operator.attrgetter("day")),
    "month": Operation(ATOM, (ATOM,), "{0}.month", operator.attrgetter("month")),
    "year": Operation(ATOM, (ATOM,), "{0}.year", operator.attrgetter("year")),
    "date": Operation(ATOM, (ATOM,), "{0}.date()", datetime.date),
    "days": Operation(ATOM, (PRODUCT, SUM), "({1} - {0}).days", lambda since, until: (until - since).days),
}
MACROS = frozenset({"sum", "map", "any", "all", "filter", "count", "least_of", "greatest_of"})  # a list and a body
