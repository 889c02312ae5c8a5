"""Pages of exports follow an index in its order: none sorts, none reads a table or a partition through."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.shop import document, open_shop, purchase
from troth.store import batch, export_reads
from troth.store.pool import Connection
from troth.store.sql import load

PAGES = ("event_page", "customer_event_page", "posting_page", "customer_posting_page", "order_page", "name_page")
FIRST, LAST = f"'{UUID(int=0)}'", f"'{UUID(int=(1 << 128) - 1)}'"
VALUES = {"int2": "1", "uuid": LAST, "int8": "10", "int4": "10", "text": "''"}  # so that no partition is left out


async def plan_of(connection: Connection, name: str) -> str:
    """The generic plan of a statement, as an export keeps it."""
    statement = export_reads.SQL[name]
    types = [parameter.name for parameter in (await connection.prepare(statement)).get_parameters()]
    await connection.execute(f"prepare export_{name} ({', '.join(types)}) as {statement}")
    values = ", ".join(
        VALUES.get(kind, "null") if kind != "uuid" or place > 1 else FIRST for place, kind in enumerate(types)
    )
    return "\n".join(row[0] for row in await connection.fetch(f"explain execute export_{name}({values})"))


@pytest.mark.each_postgres
async def test_every_page_is_found_by_key_and_in_order(database: TestDatabase) -> None:
    async with open_shop(database, document()) as shop:
        await shop.send(*(purchase(f"c{number % 50}", "1") for number in range(2_000)))
        async with database.owner() as owner:
            await owner.execute("analyze")
        connection = await shop.database.connect()
        try:
            await batch.tune(connection)
            plans = {name: await plan_of(connection, name) for name in load("export_reads.sql")}
        finally:
            await connection.close()
    assert set(plans) == {*PAGES, "owners"}
    for name, plan in plans.items():
        assert "Seq Scan" not in plan, f"{name}: {plan}"
        assert "bucket = " in plan, f"{name}: {plan}"
    for name in PAGES:
        sorts = re.search(r"(?<!Incremental )Sort  \(", plans[name])  # postings of one event may be put in order
        assert sorts is None, f"{name}: {plans[name]}"
