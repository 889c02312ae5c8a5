"""Every statement of a batch reads by key, on empty tables and on filled ones: a plan made early stays right."""

from __future__ import annotations

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.shop import document, open_shop, purchase
from troth.store import batch, ledger
from troth.store.pool import Connection

STATEMENTS = {
    name: text for statements in (batch.SQL, ledger.SQL) for name, text in statements.items() if name != "tune_session"
}
HOT_TABLES = ("event_refs", "identities", "customers", "personal_keys", "balances", "limit_uses", "lots", "events")


async def plan_of(connection: Connection, name: str) -> str:
    """The generic plan of a statement, as a lane would keep it."""
    types = [parameter.name for parameter in (await connection.prepare(STATEMENTS[name])).get_parameters()]
    listed = f"({', '.join(types)})" if types else ""
    await connection.execute(f"prepare hot_{name} {listed} as {STATEMENTS[name]}")
    values = f"({', '.join(['null'] * len(types))})" if types else ""
    return "\n".join(row[0] for row in await connection.fetch(f"explain execute hot_{name}{values}"))


@pytest.mark.each_postgres
@pytest.mark.parametrize("events", [0, 2_000])
async def test_no_statement_of_a_batch_scans_a_table(database: TestDatabase, events: int) -> None:
    async with open_shop(database, document()) as shop:
        await shop.send(*(purchase(f"c{number % 50}", "1") for number in range(events)))
        async with database.owner() as owner:
            await owner.execute("analyze")
        lane = await shop.engine.database.connect()
        try:
            await batch.tune(lane)
            plans = {name: await plan_of(lane, name) for name in STATEMENTS}
        finally:
            await lane.close()
    scans = {
        f"{name}: {table}" for name, plan in plans.items() for table in HOT_TABLES if f"Seq Scan on {table}" in plan
    }
    assert scans == set()
    assert "Index" in plans["read"], "the plans are those of statements that do read"
