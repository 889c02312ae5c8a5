"""troth worker: applies what falls due for quiet customers and runs jobs, beside a running server or alone.

`serve` does so itself unless TROTH_SETTLES=off and TROTH_RUNS_JOBS=off. Several workers share the work; each can be
stopped at any moment.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import nullcontext
from pathlib import Path

import click

from troth.cli.engine import command_engine, stopping_by_signal
from troth.cli.settings import data_option
from troth.config import Config, read_config
from troth.engine import Engine
from troth.jobs import running_jobs
from troth.pipeline.settle import revisit
from troth.processes.crew import Crews
from troth.runners import runners_with
from troth.worker import delivering, expiring, settling


@click.command()
@data_option
@click.option("--once", is_flag=True, help="Apply everything that is due now, say how much, and end.")
def worker(data: Path | None, *, once: bool) -> None:
    """Apply what falls due (releases, expiries, orders' decisions, time-outs, tier reviews, calendar) and run jobs."""
    asyncio.run(_work(read_config(os.environ, data=data), once=once))


async def _work(config: Config, *, once: bool) -> None:
    async with command_engine(config, purpose="worker") as engine:
        if once:
            click.echo(f"{await _settle_all(engine)} customers were looked at.")
            return
        stopped = asyncio.Event()
        with stopping_by_signal(stopped.set):
            crews = Crews(config=config)
            jobs = running_jobs(engine, runners_with(crews.recording)) if config.runs_jobs else nullcontext()
            async with settling(engine), expiring(engine.database), delivering(engine, config), jobs:
                click.echo("Troth applies what falls due, runs jobs and delivers to webhooks; Ctrl-C stops it.")
                await stopped.wait()


async def _settle_all(engine: Engine) -> int:
    await revisit(engine)
    total = 0
    while done := await engine.settle():
        total += done
    return total
