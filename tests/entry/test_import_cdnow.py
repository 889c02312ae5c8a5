"""69,659 real purchases with known answers, under the three rules of examples/data/cdnow.README.md at once.

One import shows every sum. `tests/scenarios/test_cdnow.py` has the command line, and all rows a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
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
FIVE = {  # customer → rows, and points under a, b, c
    "cdnow-00002": (2, 89, 89, 154),
    "cdnow-00455": (1, 0, 0, 0),
    "cdnow-22506": (22, 376, 376, 176),
    "cdnow-14048": (217, 8_826, 9_626, 16_655),
    "cdnow-07592": (201, 13_860, 15_660, 22_936),
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


@pytest.mark.long
@pytest.mark.slow
async def test_the_answers_are_the_known_ones(database: DatabaseAccess) -> None:
    async with open_shop(database, program_of_three()) as shop:
        points = sum(TOTALS.values())
        assert await import_file(shop) == Tally(read=ROWS, created=ROWS, points=points)
        assert await shop.count("customers") == CUSTOMERS
        sums = await shop.rows("select rule, sum(points)::bigint from postings where from_state = 'program' group by 1")
        assert {row[0]: row[1] for row in sums} == TOTALS
        for customer, expected in FIVE.items():
            assert await points_of(shop, customer) == expected
        assert await shop.posted() == points


async def points_of(shop: Shop, customer: str) -> tuple[int, ...]:
    """(events, points of rule a, of b, of c); the balance is their sum."""
    found = await shop.rows(
        "select count(distinct e.id) as events, coalesce(sum(p.points) filter (where p.rule = 'a'), 0) as a,"
        " coalesce(sum(p.points) filter (where p.rule = 'b'), 0) as b,"
        " coalesce(sum(p.points) filter (where p.rule = 'c'), 0) as c"
        " from identities i join events e on e.bucket = i.customer_bucket and e.customer_id = i.customer_id"
        " left join postings p on p.bucket = e.bucket and p.event_id = e.id where i.external_id = $1",
        customer,
    )
    counts = tuple(int(number) for number in found[0])
    assert await shop.balance(customer) == sum(counts[1:])
    return counts
