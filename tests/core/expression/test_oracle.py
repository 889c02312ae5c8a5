"""One tree, one meaning: random rules are worth the same compiled, in bulk, traced, and walked by the oracle."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.core.expression.oracle import Made, Maker, settled
from tests.core.expression.samples import Sample, sample
from tests.core.expression.schema import SCOPE, inputs_of
from troth.core.expression import Checked, check, compile_expression, trace

SEED = int(os.environ.get("TROTH_TEST_SEED", "20261122"))
RULES = int(os.environ.get("TROTH_TEST_RULES", "360"))
ROWS = 200
SHARES = 6  # the rules in as many tests, to see how far a failing run got


def rules(share: int) -> Iterator[tuple[Made, Checked]]:
    """Well-typed rules; those too large to be proven are left out, and must be few."""
    wanted, tried = RULES // SHARES, 0
    while wanted:
        tried += 1
        maker = Maker(f"{SEED}/{share}/{tried}")
        formula = tried % 2 == 0
        made = maker.formula() if formula else maker.condition()
        checked = check(made.text, SCOPE, "number" if formula else "condition")
        refused = {found.code for found in checked.diagnostics if found.severity == "error"}
        assert refused <= {"overflow", "too_complex", "too_long"}, (SEED, share, tried, made.text, checked.diagnostics)
        if checked.ok:
            wanted -= 1
            yield made, checked
    assert tried < 2 * RULES // SHARES


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    random_ = random.Random(SEED)
    return [sample(random_) for _ in range(ROWS)]


@pytest.mark.parametrize("share", range(SHARES))
def test_every_form_equals_the_oracle(share: int, samples: list[Sample]) -> None:
    values, inputs = [each.values for each in samples], [inputs_of(each.inputs) for each in samples]
    for made, checked in rules(share):
        compiled = compile_expression(checked)
        wanted = [settled(made, each.row) for each in samples]
        single = [compiled.function(*pair) for pair in zip(values, inputs, strict=True)]
        context = f"TROTH_TEST_SEED={SEED} share {share}: {made.text}"
        assert [exact(value, compiled.places) for value in single] == wanted, context
        assert compiled.bulk(values, inputs) == single, context
        for at in range(ROWS):
            told = trace(checked, values[at], inputs[at])[0].value
            assert (Fraction(Decimal(told)) if isinstance(told, str) else told) == wanted[at], context


def exact(value: int | bool, places: int) -> Fraction | bool:
    return value if isinstance(value, bool) else Fraction(value, 10**places)


def test_bounds_and_places_hold(samples: list[Sample]) -> None:
    """What is proven of a formula is true of every value it gives."""
    inputs = [inputs_of(each.inputs) for each in samples]
    for _, checked in rules(0):
        results = compile_expression(checked).bulk([each.values for each in samples], inputs)
        low, high = getattr(checked.type, "low", 0), getattr(checked.type, "high", 1)
        assert all(low <= result <= high for result in results), (SEED, checked.source)
