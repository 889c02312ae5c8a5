"""A new installation for one test: `troth serve` on an empty data folder and a free port, ended at the end.

Its folder belongs below the fixture `session_folder`: every account can pass through that one, so that a run as root
keeps the database there too, and nothing stays behind.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TROTH = str(Path(sys.executable).with_name("troth"))
READY_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    address: str
    data: Path

    def troth(self, *arguments: str) -> str:
        """What the command prints on stdout; it must succeed."""
        command = [TROTH, *arguments, "--data", str(self.data)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def environment(self) -> dict[str, str]:
        """What reaches it, with a key for everything."""
        key = self.troth("keys", "create", "--name", "example", "--scope", "*").strip()
        return {"TROTH_URL": self.address, "TROTH_KEY": key}


@contextmanager
def new_installation(data: Path) -> Iterator[Installation]:
    port = free_port()
    with running([TROTH, "serve", "--data", str(data), "--port", str(port)]) as server:
        wait_until_ready(server, f"http://127.0.0.1:{port}")
        yield Installation(address=f"http://127.0.0.1:{port}", data=data)


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, asked to end at the end and given time to do it cleanly."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield server
    finally:
        server.terminate()
        server.communicate(timeout=READY_SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(server: subprocess.Popen[str], address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended instead of getting ready"
        if is_ready(address):
            return
        time.sleep(0.05)
    raise AssertionError(f"{address} was not ready in {READY_SECONDS} s")


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
