"""Who may import whom (pyproject.toml, import-linter), and that `core` is pure.

The purity law goes beyond imports: no clock is read, nothing is printed or opened, no floating-point number is written.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laws.tree import ROOT, SOURCE, name, python_files

CORE = SOURCE / "core"
TOP = re.compile(r"__init__|__main__|app|worker|cli\w*")  # sees everything, is seen by nothing below

# What a pure function has no use for; every third-party package but the ones named here is refused as well.
IMPURE = {
    *("asyncio", "concurrent", "ctypes", "fcntl", "glob", "importlib", "io", "logging", "mmap", "multiprocessing"),
    *("os", "pathlib", "pickle", "platform", "queue", "random", "resource", "secrets", "selectors", "shutil"),
    *("signal", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time"),
    *("urllib", "warnings", "http", "inspect", "ast"),
}
PURE_PACKAGES = {"msgspec", "ruamel"}  # bytes and text ↔ values
CLOCKS = {"now", "today", "utcnow"}
DOORS_OUT = {"open", "print", "input", "breakpoint", "eval", "exec", "__import__"}


def test_imports_follow_the_layers() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--no-logo", "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    report = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert report.returncode == 0, report.stdout + report.stderr


def test_every_part_has_a_layer() -> None:
    """A package that no contract names could import what it likes."""
    parts = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {part for part in parts - layered() if not TOP.fullmatch(part)} == set()


def test_nothing_below_sees_the_top() -> None:
    """Import-linter has no word for every cli*, so the modules that they are split into are watched here."""
    below = {path for path in python_files() if path.is_relative_to(SOURCE) and not TOP.fullmatch(part_of(path))}
    assert [name(path) for path in below if any(TOP.fullmatch(part) for part in imported_parts(path.read_text()))] == []


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_parts(text: str) -> set[str]:
    """Parts of troth that a module imports: `store` for `from troth.store import keys`."""
    nodes = list(ast.walk(ast.parse(text)))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return {module.split(".")[1] for module in modules if module.startswith("troth.")}


def layered() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = (layer for contract in contracts for layer in contract["layers"])
    return {part.strip("() ") for layer in layers for part in layer.replace("|", ":").split(":")}


def test_every_package_says_that_it_is_one() -> None:
    """Without an `__init__.py` a folder is invisible to import-linter."""
    folders = {path.parent for path in python_files() if path.is_relative_to(SOURCE)}
    assert [name(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_core_is_pure() -> None:
    core = [path for path in python_files() if path.is_relative_to(CORE)]
    assert core
    assert [f"{name(path)}:{complaint}" for path in core for complaint in impurities(path.read_text())] == []


def impurities(text: str) -> list[str]:
    """Complaints by line. A likeness of names (`cutoff=`) is the one float that never meets a value."""
    tree = ast.parse(text)
    likeness = {node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "cutoff"}
    return [f"{line} {what}" for node in ast.walk(tree) if node not in likeness for line, what in impurity(node)]


def impurity(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Import(names=names, lineno=line):
            yield from ((line, f"imports {alias.name}") for alias in names if is_impure(alias.name))
        case ast.ImportFrom(module=str(module), level=0, lineno=line) if is_impure(module):
            yield line, f"imports {module}"
        case ast.Attribute(attr=attribute, lineno=line) if attribute in CLOCKS:
            yield line, f"reads a clock: {attribute}"
        case ast.Call(func=ast.Name(id=called), lineno=line) if called in DOORS_OUT:
            yield line, f"calls {called}"
        case ast.Constant(value=float(), lineno=line):
            yield line, "writes a floating-point number"
        case _:
            pass


def is_impure(module: str) -> bool:
    package, *rest = module.split(".")
    if package == "troth":
        return rest[:1] not in (["core"], ["limits"], [])
    return package in IMPURE or package not in sys.stdlib_module_names | PURE_PACKAGES


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("from datetime import datetime\nfrom troth.core.event import Event\nfrom troth import limits", []),
        ("import os", ["1 imports os"]),
        ("import asyncpg", ["1 imports asyncpg"]),
        ("from troth.store import events", ["1 imports troth.store"]),
        ("def f():\n    from time import time", ["2 imports time"]),
        ("datetime.now(UTC)", ["1 reads a clock: now"]),
        ("print(1)", ["1 calls print"]),
        ("get_close_matches(name, names, cutoff=0.6)", []),
        ("half = 0.5", ["1 writes a floating-point number"]),
    ],
)
def test_the_purity_law_bites(text: str, complaints: list[str]) -> None:
    assert impurities(text) == complaints


def test_imported_parts_are_found() -> None:
    text = "import troth.app\nfrom troth import cli_keys\nfrom troth.store.keys import find_key\nimport os"
    assert imported_parts(text) == {"app", "cli_keys", "store"}
