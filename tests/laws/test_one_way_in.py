"""Law 1: events and postings are inserted by `pipeline/write.py` through its store functions, and by nothing else.

Three steps: find the statements that write those tables (all of them inserts), the store functions that run such a
statement, and the places that use such a function.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.laws.tree import SOURCE, name, python_files, sql_files
from troth.store.sql import parse

WRITER = "src/troth/pipeline/write.py"
TABLES = r"(?:only\s+)?(?:\"?troth\"?\s*\.\s*)?\"?(?:events|postings)(?:_\d{4}_\d{2})?\"?(?![\w\"])"
INSERTS = re.compile(rf"\b(?:insert\s+into|merge\s+into|copy)\s+{TABLES}", re.IGNORECASE)
CHANGES = re.compile(rf"\b(?:update|delete\s+from|truncate(?:\s+table)?)\s+{TABLES}", re.IGNORECASE)
COPIES = {"copy_records_to_table", "copy_to_table"}


def named_statements() -> Iterator[tuple[str, str, str]]:
    """(file, name, text) of every statement that the program can run."""
    for path in sql_files():
        if path.is_relative_to(SOURCE) and "-- name:" in (text := path.read_text()):
            yield from ((path.name, label, statement) for label, statement in parse(text, path.name).items())


@cache
def sources() -> dict[str, ast.Module]:
    return {name(path): ast.parse(path.read_text()) for path in python_files() if path.is_relative_to(SOURCE)}


def writers_in(tree: ast.Module, statements: set[str]) -> set[str]:
    """Module-level names by which a module reaches a statement or COPY, directly or through each other."""
    bodies = dict(pair for node in tree.body for pair in definitions(node))
    keys = {f"[{statement}]" for statement in statements}
    reached = keys | {label for label, body in bodies.items() if copies(body)}
    while True:
        more = {label for label, body in bodies.items() if label not in reached and mentions(body) & reached}
        if not more:
            return reached - keys
        reached |= more


def definitions(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name, node
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from ((target.id, node) for target in targets if isinstance(target, ast.Name))


def mentions(node: ast.AST) -> set[str]:
    """Names read in it, and texts used as a key in brackets: `insert(…)`, `SQL["insert"]`."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant):
            found.add(f"[{part.slice.value}]")
    return found


def uses(tree: ast.Module, module: str, writers: set[str]) -> set[str]:
    """Writers of a store module that this file imports or reaches as an attribute of the module."""
    found: set[str] = set()
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    aliases = [alias for node in imports if node.module == "troth.store" for alias in node.names]
    local = {alias.asname or alias.name for alias in aliases if alias.name == module}
    for node in imports:
        if node.module == f"troth.store.{module}":
            found |= {alias.name for alias in node.names} & (writers | {"*", "SQL"})
    for part in ast.walk(tree):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in local:
            found |= {part.attr} & (writers | {"SQL"})
    return found


def copies(tree: ast.AST) -> bool:
    """True when it calls the driver's COPY with one of the two tables as its target."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    targets = (call.args[:1] for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in COPIES)
    return any(re.fullmatch(TABLES, str(text.value)) for [text] in targets if isinstance(text, ast.Constant))


def test_events_and_postings_are_only_inserted() -> None:
    assert [f"{file}: {label}" for file, label, text in named_statements() if CHANGES.search(text)] == []


def test_statements_stand_in_sql_files() -> None:
    writes = re.compile(f"{INSERTS.pattern}|{CHANGES.pattern}", re.IGNORECASE)
    assert [file for file, tree in sources().items() if any(writes.search(text) for text in texts(tree))] == []


def texts(tree: ast.Module) -> list[str]:
    """Every text written in a module, docstrings too."""
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_only_the_writer_reaches_what_inserts() -> None:
    trees = sources()
    homes = {file: writers_in(tree, inserting_statements(file)) for file, tree in trees.items() if "/store/" in file}
    strangers = {
        f"{file} uses {home}: {sorted(used)}"
        for home, writers in homes.items()
        for file, tree in trees.items()
        if writers and file not in (home, WRITER) and (used := uses(tree, module_of(home), writers))
    }
    assert strangers == set()


def inserting_statements(home: str) -> set[str]:
    return {
        label for file, label, text in named_statements() if INSERTS.search(text) and file == f"{module_of(home)}.sql"
    }


def module_of(home: str) -> str:
    return home.rpartition("/")[2].removesuffix(".py")


def test_every_inserting_statement_has_its_home() -> None:
    """A statement run from elsewhere than the module of its file's name would be invisible above."""
    trees = sources()
    files = {file.removesuffix(".sql") for file, _, text in named_statements() if INSERTS.search(text)}
    homes = {module: f"src/troth/store/{module}.py" for module in files}
    assert [home for module, home in homes.items() if not writers_in(trees[home], inserting_statements(home))] == []
    sql = {f"{module}.sql" for module in files}
    loads = {file: found for file, tree in trees.items() if (found := sql.intersection(texts(tree)))}
    assert loads == {home: {f"{module}.sql"} for module, home in homes.items()}


def test_copy_stands_in_the_store() -> None:
    assert [file for file, tree in sources().items() if "/store/" not in file and copies(tree)] == []


@pytest.mark.parametrize(
    ("text", "inserts", "changes"),
    [
        ("insert into events (id) values ($1)", True, False),
        ('INSERT INTO troth."postings" select 1', True, False),
        ("insert into\n    events_2026_11 values (1)", True, False),
        ("with e as (insert into events values (1)) select 1", True, False),
        ("insert into event_refs values (1)", False, False),
        ("update events set type = $1", False, True),
        ("delete from only postings", False, True),
        ("truncate table events", False, True),
        ("update event_refs set a = 1; delete from events_archive", False, False),
    ],
)
def test_the_search_bites(text: str, inserts: bool, changes: bool) -> None:
    assert (bool(INSERTS.search(text)), bool(CHANGES.search(text))) == (inserts, changes)


STORE = """
SQL = load("events.sql")
INSERT = SQL["insert_events"]
async def read(connection): return await connection.fetch(SQL["read_events"])
async def insert(connection): await connection.execute(INSERT)
async def insert_twice(connection): await insert(connection); await insert(connection)
async def copy(connection): await connection.copy_records_to_table("postings", records=[])
"""


def test_writers_are_found_through_each_other() -> None:
    assert writers_in(ast.parse(STORE), {"insert_events"}) == {"INSERT", "insert", "insert_twice", "copy"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from troth.store.events import insert", {"insert"}),
        ("from troth.store import events\nevents.insert_twice(c)", {"insert_twice"}),
        ("from troth.store import events as e\ne.insert(c)", {"insert"}),
        ("from troth.store.events import SQL", {"SQL"}),
        ("from troth.store.events import read", set()),
    ],
)
def test_strangers_are_found(text: str, found: set[str]) -> None:
    assert uses(ast.parse(text), "events", {"insert", "insert_twice"}) == found


def test_a_copy_is_found() -> None:
    assert copies(ast.parse('await connection.copy_records_to_table("events", records=rows)'))
    assert not copies(ast.parse('await connection.copy_records_to_table("lots", records=rows)'))
