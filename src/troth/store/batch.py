"""The statements of one batch as typed functions, in the order they run.

In and out: frozen records of the core; rows become arrays, one statement each. Everything here runs inside the caller's
transaction, on a connection of its own that `tune` has set up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from troth import limits
from troth.core.ids import bucket_in, bucket_of
from troth.core.state import CustomerState, Lot, Posting, Use, UseKey, WalletState
from troth.store.pool import Connection
from troth.store.sql import load

SQL = load("batch.sql")
_LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)
_NO_ID = UUID(int=0)


Names = dict[str, tuple[UUID, int]]  # external id → customer id and bucket; unknown ones are absent


class Resolved(msgspec.Struct, frozen=True):
    """What the plain read before the claims found."""

    live: int  # the live program revision
    customers: Names


class CustomerRow(msgspec.Struct, kw_only=True):
    """A customer as locked or read: the state without wallets, and the sealed part."""

    id: UUID
    bucket: int
    external_id: str
    state: CustomerState
    personal_key: UUID | None
    sealed_key: bytes | None = None
    personal: bytes | None = None
    is_named: bool = True  # the external id still names this customer


class EventRow(NamedTuple):
    """One row of `events`, in column order."""

    bucket: int
    id: UUID
    customer_id: UUID
    seq: int
    type: str
    occurred_at: datetime
    source: str
    source_detail: str | None
    actor: str | None
    signed: bool
    parent: UUID | None
    depth: int
    caused: int
    points: int
    outcome: str
    revision: int
    properties: str
    inputs: str | None
    after: str
    warnings: str | None
    personal_key: UUID | None
    personal: bytes | None


class Written(msgspec.Struct, kw_only=True):
    """Everything a batch leaves behind."""

    events: list[EventRow]
    postings: list[tuple[EventRow, Posting]]
    lots: list[tuple[UUID, Lot]]  # customer, lot
    closed: list[Lot]
    customers: list[CustomerRow]  # with their final states
    balances: list[tuple[UUID, str, WalletState]]  # only those that changed
    uses: list[tuple[UUID, UseKey, Use]]
    references: list[tuple[bytes, UUID]]  # the engine's own: written under the customer's lock


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


# Claims


async def claim(connection: Connection, wanted: Mapping[bytes, UUID]) -> dict[bytes, UUID]:
    """Claim hashes for event ids. Out: the event that answers for each hash somebody else had claimed before."""
    scopes, hashes = [key[0] for key in wanted], list(wanted)
    rows = await connection.fetch(SQL["claim"], scopes, hashes, list(wanted.values()))
    if len(rows) == len(wanted):
        return {}
    refused = wanted.keys() - {row["reference_hash"] for row in rows}
    return await claimed(connection, refused)


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


async def lock_customers(connection: Connection, named: Mapping[UUID, tuple[int, str]]) -> dict[UUID, CustomerRow]:
    """Lock customers in sorted order, then read what belongs to them. In: id → (bucket, external id)."""
    return await _read(connection, "lock_customers", named)


async def read_customers(connection: Connection, named: Mapping[UUID, tuple[int, str]]) -> dict[UUID, CustomerRow]:
    """The same without locks."""
    return await _read(connection, "read_customers", named)


async def _read(
    connection: Connection, statement: str, named: Mapping[UUID, tuple[int, str]]
) -> dict[UUID, CustomerRow]:
    ids = list(named)
    buckets = [named[customer_id][0] for customer_id in ids]
    rows = {row["id"]: row for row in await connection.fetch(SQL[statement], buckets, ids)}
    ids = [customer_id for customer_id in ids if customer_id in rows]
    names = [named[customer_id][1] for customer_id in ids]
    details = await connection.fetch(
        SQL["load"],
        [named[customer_id][0] for customer_id in ids],
        ids,
        [rows[customer_id]["personal_key"] for customer_id in ids],
        [bucket_of(name) for name in names],
        names,
    )
    found = {key: _customer(row, named[key][1]) for key, row in rows.items()}
    wallets: dict[UUID, dict[str, WalletState]] = {key: {} for key in found}
    for row in details:
        customer = found[row["id"]]
        customer.is_named, customer.sealed_key = row["is_named"], row["sealed"]
        if row["wallet"] is not None:
            wallets[row["id"]][row["wallet"]] = WalletState(*row[4:13])
    for key, customer in found.items():
        customer.state = msgspec.structs.replace(customer.state, wallets=wallets[key])
    return found


def _customer(row: asyncpg.Record, external_id: str) -> CustomerRow:
    counts, attributes, tags = row["counts"], row["attributes"], row["tags"]
    state = CustomerState(
        created_at=row["created_at"],
        seq=row["seq"],
        tier=row["tier"],
        tier_since=row["tier_since"],
        orders=row["orders"],
        counts=msgspec.json.decode(counts),
        attributes={} if attributes == "{}" else json.loads(attributes, parse_float=Decimal),
        tags=() if tags == "[]" else tuple(msgspec.json.decode(tags)),
        last_activity_at=row["last_activity_at"],
        due_at=row["due_at"],
    )
    return CustomerRow(
        id=row["id"],
        bucket=row["bucket"],
        external_id=external_id,
        state=state,
        personal_key=row["personal_key"],
        personal=row["personal"],
    )


async def load_due(connection: Connection, customer: CustomerRow, now: datetime) -> CustomerState:
    """The customer's state with every lot that is past its date, if anything has fallen due by `now`."""
    state = customer.state
    if state.due_at is None or state.due_at > now:
        return state
    lots: list[Lot] = []
    after: tuple[object, ...] = ("", _LONG_AGO, _LONG_AGO, _NO_ID, -1)
    while True:
        page = await connection.fetch(SQL["due_lots"], customer.bucket, customer.id, now, *after, limits.LOTS_PAGE)
        lots.extend(Lot(**dict(row)) for row in page)
        if len(page) < limits.LOTS_PAGE:
            break
        last = lots[-1]
        after = (last.wallet, last.expires_at, last.earned_at, last.event_id, last.n)
    following = await connection.fetchval(SQL["next_due"], customer.bucket, customer.id, now)
    return msgspec.structs.replace(state, due_lots=tuple(lots), due_at=following)


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


# Writing: called by pipeline/write.py alone


async def write(connection: Connection, written: Written) -> None:
    """Insert events, postings and lots, store the folded states. One statement, and one more for each rarity."""
    columns = [
        *_columns(written.events, 22),
        *_columns([_posting_row(event, posting) for event, posting in written.postings], 18),
        *_columns([_lot_row(customer_id, lot) for customer_id, lot in written.lots], 9),
        *_columns([_balance_row(*balance) for balance in written.balances], 12),
        *_columns([_customer_row(customer) for customer in written.customers], 14),
    ]
    await connection.execute(SQL["write"], *columns)
    if written.closed:
        lots = written.closed
        ids = [lot.event_id for lot in lots]
        await connection.execute(SQL["close_lots"], [bucket_in(key) for key in ids], ids, [lot.n for lot in lots])
    if written.uses:
        rows = [(_bucket_of(written, key), key, *use_key, use.times, use.points) for key, use_key, use in written.uses]
        await connection.execute(SQL["write_uses"], *_columns(rows, 6))
    if written.references:
        refused = await claim(connection, dict(written.references))
        assert not refused, f"system references written twice: {refused}"


def _bucket_of(written: Written, customer_id: UUID) -> int:
    return next(customer.bucket for customer in written.customers if customer.id == customer_id)


def _columns(rows: Sequence[Sequence[object]], count: int) -> list[Sequence[object]]:
    """Rows turned into one array per column."""
    return list(zip(*rows, strict=True)) if rows else [()] * count


def _posting_row(event: EventRow, posting: Posting) -> tuple[object, ...]:
    return (
        event.bucket, event.id, posting.n, event.customer_id, event.seq, posting.wallet, posting.from_state,
        posting.to_state, posting.points, posting.qualifying, posting.lot_event, posting.lot_n, posting.occurred_at,
        posting.reason, posting.rule, posting.base, posting.multiplier, posting.cap,
    )  # fmt: skip


def _lot_row(customer_id: UUID, lot: Lot) -> tuple[object, ...]:
    return (
        bucket_in(lot.event_id), lot.event_id, lot.n, customer_id, lot.wallet, lot.earned_at, lot.expires_at,
        lot.points, lot.remaining,
    )  # fmt: skip


def _balance_row(customer_id: UUID, wallet: str, state: WalletState) -> tuple[object, ...]:
    return (bucket_in(customer_id), customer_id, wallet, *msgspec.structs.astuple(state))


def _customer_row(row: CustomerRow) -> tuple[object, ...]:
    state = row.state
    return (
        row.bucket, row.id, state.created_at, state.seq, state.tier, state.tier_since, state.orders,
        msgspec.json.encode(state.counts).decode(), _json(state.attributes), _json(state.tags), state.last_activity_at,
        state.due_at, row.personal_key, row.personal,
    )  # fmt: skip


_encoder = msgspec.json.Encoder(decimal_format="number")


def _json(value: object) -> str:
    return _encoder.encode(value).decode()
