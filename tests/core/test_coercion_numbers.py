"""Numbers as properties read them: exact, bounded, and refused by code before any arithmetic."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.core.judging import read
from troth import limits
from troth.core.coercion import show_scaled
from troth.core.program import Property

MONEY = Property(name="n", kind="number", places=2)
WHOLE = replace(MONEY, places=0)
ROUNDED = replace(MONEY, excess_places="round")
FINE = replace(MONEY, places=16, minimum=Decimal(-(10**36)), maximum=Decimal(10**36))
WIDE = replace(WHOLE, minimum=Decimal(-(10**36)), maximum=Decimal(10**36))


def number(field: Property, raw: object) -> object:
    """(stored, scaled) or the code of the problem."""
    ((stored, value),), problems = read((field,), {"n": raw})
    if not problems:
        return (stored, value)
    (problem,) = problems
    assert problem.pointer == "/properties/n"
    return problem.code


@pytest.mark.parametrize(
    ("field", "raw", "expected"),
    [
        (MONEY, 125, ("125.00", 12500)),
        (MONEY, Decimal("125.5"), ("125.50", 12550)),
        (MONEY, "200", ("200.00", 20000)),
        (MONEY, "19.99", ("19.99", 1999)),
        (MONEY, Decimal("19.990000"), ("19.99", 1999)),
        (MONEY, 0, ("0.00", 0)),
        (MONEY, "-0.00", ("0.00", 0)),
        (MONEY, -3, ("-3.00", -300)),
        (MONEY, "-0.05", ("-0.05", -5)),
        (MONEY, Decimal("1.5E+2"), ("150.00", 15000)),
        (MONEY, "1.5e2", ("150.00", 15000)),
        (MONEY, "15000e-2", ("150.00", 15000)),
        (MONEY, "+5", ("5.00", 500)),
        (MONEY, ".5", ("0.50", 50)),
        (MONEY, "007", ("7.00", 700)),
        (WHOLE, "5", ("5", 5)),
        (WHOLE, Decimal("5.000"), ("5", 5)),
        (FINE, "0.0000000000000001", ("0.0000000000000001", 1)),
    ],
)
def test_numbers(field: Property, raw: object, expected: tuple[str, int]) -> None:
    assert number(field, raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (Decimal("0.30000000000000004"), ("0.30", 30)),  # 0.1 + 0.2: 4e-17 off
        (Decimal("1.0999999999999999"), ("1.10", 110)),  # 1e-16 below
        (Decimal("-0.30000000000000004"), ("-0.30", -30)),
        (Decimal("0.001000001"), "too_many_places"),
        (Decimal("0.010000001"), ("0.01", 1)),  # exactly 1e-9 off is still noise
        (Decimal("0.0100000011"), "too_many_places"),  # 1.1e-9 is not
        (Decimal("0.0099999989"), "too_many_places"),
        (Decimal("19.999"), "too_many_places"),
        ("0.005", "too_many_places"),
    ],
)
def test_float_noise_is_rounded_and_other_places_are_refused(raw: object, expected: object) -> None:
    assert number(MONEY, raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("0.004", 0), ("0.005", 1), ("0.015", 2), ("-0.005", -1), ("-0.004", 0), ("19.999", 2000), ("1e-36", 0)],
)
def test_excess_places_round_half_away_from_zero(raw: str, expected: int) -> None:
    assert number(ROUNDED, raw) == (show_scaled(expected, 2), expected)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (10**36 - 1, "9" * 36),
        (-(10**36) + 1, "-" + "9" * 36),
        (10**36, "too_large"),
        (-(10**36), "too_large"),
        (Decimal("9" * 36), "9" * 36),
        (Decimal("1" * 37), "too_large"),
        ("1" * 37, "too_large"),
        ("1" * 100, "too_large"),  # however long
        ("0." + "1" * 200, "too_large"),
        (Decimal("1E+36"), "1" + "0" * 36),
        ("1e36", "1" + "0" * 36),
        (Decimal("1E+37"), "too_large"),
        (Decimal("0E-36"), "0"),
        (Decimal("0E-37"), "too_large"),
        (Decimal("1E+1000000"), "too_large"),
        (Decimal("1E-1000000"), "too_large"),
        ("1e1000000", "too_large"),
        ("-1e-1000000", "too_large"),
        ("1e99999999999999999999999", "too_large"),
    ],
)
def test_sizes_are_decided_before_any_arithmetic(raw: object, expected: str) -> None:
    """NUMBER_DIGITS and NUMBER_EXPONENT; multiplying 1e1000000 out would take half a minute."""
    assert (limits.NUMBER_DIGITS, limits.NUMBER_EXPONENT) == (36, 36)
    started = time.process_time()
    found = number(WIDE, raw)
    assert (found[0] if isinstance(found, tuple) else found) == expected
    assert time.process_time() - started < 0.05


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (True, "type"),
        (False, "type"),
        ("", "type"),
        (" 5", "type"),
        ("5 ", "type"),
        ("1_000", "type"),
        ("1,5", "type"),
        ("0x10", "type"),
        ("١٢", "type"),  # digits, but not ASCII ones
        ("five", "type"),
        ("five" * 100, "type"),
        (5.5, "type"),  # no float reaches a rule: doors read decimals
        ([], "type"),
        ({}, "type"),
        ("NaN", "not_finite"),
        (Decimal("NaN"), "not_finite"),
        (Decimal("sNaN"), "not_finite"),
        ("Infinity", "not_finite"),
        (Decimal("-Infinity"), "not_finite"),
    ],
)
def test_what_is_no_number(raw: object, code: str) -> None:
    assert number(MONEY, raw) == code


BOUNDED = replace(MONEY, minimum=Decimal("0.01"), maximum=Decimal("99.99"))
UNEVEN = replace(WHOLE, minimum=Decimal("0.5"), maximum=Decimal("2.5"))


@pytest.mark.parametrize(
    ("field", "raw", "expected"),
    [
        (BOUNDED, "0.01", "0.01"),
        (BOUNDED, "99.99", "99.99"),
        (BOUNDED, "0.00", "below_minimum"),
        (BOUNDED, "-1", "below_minimum"),
        (BOUNDED, "100", "above_maximum"),
        (UNEVEN, 0, "below_minimum"),
        (UNEVEN, 1, "1"),
        (UNEVEN, 2, "2"),
        (UNEVEN, 3, "above_maximum"),
        (WHOLE, 10**12, "1" + "0" * 12),  # the bounds of a number that declares none
        (WHOLE, 10**12 + 1, "above_maximum"),
        (WHOLE, -(10**12) - 1, "below_minimum"),
    ],
)
def test_bounds_are_inclusive(field: Property, raw: object, expected: str) -> None:
    found = number(field, raw)
    assert (found[0] if isinstance(found, tuple) else found) == expected


@pytest.mark.parametrize(
    ("scaled", "places", "text"),
    [
        (0, 0, "0"),
        (5, 0, "5"),
        (5, 2, "0.05"),
        (-5, 2, "-0.05"),
        (-12500, 2, "-125.00"),
        (1, limits.NUMBER_PLACES, "0.0000000000000001"),
    ],
)
def test_scaled_integers_show_all_their_places(scaled: int, places: int, text: str) -> None:
    assert show_scaled(scaled, places) == text
