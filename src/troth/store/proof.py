"""Whole buckets and whole customers, for `verify` and `rebuild`: events with postings, and the caches beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

import asyncpg
import msgspec

from troth.core.exact_json import read_exact
from troth.core.order_state import LotKey, Order
from troth.core.replay import PastEvent
from troth.core.state import (
    CalendarState,
    CustomerState,
    Lot,
    Posting,
    Redemption,
    Reservation,
    TierHistory,
    Use,
    UseKey,
    WalletState,
)
from troth.store.parts import lot_of, read_order
from troth.store.pool import Connection
from troth.store.sql import load

SQL = load("proof.sql")


class Caches(msgspec.Struct, kw_only=True):
    """What is stored of one customer beside its events."""

    state: CustomerState
    due_at: datetime | None
    wallets: dict[str, WalletState] = {}
    lots: dict[LotKey, Lot] = {}
    uses: dict[UseKey, Use] = {}
    orders: dict[UUID, Order | None] = {}  # None: as its opening event opened it
    waiting: set[tuple[UUID, UUID]] = set()  # order key, event
    reservations: dict[UUID, Reservation] = {}
    redemptions: dict[UUID, Redemption] = {}


async def read_bucket(connection: Connection, bucket: int) -> dict[UUID, list[PastEvent]]:
    """Every customer's events of one bucket, in `seq` order."""
    events = await connection.fetch(SQL["events"], bucket)
    postings = await connection.fetch(SQL["postings"], bucket)
    return dict(_past(events, postings))


async def read_customer(connection: Connection, bucket: int, customer_id: UUID) -> list[PastEvent]:
    """One customer's events in `seq` order."""
    events = await connection.fetch(SQL["customer_events"], bucket, customer_id)
    postings = await connection.fetch(SQL["customer_postings"], bucket, customer_id)
    return dict(_past(events, postings)).get(customer_id, [])


def _past(
    events: Sequence[asyncpg.Record], postings: Sequence[asyncpg.Record]
) -> Iterator[tuple[UUID, list[PastEvent]]]:
    own: dict[UUID, list[Posting]] = {}
    for row in postings:
        fields = dict(row)
        del fields["customer_id"]
        own.setdefault(fields.pop("event_id"), []).append(Posting(**fields))
    for customer_id, rows in groupby(events, key=lambda row: row["customer_id"]):
        yield customer_id, [_event(row, tuple(own.get(row["id"], ()))) for row in rows]


def _event(row: asyncpg.Record, postings: tuple[Posting, ...]) -> PastEvent:
    fields = dict(row)
    del fields["customer_id"]
    for name in ("properties", "inputs", "after"):
        fields[name] = None if fields[name] is None else read_exact(fields[name])
    return PastEvent(**fields, postings=postings)


async def read_caches(connection: Connection, bucket: int) -> dict[UUID, Caches]:
    """The caches of every customer of a bucket."""
    found = {row["id"]: _caches(row) for row in await connection.fetch(SQL["customers"], bucket)}
    for row in await connection.fetch(SQL["balances"], bucket):
        found[row["customer_id"]].wallets[row["wallet"]] = WalletState(*row[2:])
    for row in await connection.fetch(SQL["lots"], bucket):
        found[row["customer_id"]].lots[row["event_id"], row["n"]] = lot_of(row)
    for row in await connection.fetch(SQL["uses"], bucket):
        found[row["customer_id"]].uses[row["rule"], row["period"]] = Use(row["times"], row["points"])
    for row in await connection.fetch(SQL["orders"], bucket):
        found[row["customer_id"]].orders[row["id"]] = read_order(row["state"])
    for row in await connection.fetch(SQL["waiting"], bucket):
        found[row["customer_id"]].waiting.add((row["order_key"], row["event_id"]))
    for row in await connection.fetch(SQL["reservations"], bucket):
        held = msgspec.json.decode(row["state"], type=Reservation)
        found[row["customer_id"]].reservations[held.id] = held
    for row in await connection.fetch(SQL["redemptions"], bucket):
        claim = msgspec.json.decode(row["state"], type=Redemption)
        found[row["customer_id"]].redemptions[claim.id] = claim
    return found


def _caches(row: asyncpg.Record) -> Caches:
    state = CustomerState(
        created_at=row["created_at"],
        seq=row["seq"],
        tier=row["tier"],
        tier_since=row["tier_since"],
        orders=row["orders"],
        counts=json.loads(row["counts"]),
        attributes=read_exact(row["attributes"]),
        tags=tuple(json.loads(row["tags"])),
        last_activity_at=row["last_activity_at"],
        tiers=msgspec.json.decode(row["tiers"], type=TierHistory),
        calendar=msgspec.json.decode(row["calendar"], type=CalendarState),
        waiting=row["waiting"],
    )
    return Caches(state=state, due_at=row["due_at"])


async def lost_references(connection: Connection) -> list[tuple[str, UUID]]:
    """Events without a reference and references without an event, at most 100."""
    return [(row["what"], row["id"]) for row in await connection.fetch(SQL["lost_references"])]


async def wrong_stock(connection: Connection) -> list[tuple[str, int, int]]:
    """Counters of stock that differ from the claims they count: name, claims, counter."""
    return [(row["name"], row["claimed"], row["used"]) for row in await connection.fetch(SQL["stock"])]


# Mending: caches only


async def mend_stock(connection: Connection) -> None:
    """Every counter of stock as the claims say; claims under way are waited for."""
    async with connection.transaction():
        await connection.execute(SQL["add_stock"])
        await connection.execute(SQL["lock_stock"])
        await connection.execute(SQL["mend_stock"])


async def lock_customer(connection: Connection, bucket: int, customer_id: UUID) -> None:
    await connection.execute(SQL["lock_customer"], bucket, customer_id)


async def store_caches(connection: Connection, key: tuple[int, UUID], caches: Caches) -> None:
    """Replace the caches of one locked customer."""
    state = caches.state
    counts, attributes, tags = _json(state.counts), _json(state.attributes), _json(state.tags)
    await connection.execute(
        SQL["mend_customer"], *key, state.seq, state.tier, state.tier_since, state.orders, counts, attributes, tags,
        state.last_activity_at, caches.due_at, _json(state.tiers), _json(state.calendar), state.waiting,
    )  # fmt: skip
    for table in ("balances", "uses", "lots", "orders", "waiting", "reservations", "redemptions"):
        await connection.execute(SQL[f"drop_{table}"], *key)
    balances = [(*key, wallet_id, *msgspec.structs.astuple(wallet)) for wallet_id, wallet in caches.wallets.items()]
    await connection.executemany(SQL["add_balance"], balances)
    await connection.executemany(SQL["add_use"], _use_rows(key, caches.uses))
    await connection.executemany(SQL["add_lot"], _lot_rows(key, caches.lots))
    orders = [(*key, order_id, *_order_row(order)) for order_id, order in caches.orders.items()]
    await connection.executemany(SQL["add_order"], orders)
    await connection.executemany(SQL["add_waiting"], [(*key, *item) for item in caches.waiting])
    await connection.executemany(SQL["add_reservation"], _reservation_rows(key, caches.reservations.values()))
    redemptions = [(*key, claim.id, claim.reward, claim.status, _json(claim)) for claim in caches.redemptions.values()]
    await connection.executemany(SQL["add_redemption"], redemptions)


def _use_rows(key: tuple[int, UUID], uses: Mapping[UseKey, Use]) -> list[tuple[object, ...]]:
    return [(*key, rule, period, use.times, use.points) for (rule, period), use in uses.items()]


def _lot_rows(key: tuple[int, UUID], lots: Mapping[LotKey, Lot]) -> list[tuple[object, ...]]:
    bucket, customer_id = key
    return [
        (
            bucket, lot.event_id, lot.n, customer_id, lot.wallet, lot.order, list(lot.rules) or None, lot.earned_at,
            lot.expiry, lot.hold_until, lot.qualifying, lot.release_at, lot.expires_at, lot.points, lot.pending,
            lot.remaining, lot.expired,
        )
        for lot in lots.values()
    ]  # fmt: skip


def _order_row(order: Order | None) -> tuple[str | None, datetime | None]:
    return (None, None) if order is None else (_json(order), order.decides_at)


def _reservation_rows(key: tuple[int, UUID], held: Iterable[Reservation]) -> list[tuple[object, ...]]:
    return [(*key, item.id, _json(item), item.due_at if item.status == "held" else None) for item in held]


_encoder = msgspec.json.Encoder(decimal_format="number")


def _json(value: object) -> str:
    return _encoder.encode(value).decode()
