"""Every code the language can give, each shown once with its severity and its exact place in the source."""

from __future__ import annotations

import ast

import pytest

from tests.core.expression.schema import SCOPE
from tests.laws.tree import SOURCE
from troth import limits
from troth.core.expression import Diagnostic, check
from troth.core.expression.diagnostic import WARNINGS

CASES = """
unknown_property error 1:12 properties.«amout» | unknown property 'amout' | did you mean 'amount'?
unknown_property error 1:1 «amount» + 1 | unknown name 'amount' | did you mean 'properties.amount'?
unknown_property error 1:27 properties.items.sum(i, i.«prize») | unknown property 'prize' | did you mean 'price'?
unknown_property error 1:16 customer.count(«"singup"») | unknown event type 'singup' | did you mean 'signup'?
unknown_function error 1:1 «rond»(properties.amount) | unknown function 'rond' | did you mean 'round'?
unknown_function error 1:16 properties.sku.«trim»() | unknown function 'trim' | None
pii_property error 1:16 has(properties.«email») ? 1 : 2 | 'email' is personal | decide by a property without pii
maybe_missing error 1:5 1 + «properties.rating» | may be missing | write properties.rating ?? 0, or test has(…) first
maybe_missing error 1:1 «(properties.rating)» + 1 | may be missing | write (properties.rating) ?? 0
type error 1:5 1 + «properties.sku» | '+' needs a number, not text | None
type error 1:1 «properties.amount == "5"» | a number cannot equal a text | numbers are written without quotes
never_true warning 1:24 properties.category == «"book"» ? 1 : 2 | is not a value | did you mean 'books'?
never_true warning 1:1 «properties.rating == 6» ? 1 : 2 | never equals 6 | its declared bounds and places exclude it
useless_default warning 1:22 properties.amount ?? «0» | is never missing | remove ?? and what follows it
inexact_division warning 1:1 «properties.amount / 3» * 2 | is a quotient | divide last, or round() it
division_by_zero error 1:5 1 / «properties.pieces» | may be zero | write max(x, 1), or x != 0 ? … : …
division_by_zero error 1:5 1 % «(2 - 2)» | is zero | write max(x, 1), or x != 0 ? … : …
overflow error 1:5 1 + «properties.wide * properties.wide * properties.wide» | at most 36 are kept | round() an
syntax error 1:19 properties.amount «=» 5 | unknown operator '=' | use == to compare
syntax error 1:8 “AB-1” «=» properties.sku | unknown operator '=' | use == to compare
syntax error 1:21 properties.amount × «÷» 2 | expected a value, found '÷' | None
syntax error 1:5 1 + «“open» | a text without its closing quote | add the closing quote
syntax error 1:4 1 +«» | expected a value, found the end | None
syntax error 2:2 1 +⏎ «)» | expected a value | None
too_long error 1:1 «LONG» | at most 4000 characters, this has 4001 | split the rule
too_complex error 1:42 DEEP(«1» | nested deeper than 40 | split the rule
maybe_missing error 3:2 1⏎+ 2 +⏎ «properties.rating»⏎+ 3 | may be missing | write properties.rating ?? 0
"""
CASES = CASES.replace("LONG", "1" * (limits.EXPRESSION_CHARACTERS + 1)).replace("DEEP", "(" * limits.EXPRESSION_DEPTH)


def cases() -> list[tuple[str, tuple[object, ...], str, str]]:
    """The source, what is exact (code, severity, line, column, start, end), and pieces of the message and the hint."""
    found = []
    for line in CASES.strip().splitlines():
        head, message, hint = line.rsplit(" | ", 2)
        code, severity, place, marked = head.split(" ", 3)
        marked = marked.replace("⏎", "\n")
        start, end = marked.index("«"), marked.index("»") - 1
        exact = (code, severity, *map(int, place.split(":")), start, end)
        found.append((marked.replace("«", "").replace("»", ""), exact, message, hint))
    return found


def errors_and_warnings(source: str) -> tuple[Diagnostic, ...]:
    return check(source, SCOPE, "number").diagnostics


@pytest.mark.parametrize(("source", "exact", "message", "hint"), cases())
def test_code_and_place(source: str, exact: tuple[object, ...], message: str, hint: str) -> None:
    code = exact[0]
    found = next(each for each in errors_and_warnings(source) if each.code == code)
    assert (found.code, found.severity, found.line, found.column, found.start, found.end) == exact
    assert message in found.message
    assert all(piece in str(found.hint) for piece in hint.split("…"))


def reported() -> set[object]:
    """The first argument of each call of `report` in the sources of the language."""
    calls = [
        node
        for path in (SOURCE / "core" / "expression").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "report"
    ]
    codes = [call.args[0] for call in calls]
    assert all(isinstance(code, ast.Constant) for code in codes)
    return {code.value for code in codes if isinstance(code, ast.Constant)}


def test_the_codes_of_the_sources_are_those_shown() -> None:
    assert reported() == {exact[0] for _, exact, _, _ in cases()}


def test_the_warnings_are_those_shown() -> None:
    assert {exact[0] for _, exact, _, _ in cases() if exact[1] == "warning"} == WARNINGS


def test_all_problems_come_at_once_in_the_order_of_the_source() -> None:
    source = 'properties.amout +\n  properties.rating * properties.sku\n- 1 / 0 + rond(customer.teir) + ("a" ? 1 : 2)'
    assert [(found.code, found.line, found.column) for found in errors_and_warnings(source)] == [
        ("unknown_property", 1, 12),
        ("maybe_missing", 2, 3),
        ("type", 2, 23),
        ("division_by_zero", 3, 7),
        ("unknown_function", 3, 11),
        ("unknown_property", 3, 25),
        ("type", 3, 34),
    ]


def test_one_mistake_is_told_once() -> None:
    found = errors_and_warnings("round(-(properties.amout * 2) / 3, 2) > 1 ? [properties.amout].sum(i, i) : 0")
    assert [(each.code, each.start) for each in found] == [("unknown_property", 19), ("unknown_property", 56)]
