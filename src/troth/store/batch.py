"""What a batch reads and claims, as typed functions in the order they run. What it writes is in `ledger.py`.

In and out: frozen records of the core; rows become arrays, one statement each. Everything here runs inside the caller's
transaction, on a connection of its own that `tune` has set up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from troth.core.exact_json import read_exact
from troth.core.ids import bucket_of
from troth.core.state import (
    NO_CALENDAR,
    NO_TIERS,
    NO_USE,
    CalendarState,
    CustomerState,
    TierHistory,
    Use,
    UseKey,
    WalletState,
)
from troth.store.pool import Connection
from troth.store.sql import load

SQL = load("batch.sql")

Names = dict[str, tuple[UUID, int]]  # external id → customer id and bucket; unknown ones are absent


class Resolved(msgspec.Struct, frozen=True, gc=False):
    """Which customers external ids name, and the live program revision."""

    live: int
    customers: Names


class Found(msgspec.Struct, frozen=True, gc=False):
    """What the plain read before the claims found."""

    live: int  # the live program revision
    sends: bool  # some webhook is to be told what happens
    clock: datetime | None  # where the test clock stands; None: real time
    rows: dict[str, CustomerRow]  # by external id; unknown ones are absent

    @property
    def names(self) -> Names:
        return {name: (row.id, row.bucket) for name, row in self.rows.items()}


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """The event that answers for each hash somebody else had claimed before, and the customers now locked."""

    recorded: dict[bytes, UUID]
    versions: dict[UUID, int]  # of the locked rows


class CustomerRow(msgspec.Struct, kw_only=True):
    """A customer with its state, and its sealed parts."""

    id: UUID
    bucket: int
    external_id: str
    state: CustomerState
    personal_key: UUID | None
    sealed_key: bytes | None = None
    personal: bytes | None = None
    version: int = 0  # of the row as it was read; any change of anything of the customer gives another one


async def tune(connection: Connection) -> None:
    """Prepare a connection of one's own for the statements below."""
    await connection.fetch(SQL["tune_session"])


async def resolve(connection: Connection, external_ids: Sequence[str]) -> Resolved:
    buckets = [bucket_of(external_id) for external_id in external_ids]
    rows = await connection.fetch(SQL["resolve"], buckets, external_ids)
    found = {
        external_id: (row["customer_id"], row["customer_bucket"])
        for external_id, row in zip(external_ids, rows, strict=True)
        if row["customer_id"] is not None
    }
    return Resolved(rows[0]["live"], found)


async def read(connection: Connection, external_ids: Sequence[str]) -> Found:
    """Everything known of these customers, without locks. In: at least one id, each once."""
    buckets = [bucket_of(external_id) for external_id in external_ids]
    rows = await connection.fetch(SQL["read"], buckets, external_ids)
    found: dict[str, CustomerRow] = {}
    wallets: dict[str, dict[str, WalletState]] = {}
    for row in rows:
        name = row["external_id"]
        if row["id"] is None:
            continue
        if name not in found:
            wallets[name] = {}
            found[name] = customer_of(row, wallets[name])
        if row["wallet"] is not None:
            wallets[name][row["wallet"]] = WalletState(*row[_WALLET_COLUMNS:-1])
    return Found(rows[0]["live"], bool(rows[0]["sends"]), rows[0]["clock"], found)


_WALLET_COLUMNS = 23  # where the states of a wallet begin


def customer_of(row: asyncpg.Record, wallets: Mapping[str, WalletState]) -> CustomerRow:
    attributes, tags = row["attributes"], row["tags"]
    state = CustomerState(
        created_at=row["created_at"],
        seq=row["seq"],
        tier=row["tier"],
        tier_since=row["tier_since"],
        orders=row["orders"],
        counts=msgspec.json.decode(row["counts"]),
        attributes={} if attributes == "{}" else read_exact(attributes),
        tags=() if tags == "[]" else tuple(msgspec.json.decode(tags)),
        last_activity_at=row["last_activity_at"],
        due_at=row["due_at"],
        wallets=wallets,
        tiers=NO_TIERS if row["tiers"] == "{}" else msgspec.json.decode(row["tiers"], type=TierHistory),
        calendar=NO_CALENDAR if row["calendar"] == "{}" else msgspec.json.decode(row["calendar"], type=CalendarState),
        waiting=row["waiting"],
    )
    return CustomerRow(
        id=row["id"],
        bucket=row["bucket"],
        external_id=row["external_id"],
        state=state,
        personal_key=row["personal_key"],
        sealed_key=row["sealed"],
        personal=row["personal"],
        version=row["version"],
    )


# Claims


async def claim(connection: Connection, wanted: Mapping[bytes, UUID], customers: Sequence[CustomerRow] = ()) -> Claimed:
    """Claim hashes for event ids, then lock these customers in sorted order."""
    hashes = list(wanted)
    rows = await connection.fetch(
        SQL["claim"],
        [key[0] for key in hashes],
        hashes,
        list(wanted.values()),
        [row.bucket for row in customers],
        [row.id for row in customers],
    )
    versions = {row["id"]: row["version"] for row in rows if row["id"] is not None}
    if len(rows) - len(versions) == len(wanted):
        return Claimed({}, versions)
    refused = wanted.keys() - {row["reference_hash"] for row in rows}
    return Claimed(await claimed(connection, refused), versions)


async def claimed(connection: Connection, hashes: Iterable[bytes]) -> dict[bytes, UUID]:
    """The event that answers for each of these hashes, where there is one."""
    asked = list(hashes)
    rows = await connection.fetch(SQL["claimed"], [key[0] for key in asked], asked)
    return {row["reference_hash"]: row["event_id"] for row in rows}


async def give_back(connection: Connection, claims: Mapping[bytes, UUID]) -> None:
    """Take back this transaction's own claims."""
    hashes = list(claims)
    await connection.execute(SQL["give_back"], [key[0] for key in hashes], hashes, list(claims.values()))


# Customers


async def add_customers(connection: Connection, rows: Sequence[CustomerRow]) -> set[UUID]:
    """Name new customers and store their keys. Out: those that were not named by somebody else meanwhile."""
    buckets = [row.bucket for row in rows]
    names, ids = [row.external_id for row in rows], [row.id for row in rows]
    added = {row["customer_id"] for row in await connection.fetch(SQL["add_identities"], buckets, names, ids)}
    mine = [row for row in rows if row.id in added]
    if mine:
        keys = [row.sealed_key for row in mine]
        await connection.execute(
            SQL["add_keys"], [row.bucket for row in mine], [row.personal_key for row in mine], keys
        )
    return added


async def forget_customers(connection: Connection, rows: Sequence[CustomerRow]) -> None:
    """Undo `add_customers` for these, in the same transaction."""
    keys = [row.personal_key for row in rows]
    names, ids = [row.external_id for row in rows], [row.id for row in rows]
    await connection.execute(SQL["forget_customers"], [row.bucket for row in rows], keys, names, ids)


async def load_uses(connection: Connection, keys: Iterable[tuple[UUID, int, UseKey]]) -> dict[UUID, dict[UseKey, Use]]:
    """What has been used up. In: customer, bucket, (rule, period). Out: per customer, only what is not zero."""
    asked = list(dict.fromkeys(keys))
    rows = await connection.fetch(
        SQL["uses"],
        [bucket for _, bucket, _ in asked],
        [customer for customer, _, _ in asked],
        [rule for _, _, (rule, _) in asked],
        [period for _, _, (_, period) in asked],
    )
    found: dict[UUID, dict[UseKey, Use]] = {}
    for row in rows:
        found.setdefault(row["customer_id"], {})[row["rule"], row["period"]] = Use(row["times"], row["points"])
    return found


def with_unused(keys: Iterable[UseKey], found: Mapping[UseKey, Use]) -> dict[UseKey, Use]:
    """What was asked for, known whether or not anything of it was used."""
    return {key: found.get(key, NO_USE) for key in keys}
