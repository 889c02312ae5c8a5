"""examples/05-export prints what is recorded beside it, but for the time it takes.

`TROTH_RECORD=1 ./dev test tests/scenarios/test_export_example.py` records it anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.laws.tree import ROOT
from tests.scenarios.printing import assert_prints_what_is_recorded

EXAMPLE = ROOT / "examples" / "05-export"


@pytest.mark.slow
def test_it_prints_what_is_recorded(session_folder: Path) -> None:
    assert_prints_what_is_recorded(EXAMPLE / "export.sh", session_folder / "export-example")
