"""troth verify and troth rebuild: prove that every cache is what events and postings say, and mend those that are not.

Output: a summary on standard output, differences one a line; with --json one JSON object. Exit 1 on any difference.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from troth import limits
from troth.cli.settings import data_option
from troth.config import read_config
from troth.core.program import Program
from troth.core.replay import Difference
from troth.embedded.access import data_folder
from troth.proof.rebuild import rebuild as rebuild_caches
from troth.proof.verify import BucketReport, RuleBooks
from troth.proof.verify import verify as verify_buckets
from troth.store.pool import Database
from troth.store.programs import load_program

_SHOWN = 100  # differences printed


class Summary(msgspec.Struct, kw_only=True):
    """What `verify --json` prints."""

    customers: int = 0
    events: int = 0
    difference_count: int = 0
    differences: list[Difference] = []
    seconds: float = 0.0


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(data: Path | None, *, as_json: bool) -> None:
    """Recompute balances, lots, limit uses and tiers from the recorded events, and compare."""
    summary = asyncio.run(_verify(data))
    if as_json:
        click.echo(msgspec.json.encode(summary))
    else:
        _print(summary)
    sys.exit(1 if summary.difference_count else 0)


@click.command()
@data_option
def rebuild(data: Path | None) -> None:
    """Store again what the recorded events say, wherever a cache differs."""
    mended = asyncio.run(_rebuild(data))
    click.echo(f"{mended} customers mended." if mended else "Nothing to mend.")


async def _verify(data: Path | None) -> Summary:
    started = time.monotonic()
    summary = Summary()
    config = read_config(os.environ, data=data)
    async with data_folder(config, purpose="verify") as access, access.open_database(statement_seconds=0) as database:
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("Verifying", total=limits.BUCKETS + 1)
            async with database.pool.acquire() as connection:
                async for report in verify_buckets(connection, _books(database)):
                    _add(summary, report)
                    progress.advance(task)
    summary.seconds = round(time.monotonic() - started, 3)
    return summary


async def _rebuild(data: Path | None) -> int:
    config = read_config(os.environ, data=data)
    async with (
        data_folder(config, purpose="rebuild") as access,
        access.open_database(statement_seconds=0) as database,
        database.pool.acquire() as connection,
    ):
        return await rebuild_caches(connection, _books(database))


def _books(database: Database) -> RuleBooks:
    async def read(revision: int) -> Program:
        async with database.pool.acquire() as connection:
            return await load_program(connection, revision)

    return RuleBooks(read)


def _add(summary: Summary, report: BucketReport) -> None:
    summary.customers += report.customers
    summary.events += report.events
    summary.difference_count += len(report.differences)
    summary.differences.extend(report.differences[: _SHOWN - len(summary.differences)])


def _print(summary: Summary) -> None:
    for found in summary.differences:
        click.echo(f"{found.kind} {found.id}: {found.detail}: expected {found.expected}, found {found.found}")
    if summary.difference_count > len(summary.differences):
        click.echo(f"… and {summary.difference_count - len(summary.differences)} more")
    verdict = f"{summary.difference_count} differences" if summary.difference_count else "no difference"
    click.echo(f"{summary.events} events of {summary.customers} customers in {summary.seconds} s: {verdict}.")
