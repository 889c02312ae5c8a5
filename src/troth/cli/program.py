"""troth program show | check | plan | apply | history | diff | rollback: the program as a file.

In: a YAML or JSON file, or `-` for standard input. Out: the program, what would change, or every problem with its place
(exit code 1). Works beside a running server, which obeys from its next event on, or alone.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Never, TypeVar, assert_never

import click

from troth.cli.program_text import change_lines, problem_line, revision_line
from troth.cli.settings import data_option
from troth.config import read_config
from troth.core.program.diff import Change, diff
from troth.core.program.document import validate_document
from troth.core.program.edit import (
    Decision,
    Edit,
    Exists,
    Invalid,
    Missing,
    Publication,
    Stale,
    Unchanged,
    replace_document,
)
from troth.core.program.items import Document, plain_document
from troth.core.program.problem import ProgramProblem, in_order
from troth.core.program.text import ParsedText, parse_document
from troth.core.program.writer import write_yaml
from troth.embedded.access import data_folder
from troth.starter import starter_document
from troth.store.programs import Revision, Signature, ensure_program, history, load_live, load_revision, publish

if TYPE_CHECKING:
    from troth.store.pool import Connection

T = TypeVar("T")
_NEWEST = 2**31 - 1

file_argument = click.argument("file", type=click.Path(allow_dash=True, dir_okay=False))
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
note_option = click.option("--note", default="", help="Why; kept with the revision.")


@click.group()
def program() -> None:
    """The program: settings, wallets, event types, rules and tiers as one document."""


@program.command()
@click.option("--revision", type=click.IntRange(1, _NEWEST), help="An earlier one. Default: the live one.")
@data_option
def show(data: Path | None, revision: int | None) -> None:
    """Print the program as YAML."""
    found = _run(data, lambda connection: _revision(connection, revision))
    click.echo(f"# revision {found.number}\n{write_yaml(found.document)}", nl=False)


@program.command()
@file_argument
def check(file: str) -> None:
    """Look for problems in FILE; needs no database."""
    _read(file)
    click.echo("The program is valid.")


@program.command()
@file_argument
@data_option
def plan(file: str, data: Path | None) -> None:
    """Show what applying FILE would change."""
    document = _read(file)
    live = _run(data, load_live)
    _show_changes(_changes(live, document))


@program.command()
@file_argument
@yes_option
@note_option
@data_option
def apply(file: str, data: Path | None, note: str, *, yes: bool) -> None:
    """Make FILE the live program, whole."""
    document = _read(file)
    expected = None
    if not yes:
        live = _run(data, load_live)
        expected = live.number if live else 0
        _show_changes(changes := _changes(live, document))
        if not changes:
            return
        click.confirm("Apply?", abort=True)
    _publish(data, replace_document(document, expected=expected), note)


@program.command(name="history")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@data_option
def history_command(data: Path | None, limit: int) -> None:
    """List revisions, newest first: number, time, author, note."""
    for revision in _run(data, lambda connection: history(connection, below=_NEWEST, limit=limit)):
        click.echo(revision_line(revision))


@program.command(name="diff")
@click.argument("old", type=click.IntRange(1, _NEWEST))
@click.argument("new", type=click.IntRange(1, _NEWEST), required=False)
@data_option
def diff_command(data: Path | None, old: int, new: int | None) -> None:
    """Show what changed from revision OLD to revision NEW (the live one when left out)."""

    async def both(connection: Connection) -> tuple[Revision, Revision]:
        return await _revision(connection, old), await _revision(connection, new)

    before, after = _run(data, both)
    _show_changes(diff(before.document, after.document))


@program.command()
@click.argument("revision", type=click.IntRange(1, _NEWEST))
@yes_option
@note_option
@data_option
def rollback(revision: int, data: Path | None, note: str, *, yes: bool) -> None:
    """Publish the content of REVISION again, as a new revision."""

    async def both(connection: Connection) -> tuple[Revision, Revision]:
        return await _revision(connection, None), await _revision(connection, revision)

    live, old = _run(data, both)
    if not yes:
        _show_changes(diff(live.document, old.document))
        click.confirm("Roll back?", abort=True)
    expected = None if yes else live.number
    _publish(data, replace_document(old.document, expected=expected), note or f"Rollback to revision {revision}")


def _read(file: str) -> Document:
    """The document of a file without errors; warnings are told, errors end the command."""
    parsed = _parse(file)
    problems = parsed.problems
    if parsed.readable:
        problems += validate_document(parsed.raw, revision=0, positions=parsed.positions).problems
    for problem in in_order(problems):
        click.echo(problem_line(problem, file), err=True)
    if errors := [problem for problem in problems if problem.severity == "error"]:
        _fail(f"{_count(len(errors), 'problem')}; the live program stays as it is.")
    return plain_document(parsed.raw)


def _parse(file: str) -> ParsedText:
    """A JSON file is read as JSON; its positions come from the YAML reader, for which it is a document too."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{file}: {error}")
    if not file.endswith(".json"):
        return parse_document(text)
    parsed = parse_document(text, "json")
    positions = parse_document(text).positions
    problems = tuple(positions.place(problem) for problem in parsed.problems)
    return ParsedText(raw=parsed.raw, positions=positions, problems=problems, readable=parsed.readable)


def _changes(live: Revision | None, document: Document) -> tuple[Change, ...]:
    return diff(live.document if live else {}, document)


def _show_changes(changes: Sequence[Change]) -> None:
    for line in change_lines(changes):
        click.echo(line)
    click.echo(f"{_count(len(changes), 'change')}." if changes else "Nothing differs.")


def _publish(data: Path | None, edit: Edit, note: str) -> None:
    def sign() -> Signature:
        return Signature(author=_author(), published_at=datetime.now(UTC), note=note)

    _tell(_run(data, lambda connection: publish(connection, edit, sign())))


def _tell(decision: Decision) -> None:
    match decision:
        case Publication(number=number, changes=changes):
            click.echo(f"Revision {number} is live: {_count(len(changes), 'change')}.")
        case Unchanged(number=number):
            click.echo(f"Nothing differs; revision {number} stays live.")
        case Stale(live=live):
            _fail(f"Revision {live} was published meanwhile. Look at the plan again.")
        case Invalid(problems=problems):
            _fail("\n".join(problem_line(problem, "program") for problem in _errors(problems)))
        case Missing() | Exists():
            raise AssertionError("edits of single items only")
        case _:
            assert_never(decision)


def _errors(problems: Sequence[ProgramProblem]) -> list[ProgramProblem]:
    return [problem for problem in problems if problem.severity == "error"]


async def _revision(connection: Connection, number: int | None) -> Revision:
    found = await (load_live(connection) if number is None else load_revision(connection, number))
    if found is None:
        raise click.ClickException(
            "No program was published yet." if number is None else f"There is no revision {number}."
        )
    return found


def _run(data: Path | None, work: Callable[[Connection], Awaitable[T]]) -> T:
    """What `work` finds in the database, which has at least the starter program."""
    config = read_config(os.environ, data=data)

    async def run() -> T:
        async with (
            data_folder(config, purpose="program") as access,
            access.open_database(connections=1) as database,
            database.pool.acquire() as connection,
        ):
            begun = Signature(author="troth", published_at=datetime.now(UTC), note="starter program")
            await ensure_program(connection, starter_document(), begun)
            return await work(connection)

    return asyncio.run(run())


def _author() -> str:
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a user without a name
        return "command line"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _fail(text: str) -> Never:
    click.echo(text, err=True)
    raise SystemExit(1)
