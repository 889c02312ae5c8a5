"""examples/09-webhooks prints what is recorded beside it, but for ids and times.

`TROTH_RECORD=1 ./dev test tests/outbox/test_example.py` records it anew.
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

EXAMPLE = ROOT / "examples" / "09-webhooks"
ID = re.compile(r"\b(evt|cus|msg)_[0-9a-f]{32}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")


@pytest.mark.slow
def test_it_prints_what_is_recorded(session_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROTH_WEBHOOKS_PRIVATE", "on")
    with new_installation(session_folder / "webhooks-example") as troth:
        command = [sys.executable, str(EXAMPLE / "receive.py")]
        environment = {**os.environ, **troth.environment()}
        result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    printed = TIME.sub("<time>", ID.sub(r"\1_…", result.stdout))
    recorded = EXAMPLE / "output.txt"
    if "TROTH_RECORD" in os.environ:
        recorded.write_text(printed)
    assert printed == recorded.read_text()
