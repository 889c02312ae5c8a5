"""examples/20-antavo prints what is recorded beside it, but for ids and times.

`TROTH_RECORD=1 ./dev test tests/entry/antavo/test_example.py` records it anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installation import new_installation
from tests.laws.tree import ROOT

EXAMPLE = ROOT / "examples" / "20-antavo"
ID = re.compile(r"evt_[0-9a-f]{32}")
TIME = re.compile(r'(?<="created_at": ")[^"]+|(?<="timestamp": ")(?!2026-03-01)[^"]+|(?<="expdate": ")(?!2028-03)[^"]+')


def masked(text: str) -> str:
    names: dict[str, str] = {}
    text = ID.sub(lambda found: names.setdefault(found[0], f"evt_{len(names) + 1}"), text)
    return TIME.sub("<time>", text)


@pytest.mark.slow
def test_it_prints_what_is_recorded(session_folder: Path) -> None:
    with new_installation(session_folder / "antavo-example") as troth:
        environment = {**os.environ, **troth.environment()}
        command = [sys.executable, str(EXAMPLE / "integration.py")]
        result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    recorded = EXAMPLE / "output.txt"
    if "TROTH_RECORD" in os.environ:
        recorded.write_text(masked(result.stdout))
    assert masked(result.stdout) == recorded.read_text()
