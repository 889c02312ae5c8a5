"""69,659 real purchases with answers nobody here chose (examples/data/cdnow.README.md), through the command line.

As examples/03-cdnow imports them, twice, which also prints what is recorded beside it, but for the time it takes;
`TROTH_RECORD=1 ./dev test tests/scenarios/test_cdnow.py` records it anew. `tests/entry/test_import_cdnow.py` has the
answers of all three rules for every customer.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation, new_installation
from tests.laws.tree import ROOT
from tests.scenarios.printing import assert_prints_what_is_recorded

EXAMPLE = ROOT / "examples" / "03-cdnow"

CUSTOMERS, POINTS = 23_570, 2_453_159
FIVE = {"cdnow-00002": 89, "cdnow-00455": 0, "cdnow-22506": 376, "cdnow-14048": 8_826, "cdnow-07592": 13_860}


@pytest.mark.long
@pytest.mark.slow
def test_the_example_prints_what_is_recorded_and_its_answers_are_the_known_ones(session_folder: Path) -> None:
    data = session_folder / "cdnow-example"
    assert_prints_what_is_recorded(EXAMPLE / "import.sh", data)
    with new_installation(data) as troth:
        found = balances(troth)
    assert (len(found), sum(found.values())) == (CUSTOMERS, POINTS)
    assert {customer: found[customer] for customer in FIVE} == FIVE


def balances(troth: Installation) -> dict[str, int]:
    return {customer["customer"]: customer["wallets"]["points"]["balance"] for customer in customers(troth)}


def customers(troth: Installation) -> Iterator[dict[str, Any]]:
    environment = troth.environment()
    headers = {"Authorization": f"Bearer {environment['TROTH_KEY']}"}
    cursor = ""
    while True:
        url = f"{environment['TROTH_URL']}/v1/customers?limit=1000{cursor}"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            page = json.load(answer)
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"
