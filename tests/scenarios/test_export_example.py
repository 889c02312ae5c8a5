"""examples/05-export prints what is recorded beside it, but for the time it takes.

`TROTH_RECORD=1 ./dev test tests/scenarios/test_export_example.py` records it anew.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.installation import TROTH
from tests.laws.tree import ROOT

EXAMPLE = ROOT / "examples" / "05-export"
TIME = re.compile(r"in [\d.]+ s(?: \([\d,]+ a second\))?")


@pytest.mark.slow
def test_it_prints_what_is_recorded(session_folder: Path) -> None:
    path = f"{Path(TROTH).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", str(EXAMPLE / "export.sh"), str(session_folder / "export-example")]
    result = subprocess.run(command, env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True)
    printed = TIME.sub("in <time>", result.stdout)
    recorded = EXAMPLE / "output.txt"
    if "TROTH_RECORD" in os.environ:
        recorded.write_text(printed)
    assert printed == recorded.read_text()
