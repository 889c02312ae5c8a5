"""troth serve: the HTTP server with everything behind it, from a clean start to a clean stop.

In: a configuration. Out: one line with the address on standard output once it serves; logs on standard error.
Must never: say that it serves before /health/ready does, or drop a request in flight when it is told to stop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
import uvicorn
import uvloop
from litestar.types import ASGIApp

from troth.api.logging import configure_logging, describe_fault, logger, request_log
from troth.app import Jobs, running_app
from troth.cli.settings import data_option
from troth.config import Config, read_config
from troth.embedded.access import data_folder
from troth.engine import open_vault_of, settle_memory
from troth.jobs import running_jobs
from troth.processes.jobs import jobs_beside
from troth.worker import upkeep

_KEEP_ALIVE_SECONDS = 75  # longer than the idle time of usual load balancers, so that they close first
_BACKLOG = 2_048
_STARTED_POLL_SECONDS = 0.01
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Default: TROTH_PORT, else 8000. 0: any free one.")
@click.option("--host", help="The address to listen on. Default: TROTH_HOST, else 127.0.0.1.")
@data_option
def serve(data: Path | None, host: str | None, port: int | None) -> None:
    """Start the server. It prints its address once it serves, and stops cleanly on SIGTERM or Ctrl-C."""
    config = read_config(os.environ, data=data, host=host, port=port)
    configure_logging(level=_LEVELS[config.log_level], form=config.log_format)
    with _bound_socket(config) as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(config, listener))
        except asyncio.CancelledError:
            click.echo("troth: stopped before it served.", err=True)


class _Server(uvicorn.Server):
    """A server that leaves signals to us: there is more to stop than itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(config: Config, listener: socket.socket) -> None:
    starting = asyncio.current_task()
    assert starting is not None
    signals = _Signals(starting.cancel)
    async with (
        data_folder(config, purpose="serve", may_join=False) as access,
        upkeep(access),
        running_app(config, access, open_vault_of(config), _jobs(config)) as (app, readiness),
    ):
        server = _Server(_uvicorn_config(config, app))

        def stop() -> None:
            readiness.is_stopping = True
            server.should_exit = True

        signals.act = stop
        await _run(config, server, listener)
        signals.act = _wait_for_the_end
    request_log().flush()
    logger().info("stopped")


def _jobs(config: Config) -> Jobs:
    """What runs jobs: this process, or others beside it."""
    return partial(jobs_beside, config=config) if config.job_processes else running_jobs


async def _run(config: Config, server: uvicorn.Server, listener: socket.socket) -> None:
    """Serves until it is told to stop; requests in flight are finished first."""
    asyncio.get_running_loop().set_exception_handler(_log_stray)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(_STARTED_POLL_SECONDS)
    if server.started:
        settle_memory()
        _announce(config, listener)
    await serving


class _Signals:
    """What SIGTERM and Ctrl-C do now; it changes as the server starts, serves and stops."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, lambda: self.act())


def _wait_for_the_end() -> None:
    """Stopping is under way; cutting it short would leave PostgreSQL behind."""


def _uvicorn_config(config: Config, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(config.trusted_proxies),
        forwarded_allow_ips=config.trusted_proxies,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=config.stop_seconds,
    )


def _announce(config: Config, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    mode = f"{config.mode} mode" if config.is_mode_explicit else "development mode, since TROTH_MODE is not set"
    click.echo(f"Troth serves at http://{shown}:{port} in {mode}.")
    logger().info("serving", port=port, mode=config.mode, unknown_settings=list(config.unknown))


def _bound_socket(config: Config) -> socket.socket:
    """Bound before anything is started, so that a taken port is told at once; it listens only when all is ready."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        detail = os.strerror(error.errno) if error.errno else str(error)
        raise click.ClickException(f"{config.host} port {config.port} cannot be used: {detail}.") from None
    return listener


def _log_stray(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """A fault in a task that nobody waits for."""
    error = context.get("exception")
    described = describe_fault(error) if isinstance(error, BaseException) else {}
    logger().error("stray fault", **described)
