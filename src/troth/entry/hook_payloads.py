"""The last payloads of each webhook's source, for those who set up its mapping: written after the fact, sealed.

In: what came with a sound proof. Out: nothing that a request waits for. Must never: hold a request up, keep a secret
or a signature, or hold more than a bounded number of bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from troth import limits
from troth.api.source_registry import Source
from troth.core.sources.webhook import Taken, Value, WebhookSettings
from troth.store.pool import Database
from troth.store.row_ids import new_id
from troth.store.source_payloads import PayloadRow, insert_payloads, read_payloads
from troth.store.vault import Vault

Headers = Mapping[bytes, bytes]

_TOLD = (  # headers that say what a body is; no proof among them
    *("x-shopify-topic", "x-shopify-webhook-id", "x-shopify-event-id"),
    *("x-wc-webhook-topic", "x-wc-webhook-delivery-id", "webhook-id"),
)


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed."""

    headers: Mapping[str, str]
    body: bytes | None  # None: it was too large to be kept


class KeptPayload(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    received_at: datetime
    payload: Payload


class Payloads:
    """The payloads of one process, until they are written. Handlers find it in `app.state["payloads"]`."""

    __slots__ = ("_bytes", "_database", "_flushing", "_kept", "_vault")

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._kept: dict[str, deque[PayloadRow]] = {}  # `sealed` not sealed yet
        self._bytes = 0
        self._flushing = asyncio.Lock()

    def keep(self, source: Source, headers: Headers, body: bytes) -> None:
        """Keep what a source was sent, unless too much waits to be written."""
        fits = len(body) <= limits.SOURCE_PAYLOAD_BYTES
        plain = msgspec.msgpack.encode(Payload(headers=told_headers(source, headers), body=body if fits else None))
        if self._bytes + len(plain) > limits.SOURCE_PAYLOADS_BYTES:
            return
        now = datetime.now(UTC)
        waiting = self._kept.setdefault(source.id, deque())
        if len(waiting) == limits.SOURCE_PAYLOADS:
            self._bytes -= len(waiting.popleft().sealed)
        waiting.append(PayloadRow(source=source.id, id=new_id(), received_at=now, sealed=plain))
        self._bytes += len(plain)

    async def flush(self) -> None:
        """Write what was kept so far. It is for looking at: what cannot be written is let go."""
        async with self._flushing:
            rows = [row for waiting in self._kept.values() for row in waiting]
            self._kept, self._bytes = {}, 0
            if not rows:
                return
            sealed = await asyncio.to_thread(lambda: [self._sealed(row) for row in rows])
            async with self._database.pool.acquire() as connection:
                await insert_payloads(connection, sealed)

    async def newest(self, source_id: str) -> list[KeptPayload]:
        """The kept ones, newest first, this process's last second included."""
        await self.flush()
        async with self._database.pool.acquire() as connection:
            rows = await read_payloads(connection, source_id)
        return [self._opened(row) for row in rows]

    def _sealed(self, row: PayloadRow) -> PayloadRow:
        return msgspec.structs.replace(row, sealed=self._vault.seal_alone(row.sealed, row.id))

    def _opened(self, row: PayloadRow) -> KeptPayload:
        payload = msgspec.msgpack.decode(self._vault.open_alone(row.sealed, row.id), type=Payload)
        return KeptPayload(id=row.id, received_at=row.received_at, payload=payload)


def told_headers(source: Source, headers: Headers) -> dict[str, str]:
    """The headers that a mapping reads."""
    names = set(_TOLD)
    if isinstance(source.settings, WebhookSettings):
        names |= _mapped(source.settings)
    given = {name: headers.get(name.encode()) for name in sorted(names)}
    return {name: value[: limits.TEXT_LENGTH].decode("latin-1") for name, value in given.items() if value is not None}


def _mapped(settings: WebhookSettings) -> set[str]:
    values: list[Value | None] = [settings.customer, settings.type, settings.reference, settings.occurred_at]
    values += (settings.properties or {}).values()
    return {value.header.lower() for value in values if isinstance(value, Taken) and value.header is not None}
