"""69,659 real purchases with known answers, under the three rules of examples/data/cdnow.README.md at once.

One import shows what each rule gives every customer. `tests/scenarios/test_cdnow.py` has the command line, and all rows
a second time.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from math import floor
from typing import cast

import pytest

from tests.laws.tree import ROOT
from tests.pipeline.shop import Shop, open_shop
from troth.core.program.text import parse_document
from troth.embedded.access import DatabaseAccess
from troth.entry.csv_import import CsvRows
from troth.entry.import_file import ImportFile
from troth.entry.import_rows import Reading
from troth.entry.import_run import ImportRun, Tally

FILE = ROOT / "examples" / "data" / "cdnow_events.csv.gz"
PROGRAMS = ROOT / "examples" / "programs"
ROWS, CUSTOMERS = 69_659, 23_570
TOTALS = {"a": 2_453_159, "b": 2_610_759, "c": 2_993_258}
FIVE = {  # customer → points under a, b, c
    "cdnow-00002": (89, 89, 154),
    "cdnow-00455": (0, 0, 0),
    "cdnow-22506": (376, 376, 176),
    "cdnow-14048": (8_826, 9_626, 16_655),
    "cdnow-07592": (13_860, 15_660, 22_936),
}


def program_of_three() -> dict[str, object]:
    """The programs differ in their rule alone."""
    programs = [parse_document((PROGRAMS / f"cdnow-{rule}.yaml").read_text()).raw for rule in TOTALS]
    documents = [cast("Mapping[str, object]", program) for program in programs]
    rules = [rule for program in documents for rule in cast("list[object]", program["rules"])]
    return {**documents[0], "rules": rules}


async def import_file(shop: Shop) -> Tally:
    rejected: list[object] = []
    with ImportFile(FILE) as file:
        rows = CsvRows(file, Reading(source_detail=FILE.name)).read({})
        run = ImportRun(rows, shop.engine.batcher, lambda row, problems: rejected.append((row, problems)))
        await run.run()
    assert rejected == []
    return run.tally


def rows_of_customers() -> Counter[str]:
    with gzip.open(FILE, "rt", newline="") as packed:
        return Counter(row["customer"] for row in csv.DictReader(packed))


def answers() -> dict[str, dict[str, int]]:
    """Points of each customer under each rule, computed from the rows; of rules that give some."""
    found: dict[str, Counter[str]] = {}
    with gzip.open(FILE, "rt", newline="") as packed:
        for row in csv.DictReader(packed):
            amount, quantity = Decimal(row["amount"]), int(row["quantity"])
            points = {
                "a": floor(amount),
                "b": floor(amount + (50 if amount > 100 else 0)),
                "c": floor(amount * 2) if quantity >= 3 else 0,
            }
            found.setdefault(row["customer"], Counter()).update(points)
    return {customer: dict(+points) for customer, points in found.items()}


@pytest.mark.long
@pytest.mark.slow
async def test_the_answers_are_the_known_ones(database: DatabaseAccess) -> None:
    expected, points = answers(), sum(TOTALS.values())
    assert {customer: tuple(expected[customer].get(rule, 0) for rule in TOTALS) for customer in FIVE} == FIVE
    async with open_shop(database, program_of_three()) as shop:
        assert await import_file(shop) == Tally(read=ROWS, created=ROWS, points=points)
        awards: dict[str, dict[str, int]] = {}
        for customer, rule, given in await shop.rows(_AWARDS):
            awards.setdefault(customer, {}).update({rule: given} if rule else {})
        assert awards == expected
        assert len(awards) == CUSTOMERS
        assert {rule: sum(each.get(rule, 0) for each in awards.values()) for rule in TOTALS} == TOTALS
        assert dict(map(tuple, await shop.rows(_BALANCES))) == {
            name: sum(each.values()) for name, each in awards.items()
        }


_AWARDS = """
    select i.external_id, p.rule, sum(p.points)::bigint as points
    from identities i left join postings p
        on p.bucket = i.customer_bucket and p.customer_id = i.customer_id and p.from_state = 'program'
    group by 1, 2"""
_EVENTS = """
    select i.external_id, count(*) as events
    from identities i join events e on e.bucket = i.customer_bucket and e.customer_id = i.customer_id
    group by 1"""
_BALANCES = """
    select i.external_id, coalesce(sum(b.available), 0)::bigint as points
    from identities i left join balances b on b.bucket = i.customer_bucket and b.customer_id = i.customer_id
    group by 1"""
