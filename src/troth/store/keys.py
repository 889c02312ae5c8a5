"""API keys as they are stored: a hash in the key's place, and what the key permits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from troth.store.sql import load

if TYPE_CHECKING:
    import asyncpg

    from troth.store.pool import Connection

Mode = Literal["development", "production"]
KeyKind = Literal["secret", "publishable"]

SQL = load("keys.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    id: UUID
    hash: bytes  # SHA-256 of the key
    name: str
    kind: KeyKind
    mode: Mode
    scopes: tuple[str, ...]
    origins: tuple[str, ...]
    addresses: tuple[str, ...]
    signing_secret: bytes | None  # sealed
    created_at: datetime
    expires_at: datetime | None  # first instant at which it is refused
    revoked_at: datetime | None


async def find_key(connection: Connection, key_hash: bytes) -> KeyRecord | None:
    """The key of this hash, expired and revoked ones too."""
    row = await connection.fetchrow(SQL["find_key"], key_hash)
    return _record(row) if row is not None else None


async def list_keys(connection: Connection, limit: int) -> list[KeyRecord]:
    """The first `limit` keys, oldest first."""
    return [_record(row) for row in await connection.fetch(SQL["list_keys"], limit)]


async def insert_key(connection: Connection, key: KeyRecord) -> None:
    """Stores a new key."""
    await connection.execute(
        SQL["insert_key"],
        key.id,
        key.hash,
        key.name,
        key.kind,
        key.mode,
        list(key.scopes),
        list(key.origins),
        list(key.addresses),
        key.signing_secret,
        key.created_at,
        key.expires_at,
    )


async def revoke_key(connection: Connection, key_id: UUID, now: datetime) -> bool:
    """Ends a key at once. False when there is none of this id."""
    return await connection.fetchval(SQL["revoke_key"], key_id, now) is not None


async def shorten_key(connection: Connection, key_id: UUID, expires_at: datetime) -> KeyRecord | None:
    """Lets a key expire no later than `expires_at`; the key as it was stored, or None when there is none."""
    row = await connection.fetchrow(SQL["shorten_key"], key_id, expires_at)
    return _record(row) if row is not None else None


async def any_personal_key(connection: Connection) -> tuple[UUID, bytes] | None:
    """Id and sealed form of some customer's key, to try the master key on; None while there is no customer."""
    row = await connection.fetchrow(SQL["any_personal_key"])
    return (row["id"], row["sealed"]) if row is not None else None


def _record(row: asyncpg.Record) -> KeyRecord:
    lists: dict[str, Sequence[str]] = {name: row[name] for name in ("scopes", "origins", "addresses")}
    return KeyRecord(**{**dict(row), **{name: tuple(values) for name, values in lists.items()}})
