"""Generated code holds nothing but templates: names, constants and builtins are looked at, at every depth."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType

import pytest

from tests.core.expression.oracle import Maker
from tests.core.expression.schema import EVENT, INPUTS, SCOPE, accepted, evaluated, inputs_of, values_of
from troth.core.expression import check, compile_expression
from troth.core.expression.python import ForbiddenCodeError, verify

KNOWN = frozenset({"sum", "len", "k0"})
TEXT = "__import__('os').system('true')"


def code_of(source: str) -> CodeType:
    module = compile(source, "<test>", "exec")
    return next(constant for constant in module.co_consts if isinstance(constant, CodeType))


def nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


@pytest.mark.parametrize(
    "source",
    [
        "def rule(v, n): return v[0]",
        "def rule(v, n): return sum([i1[0] for i1 in v[3]])",
        "def rule(v, n): return len([1 for i1 in v[3] if i1[0].lower() == k0])",
        "def rule(v, n): return 1 if v[0] in [1, 2] else -1",
    ],
)
def test_what_templates_make_is_allowed(source: str) -> None:
    verify(code_of(source), KNOWN)


@pytest.mark.parametrize(
    "source",
    [
        "def rule(v, n): return open(v[0])",
        "def rule(v, n): return v.__class__",
        "def rule(v, n): return v[0].format",
        "def rule(v, n): return __builtins__",
        "def rule(v, n): return 'text'",
        "def rule(v, n): return v[0] in ['text', 1]",
        "def rule(v, n): return 1.5",
        "def rule(v, n): return b''",
        "def rule(v, n): import os",
        "def rule(v, n): x = v",
        "def rule(v, n, *args): return v",
        "def other(v, n): return v[0]",
        "def rule(v, n): return sum([i1.__class__ for i1 in v[3]])",
        "def rule(v, n): return [open(i1) for i1 in v]",
        "def rule(v, n): return [[eval(i2) for i2 in i1] for i1 in v]",
        "def rule(v, n): return sum(secret for secret in v)",
        "def rule(v, n): return [['text' for i2 in i1] for i1 in v]",
        "def rule(v, n): return (lambda: v)()",
        "def rule(v, n):\n  def rules(): return exit\n  return rules",
    ],
)
def test_anything_else_is_refused_at_every_depth(source: str) -> None:
    with pytest.raises(ForbiddenCodeError):
        verify(code_of(source), KNOWN)


def test_functions_have_no_builtins_and_no_text_of_the_rule() -> None:
    source = f'properties.items.any(i, i.sku == "{TEXT}") || "{TEXT}" in ["a", properties.sku, "{TEXT}"]'
    compiled = compile_expression(accepted(source))
    for function in (compiled.function, compiled.bulk):
        assert isinstance(function, FunctionType)
        assert function.__builtins__ == {}  # type: ignore[attr-defined]
        for code in nested(function.__code__):
            texts = (*code.co_names, *code.co_varnames, code.co_filename, *map(repr, code.co_consts))
            assert not any("import" in text or "system" in text for text in texts)
    assert compiled.function(values_of(EVENT), inputs_of(INPUTS)) is True


def test_property_names_do_not_reach_the_code() -> None:
    for at in range(200):
        maker = Maker(f"names/{at}")
        checked = check(maker.formula().text, SCOPE, "number")
        if checked.ok:
            function = compile_expression(checked).function
            assert isinstance(function, FunctionType)
            names = {name for code in nested(function.__code__) for name in (*code.co_names, *code.co_varnames)}
            assert not names & {"properties", "amount", "items", "price", "customer", "event", "sku", "category"}


def test_texts_are_compared_as_they_are() -> None:
    """Texts that look like code, templates or slots are only texts."""
    for text in ("{0}", "k0", "%s", "v[0]", "{detail}", "None", "\\\\", "'", "{", "}}"):
        quoted = text if text == "\\\\" else text.replace('"', '\\"')
        written = text.replace("\\\\", "\\")
        assert evaluated(f'properties.sku == "{quoted}"', {**EVENT, "sku": written}) is True
        assert evaluated(f'properties.sku in ["x", "{quoted}"]', {**EVENT, "sku": written + "."}) is False
