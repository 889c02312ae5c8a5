"""Every statement of a batch reads by key, on empty tables and on filled ones: a plan made early stays right."""

from __future__ import annotations

import re

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.shop import document, open_shop, purchase
from troth.store import batch, due, events, ledger, parts, spending_reads
from troth.store.pool import Connection

MODULES = {"batch": batch, "due": due, "events": events, "ledger": ledger, "parts": parts}
STATEMENTS = {
    f"{module}_{name}": text
    for module, home in MODULES.items()
    for name, text in home.SQL.items()
    if name != "tune_session"
}
HOT_TABLES = (
    *("event_refs", "identities", "customers", "personal_keys", "balances", "limit_uses", "lots", "events", "postings"),
    *("orders", "waiting_events", "reservations", "redemptions", "program_counters", "reward_codes"),
)
FILLING = (
    "orders select n % 7, pg_temp.uuid_of(n % 50), pg_temp.uuid_of(n), null, now()",
    "waiting_events select n % 7, pg_temp.uuid_of(n % 50), pg_temp.uuid_of(n), pg_temp.uuid_of(n)",
    "reservations select n % 7, pg_temp.uuid_of(n % 50), pg_temp.uuid_of(n), '{}', now()",
    "redemptions select n % 7, pg_temp.uuid_of(n % 50), pg_temp.uuid_of(n), 'mug', 'created', '{}'",
    "limit_uses select n % 7, pg_temp.uuid_of(n % 50), 'base', n::text, 1, 1",
    "program_counters select 'reward:' || n, 1",
    "reward_codes select 'mug', n, decode(repeat('0', 48) || lpad(to_hex(n), 16, '0'), 'hex'), 'code'",
)
SCAN = re.compile(r"(?:(?:Index|Index Only) Scan(?: Backward)? using \S+|Bitmap Index Scan) on (\S+)")


async def fill(owner: Connection, rows: int) -> None:
    """Rows for the tables that purchases do not fill."""
    await owner.execute(
        "create function pg_temp.uuid_of(n integer) returns uuid language sql return md5(n::text)::uuid"
    )
    for filling in FILLING:
        await owner.execute(f"insert into {filling} from generate_series(1, {rows}) as n")


async def plan_of(connection: Connection, name: str, text: str) -> str:
    """The generic plan of a statement, as a session would keep it."""
    types = [parameter.name for parameter in (await connection.prepare(text)).get_parameters()]
    listed = f"({', '.join(types)})" if types else ""
    await connection.execute(f"prepare hot_{name} {listed} as {text}")
    values = f"({', '.join(['null'] * len(types))})" if types else ""
    return "\n".join(row[0] for row in await connection.fetch(f"explain execute hot_{name}{values}"))


def walks(plan: str) -> set[str]:
    """Indexes, or tables by an index, that are read from one end to the other for want of a condition."""
    nodes = re.split(r"\n *->", plan)
    return {found[1] for node in nodes if (found := SCAN.search(node)) and "Index Cond" not in node}


@pytest.mark.each_postgres
@pytest.mark.parametrize("rows", [0, 2_000])
async def test_no_statement_of_a_batch_scans_a_table(database: TestDatabase, rows: int) -> None:
    async with open_shop(database, document()) as shop:
        await shop.send(*(purchase(f"c{number % 50}", "1") for number in range(rows)))
        async with database.owner() as owner:
            await fill(owner, rows)
            await owner.execute("analyze")
            filled = {row[0] for row in await owner.fetch("select relname from pg_class where reltuples > 0")}
        lane = await shop.engine.database.connect()
        try:
            await batch.tune(lane)
            plans = {name: await plan_of(lane, name, text) for name, text in STATEMENTS.items()}
        finally:
            await lane.close()
    scans = {
        f"{name}: {table}" for name, plan in plans.items() for table in HOT_TABLES if f"Seq Scan on {table}" in plan
    }
    assert scans == set()
    assert "Index" in plans["batch_read"], "the plans are those of statements that do read"
    assert "customers_due" in plans["due_claim_due"], "the earliest are found without looking at everybody"
    assert plans["parts_open_lots"].count("using lots_open") == 2, "a page begins where the last one ended"
    # What is empty is walked as fast as it is looked up, and planned anew when it has grown (upkeep.analyse_grown).
    assert {name: found for name, plan in plans.items() if (found := walks(plan) & filled)} == {}


@pytest.mark.each_postgres
@pytest.mark.parametrize(
    ("name", "index", "column"),
    [("order_events", "bucket_customer_id_seq_order_key_idx", "order_key"),
     ("order_postings", "bucket_customer_id_seq_order_id_idx", "order_id")],
)  # fmt: skip
async def test_an_orders_own_are_found_in_the_index(database: TestDatabase, name: str, index: str, column: str) -> None:
    async with open_shop(database, document()) as shop:
        await shop.send(*(purchase(f"c{number % 50}", "1") for number in range(2_000)))
    async with database.owner() as owner:
        await owner.execute("analyze; set plan_cache_mode = force_generic_plan")
        plan = await plan_of(owner, name, spending_reads.SQL[name])
    _, found, node = plan.partition(index)
    conditions = node.partition("Index Cond: ")[2].partition("\n")[0]
    assert found, plan
    assert f"{column} = $" in conditions, plan


def test_the_search_for_walks_bites() -> None:
    walk = "Limit  (cost=1)\n  ->  Index Scan using lots_pkey on lots  (cost=2)\n        Filter: (n = 1)"
    assert walks(walk) == {"lots"}
    assert walks(walk.replace("Filter", "Index Cond")) == set()
    assert walks("Bitmap Heap Scan on lots\n  ->  Bitmap Index Scan on lots_pkey  (cost=2)") == {"lots_pkey"}
