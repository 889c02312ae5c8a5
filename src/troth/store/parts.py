"""Parts of one customer's state, as a decision asks for them: lots, orders, what waits, what is reserved, what is due.

In: a customer, and names. Out: frozen records of the core; what does not exist is absent. Nothing here locks but stock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from troth import limits
from troth.core.exact_json import read_exact
from troth.core.ids import bucket_in, recorded_at
from troth.core.order_state import LotKey, Order
from troth.core.state import NEVER, Lot, LotPlace, Redemption, Reservation
from troth.store.batch import claimed
from troth.store.pool import Connection
from troth.store.sql import load

SQL = load("parts.sql")
_FIRST: LotPlace = (datetime(1, 1, 2, tzinfo=UTC), datetime(1, 1, 2, tzinfo=UTC), UUID(int=0), -1)


class Key(NamedTuple):
    """A customer's row."""

    bucket: int
    customer_id: UUID


class StoredOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as stored; without a state it is as its opening event opened it."""

    id: UUID
    state: Order | None
    type: str
    occurred_at: datetime
    revision: int
    order_key: UUID
    clock: datetime | None  # the program's present when it was opened, if a test clock stood
    properties: Mapping[str, object]
    inputs: Mapping[str, object] | None
    lots: tuple[Lot, ...]


class WaitingEvent(msgspec.Struct, frozen=True, kw_only=True):
    event_id: UUID
    type: str
    occurred_at: datetime
    properties: Mapping[str, object]


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose an order is, sealed."""

    order_hash: bytes
    order_id: UUID  # its opening event
    customer_id: UUID
    personal_key: UUID | None
    sealed_key: bytes | None
    personal: bytes | None


class StoredCode(NamedTuple):
    n: int
    code_hash: bytes
    sealed: bytes


class DueParts(msgspec.Struct, frozen=True, kw_only=True):
    """What of a customer has fallen due, and when the next thing does."""

    until: datetime  # everything due by then is here
    lots: tuple[Lot, ...]
    orders: tuple[UUID, ...]
    reservations: tuple[Reservation, ...]
    later: datetime | None


_orders = msgspec.json.Decoder(Order, float_hook=Decimal)  # numbers of undeclared properties stay exact


def read_order(state: str | None) -> Order | None:
    """An order's state as it was written; None: it is as its opening event opened it."""
    return None if state is None else _orders.decode(state)


def lot_of(row: asyncpg.Record) -> Lot:
    return Lot(
        event_id=row["event_id"],
        n=row["n"],
        wallet=row["wallet"],
        order=row["order_id"],
        rules=tuple(row["rules"] or ()),
        earned_at=row["earned_at"],
        expiry=row["expiry"],
        hold_until=row["hold_until"],
        qualifying=row["qualifying"],
        release_at=row["release_at"],
        expires_at=row["expires_at"],
        points=row["points"],
        pending=row["pending"],
        remaining=row["remaining"],
        expired=row["expired"],
    )


# Lots


async def load_lots(
    connection: Connection, key: Key, wallet: str, points: int | None
) -> tuple[list[Lot], LotPlace | None]:
    """Open lots in consumption order that hold at least `points` (None: all), and the place up to which they are
    complete; None when there are no more. Activity may move the end of a lot: the place is that of storage."""
    lots: list[Lot] = []
    after, held = _FIRST, 0
    while points is None or held < points:
        page = [lot_of(row) for row in await connection.fetch(SQL["open_lots"], *key, wallet, *after, limits.LOTS_PAGE)]
        lots += page
        held += sum(lot.remaining for lot in page)
        if len(page) < limits.LOTS_PAGE:
            return lots, None
        last = page[-1]
        after = (last.expires_at or NEVER, last.earned_at, last.event_id, last.n)
    return lots, after


async def load_lots_by_key(connection: Connection, keys: Sequence[LotKey]) -> list[Lot]:
    events = [event_id for event_id, _ in keys]
    buckets, numbers = [bucket_in(event_id) for event_id in events], [n for _, n in keys]
    return [lot_of(row) for row in await connection.fetch(SQL["lots_by_key"], buckets, events, numbers)]


# Orders


async def load_order(connection: Connection, key: Key, ids: Sequence[UUID]) -> dict[UUID, StoredOrder]:
    """One customer's orders by opening event, with the lots that hold what they earned."""
    return await load_orders(connection, [(key, order_id) for order_id in ids])


async def load_orders(connection: Connection, asked: Sequence[tuple[Key, UUID]]) -> dict[UUID, StoredOrder]:
    """The same of many customers."""
    buckets, customers = [key.bucket for key, _ in asked], [key.customer_id for key, _ in asked]
    rows = await connection.fetch(SQL["orders"], buckets, customers, [order_id for _, order_id in asked])
    states = {row["id"]: read_order(row["state"]) for row in rows}
    plain = [order_id for order_id, state in states.items() if state is None]
    named = [lot for state in states.values() if state is not None for lot in state.lots]
    lots = await load_lots_by_key(connection, named) if named else []
    if plain:
        found = await connection.fetch(SQL["lots_of_events"], [bucket_in(order_id) for order_id in plain], plain)
        lots += [lot_of(row) for row in found]
    by_order: dict[UUID | None, list[Lot]] = {}
    for lot in lots:
        by_order.setdefault(lot.order, []).append(lot)
    return {row["id"]: _stored(row, states[row["id"]], by_order.get(row["id"], [])) for row in rows}


def _stored(row: asyncpg.Record, state: Order | None, lots: Sequence[Lot]) -> StoredOrder:
    inputs = row["inputs"]
    return StoredOrder(
        id=row["id"],
        state=state,
        type=row["type"],
        occurred_at=row["occurred_at"],
        revision=row["revision"],
        order_key=row["order_key"],
        clock=row["clock"],
        properties=_plain(row["properties"]),
        inputs=None if inputs is None else _plain(inputs),
        lots=tuple(lots),
    )


def _plain(text: str) -> dict[str, object]:
    found: dict[str, object] = read_exact(text)
    return found


async def find_orders(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, tuple[UUID, UUID]]:
    """Order claims → (opening event, its customer); unknown ones are absent."""
    return {owner.order_hash: (owner.order_id, owner.customer_id) for owner in await owners(connection, hashes)}


async def owners(connection: Connection, hashes: Sequence[bytes]) -> list[Owner]:
    """Whose these orders are; unknown ones are absent."""
    opened = await claimed(connection, hashes)
    if not opened:
        return []
    ids = list(dict.fromkeys(opened.values()))
    rows = await connection.fetch(SQL["opened_by"], [bucket_in(order_id) for order_id in ids], ids)
    found = {row["id"]: row for row in rows}
    return [_owner(key, found[order_id]) for key, order_id in opened.items() if order_id in found]


def _owner(order_hash: bytes, row: asyncpg.Record) -> Owner:
    return Owner(
        order_hash=order_hash,
        order_id=row["id"],
        customer_id=row["customer_id"],
        personal_key=row["personal_key"],
        sealed_key=row["sealed"],
        personal=row["personal"],
    )


async def load_waiting(connection: Connection, key: Key, order_keys: Sequence[UUID]) -> dict[UUID, list[WaitingEvent]]:
    """The customer's events that wait for these orders, by time of receipt; orders for which none waits are absent."""
    found: dict[UUID, list[WaitingEvent]] = {}
    for row in await connection.fetch(SQL["waiting"], *key, order_keys, limits.ORDER_WAITING):
        event = WaitingEvent(
            event_id=row["event_id"],
            type=row["type"],
            occurred_at=row["occurred_at"],
            properties=_plain(row["properties"]),
        )
        found.setdefault(row["order_key"], []).append(event)
    return found


# Spending


async def load_reservations(connection: Connection, key: Key, ids: Sequence[UUID]) -> dict[UUID, Reservation]:
    rows = await connection.fetch(SQL["reservations"], *key, ids)
    found = [msgspec.json.decode(row["state"], type=Reservation) for row in rows]
    return {held.id: held for held in found}


async def load_redemptions(connection: Connection, key: Key, ids: Sequence[UUID]) -> dict[UUID, Redemption]:
    rows = await connection.fetch(SQL["redemptions"], *key, ids)
    found = [msgspec.json.decode(row["state"], type=Redemption) for row in rows]
    return {claim.id: claim for claim in found}


async def load_claimed(connection: Connection, key: Key, rewards: Sequence[str]) -> dict[str, int]:
    """Reward → this customer's claims that were not cancelled."""
    return {row["reward"]: row["claimed"] for row in await connection.fetch(SQL["claimed"], *key, rewards)}


async def lock_stock(connection: Connection, rewards: Iterable[str]) -> dict[str, int]:
    """Reward → claims of all customers, locked until the transaction ends."""
    names = sorted(f"reward:{reward}" for reward in rewards)
    await connection.execute(SQL["add_counters"], names)
    rows = await connection.fetch(SQL["lock_counters"], names)
    return {row["name"].removeprefix("reward:"): row["used"] for row in rows}


async def next_codes(connection: Connection, reward: str, count: int) -> list[StoredCode]:
    """The next free codes of a reward's pool."""
    return [StoredCode(*row) for row in await connection.fetch(SQL["next_codes"], reward, count)]


# Due work


async def load_due(connection: Connection, key: Key, now: datetime, most: int | None = None) -> DueParts:
    """Everything of the customer that falls due by `now`; when that is at least `most` lots, by the moment at which the
    last of so many does."""
    if most is not None:
        now = await connection.fetchval(SQL["due_until"], *key, now, most) or now
    lots = await connection.fetch(SQL["due_lots"], *key, now)
    orders = await connection.fetch(SQL["due_orders"], *key, now)
    reservations = await connection.fetch(SQL["due_reservations"], *key, now)
    return DueParts(
        until=now,
        lots=tuple({lot.key: lot for lot in map(lot_of, lots)}.values()),  # some are released and end
        orders=tuple(row["id"] for row in orders),
        reservations=tuple(msgspec.json.decode(row["state"], type=Reservation) for row in reservations),
        later=await connection.fetchval(SQL["next_due"], *key, now),
    )


async def load_qualifying(connection: Connection, key: Key, wallet: str) -> list[tuple[datetime, datetime, int]]:
    """Every change of the wallet's qualifying points: counts at, known at, points."""
    rows = await connection.fetch(SQL["qualifying"], *key, wallet)
    return [(row["counts_at"], row["clock"] or recorded_at(row["event_id"]), row["points"]) for row in rows]
