"""What `troth import` says: a bar while it runs, then a summary, what is to be done, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from troth.cli.engine import STOPPED
from troth.entry.import_job import ImportProgress
from troth.entry.import_preview import PreviewAnswer


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

    name: str  # imp_…
    progress: ImportProgress
    is_over: bool  # nothing of the file is left
    failure: str | None
    rejected: Path


class Bar:
    """Shows how far an import is, where somebody watches."""

    def __init__(self, progress: Progress | None, size: int) -> None:
        self._progress = progress
        self._task = progress.add_task("Storing", total=size, told="") if progress is not None else None

    def store(self, size: int) -> None:
        """So many bytes of the file were stored."""
        self._update("Storing", size, "")

    def show(self, found: ImportProgress) -> None:
        rate = found.read / max(found.seconds, 0.001)
        told = f"{found.read:,} rows, {rate:,.0f} a second, {found.rejected:,} rejected,"
        self._update("Importing", found.bytes_read, told)

    def _update(self, description: str, completed: int, told: str) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=description, completed=completed, told=told, refresh=True)


@contextmanager
def showing(size: int) -> Iterator[Bar]:
    """A bar on standard error, if that is a terminal; `size` of the file is the whole of it."""
    if not sys.stderr.isatty():
        yield Bar(None, size)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        yield Bar(progress, size)


def tell(result: Result, *, as_json: bool) -> None:
    """The summary, then what is to be done, then the exit code."""
    found = result.progress
    for line in _advice(result):
        click.echo(line, err=True)
    if as_json:
        summary = Summary(
            read=found.read,
            created=found.created,
            duplicates=found.duplicates,
            rejected=found.rejected,
            points=found.points,
            seconds=found.seconds,
        )
        click.echo(msgspec.json.encode(summary))
    else:
        click.echo(_summary(found))
    if result.failure is not None:
        sys.exit(1)
    if not result.is_over:
        sys.exit(STOPPED)


def tell_preview(preview: PreviewAnswer, *, as_json: bool) -> None:
    """A line for each row, then the sum of them."""
    if as_json:
        click.echo(msgspec.json.encode(preview))
        return
    for row in preview.rows:
        reasons = "; ".join(f"{error.pointer}: {error.detail}".removeprefix(": ") for error in row.errors)
        told = reasons or (f"{row.points:,} points" if row.status == "created" else "recorded before")
        click.echo(f"line {row.line}: {row.status}, {row.type or '?'} of {row.customer or '?'}: {told}")
    detected = preview.detected
    columns = f", columns parted by {detected.delimiter!r}" if detected.delimiter else ""
    how = f"{detected.format} in {detected.encoding}{columns}"
    click.echo(f"{preview.read:,} rows previewed, {preview.points:,} points; nothing was stored. Read as {how}.")


def _summary(found: ImportProgress) -> str:
    rate = found.read / max(found.seconds, 0.001)
    head = f"{found.read:,} rows read in {found.seconds:.1f} s ({rate:,.0f} a second): "
    if found.read and found.duplicates == found.read:
        return head + "nothing new, all of them were recorded before."
    return head + (
        f"{found.created:,} recorded, {found.duplicates:,} recorded before, {found.rejected:,} rejected; "
        f"{found.points:,} points."
    )


def _advice(result: Result) -> Iterator[str]:
    found = result.progress
    if found.rejected:
        yield f"{found.rejected:,} rows were rejected. Mend them in {result.rejected} and import that file."
    if found.mismatched:
        yield f"{found.mismatched:,} rows differ from what is recorded under their reference; what is recorded stands."
    if found.backwards:
        yield (
            f"At least {found.backwards:,} rows are earlier than one before them of the same customer. Each was judged "
            "in the order of the file; --sort orders them by customer and time."
        )
    if result.failure is not None:
        yield f"The import broke off: {result.failure}"
    if result.failure is not None or not result.is_over:
        yield (
            f"{found.read:,} rows are settled. Go on with: troth import --resume {result.name}. Or run the same "
            "command again: they will not count twice."
        )
