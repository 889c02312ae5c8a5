"""The sources of one process: read whole at most every SOURCE_CACHE_SECONDS, and counted in memory.

In: a source's id, or the secret that a request names it by. Out: the source with its settings and secrets.
Must never: write anything on the way of a request; counters go to the table by `flush`, about once a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from troth import limits
from troth.core.sources.kinds import KINDS, Kind
from troth.core.sources.settings import SourceSettings, read_settings
from troth.store.pool import Database
from troth.store.sources import NUMBERS, Counts, SourceError, SourceRow, add_counts, list_sources, read_counts
from troth.store.vault import Vault

Secrets = Mapping[str, str]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A source as a door uses it."""

    id: str
    kind: Kind
    settings: SourceSettings  # the struct of its kind
    enabled: bool
    secrets: Secrets
    previous: Secrets  # those before the last rotation
    previous_until: float  # Unix seconds: the first moment at which they are refused

    def accepted(self, name: str) -> tuple[str, ...]:
        """The values of this secret that are accepted now, the newest first."""
        newest = (self.secrets[name],)
        return (*newest, self.previous[name]) if self.previous and time.time() < self.previous_until else newest


class Sources:
    """What doors know of sources. Handlers find it in `app.state["sources"]`."""

    __slots__ = ("_by_hash", "_by_id", "_counts", "_database", "_flushing", "_read_at", "_reading", "_taking", "_vault")

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._by_id: dict[str, Source] = {}
        self._by_hash: dict[bytes, tuple[str, bool]] = {}  # → source, whether by its previous secret
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._counts: dict[str, Counts] = {}
        self._flushing = asyncio.Lock()  # who reads counters waits for those being written
        self._taking: dict[str, asyncio.Lock] = {}

    async def by_id(self, source_id: str, kind: Kind) -> Source | None:
        """The enabled source of this kind; None when there is none."""
        await self._refresh()
        found = self._by_id.get(source_id)
        return found if found is not None and found.enabled and found.kind == kind else None

    async def by_secret(self, text: str, kind: Kind) -> Source | None:
        """The enabled source that this secret names: a write key, an API key."""
        await self._refresh()
        source_id, is_previous = self._by_hash.get(hash_secret(text), ("", False))
        found = self._by_id.get(source_id)
        if found is None or not found.enabled or found.kind != kind:
            return None
        return found if not is_previous or time.time() < found.previous_until else None

    async def of_kind(self, kind: Kind) -> list[Source]:
        """Every enabled source of this kind."""
        await self._refresh()
        return [source for source in self._by_id.values() if source.enabled and source.kind == kind]

    def taking(self, source_id: str) -> asyncio.Lock:
        """Held by who takes something out of the source's inbox, so that one request records, removes and counts it."""
        return self._taking.setdefault(source_id, asyncio.Lock())

    def forget(self) -> None:
        """Reads the sources anew: this process has changed one."""
        self._read_at = float("-inf")

    def count(self, source_id: str, errors: Sequence[SourceError] = (), **numbers: int) -> None:
        """Adds to the counters of a source: `count("shop", received=2, accepted=1, refused=1)`."""
        counts = self._counts.setdefault(source_id, Counts())
        for name, number in numbers.items():
            setattr(counts, name, getattr(counts, name) + number)
        if numbers.get("received"):
            counts.last_received_at = datetime.now(UTC)
        if errors:
            counts.errors = [*reversed(errors), *counts.errors][: limits.SOURCE_ERRORS]

    async def flush(self) -> None:
        """Writes what was counted since the last time; what cannot be written is counted on."""
        async with self._flushing:  # whoever asks meanwhile finds it written
            counted, self._counts = self._counts, {}
            try:
                if counted:
                    async with self._database.pool.acquire() as connection:
                        await add_counts(connection, counted)
            except BaseException:
                for source_id, counts in counted.items():
                    self._give_back(source_id, counts)
                raise

    async def counts(self) -> dict[str, Counts]:
        """What was counted, this process's last second included."""
        await self.flush()
        async with self._database.pool.acquire() as connection:
            return await read_counts(connection)

    def _give_back(self, source_id: str, counts: Counts) -> None:
        last, errors = counts.last_received_at, counts.errors
        self.count(source_id, **{name: getattr(counts, name) for name in NUMBERS})
        kept = self._counts[source_id]
        kept.errors = [*kept.errors, *errors][: limits.SOURCE_ERRORS]
        kept.last_received_at = kept.last_received_at or last

    async def _refresh(self) -> None:
        if time.monotonic() - self._read_at <= limits.SOURCE_CACHE_SECONDS:
            return
        async with self._reading:
            if time.monotonic() - self._read_at <= limits.SOURCE_CACHE_SECONDS:
                return
            began = time.monotonic()
            async with self._database.pool.acquire() as connection:
                rows = await list_sources(connection)
            self._by_id = {row.id: self._open(row) for row in rows}
            hashes = {row.previous_by: (row.id, True) for row in rows if row.previous_by is not None}
            self._by_hash = {**hashes, **{row.found_by: (row.id, False) for row in rows if row.found_by is not None}}
            self._read_at = began

    def _open(self, row: SourceRow) -> Source:
        settings = read_settings(KINDS[row.kind].settings, row.settings)
        is_sound = isinstance(settings, SourceSettings)
        return Source(
            id=row.id,
            kind=row.kind,
            settings=settings if isinstance(settings, SourceSettings) else KINDS[row.kind].settings(),
            enabled=row.enabled and is_sound,  # settings of another version open no door
            secrets=open_secrets(self._vault, row, row.secrets),
            previous=open_secrets(self._vault, row, row.previous) if row.previous is not None else {},
            previous_until=row.previous_until.timestamp() if row.previous_until is not None else 0.0,
        )


def seal_secrets(vault: Vault, row: SourceRow, secrets: Secrets) -> bytes:
    """The secrets as they are stored."""
    return vault.seal_alone(msgspec.json.encode(secrets), row.seal)


def open_secrets(vault: Vault, row: SourceRow, sealed: bytes) -> Secrets:
    """What `seal_secrets` hid. Raises MasterKeyError when another master key sealed it."""
    return msgspec.json.decode(vault.open_alone(sealed, row.seal), type=dict[str, str])


def hash_secret(text: str) -> bytes:
    """What a source is found by in place of the secret that names it."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
