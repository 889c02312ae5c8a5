"""troth import: events or customers from a CSV or NDJSON file, beside a running server or alone.

The file is stored and a job is made, as by POST /v1/imports; this process runs it at once and shows how far it is.
Exit codes: 0 all rows were read, the rejected ones too · 1 the file cannot be read, or the database cannot be reached ·
130 paused by Ctrl-C. It may always be run again: what is recorded is known by its reference and adds nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import click
import msgspec
import uvloop

from troth import limits
from troth.cli.engine import STOPPED, command_engine, stopping_by_signal
from troth.cli.import_told import Bar, Result, showing, tell, tell_preview
from troth.cli.settings import data_option
from troth.config import Config, read_config
from troth.core.ids import read_id, show_id
from troth.engine import Engine
from troth.entry.import_file import LocalSource, UnreadableFileError
from troth.entry.import_job import MEDIA_TYPES, ImportProgress
from troth.entry.import_options import Detected, ImportAsked, ImportOptions, OptionError, check_options, detect_in
from troth.entry.import_preview import PreviewAnswer, first_rows, preview_rows
from troth.entry.import_rows import MappingError, read_targets, rejected_name, rejected_path
from troth.entry.rejected_rows import RejectedRows
from troth.jobs import FAULTS, run_job
from troth.processes.crew import Crews
from troth.runners import runners_with
from troth.store.files import FileStore, NewFile
from troth.store.jobs import Job, JobStatus, Lease, NewJob, add_job, find_job, take_this_job
from troth.store.row_ids import new_id

_SHOWN_SECONDS = 0.25
_OPTIONS = {"mapping": "--map", "awards": "--no-awards"}
_ROWS_PREVIEWED = 20
_SIZE_MAX = 1 << 50  # of a file of this machine


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@data_option
@click.option("--map", "mappings", multiple=True, metavar="COLUMN=FIELD", help="customer, type, reference, occurred_at "
              "or properties.NAME; - leaves a column out. Repeatable.")  # fmt: skip
@click.option("--type", "type_id", metavar="TYPE", help="The event type of rows that name none.")
@click.option("--customers", is_flag=True, help="Rows are customers: columns are attributes of their profiles.")
@click.option("--format", "form", type=click.Choice(["csv", "ndjson"]), help="Default: by name and content.")
@click.option("--delimiter", help="What parts the columns of a CSV file; tab for tabs. Default: detected.")
@click.option("--quote", help="What quotes cells of a CSV file. Default: detected.")
@click.option("--encoding", help="As utf-8, utf-16, windows-1252. Default: detected.")
@click.option("--historical", is_flag=True, help="Of the past: nobody outside is told, no workflow starts.")
@click.option("--no-awards", is_flag=True, help="With --historical: what was paid elsewhere; no rule is asked.")
@click.option("--sort", is_flag=True, help="Order rows by customer and time before anything is recorded.")
@click.option("--dry-run", is_flag=True, help="Show what the first rows would bring; nothing is stored.")
@click.option("--rejected", type=click.Path(dir_okay=False, path_type=Path), help="Where rejected rows are written. "
              "Default: beside FILE, as NAME.rejected.csv.")  # fmt: skip
@click.option("--resume", metavar="IMPORT", help="Go on with an import that was paused or broke off, as imp_….")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
def import_command(file: Path | None, data: Path | None, *, as_json: bool, **asked: object) -> None:
    """Record the events of FILE: CSV with a header, or one JSON object per line; packed with gzip or not.

    Columns called customer, type, reference and occurred_at are an event's own, every other one is a property. Rows
    without a reference are known by the content of the file and their place in it. Run it again at any time: what is
    recorded adds nothing.
    """
    config = read_config(os.environ, data=data)
    if (file is None) == (asked["resume"] is None):
        raise click.UsageError("Name a FILE, or an import with --resume.")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if file is None:
                result = runner.run(_resume(config, str(asked["resume"]), asked["rejected"]))
            else:
                options = _options(asked)
                detected = detect_in(LocalSource(file), options)
                if asked["dry_run"]:
                    preview = runner.run(_preview(config, file, _asked(options, detected)))
                    tell_preview(preview, as_json=as_json)
                    return
                rejected = _rejected_path(file, detected, asked["rejected"])
                result = runner.run(_import(config, file, _asked(options, detected), rejected))
    except UnreadableFileError as error:
        raise click.ClickException(str(error)) from None
    except asyncio.CancelledError:
        click.echo("Stopped before the first row.", err=True)
        sys.exit(STOPPED)
    tell(result, as_json=as_json)


def _asked(options: ImportOptions, detected: Detected) -> ImportAsked:
    """Whoever runs the command holds the data, and may do everything."""
    return ImportAsked(options=options, detected=detected, permits=None, is_trusted=True)


async def _preview(config: Config, path: Path, asked: ImportAsked) -> PreviewAnswer:
    """The first rows as they would be recorded now."""
    async with command_engine(config, purpose="import") as engine:
        program = (await engine.books.live()).rules.program
        rows = await asyncio.to_thread(first_rows, LocalSource(path), asked, program, _ROWS_PREVIEWED)
        return await preview_rows(engine.batcher, asked, rows)


async def _import(config: Config, path: Path, asked: ImportAsked, rejected: Path) -> Result:
    """Store the file, make the job, run it."""
    async with command_engine(config, purpose="import") as engine:
        size = path.stat().st_size
        with showing(size) as bar, RejectedRows(rejected) as rows:
            files = FileStore(database=engine.database, vault=engine.vault)
            new = NewFile(
                name=path.name,
                media_type=MEDIA_TYPES[asked.detected.format],
                created_at=datetime.now(UTC),
                created_by="troth import",
                keep=engine.keep_files,
            )
            stored = await files.put(new, _parts(path, bar), bytes_max=_SIZE_MAX)
            job = NewJob(
                id=new_id(),
                kind="import",
                asked=asked,
                created_at=new.created_at,
                created_by=new.created_by,
                input_file=stored.id,
            )
            worker = uuid4()
            lease = Lease(engine.database, await add_job(engine.database, job, worker), worker)
            return await _run(config, lease, (engine, bar, rows))


async def _resume(config: Config, name: str, rejected: object) -> Result:
    """Take over a job that was laid down."""
    job_id = read_id("imp", name)
    async with command_engine(config, purpose="import") as engine:
        lease = await take_this_job(engine.database, uuid4(), job_id) if job_id is not None else None
        if lease is None:
            raise UnreadableFileError(
                f"There is no import {name} to go on with: it is over, or another process runs it"
            )
        files = FileStore(database=engine.database, vault=engine.vault)
        stored = await files.find(lease.job.input_file) if lease.job.input_file is not None else None
        asked = msgspec.json.decode(lease.job.asked, type=ImportAsked)
        stored_name = rejected_name(stored.name if stored is not None else name, asked.detected.format)
        path = rejected if isinstance(rejected, Path) else Path(stored_name)
        with showing((stored.size if stored is not None else 0) or 0) as bar, RejectedRows(path) as rows:
            return await _run(config, lease, (engine, bar, rows))


async def _run(config: Config, lease: Lease, context: tuple[Engine, Bar, RejectedRows]) -> Result:
    """Run the job to its end, or until Ctrl-C pauses it; rejected rows are copied as they come."""
    engine, bar, rejected = context
    runners = runners_with(Crews(config=config).recording)
    following = asyncio.create_task(_follow(engine, lease.job.id, bar, rejected))
    status: JobStatus | None = None
    failure: str | None = None

    def pause() -> None:
        lease.interrupted = "pause"

    with stopping_by_signal(pause):
        try:
            status = await run_job(engine, lease, asyncio.Event(), runners)
        except FAULTS as error:
            failure = str(error) or type(error).__name__
        finally:
            following.cancel()
    job = await _look(engine, lease.job.id, bar, rejected)
    return Result(
        name=show_id("imp", job.id),
        progress=msgspec.json.decode(job.progress, type=ImportProgress),
        is_over=status in ("finished", "finished_with_errors"),
        failure=failure or (job.problem if status == "failed" else None),
        rejected=rejected.path,
    )


async def _follow(engine: Engine, job_id: UUID, bar: Bar, rejected: RejectedRows) -> None:
    while True:
        await asyncio.sleep(_SHOWN_SECONDS)
        await _look(engine, job_id, bar, rejected)


async def _look(engine: Engine, job_id: UUID, bar: Bar, rejected: RejectedRows) -> Job:
    """Show the job as it stands, and copy the rejected rows that are new."""
    async with engine.database.pool.acquire() as connection:
        job = await find_job(connection, job_id, "import")
    assert job is not None, "jobs are kept"
    progress = msgspec.json.decode(job.progress, type=ImportProgress)
    bar.show(progress)
    if progress.rejected_bytes > rejected.size and job.output_file is not None:
        files = FileStore(database=engine.database, vault=engine.vault)
        output = await files.find(job.output_file)
        while output is not None and (part := await files.piece(output, rejected.size)):
            rejected.write(part)
    return job


async def _parts(path: Path, bar: Bar) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while part := await asyncio.to_thread(file.read, limits.FILE_PIECE_BYTES):
            yield part
            bar.store(file.tell())


# What was asked for


def _options(asked: Mapping[str, object]) -> ImportOptions:
    mappings = asked["mappings"]
    try:
        given = {
            "kind": "customers" if asked["customers"] else "events",
            "mode": "historical" if asked["historical"] else "live",
            "awards": not asked["no_awards"],
            "sort": asked["sort"],
            "mapping": read_targets(mappings if isinstance(mappings, tuple) else ()),
            "format": asked["form"],
            "type": asked["type_id"],
            **{name: asked[name] for name in ("delimiter", "quote", "encoding")},
        }
        return check_options(msgspec.convert(given, ImportOptions))
    except MappingError as error:
        raise click.BadParameter(str(error), param_hint="--map") from None
    except OptionError as error:
        raise click.BadParameter(str(error), param_hint=_OPTIONS.get(error.name, f"--{error.name}")) from None


def _rejected_path(file: Path, detected: Detected, asked: object) -> Path:
    path = asked if isinstance(asked, Path) else rejected_path(file, detected.format)
    if path.exists() and path.samefile(file):
        raise click.BadParameter("rejected rows cannot go into the file they come from", param_hint="--rejected")
    if not os.access(path.parent, os.W_OK):
        raise click.BadParameter(f"cannot write into {path.parent}", param_hint="--rejected")
    return path
