"""Examples that print: what a script says, but for the time it takes, is what is recorded beside it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.installation import TROTH

TIME = re.compile(r"in [\d.]+ s(?: \([\d,]+ a second\))?")


def assert_prints_what_is_recorded(script: Path, data: Path) -> None:
    """Run the script on a data folder; with TROTH_RECORD its output is recorded anew."""
    path = f"{Path(TROTH).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", str(script), str(data)]
    result = subprocess.run(command, env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True)
    printed = TIME.sub("in <time>", result.stdout)
    recorded = script.with_name("output.txt")
    if "TROTH_RECORD" in os.environ:
        recorded.write_text(printed)
    assert printed == recorded.read_text()
