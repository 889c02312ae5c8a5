"""troth worker: applies what falls due for quiet customers, beside a running server or alone.

`serve` does so itself unless TROTH_SETTLES=off. Several workers share the work; each can be stopped at any moment.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from troth.cli.engine import command_engine, stopping_by_signal
from troth.cli.settings import data_option
from troth.config import Config, read_config
from troth.engine import Engine
from troth.pipeline.settle import revisit
from troth.worker import expiring, settling


@click.command()
@data_option
@click.option("--once", is_flag=True, help="Apply everything that is due now, say how much, and end.")
def worker(data: Path | None, *, once: bool) -> None:
    """Apply what falls due: releases, expiries, decisions of orders, time-outs, tier reviews, calendar events."""
    asyncio.run(_work(read_config(os.environ, data=data), once=once))


async def _work(config: Config, *, once: bool) -> None:
    async with command_engine(config, purpose="worker") as engine:
        if once:
            click.echo(f"{await _settle_all(engine)} customers were looked at.")
            return
        stopped = asyncio.Event()
        with stopping_by_signal(stopped.set):
            async with settling(engine), expiring(engine.database):
                click.echo("Troth applies what falls due; Ctrl-C stops it.")
                await stopped.wait()


async def _settle_all(engine: Engine) -> int:
    await revisit(engine)
    total = 0
    while done := await engine.settle():
        total += done
    return total
