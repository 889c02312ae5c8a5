"""Law 8: every bound in `limits.py` is used by the program and hit by a test that names it."""

from __future__ import annotations

import ast
import re

from tests.laws.tree import ROOT, SOURCE, python_files

LIMITS = SOURCE / "limits.py"


def bounds() -> list[str]:
    tree = ast.parse(LIMITS.read_text())
    targets = (node.targets[0] for node in tree.body if isinstance(node, ast.Assign))
    return [target.id for target in targets if isinstance(target, ast.Name)]


def unnamed(names: list[str], texts: list[str]) -> list[str]:
    words = {word for text in texts for word in re.findall(r"[A-Z][A-Z0-9_]+", text)}
    return [name for name in names if name not in words]


def test_every_bound_is_used() -> None:
    program = [path.read_text() for path in python_files() if path.is_relative_to(SOURCE) and path != LIMITS]
    assert bounds()
    unused = unnamed(bounds(), program)
    assert unused == [], " ".join(unused)


def test_every_bound_is_hit_by_a_test() -> None:
    tests = [path.read_text() for path in python_files() if path.is_relative_to(ROOT / "tests")]
    untested = unnamed(bounds(), tests)
    assert untested == [], " ".join(untested)


def test_the_search_bites() -> None:
    assert unnamed(["BULK_EVENTS", "BULK"], ["limits.BULK_EVENTS + 1"]) == ["BULK"]
