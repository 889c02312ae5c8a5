"""The examples are true: each is played against a new installation, and the answers equal the recorded ones.

`TROTH_RECORD=1 ./dev test tests/laws/test_examples.py` records them anew; read the difference before committing it.
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

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/requests.http"))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_answers_are_as_recorded(example: Path, session_folder: Path) -> None:
    play = [sys.executable, str(ROOT / "examples" / "play.py"), str(example / "requests.http")]
    with new_installation(session_folder / f"example-{example.name}") as troth:
        environment = {**os.environ, **troth.environment()}
        answers = subprocess.run(play, env=environment, check=True, capture_output=True, text=True).stdout
    recorded = example / "answers.txt"
    if "TROTH_RECORD" in os.environ:
        recorded.write_text(answers)
    assert answers == recorded.read_text()


def test_every_example_is_listed() -> None:
    index = (ROOT / "examples" / "README.md").read_text()
    assert EXAMPLES
    assert [path.name for path in EXAMPLES if f"({path.name}/requests.http)" not in index] == []


def transcripts() -> str:
    return "".join((example / "answers.txt").read_text() for example in EXAMPLES)


def test_titles_say_the_points() -> None:
    """`### 150 → 200` is followed by an answer of 200 points; so is `### 1.00 × 100 = 100`."""
    parts = re.split(r"^### ", transcripts(), flags=re.MULTILINE)
    told = {part: re.search(r"[→=] (\d+)\b", part.partition("\n")[0]) for part in parts}
    wrong = [part for part, said in told.items() if said and f'"points": {said[1]},' not in part]
    assert sum(bool(said) for said in told.values()) >= 8
    assert wrong == []


def test_no_example_shows_a_missing_address_or_a_fault() -> None:
    statuses = re.findall(r"^→ (\d+)", transcripts(), re.MULTILINE)
    assert statuses
    assert {status for status in statuses if status == "404" or status >= "500"} == set()
