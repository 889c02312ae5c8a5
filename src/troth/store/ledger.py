"""What a batch leaves behind, as rows: events, postings, lots and folded states. pipeline/write.py alone calls this.

In: records of the core. Out: rows of one statement, and of one more for new customers and for profiles. Postings, lots
and balances name their event or customer by its place, from 1, so that nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from troth import limits
from troth.core.ids import bucket_in
from troth.core.state import Lot, Posting, Use, UseKey, WalletState
from troth.store.batch import CustomerRow
from troth.store.pool import Connection
from troth.store.sql import load

SQL = load("ledger.sql")


class EventRow(NamedTuple):
    """One row of `events`; bucket to personal_key in the order of the statement."""

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
    properties: str
    inputs: str | None
    after: str
    warnings: str | None
    personal_key: UUID | None
    personal: bytes | None


class Written(msgspec.Struct, kw_only=True):
    """Everything a batch leaves behind. Places count from 1."""

    revision: int  # of the program that judged
    events: list[EventRow]
    postings: list[tuple[int, Posting]]  # place of the event
    lots: list[tuple[int, Lot]]  # place of the event that earned it
    closed: list[Lot]
    customers: list[CustomerRow]  # with their final states
    new_customers: list[CustomerRow]  # of them
    profiles: list[CustomerRow]  # of them, known ones whose attributes or tags have changed
    balances: list[tuple[int, str, WalletState]]  # place of the customer; only those that changed
    uses: list[tuple[int, UseKey, Use]]  # place of the customer
    references: list[tuple[bytes, UUID]]  # the engine's own: written under the customer's lock


class Conflicting(Exception):
    """A reference was taken, or a customer changed, since they were read. Nothing was written."""


async def write(
    connection: Connection, written: Written, claims: Mapping[bytes, UUID], judged: Sequence[CustomerRow]
) -> None:
    """Claim these references, hold these customers to the versions that were judged, and write everything.

    Raises Conflicting. New customers and profiles need further statements, so a transaction around them.
    """
    *columns, personal = _columns(written.events, 20)
    wanted = {**claims, **dict(written.references)}
    try:
        await connection.execute(
            SQL["write"],
            [key[0] for key in wanted],
            list(wanted),
            list(wanted.values()),
            *_columns([(row.bucket, row.id, row.version) for row in judged], 3),
            *columns,
            written.revision,
            personal,
            *_columns([_posting_row(place, posting) for place, posting in written.postings], 14),
            *_columns([_lot_row(place, lot) for place, lot in written.lots], 6),
            *_columns([(place, wallet, *_parts(state)) for place, wallet, state in written.balances], 11),
            *_columns([_state_row(row) for row in written.customers], 9),
            *_columns([(place, *key, use.times, use.points) for place, key, use in written.uses], 5),
            *_columns([(bucket_in(lot.event_id), lot.event_id, lot.n) for lot in written.closed], 3),
            timeout=limits.COMMIT_SECONDS,
        )
    except asyncpg.DivisionByZeroError as error:
        raise Conflicting from error
    if written.new_customers:
        await connection.execute(SQL["add_customers"], *_columns([_new_row(row) for row in written.new_customers], 14))
    if written.profiles:
        await connection.execute(SQL["write_profiles"], *_columns([_profile_row(row) for row in written.profiles], 5))


_parts = msgspec.structs.astuple


def _columns(rows: Sequence[Sequence[object]], count: int) -> list[Sequence[object]]:
    """Rows turned into one array per column."""
    return list(zip(*rows, strict=True)) if rows else [()] * count


def _posting_row(place: int, posting: Posting) -> tuple[object, ...]:
    """A posting's `occurred_at` is its event's."""
    return (
        place, posting.n, posting.wallet, posting.from_state, posting.to_state, posting.points, posting.qualifying,
        posting.lot_event, posting.lot_n, posting.reason, posting.rule, posting.base, posting.multiplier, posting.cap,
    )  # fmt: skip


def _lot_row(place: int, lot: Lot) -> tuple[object, ...]:
    """A lot's `earned_at` is its event's `occurred_at`."""
    return (place, lot.n, lot.wallet, lot.expires_at, lot.points, lot.remaining)


def _state_row(row: CustomerRow) -> tuple[object, ...]:
    state = row.state
    return (
        row.bucket, row.id, state.seq, state.tier, state.tier_since, state.orders, _json(state.counts),
        state.last_activity_at, state.due_at,
    )  # fmt: skip


def _new_row(row: CustomerRow) -> tuple[object, ...]:
    state = row.state
    return (
        row.bucket, row.id, state.created_at, state.seq, state.tier, state.tier_since, state.orders,
        _json(state.counts), _json(state.attributes), _json(state.tags), state.last_activity_at, state.due_at,
        row.personal_key, row.personal,
    )  # fmt: skip


def _profile_row(row: CustomerRow) -> tuple[object, ...]:
    return (row.bucket, row.id, _json(row.state.attributes), _json(row.state.tags), row.personal)


_encoder = msgspec.json.Encoder(decimal_format="number")


def _json(value: object) -> str:
    return _encoder.encode(value).decode()
