"""Diagnostics: each one with its place and hint, all of them at once, and every bound of the language hit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.expression.schema import SCOPE, accepted
from troth import limits
from troth.core.expression import Diagnostic, check

CODES = {
    "division_by_zero",
    "inexact_division",
    "maybe_missing",
    "never_true",
    "overflow",
    "pii_property",
    "syntax",
    "too_complex",
    "too_long",
    "type",
    "unknown_function",
    "unknown_property",
    "useless_default",
}
TABLE = Path(__file__).with_name("diagnostics.txt").read_text().splitlines()[1:]


def cases() -> list[tuple[str, str, list[str]]]:
    found: list[tuple[str, str, list[str]]] = []
    for line in TABLE:
        if line.startswith("    "):
            found[-1][2].append(line.strip())
        else:
            found.append((line[2:], "formula" if line.startswith("=") else "condition", []))
    return found


def diagnostics(source: str, kind: str = "formula") -> tuple[Diagnostic, ...]:
    return check(source, SCOPE, "number" if kind == "formula" else "condition").diagnostics


def first(source: str) -> str:
    return str(diagnostics(source)[0])


@pytest.mark.parametrize(("source", "kind", "wanted"), cases())
def test_findings(source: str, kind: str, wanted: list[str]) -> None:
    assert [str(found) for found in diagnostics(source, kind)] == wanted


def test_every_code_has_a_case() -> None:
    shown = {finding.split()[0] for _, _, findings in cases() for finding in findings}
    assert shown == CODES - {"too_long", "too_complex"}  # those are shown by the bounds below


def test_only_warnings_let_a_rule_pass() -> None:
    for source, kind, _ in cases():
        checked = check(source, SCOPE, "number" if kind == "formula" else "condition")
        severities = {found.code: found.severity for found in checked.diagnostics}
        warnings = {"never_true", "useless_default", "inexact_division"}
        assert severities == {code: "warning" if code in warnings else "error" for code in severities}
        assert checked.ok == (set(severities) <= warnings)


def test_the_kind_that_is_expected() -> None:
    assert str(diagnostics("properties.amount", "condition")[0]) == "type 1:1: a condition needs a boolean, not number"
    assert str(diagnostics("true", "formula")[0]) == "type 1:1: a formula needs a number, not boolean"
    assert first("") == first(" \n").replace("2:1", "1:1") == "syntax 1:1: the expression is empty"


def test_places_count_lines_and_code_points() -> None:
    found = diagnostics('"😀" ==\n  properties.skuu', "condition")[0]
    assert (found.start, found.end, found.line, found.column) == (20, 24, 2, 14)


def test_a_value_guarded_by_its_test_is_there() -> None:
    for source in (
        "has(properties.rating) && properties.rating > 1",
        "properties.rating != null && properties.rating > 1",
        "properties.rating == null || properties.rating > 1",
        "!(properties.rating == null) && properties.rating > 1",
        "has(properties.rating) ? properties.rating > 1 : false",
        "!has(properties.rating) ? false : properties.rating > 1",
        "properties.rating == 5 && properties.rating > 1",
        "properties.rating in [4, 5] && properties.rating > 1",
        "has(properties.address.floor) && properties.address.city.startsWith('P')",
        "properties.items.any(i, has(i.weight) && i.weight > 1)",
        "properties.pieces != 0 ? 1 / properties.pieces : 0",
        "properties.pieces > 0 && 10 / properties.pieces > 2",
        "properties.change - 1 != 0 ? 1 / (properties.change - 1) : 0",
    ):
        accepted(source)


def test_a_size_says_nothing_about_presence() -> None:
    """A missing list has size 0 too."""
    found = diagnostics("properties.items.size == 0 && properties.items == null", "condition")
    assert found == ()


@pytest.mark.parametrize(
    ("within", "beyond", "code"),
    [
        ("1" + " " * (limits.EXPRESSION_CHARACTERS - 1), "1" + " " * limits.EXPRESSION_CHARACTERS, "too_long"),
        ("(" * 40 + "1" + ")" * 40, "(" * 41 + "1" + ")" * 41, "too_complex"),
        ("-" * limits.EXPRESSION_DEPTH + "1", "-" * (limits.EXPRESSION_DEPTH + 1) + "1", "too_complex"),
        ("1" + "+1" * limits.EXPRESSION_CHAIN, "1" + "+1" * (limits.EXPRESSION_CHAIN + 1), "too_complex"),
        (
            "true ? 1 : " * limits.EXPRESSION_CHAIN + "1",
            "true ? 1 : " * (limits.EXPRESSION_CHAIN + 1) + "1",
            "too_complex",
        ),
        (
            f"[{'1,' * (limits.EXPRESSION_ARGUMENTS - 1)}1].size",
            f"[{'1,' * limits.EXPRESSION_ARGUMENTS}1].size",
            "too_complex",
        ),
        (
            "properties.items.sum(a, properties.items.sum(b, properties.items.sum(c, 1)))",
            "properties.items.sum(a, properties.items.sum(b, properties.items.sum(c, properties.items.sum(d, 1))))",
            "too_complex",
        ),
        ("1 - " * 59 + "1", "(" + ") * (".join(["1" + "+1" * 59] * 8) + ")", "too_complex"),
        (f"{10 ** (limits.NUMBER_DIGITS - 1)}", f"{10**limits.NUMBER_DIGITS}", "overflow"),
        (f"0.{'1' * limits.NUMBER_PLACES}", f"0.{'1' * (limits.NUMBER_PLACES + 1)}", "overflow"),
    ],
)
def test_bounds(within: str, beyond: str, code: str) -> None:
    assert diagnostics(within) == ()
    assert [found.code for found in diagnostics(beyond)] == [code]


def test_tokens_are_bounded() -> None:
    row = "[" + ",".join(["1"] * 20) + "].size"  # 43 tokens
    within = " + ".join([row] * 18)
    assert diagnostics(within) == ()
    beyond = within + " + " + row
    assert 18 * 44 < limits.EXPRESSION_TOKENS < 19 * 44
    assert [found.code for found in diagnostics(beyond)] == ["too_complex"]


def test_trees_that_grow_high_by_chains_in_chains_are_refused() -> None:
    source = "1"
    for _ in range(4):
        source = f"({source}{'+properties.pieces' * 40})"
    assert limits.EXPRESSION_TOKENS > 4 * 40 * 4
    assert limits.EXPRESSION_HEIGHT < 4 * 40
    assert first(source).startswith("too_complex")


def test_findings_are_bounded() -> None:
    found = diagnostics("[" + "],[".join(",".join(["x.y"] * 5) for _ in range(30)) + "]")
    assert 0 < len(found) <= limits.EXPRESSION_PROBLEMS
    found = diagnostics(" ".join("@" * 500))
    assert len(found) == limits.EXPRESSION_PROBLEMS


def test_work_over_full_lists_is_bounded() -> None:
    inner = "properties.items.sum(a, properties.items.sum(b, properties.items.sum(c, {})))"
    assert 20**3 * 9 < limits.EXPRESSION_COST < 20**3 * 13
    assert diagnostics(inner.format("c.price" + " + 1" * 2)) == ()
    found = diagnostics(inner.format("c.price" + " + 1" * 6))
    assert [each.code for each in found] == ["too_complex"]
    assert str(found[0].hint) == "lower max_items, or do not nest lists"


def test_counts_read_from_the_customer_are_bounded() -> None:
    assert getattr(accepted("customer.orders").type, "high", 0) == limits.COUNT_MAX
