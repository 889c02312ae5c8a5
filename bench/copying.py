"""The ceiling of bulk and import: COPY of the same rows into all tables, a transaction per 1,000 events.

In: the database of the limit. Out: events a second. The rows are made before the clock starts. Customers and balances
are new rows here, as many as a bulk of 1,000 events of customers drawn at random updates.
"""

from __future__ import annotations

import asyncio
import io
import random
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from bench.limit import Limit
from bench.rows import Connection, assert_rows, connect, count_rows, rows_of
from bench.traffic import BULK_EVENTS
from troth.core.ids import RANDOM_BITS, bucket_in, uuid7
from troth.limits import BUCKETS

_TABLES = ("event_refs", "events", "postings", "lots", "orders", "customers", "balances")
Part = Mapping[str, bytes]  # one transaction: table → rows in COPY's text format


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One row of a table as COPY writes it, whose fields can be exchanged by name."""

    columns: tuple[str, ...]
    fields: tuple[str, ...]

    def line(self, **changes: object) -> str:
        fields = [str(changes.get(column, old)) for column, old in zip(self.columns, self.fields, strict=True)]
        return "\t".join(fields) + "\n"


async def copy_rate(limit: Limit, transactions: int, connections: int) -> float:
    """Copy `transactions` times 1,000 events over so many connections at once; events a second."""
    opened = [await connect(limit.admin_dsn) for _ in range(connections)]
    try:
        patterns = {table: await _pattern(opened[0], table) for table in _TABLES}
        parts = [_part(patterns, limit.customers) for _ in range(transactions)]
        before = await count_rows(limit.admin_dsn)
        started = time.perf_counter()
        shares = (parts[place::connections] for place in range(connections))
        await asyncio.gather(*(_copy(*share) for share in zip(opened, shares, strict=True)))
        seconds = time.perf_counter() - started
    finally:
        for connection in opened:
            await connection.close()
    events = transactions * BULK_EVENTS
    folded = sum(part["customers"].count(b"\n") for part in parts)
    wanted = {**rows_of(events), "customers": folded, "balances": folded}
    assert_rows(before, await count_rows(limit.admin_dsn), wanted)
    return events / seconds


async def _copy(connection: Connection, parts: Sequence[Part]) -> None:
    for part in parts:
        async with connection.transaction():
            for table, rows in part.items():
                await connection.copy_to_table(table, schema_name="troth", source=io.BytesIO(rows))


async def _pattern(connection: Connection, table: str) -> Pattern:
    """A row that a Troth server has recorded."""
    statement = await connection.prepare(f"select * from {table} limit 1")
    written = io.BytesIO()
    await connection.copy_from_query(statement.get_query(), output=written)
    columns = tuple(attribute.name for attribute in statement.get_attributes())
    return Pattern(columns=columns, fields=tuple(written.getvalue().decode().rstrip("\n").split("\t")))


def _part(patterns: Mapping[str, Pattern], customers: int) -> Part:
    """The rows of 1,000 purchases, for as many customers as that many draws from the pool find."""
    drawn = [random.randrange(customers) for _ in range(BULK_EVENTS)]
    named = {place: _new_id(random.randrange(BUCKETS)) for place in drawn}
    lines: dict[str, list[str]] = {table: [] for table in _TABLES}
    for place in drawn:
        for table, line in _event_lines(patterns, named[place]):
            lines[table].append(line)
    for place, customer in named.items():
        key = {"bucket": bucket_in(customer), "personal_key": customer}
        seq = drawn.count(place)
        lines["customers"].append(patterns["customers"].line(id=customer, seq=seq, **key))
        lines["balances"].append(patterns["balances"].line(customer_id=customer, **key))
    lines["event_refs"].sort(key=lambda line: line.split("\t", 2)[:2])
    return {table: "".join(rows).encode() for table, rows in lines.items()}


def _event_lines(patterns: Mapping[str, Pattern], customer: UUID) -> Iterator[tuple[str, str]]:
    event, bucket = _new_id(bucket_in(customer)), bucket_in(customer)
    own = {"bucket": bucket, "customer_id": customer}
    for kind in ("reference", "order"):
        key = sha256(f"{kind}{event}".encode()).digest()
        shown = f"\\\\x{key.hex()}"  # COPY reads a doubled backslash as one
        yield "event_refs", patterns["event_refs"].line(scope=key[0], reference_hash=shown, event_id=event)
    yield "events", patterns["events"].line(id=event, personal_key=customer, **own)
    yield "postings", patterns["postings"].line(event_id=event, lot_event=event, order_id=event, **own)
    yield "lots", patterns["lots"].line(event_id=event, order_id=event, **own)
    yield "orders", patterns["orders"].line(id=event, **own)


def _new_id(bucket: int) -> UUID:
    return uuid7(time.time_ns() // 1_000_000, bucket, secrets.randbits(RANDOM_BITS))
