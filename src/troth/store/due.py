"""Whom the worker settles: customers whose date has come, locked, and read as a batch reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from troth.core.state import WalletState
from troth.store.batch import CustomerRow, customer_of
from troth.store.pool import Connection
from troth.store.sql import load

SQL = load("due.sql")
_WALLET_COLUMNS = 21  # where the states of a wallet begin


async def claim_due(connection: Connection, now: datetime, count: int) -> list[CustomerRow]:
    """At most `count` customers whose date has come, locked. Due work needs no names: `external_id` is empty."""
    found = await connection.fetch(SQL["claim_due"], now, count)
    return await read_rows(connection, [(row["bucket"], row["id"]) for row in found]) if found else []


async def read_rows(connection: Connection, keys: Sequence[tuple[int, UUID]]) -> list[CustomerRow]:
    rows = await connection.fetch(SQL["read"], [bucket for bucket, _ in keys], [key for _, key in keys])
    found: dict[UUID, CustomerRow] = {}
    wallets: dict[UUID, dict[str, WalletState]] = {}
    for row in rows:
        key = row["id"]
        if key not in found:
            wallets[key] = {}
            found[key] = customer_of(row, wallets[key])
        if row["wallet"] is not None:
            wallets[key][row["wallet"]] = WalletState(*row[_WALLET_COLUMNS:])
    return list(found.values())


async def put_off(connection: Connection, now: datetime, until: datetime) -> UUID | None:
    """Look at the first customer whose date has come later. Out: which one."""
    found: UUID | None = await connection.fetchval(SQL["put_off"], now, until)
    return found


async def dated(connection: Connection) -> tuple[int, int]:
    """The revision whose dates every customer's `due_at` knows, and the live one."""
    row = await connection.fetchrow(SQL["dated"])
    return (row["dated"], row["revision"]) if row is not None else (0, 0)


async def look_again(connection: Connection, bucket: int, now: datetime) -> None:
    """Every customer of the bucket is due at `now` at the latest."""
    await connection.execute(SQL["look_again"], bucket, now)


async def set_dated(connection: Connection, revision: int) -> None:
    await connection.execute(SQL["set_dated"], revision)
