"""Numbers: alignment, proven bounds, exact folding of constants.

In: an operator, and operands that are numbers and never missing. Out: a node of plain integer operations whose bounds
are proven. Constants stay fractions until they meet a value that is not constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import product

from troth import limits
from troth.core.expression.diagnostic import Problems, Span
from troth.core.expression.runtime import half_up
from troth.core.expression.tree import (
    QUOTIENT_PLACES,
    Node,
    aligned,
    broken,
    exact_places,
    number_constant,
    placed,
    scaled,
    silent,
    silent_integer,
)
from troth.core.expression.types import Number

_UNITS_MAX = 10**limits.NUMBER_DIGITS - 1
_Operands = tuple[Node, ...]


def calculate(problems: Problems, operator: str, span: Span, operands: _Operands) -> Node:
    """The node of one arithmetic operator or function of numbers."""
    if operator in ("/", "%") and not operands[1].number.excludes_zero:
        hint = "write max(x, 1), or x != 0 ? … : …"
        how = "is" if operands[1].is_constant else "may be"
        problems.report("division_by_zero", f"the divisor {problems.text(operands[1])} {how} zero", operands[1], hint)
        return broken(span)
    if all(operand.is_constant for operand in operands):
        return _folded(problems, operator, span, operands)
    if operator in ("*", "/", "%"):
        warn_inexact(problems, operands)
    build, *_ = _OPERATORS[operator]
    return fitting(problems, placed(build(operands), span))


def fitting(problems: Problems, node: Node) -> Node:
    """The node, if its proven bounds fit 36 digits and 16 places."""
    number = node.number
    largest = max(abs(number.low), abs(number.high))
    if number.places <= limits.NUMBER_PLACES and largest <= _UNITS_MAX:
        return node
    need = (
        f"{number.places} decimal places; at most {limits.NUMBER_PLACES} are kept"
        if number.places > limits.NUMBER_PLACES
        else f"{len(str(largest))} digits; at most {limits.NUMBER_DIGITS} are kept"
    )
    hint = "round() an intermediate value, or declare narrower min, max and places"
    problems.report("overflow", f"{problems.text(node)} may need {need}", node, hint)
    return broken(node)


def literal(problems: Problems, value: Fraction, places: int, span: Span) -> Node:
    return fitting(problems, number_constant(value, places, span))


def warn_inexact(problems: Problems, operands: _Operands) -> None:
    for operand in operands:
        if operand.inexact:
            message = f"{problems.text(operand)} is a quotient rounded to {QUOTIENT_PLACES} places"
            problems.report("inexact_division", message, operand, "divide last, or round() it")


def _folded(problems: Problems, operator: str, span: Span, operands: _Operands) -> Node:
    _, fold = _OPERATORS[operator]
    value = fold(*(operand.detail for operand in operands if isinstance(operand.detail, Fraction)))
    places = exact_places(value)
    if places is None and (operator == "/" or any(operand.inexact for operand in operands)):
        places = QUOTIENT_PLACES
    if places is None or value.denominator > _UNITS_MAX:
        return fitting(problems, number_constant(value, limits.NUMBER_PLACES + 1, span))
    return fitting(problems, number_constant(value, places, span))


def _join(operation: str, number: Number, operands: _Operands) -> Node:
    return replace(silent(operation, number, *operands), inexact=any(operand.inexact for operand in operands))


def _same_places(operands: _Operands) -> _Operands:
    places = max(operand.number.places for operand in operands)
    return tuple(aligned(operand, places) for operand in operands)


def _add(operands: _Operands) -> Node:
    operands = _same_places(operands)
    left, right = (operand.number for operand in operands)
    return _join("add", Number(left.places, left.low + right.low, left.high + right.high), operands)


def _subtract(operands: _Operands) -> Node:
    operands = _same_places(operands)
    left, right = (operand.number for operand in operands)
    return _join("subtract", Number(left.places, left.low - right.high, left.high - right.low), operands)


def _multiply(operands: _Operands) -> Node:
    left, right = (operand.number for operand in operands)
    corners = [a * b for a, b in product((left.low, left.high), (right.low, right.high))]
    nonzero = left.excludes_zero and right.excludes_zero
    number = Number(left.places + right.places, min(corners), max(corners), nonzero)
    for one, other in (operands, operands[::-1]):
        if one.is_constant and one.number == Number(0, 1, 1):
            return replace(other, type=number)
    return _join("multiply", number, operands)


def _divide(operands: _Operands) -> Node:
    """dividend × 10^shift ÷ divisor, in units of eight places."""
    dividend, divisor = operands
    shift = QUOTIENT_PLACES + divisor.number.places - dividend.number.places
    raised, lowered = 10 ** max(shift, 0), 10 ** max(-shift, 0)
    ends = [half_up(one * raised, other * lowered) for one, other in product(_ends(dividend), _divisor_ends(divisor))]
    number = Number(QUOTIENT_PLACES, min(ends), max(ends))
    ratio = Fraction(raised, divisor.number.low * lowered) if divisor.is_constant else Fraction(0)
    if ratio and ratio.denominator == 1:
        return replace(scaled(dividend, ratio.numerator), type=number)
    if ratio > 0:
        return replace(_dropped(dividend, ratio, number), inexact=True)
    quotient = silent("half_up", number, scaled(dividend, raised), scaled(divisor, lowered))
    return replace(quotient, inexact=True)


def _ends(node: Node) -> tuple[int, int]:
    return node.number.low, node.number.high


def _divisor_ends(node: Node) -> set[int]:
    """Where a quotient by a number that is not zero can be largest and smallest."""
    low, high = _ends(node)
    return {end for end in (low, -1, 1, high) if end and low <= end <= high}


def _dropped(node: Node, ratio: Fraction, number: Number) -> Node:
    """Units × a positive ratio, half-up; without a call where they cannot be negative."""
    multiple, divisor = ratio.numerator, ratio.denominator
    if node.number.low < 0:
        return silent("half_up", number, scaled(node, multiple), silent_integer(divisor))
    if divisor % 2:
        multiple, divisor = multiple * 2, divisor * 2
    raised = silent("add", number, scaled(node, multiple), silent_integer(divisor // 2))
    return silent("floor_divide", number, raised, silent_integer(divisor))


def _remainder(operands: _Operands) -> Node:
    dividend, divisor = operands = _same_places(operands)
    most = max(abs(end) for end in _ends(divisor)) - 1
    low, high = (max(-most, min(end, most)) for end in (min(dividend.number.low, 0), max(dividend.number.high, 0)))
    plain = dividend.number.low >= 0 and divisor.number.low > 0
    return _join("modulo" if plain else "remainder", Number(dividend.number.places, low, high), operands)


def _negate(operands: _Operands) -> Node:
    number = operands[0].number
    return _join("negate", Number(number.places, -number.high, -number.low, number.nonzero), operands)


def _absolute(operands: _Operands) -> Node:
    number = operands[0].number
    low = max(number.low, -number.high, int(number.excludes_zero))
    high = max(-number.low, number.high)
    return operands[0] if number.low >= 0 else _join("absolute", Number(number.places, low, high), operands)


def _round(operands: _Operands) -> Node:
    node, places = operands[0], operands[1].number.low
    if places >= node.number.places:
        return replace(node, inexact=False)
    divisor = 10 ** (node.number.places - places)
    low, high = (half_up(end, divisor) for end in _ends(node))
    return _dropped(node, Fraction(1, divisor), Number(places, low, high))


def _floor(operands: _Operands) -> Node:
    divisor = 10 ** operands[0].number.places
    if divisor == 1:
        return operands[0]
    low, high = (end // divisor for end in _ends(operands[0]))
    return silent("floor_divide", Number(0, low, high), operands[0], silent_integer(divisor))


def _ceil(operands: _Operands) -> Node:
    return replace(_negate((_floor((_negate(operands),)),)), inexact=False)


def _least(operands: _Operands) -> Node:
    operands = _same_places(operands)
    numbers = [operand.number for operand in operands]
    low, high = min(number.low for number in numbers), min(number.high for number in numbers)
    nonzero = all(number.excludes_zero for number in numbers)
    return _join("least", Number(numbers[0].places, low, high, nonzero), operands)


def _greatest(operands: _Operands) -> Node:
    operands = _same_places(operands)
    numbers = [operand.number for operand in operands]
    low, high = max(number.low for number in numbers), max(number.high for number in numbers)
    nonzero = all(number.excludes_zero for number in numbers)
    return _join("greatest", Number(numbers[0].places, low, high, nonzero), operands)


def _clamp(operands: _Operands) -> Node:
    """The lower bound wins where the bounds cross."""
    value, low, high = operands
    return _greatest((low, _least((value, high))))


def _exact_round(value: Fraction, places: Fraction) -> Fraction:
    unit = 10 ** int(places)
    return Fraction(half_up(value.numerator * unit, value.denominator), unit)


def _exact_remainder(dividend: Fraction, divisor: Fraction) -> Fraction:
    return dividend - divisor * int(dividend / divisor)


_OPERATORS: dict[str, tuple[Callable[[_Operands], Node], Callable[..., Fraction]]] = {
    "+": (_add, lambda left, right: left + right),
    "-": (_subtract, lambda left, right: left - right),
    "*": (_multiply, lambda left, right: left * right),
    "/": (_divide, lambda left, right: left / right),
    "%": (_remainder, _exact_remainder),
    "negate": (_negate, lambda value: -value),
    "round": (_round, _exact_round),
    "floor": (_floor, lambda value: Fraction(math.floor(value))),
    "ceil": (_ceil, lambda value: Fraction(math.ceil(value))),
    "abs": (_absolute, abs),
    "min": (_least, min),
    "max": (_greatest, max),
    "clamp": (_clamp, lambda value, low, high: max(low, min(value, high))),
}
