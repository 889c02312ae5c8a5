"""What waits in a source's inbox, and who anonymous visitors turned out to be: sealed, bounded, found by a hash.

Must never: hold a key or a payload in clear. What is taken out is applied first and removed then, so nothing is lost;
its reference makes a second application a duplicate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec

from troth import limits
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection

SQL = load("sources.sql")
Put = Literal["put", "held", "full"]  # held: it waited already, or came twice; full: there was no room


class WaitingRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    key_hash: bytes
    item_hash: bytes = b""  # of what comes in
    received_at: datetime
    expires_at: datetime
    sealed: bytes


class NameRow(msgspec.Struct, frozen=True, kw_only=True):
    key_hash: bytes
    seal: UUID
    sealed: bytes  # the customer


def hash_of(source_id: str, key: str) -> bytes:
    """What a key is found by; a source has keys of its own."""
    return sha256(f"{source_id}\0{key}".encode()).digest()


async def put_waiting(connection: Connection, source_id: str, rows: Sequence[WaitingRow]) -> list[Put]:
    """Put them in, all with the same times. Out: what became of each."""
    first, keys, items = rows[0], [row.key_hash for row in rows], [row.item_hash for row in rows]
    put = await connection.fetch(
        SQL["put_waiting"],
        source_id,
        first.received_at,
        first.expires_at,
        [row.id for row in rows],
        keys,
        items,
        [row.sealed for row in rows],
        limits.SOURCE_INBOX_ITEMS,
    )
    ids = {row["id"] for row in put}
    held = await connection.fetch(SQL["held_waiting"], source_id, keys, items) if len(ids) < len(rows) else []
    waiting = {(row["key_hash"], row["item_hash"]) for row in held}
    return ["put" if row.id in ids else "held" if (row.key_hash, row.item_hash) in waiting else "full" for row in rows]


async def read_waiting(connection: Connection, source_id: str, keys: Iterable[bytes], most: int) -> list[WaitingRow]:
    """What waits for any of these keys, oldest first, at most so much."""
    rows = await connection.fetch(SQL["read_waiting"], source_id, list(keys), most)
    return [WaitingRow(**dict(row)) for row in rows]


async def oldest_waiting(connection: Connection, source_id: str, after: UUID, most: int) -> list[WaitingRow]:
    """A page of the inbox, oldest first."""
    return [WaitingRow(**dict(row)) for row in await connection.fetch(SQL["oldest_waiting"], source_id, after, most)]


async def page_waiting(connection: Connection, source_id: str, before: UUID, size: int) -> list[WaitingRow]:
    """A page of the inbox, newest first."""
    return [WaitingRow(**dict(row)) for row in await connection.fetch(SQL["page_waiting"], source_id, before, size)]


async def remove_waiting(connection: Connection, source_id: str, ids: Iterable[UUID]) -> int:
    """Take out what was applied or refused. Out: how many were still there."""
    status = await connection.execute(SQL["remove_waiting"], source_id, list(ids))
    return int(status.rpartition(" ")[2])


async def drop_expired(connection: Connection, now: datetime, most: int) -> int:
    """Drop what waited in vain, and names that have expired. Out: how many, of each at most `most`."""
    waiting = await connection.fetchval(SQL["drop_expired_waiting"], now, most)
    names = await connection.fetchval(SQL["drop_expired_names"], now, most)
    return int(waiting + names)


async def put_names(connection: Connection, source_id: str, rows: Sequence[NameRow], expires_at: datetime) -> None:
    """Remember whom visitors turned out to be. In: each key once."""
    values = [row.key_hash for row in rows], [row.seal for row in rows], [row.sealed for row in rows]
    await connection.execute(SQL["put_names"], source_id, expires_at, *values)


async def read_names(connection: Connection, source_id: str, keys: Iterable[bytes]) -> list[NameRow]:
    return [NameRow(**dict(row)) for row in await connection.fetch(SQL["read_names"], source_id, list(keys))]
