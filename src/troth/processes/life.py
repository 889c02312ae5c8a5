"""The life of a process that another one started: python -m troth.processes.recorder NUMBER, of its end of the link.

It gives way to the serving process (niceness) and to its terminal's signals: who started it tells it when to end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

import uvloop

from troth.api.logging import configure_logging
from troth.engine import settle_memory
from troth.processes.link import Link
from troth.processes.messages import Hello

NICENESS = 5  # behind the serving process where processors are scarce
Work = Callable[[Hello, Link], Awaitable[None]]  # until the link closes


def live(work: Work) -> None:
    """Do this work, and end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(max(NICENESS - os.nice(0), 0))  # it may have been inherited
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(work, socket.socket(fileno=int(sys.argv[1]))))


async def _run(work: Work, end: socket.socket) -> None:
    link = await Link.open(end)
    hello = await link.receive()
    if not isinstance(hello, Hello):
        return  # who started it is gone
    configure_logging(level=getattr(logging, hello.config.log_level.upper()), form=hello.config.log_format)
    settle_memory()
    await work(hello, link)
    await link.close()
