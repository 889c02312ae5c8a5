"""The map in ARCHITECTURE.md is the tree: one line per module, in the module's own words.

`TROTH_RECORD=1 ./dev test tests/laws/test_architecture.py` draws it anew. Documents point at files that exist.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laws.tree import ROOT, SOURCE, files, name, python_files

DOCUMENT = ROOT / "ARCHITECTURE.md"
MAP = re.compile(r"```text\n(.*?)```\n", re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
MARGIN = 30


def draw() -> str:
    modules = [path for path in python_files() if path.is_relative_to(SOURCE)]
    return "".join(f"{line}\n" for line in lines_of(SOURCE, modules, depth=0))


def lines_of(folder: Path, modules: list[Path], depth: int) -> Iterator[str]:
    """The folder's own line, its modules, then its packages."""
    yield line(f"{folder.name}/", first_sentence(folder / "__init__.py"), depth)
    for path in modules:
        if path.parent == folder and path.stem != "__init__":
            yield line(path.name, first_sentence(path), depth + 1)
    for package in sorted({path.parent for path in modules if path.parent.parent == folder}):
        yield from lines_of(package, modules, depth + 1)


def line(label: str, told: str, depth: int) -> str:
    return f"{'  ' * depth + label:<{MARGIN}}{told}"


def first_sentence(path: Path) -> str:
    """The module's docstring to its first full stop, on one line; empty for a module that says nothing."""
    told = ast.get_docstring(ast.parse(path.read_text())) if path.exists() else None
    paragraph = " ".join((told or "").partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".")


def test_the_map_is_the_tree() -> None:
    text = DOCUMENT.read_text()
    if "TROTH_RECORD" in os.environ:
        text = MAP.sub(lambda _: f"```text\n{draw()}```\n", text)
        DOCUMENT.write_text(text)
    [drawn] = MAP.findall(text)
    assert drawn == draw()


def test_every_module_says_what_it_does() -> None:
    modules = [path for path in python_files() if path.is_relative_to(SOURCE)]
    assert [name(path) for path in modules if not first_sentence(path)] == []


def test_documents_point_at_files() -> None:
    assert [
        f"{name(path)}: {target}"
        for path in files()
        if path.suffix == ".md"
        for target in LINK.findall(path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ] == []


def test_tests_that_documents_name_exist() -> None:
    named = set(re.findall(r"tests/[\w/]+(?:\.py|/)", DOCUMENT.read_text()))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ('"""Reads keys. Never shows one."""', "Reads keys"),
        ('"""Reads keys\nof callers.\n\nIn: a header."""', "Reads keys of callers"),
        ("x = 1", ""),
    ],
)
def test_the_first_sentence(source: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(source)
    assert first_sentence(tmp_path / "module.py") == sentence
