"""The server process of one cluster: found by what its own folder says, never by name, and signalled only if ours."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from troth.embedded.folder import SOCKET_NAME, Folder

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
            Path(f"/proc/{pid}/cwd").samefile(folder.server)
            and Path(f"/proc/{pid}").stat().st_uid == folder.account.uid
        )
    except OSError:
        return False


def signal_server(pid: int, folder: Folder, number: signal.Signals) -> None:
    """Signal the server, after a look that this number is still its own."""
    if is_server(pid, folder):
        os.kill(pid, number)


def drop_stale_files(folder: Folder, sockets: Path) -> None:
    """Remove what a killed server left, when none of this cluster lives; PostgreSQL itself judges by the number alone.

    It would refuse to start while that number belongs to a stranger, as happens in containers, or to a dead process
    that nobody has reaped. It stays safe without these files: its shared memory key comes from the folder.
    """
    if find_postmaster(folder) is None:
        (folder.server / "postmaster.pid").unlink(missing_ok=True)
        (sockets / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)


def last_words(log: Path, offset: int) -> str:
    """What PostgreSQL logged since `offset`, to explain why it did not start."""
    try:
        with log.open("rb") as lines:
            lines.seek(offset)
            return lines.read(_LAST_WORDS_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
