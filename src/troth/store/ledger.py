"""What a batch leaves behind, as rows: events, postings, lots and folded states. pipeline/write.py alone calls this.

In: records of the core. Out: rows of one statement, and of one more for new customers and for profiles. Postings, lots
and balances name their event or customer by its place, from 1, so that nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from troth import limits
from troth.core.ids import bucket_in
from troth.core.state import Lot, Posting, Redemption, Reservation
from troth.store.batch import CustomerRow
from troth.store.ledger_copy import copy_rows
from troth.store.ledger_rows import CustomerFold, Written
from troth.store.pool import Connection, is_transient
from troth.store.sql import load

SQL = load("ledger.sql")


class Conflicting(Exception):
    """A reference was taken, or a customer changed, since they were read. Nothing was written."""


class ClockMoved(Exception):
    """The test clock was set while this batch was judged. Nothing was written; judge it again."""


async def touch_clock(connection: Connection, now: datetime) -> None:
    """Hold the test clock at `now` until the transaction ends. Raises ClockMoved."""
    if await connection.execute(SQL["touch_clock"], now) != "UPDATE 1":
        raise ClockMoved


async def write(
    connection: Connection, written: Written, claims: Mapping[bytes, UUID], judged: Sequence[CustomerRow]
) -> None:
    """Claim these references, hold these customers to the versions that were judged, and write everything.

    Raises Conflicting. New customers, profiles and whatever is rare need further statements, so a transaction. Many
    events take one too, the caller's or one of their own: what is written once is copied then, at less cost.
    """
    if len(written.events) < limits.COPIED_EVENTS:
        await _write(connection, written, claims, judged)
        return
    is_ours = not connection.is_in_transaction()
    if is_ours:
        await connection.execute("begin")
    try:
        rest = msgspec.structs.replace(written, events=[], postings=[], lots=[], told=[])
        await _write(connection, rest, claims, judged)
        await copy_rows(connection, written)
    except Exception as error:
        if is_ours and not is_transient(error):  # else the connection is given up, and the server rolls back
            await connection.execute("rollback", timeout=limits.ROLLBACK_SECONDS)
        raise
    if is_ours:
        await connection.execute("commit", timeout=limits.COMMIT_SECONDS)


async def _write(
    connection: Connection, written: Written, claims: Mapping[bytes, UUID], judged: Sequence[CustomerRow]
) -> None:
    """With one statement, but for what is rare."""
    columns = _columns(written.events, 23)
    wanted = {**claims, **dict(written.references)}
    try:
        await connection.execute(
            SQL["write"],
            [key[0] for key in wanted],
            list(wanted),
            list(wanted.values()),
            *_columns([(row.bucket, row.id, row.version) for row in judged], 3),
            *columns[:19],
            written.revision,
            *columns[19:],
            *_columns([_posting_row(place, posting) for place, posting in written.postings], 17),
            *_columns([_lot_row(place, lot) for place, lot in written.lots], 16),
            *_columns([(place, wallet, *_parts(state)) for place, wallet, state in written.balances], 11),
            *_columns([_fold_row(fold) for fold in written.customers], 12),
            *_columns([(place, *key, use.times, use.points) for place, key, use in written.uses], 5),
            *_columns([_changed_lot_row(lot) for lot in written.changed_lots], 9),
            *_columns([(place, key, _json_or_none(kept), at) for place, key, kept, at in written.orders], 4),
            written.told,
            timeout=limits.COMMIT_SECONDS,
        )
    except asyncpg.DivisionByZeroError as error:
        raise Conflicting from error
    await _write_rest(connection, written)


async def _write_rest(connection: Connection, written: Written) -> None:
    """What only some batches leave behind."""
    rows: list[tuple[str, Sequence[Sequence[object]], int]] = [
        ("add_customers", [_new_row(row) for row in written.new_customers], 17),
        ("write_profiles", [_profile_row(row) for row in written.profiles], 5),
        ("add_waiting", [_waiting_row(written, item) for item in written.waiting_new], 4),
        ("drop_waiting", [_waiting_row(written, item) for item in written.waiting_gone], 4),
        ("write_reservations", [_reservation_row(written, item) for item in written.reservations], 5),
        ("write_redemptions", [_redemption_row(written, item) for item in written.redemptions], 6),
        ("write_counters", written.counters, 2),
        ("give_codes", written.codes, 3),
    ]
    for statement, values, count in rows:
        if values:
            await connection.execute(SQL[statement], *_columns(values, count))


_parts = msgspec.structs.astuple


def _columns(rows: Sequence[Sequence[object]], count: int) -> list[Sequence[object]]:
    """Rows turned into one array per column."""
    return list(zip(*rows, strict=True)) if rows else [()] * count


def _posting_row(place: int, posting: Posting) -> tuple[object, ...]:
    """A posting's `occurred_at` is its event's."""
    return (
        place, posting.n, posting.wallet, posting.from_state, posting.to_state, posting.points, posting.qualifying,
        posting.lot_event, posting.lot_n, posting.reason, posting.rule, posting.base, posting.multiplier, posting.cap,
        posting.order_id, posting.earned_at, posting.expires_at,
    )  # fmt: skip


def _lot_row(place: int, lot: Lot) -> tuple[object, ...]:
    return (
        place, lot.event_id, lot.n, lot.wallet, lot.earned_at, lot.expires_at, lot.points, lot.remaining, lot.order,
        ",".join(lot.rules) if lot.rules else None, lot.expiry, lot.hold_until, lot.release_at, lot.pending,
        lot.expired, lot.qualifying,
    )  # fmt: skip


def _changed_lot_row(lot: Lot) -> tuple[object, ...]:
    return (
        bucket_in(lot.event_id), lot.event_id, lot.n, lot.points, lot.pending, lot.remaining, lot.expired,
        lot.expires_at, lot.release_at,
    )  # fmt: skip


def _fold_row(fold: CustomerFold) -> tuple[object, ...]:
    row, state = fold.row, fold.row.state
    return (
        row.bucket, row.id, state.seq, state.tier, state.tier_since, state.orders, _json(state.counts),
        state.last_activity_at, state.due_at, _json(state.tiers) if fold.has_new_tiers else None,
        _json(state.calendar) if fold.has_new_calendar else None, state.waiting,
    )  # fmt: skip


def _new_row(row: CustomerRow) -> tuple[object, ...]:
    state = row.state
    return (
        row.bucket, row.id, state.created_at, state.seq, state.tier, state.tier_since, state.orders,
        _json(state.counts), _json(state.attributes), _json(state.tags), state.last_activity_at, state.due_at,
        row.personal_key, row.personal, _json(state.tiers), _json(state.calendar), state.waiting,
    )  # fmt: skip


def _owner(written: Written, place: int) -> tuple[int, UUID]:
    row = written.customers[place - 1].row
    return row.bucket, row.id


def _waiting_row(written: Written, item: tuple[int, UUID, UUID]) -> tuple[object, ...]:
    place, key, event_id = item
    return (*_owner(written, place), key, event_id)


def _reservation_row(written: Written, item: tuple[int, Reservation]) -> tuple[object, ...]:
    place, held = item
    return (*_owner(written, place), held.id, _json(held), held.due_at if held.status == "held" else None)


def _redemption_row(written: Written, item: tuple[int, Redemption]) -> tuple[object, ...]:
    place, claim = item
    return (*_owner(written, place), claim.id, claim.reward, claim.status, _json(claim))


def _profile_row(row: CustomerRow) -> tuple[object, ...]:
    return (row.bucket, row.id, _json(row.state.attributes), _json(row.state.tags), row.personal)


_encoder = msgspec.json.Encoder(decimal_format="number")


def _json(value: object) -> str:
    return _encoder.encode(value).decode()


def _json_or_none(value: object) -> str | None:
    return None if value is None else _json(value)
