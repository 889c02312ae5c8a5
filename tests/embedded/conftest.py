"""Data folders and keeper processes of the tests of the embedded server; servers here are durable unless they say not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_scratch_folder
from troth.embedded import binaries as binaries_module
from troth.embedded import folder as folder_module

KEEPER = Path(__file__).with_name("keeper.py")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may start processes of other users")


@dataclass
class Keeper:
    """A process that runs keeper.py."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def leave(self) -> None:
        """End it as a command ends."""
        self.process.communicate("", timeout=60)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(timeout=60)

    def fails(self) -> str:
        """Why it refused."""
        _, reason = self.process.communicate("", timeout=60)
        assert self.process.returncode == 3, reason
        return reason


Start = Callable[..., Keeper]


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that does not exist yet, where every account may pass."""
    folder = make_scratch_folder()
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In place of /var/lib/troth, for the clusters whose data folder is closed."""
    folder = make_scratch_folder()
    monkeypatch.setattr(folder_module, "STATE", folder)
    monkeypatch.setattr(binaries_module, "STATE", folder)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts keeper processes; those still alive at the end of the test are left to end cleanly."""
    started: list[subprocess.Popen[str]] = []

    def start_one(data: Path, purpose: str = "command", user: int | None = None) -> Keeper:
        identity: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        process = subprocess.Popen(
            [sys.executable, KEEPER, data, purpose],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            **identity,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        return Keeper(process=process, said=json.loads(line) if line else {})

    yield start_one
    for process in started:
        if process.poll() is None:
            process.communicate("", timeout=60)
