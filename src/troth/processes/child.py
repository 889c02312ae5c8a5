"""Starting a process of our own, and ending it.

In: what it is there for. Out: a running process at the other end of a link. It ends by itself when the link closes, so
none is left behind when this process is killed. It has no terminal: a Ctrl-C reaches this process only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from troth.processes.link import Link
from troth.processes.messages import Hello


@asynccontextmanager
async def running_child(hello: Hello) -> AsyncIterator[Link]:
    """The way to a new process. At the end it is told to finish, and cut when it does not."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", f"troth.processes.{hello.role}", str(theirs.fileno())),
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    link = await Link.open(ours)
    link.send(hello)
    try:
        yield link
    finally:
        await link.close()
        try:
            await asyncio.wait_for(process.wait(), hello.config.stop_seconds)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
