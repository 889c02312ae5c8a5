"""Sources as they are stored, and what was counted of them.

In: a source whose secrets are sealed. Out: the same. Must never: hold a secret in clear.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID

import asyncpg
import msgspec

from troth import limits
from troth.core.sources.kinds import Kind
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection

SQL = load("sources.sql")
NUMBERS = ("received", "accepted", "duplicates", "refused", "dropped", "waiting", "unsigned")


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: Kind
    name: str
    enabled: bool
    settings: Mapping[str, object]
    seal: UUID  # what the sealed secrets are bound to
    secrets: bytes
    found_by: bytes | None  # hash of the secret that names the source
    previous: bytes | None  # accepted until previous_until
    previous_by: bytes | None
    previous_until: datetime | None
    made_at: datetime
    changed_at: datetime


class SourceError(msgspec.Struct, frozen=True, kw_only=True):
    """Something refused, without anything personal in it."""

    at: str  # RFC 3339
    code: str
    type: str | None = None  # of the event
    rejection: str | None = None  # where the whole of it is kept


class Counts(msgspec.Struct, kw_only=True):
    """What came through a source: since the last flush, or ever."""

    received: int = 0  # events: accepted, duplicates, refused, dropped and waiting together
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    dropped: int = 0  # by setting, or after waiting in vain
    waiting: int = 0  # put into the inbox, and not yet taken out
    unsigned: int = 0  # requests with a wrong secret or signature; they leave no other trace
    last_received_at: datetime | None = None
    errors: list[SourceError] = []  # newest first


async def list_sources(connection: Connection) -> list[SourceRow]:
    return [_source(row) for row in await connection.fetch(SQL["list_sources"])]


async def insert_source(connection: Connection, source: SourceRow) -> bool | None:
    """True: stored. False: its id, or the secret that names it, is taken. None: there are as many as may be."""
    try:
        found = await connection.fetchval(
            SQL["insert_source"],
            source.id,
            source.kind,
            source.name,
            source.enabled,
            _json(source.settings),
            source.seal,
            source.secrets,
            source.found_by,
            source.made_at,
            limits.SOURCES,
        )
    except asyncpg.UniqueViolationError:
        return False
    if found is not None:
        return True
    taken = any(row.id == source.id for row in await list_sources(connection))
    return False if taken else None


async def update_source(connection: Connection, source: SourceRow) -> bool:
    """Stores everything but the secrets. False when there is no such source."""
    values = (source.id, source.name, source.enabled, _json(source.settings), source.changed_at)
    return await connection.fetchval(SQL["update_source"], *values) is not None


async def rotate_source(connection: Connection, source: SourceRow) -> bool:
    """Stores new secrets; those until now become the previous ones. False when there is no such source."""
    values = (source.id, source.secrets, source.found_by, source.previous_until, source.changed_at)
    try:
        return await connection.fetchval(SQL["rotate_source"], *values) is not None
    except asyncpg.UniqueViolationError:
        return False


async def delete_source(connection: Connection, source_id: str) -> bool:
    return await connection.fetchval(SQL["delete_source"], source_id) is not None


async def read_counts(connection: Connection) -> dict[str, Counts]:
    """What was counted, by source."""
    return {row["source"]: _counts(row) for row in await connection.fetch(SQL["read_counts"])}


async def add_counts(connection: Connection, counted: Mapping[str, Counts]) -> None:
    """Add what was counted since the last time."""
    items = sorted(counted.items())
    numbers = [[getattr(counts, name) for _, counts in items] for name in NUMBERS]
    await connection.execute(
        SQL["add_counts"],
        [source_id for source_id, _ in items],
        *numbers,
        [counts.last_received_at for _, counts in items],
        [msgspec.json.encode(counts.errors).decode() for _, counts in items],
        limits.SOURCE_ERRORS,
    )


def _source(row: asyncpg.Record) -> SourceRow:
    settings = cast("Mapping[str, object]", json.loads(row["settings"]))
    return SourceRow(**{**dict(row), "settings": settings})


def _counts(row: asyncpg.Record) -> Counts:
    numbers: dict[str, int] = {name: row[name] for name in NUMBERS}
    errors = msgspec.json.decode(row["errors"], type=list[SourceError])
    return Counts(**numbers, last_received_at=row["last_received_at"], errors=errors)


def _json(settings: Mapping[str, object]) -> str:
    return msgspec.json.encode(settings).decode()
