"""Webhooks as they are set up: where messages go, what they are told, and how they fare.

In and out: records whose secrets are sealed. Every change keeps `program_live.sends`, which each batch reads, in step.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from uuid import UUID

import msgspec

from troth.store.sql import load

if TYPE_CHECKING:
    import asyncpg

    from troth.store.pool import Connection
    from troth.store.vault import Vault

SQL = load("webhooks.sql")
_SEALED_KEY_BYTES = 60  # nonce 12, key 32, tag 16

Format = Literal["standard", "segment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    id: UUID
    url: str
    topics: tuple[str, ...]
    format: Format
    description: str
    headers: bytes | None  # sealed JSON of names and values
    secret: bytes  # sealed: whsec_…, or the receiver's write key
    old_secret: bytes | None  # sealed
    old_secret_until: datetime | None
    enabled: bool
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None = None  # by the relay
    disabled_reason: str | None = None
    failures: int = 0  # attempts in a row
    failing_since: datetime | None = None
    delivered: int = 0
    given_up: int = 0


class Totals(NamedTuple):
    delivered: int
    given_up: int
    enabled: int
    failing: int


def seal(vault: Vault, webhook_id: UUID, text: str) -> bytes:
    """A text as it is stored: sealed by a key of its own, which the master key seals in front of it."""
    own_key, sealed_key = vault.new_key(webhook_id)
    assert len(sealed_key) == _SEALED_KEY_BYTES
    return sealed_key + own_key.seal(text.encode(), webhook_id)


def open_sealed(vault: Vault, webhook_id: UUID, sealed: bytes) -> str:
    """The text of `seal`. Raises MasterKeyError when another master key sealed it."""
    own_key = vault.open_key(webhook_id, sealed[:_SEALED_KEY_BYTES])
    return own_key.open(sealed[_SEALED_KEY_BYTES:], webhook_id).decode()


def open_headers(vault: Vault, webhook: Webhook) -> dict[str, str]:
    """The further headers of its messages."""
    if webhook.headers is None:
        return {}
    return msgspec.json.decode(open_sealed(vault, webhook.id, webhook.headers), type=dict[str, str])


@asynccontextmanager
async def changing(connection: Connection) -> AsyncIterator[None]:
    """A transaction in which webhooks change: one at a time, and `sends` fits when it commits."""
    async with connection.transaction():
        await connection.fetchval(SQL["lock_sends"])
        yield
        await connection.execute(SQL["set_sends"])


async def count(connection: Connection) -> int:
    return int(await connection.fetchval(SQL["count"]))


async def insert(connection: Connection, webhook: Webhook) -> None:
    """Within `changing`."""
    await connection.execute(
        SQL["insert"],
        webhook.id,
        webhook.url,
        list(webhook.topics),
        webhook.format,
        webhook.description,
        webhook.headers,
        webhook.secret,
        webhook.enabled,
        webhook.created_at,
    )


async def find(connection: Connection, webhook_id: UUID) -> Webhook | None:
    row = await connection.fetchrow(SQL["find"], webhook_id)
    return _webhook(row) if row is not None else None


async def page(connection: Connection, *, after: UUID, size: int) -> list[Webhook]:
    """At most `size` webhooks made after this one, oldest first."""
    return [_webhook(row) for row in await connection.fetch(SQL["page"], after, size)]


async def update(connection: Connection, webhook: Webhook) -> None:
    """Store what its owner may change, within `changing`; enabled again, it begins anew."""
    await connection.execute(
        SQL["update"],
        webhook.id,
        webhook.url,
        list(webhook.topics),
        webhook.format,
        webhook.description,
        webhook.headers,
        webhook.secret,
        webhook.enabled,
        webhook.updated_at,
    )


async def rotate(connection: Connection, webhook_id: UUID, secret: bytes, *, now: datetime, until: datetime) -> None:
    """A new secret; the old one signs too until `until`, if that is later than now."""
    await connection.execute(SQL["rotate"], webhook_id, secret, now, until)


async def delete(connection: Connection, webhook_id: UUID) -> None:
    """Within `changing`."""
    await connection.execute(SQL["delete"], webhook_id)


async def disable(connection: Connection, webhook_id: UUID, *, now: datetime, reason: str) -> bool:
    """Within `changing`. False when it is disabled already, or gone."""
    return await connection.fetchval(SQL["disable"], webhook_id, now, reason) is not None


async def enabled(connection: Connection) -> list[tuple[UUID, tuple[str, ...]]]:
    """The enabled webhooks with their topics."""
    return [(row["id"], tuple(row["topics"])) for row in await connection.fetch(SQL["enabled"])]


async def totals(connection: Connection) -> Totals:
    row = await connection.fetchrow(SQL["totals"])
    assert row is not None
    return Totals(*row)


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook(**{**dict(row), "topics": tuple(row["topics"])})
