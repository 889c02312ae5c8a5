"""Recorded events as they were: rows → the record that answers and reads are built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from troth.core.calendar import show_time
from troth.core.exact_json import read_exact
from troth.core.ids import bucket_in, recorded_at, show_id
from troth.core.record import CausedEvent, RecordedEvent, awards_of, show_caused
from troth.core.state import Posting
from troth.store.pool import Connection
from troth.store.sql import load
from troth.store.vault import Vault

SQL = load("events.sql")


class Personal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sealed part of an event."""

    reference: str | None = None
    properties: dict[str, object] = {}
    ip: str | None = None
    user_agent: str | None = None


class CustomerPersonal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sealed part of a customer."""

    external_id: str
    attributes: dict[str, object] = {}


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One recorded event, opened."""

    id: UUID
    customer_id: UUID
    record: RecordedEvent
    properties: dict[str, object]  # stored form, without personal ones
    inputs: dict[str, object] | None
    personal: Personal
    source: str
    source_detail: str | None
    actor: str | None
    signed: bool
    parent: str | None
    depth: int
    postings: tuple[Posting, ...]
    order_key: UUID | None  # of an order's events
    clock: datetime | None  # the program's present, when a test clock stood


_NOTHING = Personal()


async def fetch_events(connection: Connection, vault: Vault, ids: Iterable[UUID]) -> dict[UUID, StoredEvent]:
    """Recorded events by id; unknown ids are absent. A lost customer key leaves personal parts empty."""
    asked = list(ids)
    if not asked:
        return {}
    rows = await connection.fetch(SQL["by_id"], [bucket_in(key) for key in asked], asked)
    caused_rows = await _caused(connection, rows)
    wanted = [row["id"] for row in rows] + [row["id"] for found in caused_rows.values() for row in found]
    postings = await fetch_postings(connection, wanted)
    return {row["id"]: _stored(row, caused_rows.get(row["id"], ()), postings, vault) for row in rows}


async def fetch_postings(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[Posting, ...]]:
    """The postings of each event, in order; events without any are absent."""
    rows = await connection.fetch(SQL["postings_of"], [bucket_in(key) for key in ids], ids)
    found: dict[UUID, list[Posting]] = {}
    for row in rows:
        fields = dict(row)
        found.setdefault(fields.pop("event_id"), []).append(Posting(**fields))
    return {key: tuple(postings) for key, postings in found.items()}


async def _caused(connection: Connection, rows: Sequence[asyncpg.Record]) -> dict[UUID, list[asyncpg.Record]]:
    causes = [row for row in rows if row["caused"]]
    if not causes:
        return {}
    columns = [[row[name] for row in causes] for name in ("bucket", "id", "customer_id", "seq", "caused")]
    found: dict[UUID, list[asyncpg.Record]] = {}
    for row in await connection.fetch(SQL["caused_by"], *columns):
        found.setdefault(row["cause"], []).append(row)
    return found


def _stored(
    row: asyncpg.Record, caused: Iterable[asyncpg.Record], postings: Mapping[UUID, tuple[Posting, ...]], vault: Vault
) -> StoredEvent:
    external_id, personal = _open(row, vault)
    own = postings.get(row["id"], ())
    inputs = row["inputs"]
    return StoredEvent(
        id=row["id"],
        customer_id=row["customer_id"],
        record=_record(
            row, (external_id, personal.reference), own, tuple(_show(effect, postings) for effect in caused)
        ),
        properties=read_exact(row["properties"]),
        inputs=None if inputs is None else read_exact(inputs),
        personal=personal,
        source=row["source"],
        source_detail=row["source_detail"],
        actor=row["actor"],
        signed=row["signed"],
        parent=None if row["parent"] is None else show_id("evt", row["parent"]),
        depth=row["depth"],
        postings=own,
        order_key=row["order_key"],
        clock=row["clock"],
    )


def _open(row: asyncpg.Record, vault: Vault) -> tuple[str | None, Personal]:
    """The customer's external id and the event's personal part, as far as the key still exists."""
    if row["sealed"] is None or row["customer_key"] is None:
        return None, _NOTHING
    key = vault.open_key(row["customer_key"], row["sealed"])
    customer = msgspec.json.decode(key.open(row["customer_personal"], row["customer_id"]), type=CustomerPersonal)
    if row["personal"] is None:
        return customer.external_id, _NOTHING
    return customer.external_id, msgspec.json.decode(key.open(row["personal"], row["id"]), type=Personal)


def _record(
    row: asyncpg.Record, names: tuple[str | None, str | None], own: tuple[Posting, ...], caused: tuple[CausedEvent, ...]
) -> RecordedEvent:
    customer, reference = names
    after = msgspec.json.decode(row["after"])
    event_id, recorded = show_id("evt", row["id"]), recorded_at(row["id"])
    if reference is None and customer is not None:
        reference = event_id  # sent without one
    return RecordedEvent(
        id=event_id,
        customer=customer,
        type=row["type"],
        reference=reference,
        occurred_at=show_time(row["occurred_at"]),
        recorded_at=show_time(recorded),
        points=row["points"],
        awards=awards_of(own, row["clock"] or recorded),
        wallets=after["wallets"],
        tier=after["tier"],
        outcome=row["outcome"],
        caused=caused,
        warnings=() if row["warnings"] is None else tuple(msgspec.json.decode(row["warnings"])),
        seq=row["seq"],
        revision=row["revision"],
    )


def _show(effect: asyncpg.Record, postings: Mapping[UUID, tuple[Posting, ...]]) -> CausedEvent:
    awards = awards_of(postings.get(effect["id"], ()), effect["clock"] or recorded_at(effect["id"]))
    return show_caused(effect["id"], effect["type"], effect["points"], awards)
