"""Equality, order and membership.

In: operands with their syntax, so that facts can be told of it. Out: boolean nodes. Equality and membership are total:
a missing value equals only null. Order is for numbers and times that are there; texts have none, since "9" > "10".
"""

from __future__ import annotations

import operator as python
from collections.abc import Callable
from dataclasses import replace

from troth.core.expression import narrowing
from troth.core.expression.arithmetic import fitting, warn_inexact
from troth.core.expression.diagnostic import Problems, Span
from troth.core.expression.syntax import Expression
from troth.core.expression.tree import (
    NO_FACTS,
    Facts,
    Node,
    aligned,
    broken,
    condition,
    constant,
    is_broken,
    placed,
    plain,
    silent,
)
from troth.core.expression.types import (
    Date,
    DateTime,
    ListOf,
    Nothing,
    Number,
    ObjectOf,
    Text,
    type_name,
    unified,
    widened,
)

Operand = tuple[Expression, Node]

_OPERATIONS: dict[str, tuple[str, Callable[..., bool]]] = {
    "==": ("equal", python.eq),
    "!=": ("unequal", python.ne),
    "<": ("less", python.lt),
    "<=": ("at_most", python.le),
    ">": ("more", python.gt),
    ">=": ("at_least", python.ge),
}


def equal(problems: Problems, operator: str, span: Span, operands: tuple[Operand, Operand]) -> Node:
    """`==` or `!=`."""
    (_, left), (_, right) = operands
    if is_broken(left, right):
        return broken(span)
    for operand, (_, other) in (operands, operands[::-1]):
        if isinstance(other.type, Nothing):
            return _equal_null(problems, operator, span, operand)
    if unified((left.type, right.type)) is None or isinstance(left.type, ListOf | ObjectOf):
        message = f"a {type_name(left.type)} cannot equal a {type_name(right.type)}"
        return _refused(problems, message, span, (left, right))
    _warn_foreign(problems, left, right)
    if operator == "==":
        _warn_never_equal(problems, span, left, right)
    facts = narrowing.equality(*operands)
    return _compared(problems, span, (operator, facts if operator == "==" else facts[::-1]), (left, right))


def order(problems: Problems, operator: str, span: Span, operands: tuple[Operand, Operand]) -> Node:
    """`<`, `<=`, `>` or `>=` of values that are there."""
    (_, left), (_, right) = operands
    if is_broken(left, right):
        return broken(span)
    if type(left.type) is not type(right.type) or not isinstance(left.type, Number | Date | DateTime):
        names = f"{type_name(left.type)} and {type_name(right.type)}"
        message = f"'{operator}' orders two numbers, two dates or two datetimes, not {names}"
        return _refused(problems, message, span, (left, right))
    _warn_never_ordered(problems, operator, span, (left, right))
    return _compared(problems, span, (operator, narrowing.order(operator, *operands)), (left, right))


def member(problems: Problems, span: Span, operands: tuple[Operand, Operand], variable: int) -> Node:
    """`value in list`; a list that is missing is empty. `variable` is free for the list's items."""
    (syntax, left), (_, right) = operands
    if is_broken(left, right):
        return broken(span)
    if not isinstance(right.type, ListOf):
        hint = "write contains(text, part)" if isinstance(right.type, Text) else None
        problems.report("type", f"'in' needs a list on its right, not {type_name(right.type)}", right, hint)
        return broken(span)
    if unified((left.type, right.type.item)) is None or isinstance(left.type, ListOf | ObjectOf):
        message = f"a {type_name(left.type)} is never in a list of {type_name(right.type.item)}"
        return _refused(problems, message, span, (left, right))
    for item in right.arguments if right.operation == "list" else ():
        written = item if item.start >= 0 else item.arguments[0]  # not as it was aligned
        _warn_foreign(problems, left, written)
        _warn_never_equal(problems, written, left, written)
    warn_inexact(problems, (left,))
    left, right = _same_units(problems, left, right, variable)
    if is_broken(left, right):
        return broken(span)
    holds_missing = isinstance(right.type, ListOf) and right.type.holds_missing
    facts = NO_FACTS if holds_missing else narrowing.presence(syntax, operands[0][1])
    if right.operation == "list" and all(item.is_constant for item in right.arguments):
        right = replace(right, operation="constant", detail=frozenset(map(plain, right.arguments)), arguments=())
    elif right.optional:
        right = silent("or_empty", right.type, right)
    return condition("in", span, (left, right), (facts, NO_FACTS))


def _same_units(problems: Problems, left: Node, right: Node, variable: int) -> tuple[Node, Node]:
    """Both sides in the same number of places."""
    kind = right.type
    if not (isinstance(left.type, Number) and isinstance(kind, ListOf) and isinstance(kind.item, Number)):
        return left, right
    places = max(left.type.places, kind.item.places)
    item = Node(operation="item", type=kind.item, start=-1, end=-1, detail=variable, optional=kind.holds_missing)
    if is_broken(_widened(problems, left, places), _widened(problems, placed(item, right), places)):
        return broken(left), right
    if kind.item.places == places:
        return aligned(left, places), right
    widest = replace(kind, item=widened(kind.item, places))
    if right.operation == "list":
        return left, replace(right, type=widest, arguments=tuple(_raised(each, places) for each in right.arguments))
    source = silent("or_empty", kind, right) if right.optional else right
    return left, replace(silent("map", widest, source, aligned(item, places)), detail=variable)


def _raised(item: Node, places: int) -> Node:
    return aligned(item, places) if isinstance(item.type, Number) else item


def _widened(problems: Problems, node: Node, places: int) -> Node:
    """Refuses a number that has too many digits in units of that many places."""
    return fitting(problems, replace(node, type=widened(node.number, places)))


def _equal_null(problems: Problems, operator: str, span: Span, operand: Operand) -> Node:
    syntax, node = operand
    if not node.optional:
        if operator == "==":
            problems.report("never_true", f"{problems.text(node)} is never missing", span)
        return constant(operator == "!=", span)
    if operator == "==":
        return condition("missing", span, (node,), (NO_FACTS, narrowing.presence(syntax, node)))
    return condition("present", span, (node,), (narrowing.presence(syntax, node), NO_FACTS))


def _compared(
    problems: Problems, span: Span, meaning: tuple[str, tuple[Facts, Facts]], nodes: tuple[Node, Node]
) -> Node:
    (operator, facts), (left, right) = meaning, nodes
    operation, exact = _OPERATIONS[operator]
    if left.is_constant and right.is_constant:
        return constant(exact(left.detail, right.detail), span)
    if isinstance(left.type, Number) and isinstance(right.type, Number):
        warn_inexact(problems, nodes)
        places = max(left.type.places, right.type.places)
        if is_broken(_widened(problems, left, places), _widened(problems, right, places)):
            return broken(span)
        left, right = aligned(left, places), aligned(right, places)
    return condition(operation, span, (left, right), facts)


def _warn_foreign(problems: Problems, left: Node, right: Node) -> None:
    """Warns when no text of one side can be one of the other's."""
    if not (isinstance(left.type, Text) and isinstance(right.type, Text)):
        return
    mine, theirs = left.type.enum, right.type.enum
    if mine is not None and theirs is not None and not mine & theirs:
        node, written, known = (right, theirs, mine) if right.is_constant else (left, mine, theirs)
        hint = problems.suggestion(min(written), known) if written else None
        problems.report("never_true", f"{problems.text(node)} is not a value it can have", node, hint)


def _warn_never_equal(problems: Problems, span: Span, left: Node, right: Node) -> None:
    """Warns when bounds or places of two numbers keep them apart."""
    if not (isinstance(left.type, Number) and isinstance(right.type, Number)):
        return
    coarse, fine = sorted((left.type, right.type), key=lambda number: number.places)
    unit = 10 ** (fine.places - coarse.places)
    too_fine = fine.low == fine.high and fine.low % unit != 0
    if coarse.high * unit < fine.low or fine.high < coarse.low * unit or too_fine:
        message = f"{problems.text(left)} never equals {problems.text(right)}"
        problems.report("never_true", message, span, "its declared bounds and places exclude it")


def _warn_never_ordered(problems: Problems, operator: str, span: Span, nodes: tuple[Node, Node]) -> None:
    left, right = nodes
    if not (isinstance(left.type, Number) and isinstance(right.type, Number)):
        return
    places = max(left.type.places, right.type.places)
    one, other = widened(left.type, places), widened(right.type, places)
    best = (one.low, other.high) if operator in ("<", "<=") else (one.high, other.low)
    if not _OPERATIONS[operator][1](*best):
        message = f"{problems.text(left)} is never {operator} {problems.text(right)}"
        problems.report("never_true", message, span, "its declared bounds exclude it")


def _refused(problems: Problems, message: str, span: Span, nodes: tuple[Node, Node]) -> Node:
    hint = None
    kinds = {type(node.type) for node in nodes}
    if kinds == {Date, DateTime}:
        hint = "take the date of a datetime with .date()"
    elif kinds == {Number, Text}:
        hint = "numbers are written without quotes"
    problems.report("type", message, span, hint)
    return broken(span)
