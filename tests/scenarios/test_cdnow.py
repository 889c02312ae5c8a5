"""69,659 real purchases with answers nobody here chose (examples/data/cdnow.README.md), through the importer.

Each rule gets an installation of its own: import, totals, five customers, import again, verify.
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

FILE = ROOT / "examples" / "data" / "cdnow_events.csv.gz"
PROGRAMS = ROOT / "examples" / "programs"
ROWS = 69_659
CUSTOMERS = 23_570

BALANCES = """
    customer       rows      a       b       c
    cdnow-00002       2     89      89     154
    cdnow-00455       1      0       0       0
    cdnow-22506      22    376     376     176
    cdnow-14048     217   8826    9626   16655
    cdnow-07592     201  13860   15660   22936
"""
TOTALS = {"a": 2_453_159, "b": 2_610_759, "c": 2_993_258}


def balances(rule: str) -> dict[str, int]:
    head, *rows = (line.split() for line in BALANCES.strip().splitlines())
    return {row[0]: int(row[head.index(rule)]) for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("rule", TOTALS)
def test_the_answers_are_the_known_ones(rule: str, session_folder: Path) -> None:
    with new_installation(session_folder / f"cdnow-{rule}") as troth:
        troth.troth("program", "apply", str(PROGRAMS / f"cdnow-{rule}.yaml"), "--yes")
        assert imported(troth) == {
            "read": ROWS,
            "created": ROWS,
            "duplicates": 0,
            "rejected": 0,
            "points": TOTALS[rule],
        }
        assert balances_of_all(troth) == (CUSTOMERS, TOTALS[rule], balances(rule))
        assert imported(troth) == {"read": ROWS, "created": 0, "duplicates": ROWS, "rejected": 0, "points": 0}
        troth.troth("verify", "--json")  # exits with 1 on any difference, which fails here


def imported(troth: Installation) -> dict[str, int]:
    """What the importer says at its end, without the time it took."""
    said: dict[str, int] = json.loads(troth.troth("import", str(FILE), "--json").splitlines()[-1])
    return {name: count for name, count in said.items() if name != "seconds"}


def balances_of_all(troth: Installation) -> tuple[int, int, dict[str, int]]:
    """(customers, points of all, balances of the five)."""
    found = {customer["customer"]: customer["wallets"]["points"]["balance"] for customer in customers(troth)}
    return len(found), sum(found.values()), {customer: found[customer] for customer in balances("a")}


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
