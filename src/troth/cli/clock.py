"""troth clock show | set | advance | reset: the test clock of development mode, beside a running server or alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from troth.cli.settings import data_option
from troth.config import read_config
from troth.core.calendar import show_time
from troth.core.coercion import parse_moment
from troth.core.program.fields import read_duration
from troth.embedded.access import data_folder
from troth.store.clock import Clock, ClockRefused, advance_clock, read_clock, set_clock

if TYPE_CHECKING:
    from troth.store.pool import Connection

Work = Callable[["Connection"], Awaitable[Clock | ClockRefused]]


@click.group()
def clock() -> None:
    """The test clock: the program's present, standing still until it is set again. Development mode only."""


@clock.command()
@data_option
def show(data: Path | None) -> None:
    """Print the program's present, and whether it was set."""
    _run(data, read_clock)


@clock.command(name="set")
@click.argument("moment")
@data_option
def set_command(moment: str, data: Path | None) -> None:
    """Let the present stand at MOMENT, a time with an offset like 2026-11-20T10:00:00Z."""
    wanted = parse_moment(moment)
    if wanted is None:
        raise click.BadParameter("a moment is a time with an offset, like 2026-11-20T10:00:00Z")
    _run(data, lambda connection: set_clock(connection, wanted, datetime.now(UTC)))


@clock.command()
@click.argument("duration")
@data_option
def advance(duration: str, data: Path | None) -> None:
    """Let the present stand DURATION later, like P14D or PT12H; from real time when it was not set."""
    by = read_duration(duration)
    if by is None:
        raise click.BadParameter("a duration is written like P14D (days), P2W (weeks) or PT12H30M (hours, minutes)")
    _run(data, lambda connection: advance_clock(connection, by, datetime.now(UTC)))


@clock.command()
@data_option
def reset(data: Path | None) -> None:
    """Let time be real again; refused while something was judged at a later moment."""
    _run(data, lambda connection: set_clock(connection, None, datetime.now(UTC)))


def _run(data: Path | None, work: Work) -> None:
    config = read_config(os.environ, data=data)
    if config.mode != "development":
        raise click.ClickException("The test clock exists in development mode only.")

    async def run() -> Clock | ClockRefused:
        async with (
            data_folder(config, purpose="clock") as access,
            access.open_database(connections=1) as database,
            database.pool.acquire() as connection,
        ):
            return await work(connection)

    found = asyncio.run(run())
    if isinstance(found, ClockRefused):
        earliest, latest = show_time(found.earliest), show_time(found.latest)
        raise click.ClickException(f"The clock stays as it is; it can stand at {earliest} or later, before {latest}.")
    now = found.now if found.now is not None else datetime.now(UTC)
    click.echo(f"{show_time(now)}\t{'set' if found.now is not None else 'real time'}")
