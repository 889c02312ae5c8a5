"""Sizes and names of `style.md`, as a test: what outgrows one screen is split before it lands.

`EXCEPTIONS` may only shrink: an entry holds the size it was admitted with, and fails when it is no longer needed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.laws.tree import SOURCE, files, name, python_files, sql_files

LINE_LENGTH = 120
FUNCTION_LINES = 40  # without the docstring and the decorators
FILE_LINES = 400
POSITIONAL_PARAMETERS = 4
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "base", "misc"}

EXCEPTIONS: dict[str, int] = {}  # "src/troth/x.py::function lines" → the size admitted

Measure = tuple[str, int, int]  # what is measured, its size, the limit

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def measure_lines(where: str, text: str) -> Iterator[Measure]:
    lines = text.splitlines()
    yield f"{where} lines", len(lines), FILE_LINES
    for number, line in enumerate(lines, 1):
        yield f"{where}:{number} length", len(line), LINE_LENGTH


def measure_functions(where: str, text: str) -> Iterator[Measure]:
    for node, owner in functions(ast.parse(text)):
        place = f"{where}::{owner}{node.name}"
        yield f"{place} lines", function_lines(node), FUNCTION_LINES
        if not is_called_by_pytest(node):
            yield (
                f"{place} positional parameters",
                positional_parameters(node, is_method=bool(owner)),
                (POSITIONAL_PARAMETERS),
            )


def functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[FunctionNode, str]]:
    """Every function at any depth, with the class it is a method of."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FunctionNode):
            yield node, owner
            yield from functions(node)
        else:
            yield from functions(node, f"{node.name}." if isinstance(node, ast.ClassDef) else owner)


def function_lines(node: FunctionNode) -> int:
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is None:
        return lines
    docstring = node.body[0]
    assert docstring.end_lineno is not None
    return lines - (docstring.end_lineno - docstring.lineno + 1)


def positional_parameters(node: FunctionNode, *, is_method: bool) -> int:
    is_static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
    return len(node.args.posonlyargs) + len(node.args.args) - (is_method and not is_static)


def is_called_by_pytest(node: FunctionNode) -> bool:
    """Tests and fixtures are called by name: their parameters are no order to remember."""
    return node.name.startswith("test_") or any("fixture" in ast.dump(mark) for mark in node.decorator_list)


def excess(measures: Iterable[Measure]) -> dict[str, int]:
    return {what: size for what, size, limit in measures if size > limit}


def measures_of_the_tree() -> Iterator[Measure]:
    for path in (*python_files(), *sql_files()):
        yield from measure_lines(name(path), path.read_text())
    for path in python_files():
        yield from measure_functions(name(path), path.read_text())


@cache
def excess_of_the_tree() -> dict[str, int]:
    return excess(measures_of_the_tree())


def test_nothing_outgrows_its_limit() -> None:
    new = [f"{what}: {size}" for what, size in excess_of_the_tree().items() if size > EXCEPTIONS.get(what, 0)]
    assert new == [], "\n".join(new)


def test_exceptions_only_shrink() -> None:
    stale = {what: size for what, size in EXCEPTIONS.items() if excess_of_the_tree().get(what) != size}
    assert stale == {}, "lower the recorded size, or drop the entry"


def test_no_module_has_an_empty_name() -> None:
    assert [name(path) for path in files() if EMPTY_NAMES.intersection({path.stem, path.parent.name})] == []


def test_any_stays_at_the_doors() -> None:
    assert [name(path) for path in python_files() if is_inside(path) and imports_any(path.read_text())] == []


def is_inside(path: Path) -> bool:
    return path.is_relative_to(SOURCE) and not path.is_relative_to(SOURCE / "entry")


def imports_any(text: str) -> bool:
    imports = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom))
    return any(alias.name == "Any" for node in imports if node.module == "typing" for alias in node.names)


LONG_FUNCTION = "def long():\n" + "    step()\n" * 40
LONG_ONLY_BY_ITS_DOCSTRING = 'def told():\n    """\n' + "    word\n" * 40 + '    """\n    step()\n'
NESTED = "class Shop:\n    def sell(self, a, b, c, d): ...\n    def buy(self, a, b, c, d, e): ...\n"


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("x = 1\n", {}),
        ("#" * 121 + "\n", {"a.py:1 length": 121}),
        ("x = 1\n" * 401, {"a.py lines": 401}),
        (LONG_FUNCTION, {"a.py::long lines": 41}),
        (LONG_ONLY_BY_ITS_DOCSTRING, {}),
        (NESTED, {"a.py::Shop.buy positional parameters": 5}),
        ("def f(a, b, c, d, *, e, g): ...\n", {}),
        ("def test_f(a, b, c, d, e): ...\n", {}),
        ("def f(a, b, c, d):\n    async def g(a, b, /, c, d, e): ...\n", {"a.py::g positional parameters": 5}),
    ],
)
def test_the_measures_bite(text: str, complaints: dict[str, int]) -> None:
    assert excess((*measure_lines("a.py", text), *measure_functions("a.py", text))) == complaints


def test_the_search_for_any_bites() -> None:
    assert imports_any("from typing import Any, Literal")
    assert not imports_any("from typing import Literal")
