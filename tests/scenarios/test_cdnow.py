"""69,659 real purchases with answers nobody here chose (examples/data/cdnow.README.md), through the command line.

All of them as examples/03-cdnow imports them, which also prints what is recorded beside it, but for the time it takes;
`TROTH_RECORD=1 ./dev test tests/scenarios/test_cdnow.py` records it anew. Then every fortieth customer under each rule
beside a running server: import, balances of all, import again, verify. `tests/entry/test_import_cdnow.py` has the
answers of all three rules for all rows.
"""

from __future__ import annotations

import csv
import gzip
import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from math import floor
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation, new_installation
from tests.laws.tree import ROOT
from tests.scenarios.printing import assert_prints_what_is_recorded

EXAMPLE = ROOT / "examples" / "03-cdnow"
FILE = ROOT / "examples" / "data" / "cdnow_events.csv.gz"
PROGRAMS = ROOT / "examples" / "programs"

CUSTOMERS, POINTS = 23_570, 2_453_159
FIVE = {"cdnow-00002": 89, "cdnow-00455": 0, "cdnow-22506": 376, "cdnow-14048": 8_826, "cdnow-07592": 13_860}

Row = Mapping[str, str]
RULES: Mapping[str, Callable[[Decimal, int], int]] = {  # amount and quantity of a row → points
    "a": lambda amount, _: floor(amount),
    "b": lambda amount, _: floor(amount + (50 if amount > 100 else 0)),
    "c": lambda amount, quantity: floor(amount * 2) if quantity >= 3 else 0,
}


@pytest.mark.long
@pytest.mark.slow
def test_the_example_prints_what_is_recorded_and_its_answers_are_the_known_ones(session_folder: Path) -> None:
    data = session_folder / "cdnow-example"
    assert_prints_what_is_recorded(EXAMPLE / "import.sh", data)
    with new_installation(data) as troth:
        found = balances(troth)
    assert (len(found), sum(found.values())) == (CUSTOMERS, POINTS)
    assert {customer: found[customer] for customer in FIVE} == FIVE


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_gives_every_customer_its_points(rule: str, session_folder: Path, tmp_path: Path) -> None:
    rows = every_fortieth_customer()
    file = write(rows, tmp_path / "some.csv")
    expected = answers(rule, rows)
    with new_installation(session_folder / f"cdnow-{rule}") as troth:
        troth.troth("program", "apply", str(PROGRAMS / f"cdnow-{rule}.yaml"), "--yes")
        points = sum(expected.values())
        assert imported(troth, file) == counts(rows, created=len(rows), points=points)
        assert balances(troth) == expected
        assert imported(troth, file) == counts(rows, duplicates=len(rows))
        assert balances(troth) == expected
        troth.troth("verify", "--json")  # exits with 1 on any difference, which fails here


def every_fortieth_customer() -> Sequence[Row]:
    with gzip.open(FILE, "rt", newline="") as packed:
        return [row for row in csv.DictReader(packed) if int(row["customer"].removeprefix("cdnow-")) % 40 == 0]


def write(rows: Sequence[Row], path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def answers(rule: str, rows: Sequence[Row]) -> dict[str, int]:
    """Points of each customer, computed from the rows."""
    points: Counter[str] = Counter()
    for row in rows:
        points[row["customer"]] += RULES[rule](Decimal(row["amount"]), int(row["quantity"]))
    return dict(points)


def counts(rows: Sequence[Row], **others: int) -> dict[str, int]:
    return {"read": len(rows), "created": 0, "duplicates": 0, "rejected": 0, "points": 0, **others}


def imported(troth: Installation, file: Path) -> dict[str, int]:
    """What the importer says at its end, without the time it took."""
    said: dict[str, int] = json.loads(troth.troth("import", str(file), "--json").splitlines()[-1])
    return {name: count for name, count in said.items() if name != "seconds"}


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
