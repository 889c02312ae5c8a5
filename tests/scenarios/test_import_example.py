"""examples/04-import prints what is recorded beside it, but for ids, moments and the time it takes.

`TROTH_RECORD=1 ./dev test tests/scenarios/test_import_example.py` records it anew.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.installation import TROTH, new_installation
from tests.laws.tree import ROOT

EXAMPLE = ROOT / "examples" / "04-import"
CHANGING = [
    (r"in [\d.]+ s(?: \([\d,]+ a second\))?", "in <time>"),
    (r"imp_[0-9a-f]{32}", "imp_<id>"),
    (r"http://127\.0\.0\.1:\d+", "$TROTH_URL"),
    (r'"(created_at|updated_at|started_at|finished_at|kept_until)":"[^"]+"', r'"\1":"<moment>"'),
    (r'"(seconds|rate|seconds_left)":[\d.]+', r'"\1":<figure>'),
]


def check(printed: str, recorded: Path) -> None:
    for pattern, shown in CHANGING:
        printed = re.sub(pattern, shown, printed)
    if "TROTH_RECORD" in os.environ:
        recorded.write_text(printed)
    assert printed == recorded.read_text()


@pytest.mark.slow
def test_over_http_it_answers_what_is_recorded(session_folder: Path) -> None:
    with new_installation(session_folder / "import-example") as troth:
        environment = {**os.environ, **troth.environment()}
        command = ["sh", str(EXAMPLE / "curl.sh")]
        result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    check(result.stdout, EXAMPLE / "curl.txt")


@pytest.mark.slow
def test_on_the_command_line_it_prints_what_is_recorded(session_folder: Path) -> None:
    path = f"{Path(TROTH).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", str(EXAMPLE / "cli.sh"), str(session_folder / "import-cli")]
    result = subprocess.run(command, env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True)
    check(result.stdout, EXAMPLE / "cli.txt")
