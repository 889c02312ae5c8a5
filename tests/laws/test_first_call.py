"""From the README to the first awarded event with one copied call: the call is the one ./dev prints, and it works."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installation import free_port, running
from tests.laws.tree import ROOT, load_dev


def test_the_readme_shows_it() -> None:
    call = load_dev().first_call("http://127.0.0.1:8000", Path(".troth/first.key"))
    assert f"```sh\n{call}\n```" in (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_it_earns_points(session_folder: Path) -> None:
    port, data = free_port(), session_folder / "first-call"
    command = [sys.executable, str(ROOT / "dev"), "run", "--port", str(port), "--data", str(data)]
    with running(command) as server:
        assert server.stdout is not None
        said = ""
        for line in server.stdout:
            said += line
            if line.startswith("  -H"):
                break
        call = load_dev().first_call(f"http://127.0.0.1:{port}", data / "first.key")
        assert call in said
        answer = json.loads(subprocess.run(["bash", "-c", call], check=True, capture_output=True).stdout)
    assert answer["points"] > 0
    assert stat.S_IMODE((data / "first.key").stat().st_mode) == 0o600
    assert (data / "first.key").read_text().strip() not in said
