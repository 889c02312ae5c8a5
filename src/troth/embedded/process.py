"""The server process of one cluster: found by what its own folder says, never by name, and signalled only when it is ours."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from troth.embedded.folder import Folder

_LAST_WORDS_BYTES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmaster:
    """What postmaster.pid says of a live server of this cluster."""

    pid: int
    sockets: Path
    status: str  # starting, ready, stopping

    @property
    def is_ready(self) -> bool:
        return self.status == "ready"


def find_postmaster(folder: Folder) -> Postmaster | None:
    """The live server of this cluster, whoever started it; None for a stale file or another folder's server."""
    try:
        lines = (folder.server / "postmaster.pid").read_text(encoding="utf-8").split("\n")
        found = Postmaster(
            pid=int(lines[0]), sockets=Path(lines[4]), status=lines[7].strip() if lines[7:] else "starting"
        )
    except (OSError, ValueError, IndexError):
        return None
    return found if is_server(found.pid, folder) else None


def is_server(pid: int, folder: Folder) -> bool:
    """Whether this process works in this cluster's folder and belongs to its account; both are the kernel's word."""
    try:
        return (
            os.path.samefile(f"/proc/{pid}/cwd", folder.server)
            and Path(f"/proc/{pid}").stat().st_uid == folder.account.uid
        )
    except OSError:
        return False


def signal_server(pid: int, folder: Folder, number: signal.Signals) -> None:
    """Signal the server, after a look that this number is still its own."""
    if is_server(pid, folder):
        os.kill(pid, number)


def drop_stale_pid(folder: Folder) -> None:
    """Remove a postmaster.pid whose number now belongs to a stranger of the same user, as happens in containers.

    PostgreSQL would refuse to start. It stays safe without the file: its shared memory key comes from the folder itself.
    """
    path = folder.server / "postmaster.pid"
    if path.exists() and find_postmaster(folder) is None:
        path.unlink()


def last_words(log: Path, offset: int) -> str:
    """What PostgreSQL logged since `offset`, to explain why it did not start."""
    try:
        with log.open("rb") as lines:
            lines.seek(offset)
            return lines.read(_LAST_WORDS_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
