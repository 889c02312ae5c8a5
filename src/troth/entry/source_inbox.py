"""The inbox of a source: payloads that wait for what they lack, and whom anonymous visitors turned out to be.

In: payloads under a key (an anonymous id, an order id). Out: what waits for a key, oldest first.
Must never: be the reason why something is applied twice: each payload carries a reference.

To wait without a gap: put, then look again for what it waits for. To take out: tell what was waited for, then take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from troth.api.sources import open_waiting
from troth.core.ids import recorded_at
from troth.store import source_inbox as store
from troth.store.pool import Database
from troth.store.row_ids import new_id
from troth.store.vault import Vault

TAKEN = 500  # at once


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What comes into an inbox."""

    key: str  # what it waits for
    reference: str  # the same reference waits once for a key
    payload: bytes  # JSON


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What is in an inbox."""

    id: UUID
    key: str
    received_at: datetime
    payload: bytes  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """The inboxes of all sources."""

    database: Database
    vault: Vault

    async def put(self, source_id: str, items: Sequence[Item], days: int) -> list[store.Put]:
        """Let them wait so many days. Out: what became of each."""
        if not items:
            return []
        until = datetime.now(UTC) + timedelta(days=days)
        rows = [self._row(source_id, item, new_id(), until) for item in items]
        async with self.database.pool.acquire() as connection:
            return await store.put_waiting(connection, source_id, rows)

    async def waiting(self, source_id: str, keys: Iterable[str], most: int = TAKEN) -> list[Waiting]:
        """What waits for any of these keys, oldest first."""
        hashes = [store.hash_of(source_id, key) for key in dict.fromkeys(keys)]
        async with self.database.pool.acquire() as connection:
            rows = await store.read_waiting(connection, source_id, hashes, most) if hashes else []
        return [self._opened(row) for row in rows]

    async def oldest(self, source_id: str, after: UUID, most: int = TAKEN) -> list[Waiting]:
        """What waits in the source after this item, oldest first."""
        async with self.database.pool.acquire() as connection:
            rows = await store.oldest_waiting(connection, source_id, after, most)
        return [self._opened(row) for row in rows]

    async def remove(self, source_id: str, ids: Iterable[UUID]) -> int:
        """Take out what was applied or refused. Out: how many were still there."""
        async with self.database.pool.acquire() as connection:
            return await store.remove_waiting(connection, source_id, ids)

    async def name(self, source_id: str, customers: Mapping[str, str], days: int) -> None:
        """Remember so many days whom these keys turned out to be."""
        if not customers:
            return
        now = datetime.now(UTC)
        rows = []
        for key, customer in customers.items():
            seal = new_id()
            sealed = self.vault.seal_alone(customer.encode(), seal)
            rows.append(store.NameRow(key_hash=store.hash_of(source_id, key), seal=seal, sealed=sealed))
        async with self.database.pool.acquire() as connection:
            await store.put_names(connection, source_id, rows, now + timedelta(days=days))

    async def names(self, source_id: str, keys: Iterable[str]) -> dict[str, str]:
        """Whom these keys turned out to be, as far as that is known."""
        hashes = {store.hash_of(source_id, key): key for key in keys}
        if not hashes:
            return {}
        async with self.database.pool.acquire() as connection:
            rows = await store.read_names(connection, source_id, hashes)
        return {hashes[row.key_hash]: self.vault.open_alone(row.sealed, row.seal).decode() for row in rows}

    def _row(self, source_id: str, item: Item, row_id: UUID, expires_at: datetime) -> store.WaitingRow:
        return store.WaitingRow(
            id=row_id,
            key_hash=store.hash_of(source_id, item.key),
            item_hash=store.hash_of(source_id, item.reference),
            received_at=recorded_at(row_id),
            expires_at=expires_at,
            sealed=self.vault.seal_alone(item.key.encode() + b"\0" + item.payload, row_id),
        )

    def _opened(self, row: store.WaitingRow) -> Waiting:
        key, payload = open_waiting(self.vault, row.sealed, row.id)
        return Waiting(id=row.id, key=key, received_at=row.received_at, payload=payload)
