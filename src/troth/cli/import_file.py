"""troth import: events from a CSV or NDJSON file, beside a running server or alone.

Exit codes: 0 all rows were read, the rejected ones too · 1 the file cannot be read, or the database cannot be reached ·
130 stopped by Ctrl-C. It may always be run again: what is recorded is known by its reference and adds nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from troth.cli.engine import STOPPED, command_engine, stopping_by_signal
from troth.cli.settings import data_option
from troth.config import Config, read_config
from troth.entry.csv_import import CsvRows
from troth.entry.import_file import ImportFile, UnreadableFileError
from troth.entry.import_rows import MappingError, Reading, Rows, read_targets, rejected_path, structured_properties
from troth.entry.import_run import ImportRun, Tally
from troth.entry.ndjson_import import NdjsonRows
from troth.entry.rejected_rows import RejectedRows
from troth.pipeline.outcome import Overloaded

_SHOWN_PER_SECOND = 4
_NDJSON_ENDINGS = (".ndjson", ".jsonl")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Summary(msgspec.Struct, kw_only=True):
    """What --json prints."""

    read: int
    created: int
    duplicates: int
    rejected: int
    points: int
    seconds: float


@dataclass(slots=True, kw_only=True)
class Result:
    """How an import ended."""

    tally: Tally
    seconds: float
    is_complete: bool
    failure: UnreadableFileError | Overloaded | None


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@click.option("--map", "mappings", multiple=True, metavar="COLUMN=FIELD", help="customer, type, reference, occurred_at "
              "or properties.NAME; - leaves a column out. Repeatable.")  # fmt: skip
@click.option("--type", "type_id", metavar="TYPE", help="The event type of rows that name none.")
@click.option("--delimiter", default=",", show_default=True, help="What parts the columns of a CSV file; tab for tabs.")
@click.option("--rejected", type=click.Path(dir_okay=False, path_type=Path), help="Where rejected rows are written. "
              "Default: beside FILE, as NAME.rejected.csv.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
def import_command(file: Path, data: Path | None, *, as_json: bool, **asked: object) -> None:
    """Record the events of FILE: CSV with a header, or one JSON object per line; packed with gzip or not.

    Columns called customer, type, reference and occurred_at are an event's own, every other one is a property. Rows
    without a reference are known by the content of the file and their place in it. Run it again at any time: what is
    recorded adds nothing.
    """
    config = read_config(os.environ, data=data)
    reading = _reading(file, asked)
    try:
        with ImportFile(file) as opened:
            rows = _rows(opened, reading)
            rejected = RejectedRows(_rejected_path(file, rows, asked["rejected"]), rows)
            with rejected, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                result = runner.run(_import(config, opened, rows, rejected))
    except UnreadableFileError as error:
        raise click.ClickException(str(error)) from None
    except asyncio.CancelledError:
        click.echo("Stopped before the first row.", err=True)
        sys.exit(STOPPED)
    _tell(result, rejected.path, as_json=as_json)


async def _import(config: Config, file: ImportFile, rows: Rows, rejected: RejectedRows) -> Result:
    async with command_engine(config, purpose="import") as engine:
        structured = structured_properties((await engine.books.live()).rules.program)
        run = ImportRun(rows.read(structured), engine.batcher, rejected.add)
        failure: UnreadableFileError | Overloaded | None = None
        started = time.monotonic()
        with stopping_by_signal(run.stop), _progress(file, run.tally):
            try:
                await run.run()
            except (UnreadableFileError, Overloaded) as error:
                failure = error
        seconds = time.monotonic() - started
    return Result(tally=run.tally, seconds=seconds, is_complete=run.is_complete, failure=failure)


# What was asked for


def _reading(file: Path, asked: dict[str, object]) -> Reading:
    mappings, type_id, delimiter = asked["mappings"], asked["type_id"], str(asked["delimiter"])
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise click.BadParameter("one character, or tab", param_hint="--delimiter")
    try:
        targets = read_targets(mappings if isinstance(mappings, Sequence) else ())
    except MappingError as error:
        raise click.BadParameter(str(error), param_hint="--map") from None
    return Reading(
        source_detail=file.name, targets=targets, type=str(type_id) if type_id else None, delimiter=delimiter
    )


def _rows(file: ImportFile, reading: Reading) -> Rows:
    """By the name, else by the first character: no CSV header begins with a brace."""
    head = file.head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    name = file.path.name.removesuffix(".gz")
    if head.startswith(b"{") or name.endswith(_NDJSON_ENDINGS):
        return NdjsonRows(file, reading)
    if head.startswith(b"["):
        raise UnreadableFileError(
            f"{file.path} is a JSON list; write one event per line, without the list around them."
        )
    return CsvRows(file, reading)


def _rejected_path(file: Path, rows: Rows, asked: object) -> Path:
    path = asked if isinstance(asked, Path) else rejected_path(file, rows.ending)
    if path.exists() and path.samefile(file):
        raise click.BadParameter("rejected rows cannot go into the file they come from", param_hint="--rejected")
    if not os.access(path.parent, os.W_OK):
        raise click.BadParameter(f"cannot write into {path.parent}", param_hint="--rejected")
    return path


# What is told


@contextmanager
def _progress(file: ImportFile, tally: Tally) -> Iterator[None]:
    """A bar on standard error, if somebody watches."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    if not sys.stderr.isatty():
        yield
        return
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task("Importing", total=file.size, told="")
        showing = asyncio.create_task(_show(progress, task, file, tally))
        try:
            yield
        finally:
            showing.cancel()


async def _show(progress: Progress, task: TaskID, file: ImportFile, tally: Tally) -> None:
    started = time.monotonic()
    while True:
        await asyncio.sleep(1 / _SHOWN_PER_SECOND)
        rate = tally.read / (time.monotonic() - started)
        told = f"{tally.read:,} rows, {rate:,.0f} a second, {tally.rejected:,} rejected,"
        progress.update(task, completed=file.position, told=told, refresh=True)


def _tell(result: Result, rejected: Path, *, as_json: bool) -> None:
    """The summary, then what is to be done, then the exit code."""
    tally = result.tally
    for line in _advice(result, rejected):
        click.echo(line, err=True)
    if as_json:
        summary = Summary(
            read=tally.read,
            created=tally.created,
            duplicates=tally.duplicates,
            rejected=tally.rejected,
            points=tally.points,
            seconds=round(result.seconds, 3),
        )
        click.echo(msgspec.json.encode(summary))
    else:
        click.echo(_summary(tally, result.seconds))
    if result.failure is not None:
        sys.exit(1)
    if not result.is_complete:
        sys.exit(STOPPED)


def _summary(tally: Tally, seconds: float) -> str:
    rate = tally.read / max(seconds, 0.001)
    head = f"{tally.read:,} rows read in {seconds:.1f} s ({rate:,.0f} a second): "
    if tally.read and tally.duplicates == tally.read:
        return head + "nothing new, all of them were recorded before."
    return head + (
        f"{tally.created:,} recorded, {tally.duplicates:,} recorded before, {tally.rejected:,} rejected; "
        f"{tally.points:,} points."
    )


def _advice(result: Result, rejected: Path) -> Iterator[str]:
    tally = result.tally
    if tally.rejected:
        yield f"{tally.rejected:,} rows were rejected. Mend them in {rejected} and import that file."
    if tally.mismatched:
        yield f"{tally.mismatched:,} rows differ from what is recorded under their reference; what is recorded stands."
    if result.failure is not None:
        yield f"The import broke off: {result.failure}"
    if result.failure is not None or not result.is_complete:
        yield f"{tally.read:,} rows are settled. Run the same command again to go on; they will not count twice."
