"""Data folders and keeper processes for the tests of the embedded server. Its servers here are durable."""

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

import asyncpg
import pytest

import troth
from tests.conftest import make_scratch_folder
from troth.embedded import binaries as binaries_module
from troth.embedded import folder as folder_module
from troth.embedded.binaries import LIBRARIES, _wheel_folder

KEEPER = Path(__file__).with_name("keeper.py")
NOBODY = 65_534
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


@dataclass(kw_only=True)
class Stranger:
    """A user other than ourselves, with a Python that it can run."""

    uid: int
    program: list[str]  # runs keeper.py

    def identity(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.uid, "extra_groups": []}


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


@pytest.fixture(scope="session")
def nobody() -> Iterator[Stranger]:
    """The user nobody. It gets copies of what it runs, since clone and virtual environment may be closed to it."""
    folder = make_scratch_folder()
    folder.chmod(0o755)
    wheel = _wheel_folder()
    packages = [Path(troth.__file__).parent, Path(asyncpg.__file__).parent, wheel, wheel.with_name(LIBRARIES)]
    try:
        for package in packages:
            shutil.copytree(package, folder / package.name)
        shutil.copy(KEEPER, folder)
        yield Stranger(uid=NOBODY, program=_python_for_nobody(folder))
    finally:
        shutil.rmtree(folder)


def _python_for_nobody(folder: Path) -> list[str]:
    for python in (sys.executable, "/usr/bin/python3"):
        program = ["env", f"PYTHONPATH={folder}", "PYTHONDONTWRITEBYTECODE=1", python]
        probe = [*program, "-c", "import troth.embedded.postgres"]
        outcome = subprocess.run(probe, user=NOBODY, cwd="/", capture_output=True)
        if outcome.returncode == 0:
            return [*program, str(folder / KEEPER.name)]
    pytest.skip("every Python that could run Troth is closed to other users")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts keeper processes; those still alive at the end of the test are left to end cleanly."""
    started: list[subprocess.Popen[str]] = []

    def start_one(data: Path, purpose: str = "command", stranger: Stranger | None = None) -> Keeper:
        identity = stranger.identity() if stranger else {}
        program = stranger.program if stranger else [sys.executable, KEEPER]
        process = subprocess.Popen(
            [*program, data, purpose],
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
