"""Checking: source text → what it means, or everything that is wrong with it.

In: any text, and the scope of its event type. Out: `Checked`; never an exception, whatever the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from troth import limits
from troth.core.expression.checker import Checker
from troth.core.expression.diagnostic import Diagnostic, Problems
from troth.core.expression.parser import parse
from troth.core.expression.scope import Scope
from troth.core.expression.tree import NO_FACTS, Node
from troth.core.expression.types import Boolean, Number, Type, Unknown

Expected = Literal["condition", "number"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A checked source; only one that is `ok` can be compiled."""

    source: str
    diagnostics: tuple[Diagnostic, ...]  # warnings too, by place
    ok: bool
    type: Type  # Unknown when it is not ok
    reads: frozenset[str]  # input names, as in Scope.inputs
    property_reads: frozenset[str]
    tree: Node | None  # None when it cannot be read


def check(source: str, scope: Scope, expected: Expected) -> Checked:
    """Checks a condition or a formula against the schemas of its event type."""
    problems = Problems(source)
    checker = Checker(problems, scope)
    syntax = parse(problems)
    tree = None
    if syntax is not None:
        tree = checker.visit(syntax, NO_FACTS)
        if expected == "condition":
            checker.demand(tree, (Boolean,), "a condition")
        else:
            checker.demand(tree, (Number,), "a formula")
        if not problems.has_error and _height(tree) > limits.EXPRESSION_HEIGHT:
            hint = "split the rule, or compute less in one expression"
            problems.report("too_complex", "too many steps inside each other", syntax, hint)
    ok = not problems.has_error
    return Checked(
        source=source,
        diagnostics=problems.diagnostics,
        ok=ok,
        type=tree.type if tree and ok else Unknown(),
        reads=frozenset(checker.reads),
        property_reads=frozenset(checker.property_reads),
        tree=tree,
    )


def _height(tree: Node) -> int:
    """How deep the walks of every form go: one operator may be several steps, as a rounded quotient is."""
    height, level = -1, [tree]
    while level:
        height, level = height + 1, [argument for node in level for argument in node.arguments]
    return height
