"""The checked tree: the one meaning that every form of a rule is made from.

Names are slots, numbers are aligned by explicit operations; `operations.py` says what each operation does. A node whose
`start` is negative stands for no text of its own: it brings a number to more places, or a time to its date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType

from troth import limits
from troth.core.expression.diagnostic import Piece, Span
from troth.core.expression.runtime import half_up
from troth.core.expression.types import Boolean, Nothing, Number, Text, Type, Unknown, widened

QUOTIENT_PLACES = 8
SILENT = Piece(-1, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a condition proves about the pieces of one shape."""

    present: bool = False
    low: int | None = None  # units of that piece
    high: int | None = None
    nonzero: bool = False


Facts = Mapping[int, Fact]  # by shape
NO_FACTS: Facts = MappingProxyType({})


def _no_facts() -> Facts:
    return NO_FACTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    operation: str
    type: Type
    start: int
    end: int
    arguments: tuple[Node, ...] = ()
    detail: Fraction | str | bool | int | frozenset[int | str | bool | None] | None = None  # constant, slot or index
    optional: bool = False  # may be missing
    inexact: bool = False  # holds a rounded quotient
    if_true: Facts = field(default_factory=_no_facts)  # what is proven where this condition holds
    if_false: Facts = field(default_factory=_no_facts)

    @property
    def is_constant(self) -> bool:
        return self.operation == "constant"

    @property
    def number(self) -> Number:
        assert isinstance(self.type, Number)
        return self.type


def broken(span: Span) -> Node:
    """What stands for a refused piece."""
    return Node(operation="constant", type=Unknown(), start=span.start, end=span.end)


def is_broken(*nodes: Node) -> bool:
    return any(isinstance(node.type, Unknown) for node in nodes)


def constant(value: str | bool | None, span: Span) -> Node:
    kinds: dict[type, Type] = {bool: Boolean(), type(None): Nothing()}
    kind = Text(frozenset({value})) if isinstance(value, str) else kinds[type(value)]
    optional = value is None
    return Node(operation="constant", type=kind, start=span.start, end=span.end, detail=value, optional=optional)


def number_constant(value: Fraction, places: int, span: Span) -> Node:
    """A number kept exactly, however many places it is used with."""
    units = half_up(value.numerator * 10**places, value.denominator)
    inexact = Fraction(units, 10**places) != value
    kind = Number(places, units, units)
    return Node(operation="constant", type=kind, start=span.start, end=span.end, detail=value, inexact=inexact)


def plain(node: Node) -> int | str | bool | None:
    """What a constant is at run time."""
    if isinstance(node.type, Number):
        return node.type.low
    assert isinstance(node.detail, str | bool | None)
    return node.detail


def exact_places(value: Fraction) -> int | None:
    """The decimals needed to write the value; None beyond the limit or without end."""
    fits = (places for places in range(limits.NUMBER_PLACES + 1) if 10**places % value.denominator == 0)
    return next(fits, None)


def aligned(node: Node, places: int) -> Node:
    """The same number in units of more places."""
    number = node.number
    if number.places == places:
        return node
    kind = widened(number, places)
    if node.is_constant:
        return replace(node, type=kind, detail=Fraction(kind.low, 10**places))
    return replace(scaled(node, 10 ** (places - number.places)), type=kind)


def scaled(node: Node, factor: int) -> Node:
    """The units of a number times `factor`."""
    if factor == 1:
        return node
    number = node.number
    low, high = sorted((number.low * factor, number.high * factor))
    kind = Number(number.places, low, high, number.nonzero)
    step = silent("scale" if node.optional else "multiply", kind, node, silent_integer(factor))
    return replace(step, optional=node.optional, inexact=node.inexact)


def silent(operation: str, kind: Type, *arguments: Node) -> Node:
    """A step without text of its own."""
    return Node(operation=operation, type=kind, start=-1, end=-1, arguments=arguments)


def silent_integer(value: int) -> Node:
    return number_constant(Fraction(value), 0, SILENT)


def placed(node: Node, span: Span) -> Node:
    """The same value, standing for the text of `span`."""
    return replace(node, start=span.start, end=span.end)


def condition(
    operation: str, span: Span, arguments: tuple[Node, ...], facts: tuple[Facts, Facts] = (NO_FACTS, NO_FACTS)
) -> Node:
    """A boolean node; `facts` hold where it is true, and where it is false."""
    return Node(
        operation=operation,
        type=Boolean(),
        start=span.start,
        end=span.end,
        arguments=arguments,
        if_true=facts[0],
        if_false=facts[1],
    )
