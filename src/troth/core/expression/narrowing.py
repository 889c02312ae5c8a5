"""What conditions prove: presence of values and bounds of numbers, for the branch where they hold.

In: a comparison's operands. Out: facts by shape, and nodes narrowed by them. Facts never change a value, only what is
known about it.
"""

from __future__ import annotations

from dataclasses import replace

from troth.core.expression.syntax import Expression, Literal, Member
from troth.core.expression.tree import NO_FACTS, Fact, Facts, Node
from troth.core.expression.types import Number

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def both(some: Facts, others: Facts) -> Facts:
    """What holds where two sets of facts hold."""
    if not (some and others):
        return some or others
    merged = dict(some)
    for shape, fact in others.items():
        merged[shape] = _merged(merged[shape], fact) if shape in merged else fact
    return merged


def _merged(one: Fact, other: Fact) -> Fact:
    lows = [low for low in (one.low, other.low) if low is not None]
    highs = [high for high in (one.high, other.high) if high is not None]
    return Fact(
        present=one.present or other.present,
        low=max(lows, default=None),
        high=min(highs, default=None),
        nonzero=one.nonzero or other.nonzero,
    )


def narrowed(node: Node, fact: Fact) -> Node:
    """The node with what is known of it."""
    kind = node.type
    if isinstance(kind, Number):
        low = kind.low if fact.low is None else max(kind.low, fact.low)
        high = kind.high if fact.high is None else min(kind.high, fact.high)
        nonzero = fact.nonzero or kind.nonzero
        low, high = low + (nonzero and low == 0), high - (nonzero and high == 0)
        # facts that contradict each other belong to code that never runs
        kind = Number(kind.places, low, high, nonzero) if low <= high else replace(kind, nonzero=True)
    return replace(node, type=kind, optional=node.optional and not fact.present)


def presence(syntax: Expression, node: Node) -> Facts:
    """A piece that may be missing is there, and so is everything it is part of.

    One that is never missing tells nothing of its parts: `list.size` is 0 where the list is missing.
    """
    if not node.optional:
        return NO_FACTS
    facts = {syntax.shape: Fact(present=True)}
    while isinstance(syntax, Member):
        syntax = syntax.target
        facts[syntax.shape] = Fact(present=True)
    return facts


def equality(left: tuple[Expression, Node], right: tuple[Expression, Node]) -> tuple[Facts, Facts]:
    """The facts of an equality that holds, and of one that does not."""
    equal, unequal = NO_FACTS, NO_FACTS
    for (syntax, node), (_, other) in ((left, right), (right, left)):
        if isinstance(syntax, Literal) or other.optional:
            continue
        equal = both(equal, presence(syntax, node))
        if isinstance(node.type, Number) and isinstance(other.type, Number):
            equal = both(equal, {syntax.shape: _limit("<=", node.type, other.type)})
            equal = both(equal, {syntax.shape: _limit(">=", node.type, other.type)})
            if other.type.low == other.type.high == 0:
                unequal = both(unequal, {syntax.shape: Fact(nonzero=True)})
    return equal, unequal


def order(operator: str, left: tuple[Expression, Node], right: tuple[Expression, Node]) -> tuple[Facts, Facts]:
    """The facts of an ordering that holds, and of one that does not."""
    if not (isinstance(left[1].type, Number) and isinstance(right[1].type, Number)):
        return NO_FACTS, NO_FACTS
    return _ordered(operator, left, right), _ordered(_OPPOSITE[operator], left, right)


def _ordered(operator: str, left: tuple[Expression, Node], right: tuple[Expression, Node]) -> Facts:
    (one, one_node), (other, other_node) = left, right
    return both(
        {one.shape: _limit(operator, one_node.number, other_node.number)},
        {other.shape: _limit(_MIRRORED[operator], other_node.number, one_node.number)},
    )


def _limit(operator: str, number: Number, other: Number) -> Fact:
    """What `number operator other` says about number, in its own units."""
    unit, per = 10**number.places, 10**other.places
    match operator:
        case "<":
            return Fact(high=-(-other.high * unit // per) - 1)
        case "<=":
            return Fact(high=other.high * unit // per)
        case ">":
            return Fact(low=other.low * unit // per + 1)
        case _:
            return Fact(low=-(-other.low * unit // per))
