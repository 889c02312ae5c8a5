"""Bounds that no other test hits: the largest value passes, one more is refused."""

from __future__ import annotations

import pytest

from tests.core.judging import document, judge_of, program_of, read, rule
from troth import limits
from troth.core.expression import check, common_to, scope_for
from troth.core.expression.scope import Scope
from troth.core.program.document import validate_document


def test_text_and_lists_that_declare_no_bound() -> None:
    text, names = {"type": "text"}, {"type": "list", "of": {"type": "text"}}
    types = [{"id": "purchase", "properties": {"note": text, "names": names}}]
    fields = program_of(document(event_types=types)).event_types["purchase"].properties
    longest = {"note": "x" * limits.TEXT_LENGTH, "names": ["y" * limits.TEXT_LENGTH] * limits.LIST_ITEMS}
    assert read(fields, longest)[1] == []
    _, problems = read(fields, {"note": longest["note"] + "x", "names": [*longest["names"], "y"]})
    assert [(problem.pointer, problem.code) for problem in problems] == [
        ("/properties/note", "too_long"),
        ("/properties/names", "too_many_items"),
    ]


@pytest.mark.parametrize(
    ("factor", "fits"), [(10**36 // limits.COUNT_MAX - 1, True), (10**36 // limits.COUNT_MAX, False)]
)
def test_counts_are_bounded_where_overflow_is_ruled_out(factor: int, fits: bool) -> None:
    """A rule may multiply COUNT_MAX events to 36 digits and no further."""
    made = validate_document(document(rule(f"customer.count('purchase') * {factor}")), revision=1)
    assert [problem.code for problem in made.errors] == ([] if fits else ["overflow"])


@pytest.fixture
def scope() -> Scope:
    types = judge_of(document()).book.program.event_types
    return scope_for(types["purchase"], common_to(profile=types["profile"], levels=(), event_types=types.keys()))


ARGUMENTS = limits.EXPRESSION_ARGUMENTS
CHAIN = limits.EXPRESSION_CHAIN
DEPTH = limits.EXPRESSION_DEPTH
SPARE = limits.EXPRESSION_CHARACTERS - len("1")


def sums(tokens: int) -> str:
    """A formula of so many words and signs, within every other bound: max(1 + 1 + …, 1 + 1 + …, …)."""
    inside, parts = tokens - len(["max", "(", ")"]), []
    while inside > 0:
        size = min(39, inside)
        size -= 1 - size % 2
        parts.append(" + ".join(["1"] * (size // 2 + 1)))
        inside -= size + 1
    return f"max({', '.join(parts)})"


@pytest.mark.parametrize(
    ("largest", "too_large", "code"),
    [
        ("1" + " " * SPARE, "1" + " " * (SPARE + 1), "too_long"),
        (sums(limits.EXPRESSION_TOKENS - 2), sums(limits.EXPRESSION_TOKENS + 2), "too_complex"),
        ("(" * (DEPTH - 2) + "1" + ")" * (DEPTH - 2), "(" * (DEPTH + 1) + "1" + ")" * (DEPTH + 1), "too_complex"),
        ("1" + " + 1" * CHAIN, "1" + " + 1" * (CHAIN + 1), "too_complex"),
        (f"max({', '.join(['1'] * ARGUMENTS)})", f"max({', '.join(['1'] * (ARGUMENTS + 1))})", "too_complex"),
    ],
    ids=["characters", "tokens", "depth", "chain", "arguments"],
)
def test_expressions_are_bounded(scope: Scope, largest: str, too_large: str, code: str) -> None:
    assert check(largest, scope, "number").ok, check(largest, scope, "number").diagnostics
    assert code in {problem.code for problem in check(too_large, scope, "number").diagnostics}
