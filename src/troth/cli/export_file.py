"""troth export: events, customers, postings or orders into a file, beside a running server or alone.

Exit codes: 0 the file is there · 1 refused or failed, the text says why · 130 stopped by Ctrl-C, nothing is left.
It is the job that `POST /v1/exports` makes, run here at once; the server shows it, too, until it expires.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from uuid import UUID, uuid4

import click
import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from troth.api.export_asked import Compression, Formulas, Terms, read_asked
from troth.api.export_columns import ExportFormat, ExportKind
from troth.api.export_filter import FLAGS
from troth.api.export_wire import ExportItem, export_item
from troth.api.exports import finished_file, new_export
from troth.api.problems import ProblemError
from troth.cli.engine import STOPPED, command_engine, stopping_by_signal
from troth.cli.settings import data_option
from troth.config import Config, read_config
from troth.engine import Engine
from troth.jobs import run_job
from troth.store.files import FileStore
from troth.store.jobs import Job, Lease, add_job, find_job
from troth.store.row_ids import new_id

_SHOWN_PER_SECOND = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the command was called with."""

    document: Mapping[str, object]  # as the body of POST /v1/exports
    out: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    item: ExportItem
    path: Path | None  # None: there is no file


@click.command(name="export")
@click.argument("kind", type=click.Choice(get_args(ExportKind)))
@data_option
@click.option("--format", "export_format", type=click.Choice(get_args(ExportFormat)), default="csv", show_default=True)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to. Default: a name of its own here."
)
@click.option("--filter", "filters", multiple=True, metavar="NAME=VALUE", help="Which rows, as in POST /v1/exports: "
              "--filter type=purchase --filter from=2026-01-01T00:00:00Z. Repeatable; ids by commas.")  # fmt: skip
@click.option("--columns", metavar="NAMES", help="By commas, in their order. Default: all.")
@click.option("--compression", type=click.Choice(get_args(Compression)), default="none", show_default=True)
@click.option("--formulas", type=click.Choice(get_args(Formulas)), default="neutralise", show_default=True,
              help="CSV: a text that a spreadsheet would compute gets an apostrophe in front.")  # fmt: skip
@click.option("--personal", is_flag=True, help="Personal data too.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
def export_command(kind: str, data: Path | None, *, as_json: bool, **asked: object) -> None:
    """Write a file of KIND: events, customers, postings or orders.

    Events, postings and orders are those recorded up to two minutes ago (TROTH_EXPORT_MARGIN_SECONDS): what was
    recorded before is complete. An export of events can be imported again; made with --filter importable=true it holds
    only what an import takes in.
    """
    order = _order(kind, asked)
    config = read_config(os.environ, data=data)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(_export(config, order))
    except ProblemError as error:
        told = "; ".join(f"{item.pointer}: {item.detail}" for item in error.errors) or error.detail
        raise click.ClickException(told) from None
    except OSError as error:
        raise click.ClickException(str(error)) from None
    except asyncio.CancelledError:
        click.echo("Stopped before the first row.", err=True)
        sys.exit(STOPPED)
    _tell(result, as_json=as_json)


async def _export(config: Config, order: Order) -> Result:
    async with command_engine(config, purpose="export") as engine:
        terms = Terms(keep_days=config.export_days, margin_seconds=config.export_margin_seconds)
        program, now = (await engine.books.live()).rules.program, datetime.now(UTC)
        job_id = new_id()
        new = new_export(job_id, read_asked(order.document, program, terms, now), now, "troth export")
        worker = uuid4()
        lease = Lease(engine.database, await add_job(engine.database, new, worker), worker)
        stopping = asyncio.Event()

        def stop() -> None:
            lease.interrupted = "cancel"

        with stopping_by_signal(stop):
            async with _progress(engine, job_id):
                await run_job(engine, lease, stopping)
            job = await _find(engine, job_id)
            path = await _fetch(engine, job, order.out) if job.status == "finished" else None
        return Result(item=export_item(job, datetime.now(UTC)), path=path)


async def _find(engine: Engine, job_id: UUID) -> Job:
    async with engine.database.pool.acquire() as connection:
        job = await find_job(connection, job_id, "export")
    assert job is not None, "just made"
    return job


async def _fetch(engine: Engine, job: Job, out: Path | None) -> Path:
    """The file on disk, whole or not at all, readable by its owner only."""
    files = FileStore(database=engine.database, vault=engine.vault)
    file = await finished_file(files, job, datetime.now(UTC))
    path = out if out is not None else Path(file.name)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        with draft.open("wb") as opened:
            async for part in files.read(file):
                opened.write(part)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


# What was asked for


def _order(kind: str, asked: Mapping[str, object]) -> Order:
    out, columns, filters = asked["out"], asked["columns"], asked["filters"]
    if isinstance(out, Path) and not os.access(out.parent, os.W_OK):
        raise click.BadParameter(f"cannot write into {out.parent}", param_hint="--out")
    document: dict[str, object] = {
        "kind": kind,
        "format": asked["export_format"],
        "compression": asked["compression"],
        "formulas": asked["formulas"],
        "personal": asked["personal"],
        "filter": _filter(filters if isinstance(filters, Sequence) else ()),
    }
    if columns:
        document["columns"] = str(columns).split(",")
    return Order(document=document, out=out if isinstance(out, Path) else None)


def _filter(texts: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"'{text}' is no filter; write NAME=VALUE", param_hint="--filter")
        switch = {"true": True, "false": False}.get(value) if name in FLAGS else None
        found[name] = value.split(",") if name == "ids" else value if switch is None else switch
    return found


# What is told


@asynccontextmanager
async def _progress(engine: Engine, job_id: UUID) -> AsyncIterator[None]:
    """A bar on standard error, if somebody watches."""
    columns = (TextColumn("Exporting"), BarColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn())
    if not sys.stderr.isatty():
        yield
        return
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        showing = asyncio.create_task(_show(progress, engine, job_id))
        try:
            yield
        finally:
            showing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await showing


async def _show(progress: Progress, engine: Engine, job_id: UUID) -> None:
    task = progress.add_task("", total=100, told="")
    while True:
        item = export_item(await _find(engine, job_id), datetime.now(UTC))
        progress.update(task, completed=item.percent, told=f"{item.rows:,} rows", refresh=True)
        await asyncio.sleep(1 / _SHOWN_PER_SECOND)


def _tell(result: Result, *, as_json: bool) -> None:
    """The summary, then the exit code."""
    item, path = result.item, result.path
    if path is None:
        click.echo(f"The export is {item.status}. {item.problem or 'Nothing of it is left.'}", err=True)
        sys.exit(STOPPED if item.status == "cancelled" else 1)
    if as_json:
        fields = msgspec.to_builtins(item)
        click.echo(msgspec.json.encode({**fields, "file": str(path)}))
        return
    click.echo(f"{item.rows:,} {item.kind} in {path}, {item.size:,} bytes, SHA-256 {item.sha256}.")
    if item.kind != "customers":
        click.echo(f"Recorded before {item.until}; what came later is not in it.", err=True)
