"""Rows per table, counted before and after a measure: both sides must have written the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Counts = Mapping[str, int]

_TABLES = ("event_refs", "events", "postings", "lots", "orders", "balances", "customers", "identities", "personal_keys")
_COUNTS = "select " + ", ".join(f"(select count(*) from {table}) as {table}" for table in _TABLES)


async def connect(dsn: str) -> Connection:
    return await asyncpg.connect(dsn, server_settings={"search_path": "troth", "timezone": "UTC"})


async def count_rows(dsn: str) -> Counts:
    """Rows of every hot table; `seq` is the sum of the numbers that customers' rows have given to events."""
    connection = await connect(dsn)
    try:
        counts = await connection.fetchrow(f"{_COUNTS}, (select sum(seq)::bigint from customers) as seq")
    finally:
        await connection.close()
    assert counts is not None
    return dict(counts)


def rows_of(events: int) -> dict[str, int]:
    """What purchases of known customers add: each opens an order and brings one award; customers are only updated."""
    each = dict.fromkeys(("events", "postings", "lots", "orders", "seq"), events)
    return {"event_refs": 2 * events, **each}


def assert_rows(before: Counts, after: Counts, wanted: Counts) -> None:
    """Raises when a table did not grow by exactly what is wanted; a table not named there must not have grown."""
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    if grown != wanted:
        raise RuntimeError(f"the tables should have grown by {wanted}; they have by {grown}")
