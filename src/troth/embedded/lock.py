"""The lock file of a cluster: one process at a time starts, watches and stops its server.

The kernel gives the lock back when its holder dies, however it dies. The file's text names the holder, for messages.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from troth.embedded.account import Account


class ClusterLock:
    """Held from `try_take` until `release`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def try_take(path: Path, account: Account, purpose: str) -> ClusterLock | None:
    """The lock, or None while another process holds it. `purpose` is told to those who ask for the holder."""
    if not path.exists():
        account.write(path, "")
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {purpose}".encode(), 0)
    return ClusterLock(descriptor)


def holder(path: Path) -> str:
    """Who holds it, for a message: "process 4711 (serve)"."""
    pid, _, purpose = path.read_text(encoding="utf-8", errors="replace").partition(" ")
    return f"process {pid} ({purpose})" if pid else "another process"
