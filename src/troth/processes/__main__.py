"""A process that another one started: python -m troth.processes NUMBER, the number of its end of the link.

It gives way to the serving process (niceness) and to its terminal's signals: who started it tells it when to end.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping

import uvloop

from troth.api.logging import configure_logging
from troth.processes.jobs import run_jobs
from troth.processes.link import Link
from troth.processes.messages import Hello, Role
from troth.processes.recorder import record

NICENESS = 5  # behind the serving process where processors are scarce
_GC_YOUNG = 50_000  # allocations between collections: a batch makes thousands of short-lived objects
_ROLES: Mapping[Role, Callable[[Hello, Link], Awaitable[None]]] = {"jobs": run_jobs, "recorder": record}


async def _run(end: socket.socket) -> None:
    link = await Link.open(end)
    hello = await link.receive()
    if not isinstance(hello, Hello):
        return  # who started it is gone
    configure_logging(level=getattr(logging, hello.config.log_level.upper()), form=hello.config.log_format)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_YOUNG, 20, 50)
    await _ROLES[hello.role](hello, link)
    await link.close()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(socket.socket(fileno=int(sys.argv[1]))))


main()
