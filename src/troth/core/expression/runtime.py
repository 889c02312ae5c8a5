"""The few functions that generated code calls besides Python's own. Pure, total on what the checker lets through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_Value = TypeVar("_Value")


def half_up(dividend: int, divisor: int) -> int:
    """The quotient rounded to the nearest integer, ties away from zero."""
    if divisor < 0:
        dividend, divisor = -dividend, -divisor
    if dividend < 0:
        return -((divisor - 2 * dividend) // (2 * divisor))
    return (2 * dividend + divisor) // (2 * divisor)


def remainder(dividend: int, divisor: int) -> int:
    """What truncated division leaves: it has the sign of the dividend, as in SQL and C."""
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def scale(units: int | None, factor: int) -> int | None:
    return None if units is None else units * factor


def pick(value: _Value | None, default: _Value) -> _Value:
    return default if value is None else value


def field(value: Sequence[object] | None, index: int) -> object:
    return None if value is None else value[index]


def least_of(values: list[int]) -> int | None:
    return min(values, default=None)


def greatest_of(values: list[int]) -> int | None:
    return max(values, default=None)
