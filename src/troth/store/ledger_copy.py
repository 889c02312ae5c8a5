"""Copying what a large batch writes once: events, postings, lots, the outbox's rows. `ledger.write` alone calls this.

Inside the transaction that has claimed the batch's references and locked its customers. A row that the database refuses
fails the transaction, as in a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from troth import limits
from troth.core.ids import bucket_in
from troth.core.state import Lot, Posting
from troth.store.ledger_rows import EventRow, Written
from troth.store.pool import SCHEMA, Connection

_EVENTS = (*EventRow._fields, "revision")
_POSTINGS = (
    "bucket", "event_id", "customer_id", "seq", "occurred_at", "n", "wallet", "from_state", "to_state", "points",
    "qualifying", "lot_event", "lot_n", "reason", "rule", "base", "multiplier", "cap", "order_id", "earned_at",
    "expires_at",
)  # fmt: skip
_LOTS = (
    "bucket", "customer_id", "event_id", "n", "wallet", "earned_at", "expires_at", "points", "remaining", "order_id",
    "rules", "expiry", "hold_until", "release_at", "pending", "expired", "qualifying",
)  # fmt: skip


async def copy_rows(connection: Connection, written: Written) -> None:
    """Everything of a batch that is only ever inserted."""
    events, revision = written.events, (written.revision,)
    await _copy(connection, "events", _EVENTS, (row + revision for row in events))
    if written.postings:
        rows = [_posting_row(events[place - 1], posting) for place, posting in written.postings]
        await _copy(connection, "postings", _POSTINGS, rows)
    if written.lots:
        rows = [_lot_row(written.customers[place - 1].row.id, lot) for place, lot in written.lots]
        await _copy(connection, "lots", _LOTS, rows)
    if written.told:
        told = [(events[place - 1].bucket, events[place - 1].id) for place in written.told]
        await _copy(connection, "outbox", ("bucket", "id"), told)


async def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
    await connection.copy_records_to_table(
        table, schema_name=SCHEMA, columns=columns, records=rows, timeout=limits.COMMIT_SECONDS
    )


def _posting_row(event: EventRow, posting: Posting) -> tuple[object, ...]:
    return (
        event.bucket, event.id, event.customer_id, event.seq, event.occurred_at, posting.n, posting.wallet,
        posting.from_state, posting.to_state, posting.points, posting.qualifying, posting.lot_event, posting.lot_n,
        posting.reason, posting.rule, posting.base, posting.multiplier, posting.cap, posting.order_id,
        posting.earned_at, posting.expires_at,
    )  # fmt: skip


def _lot_row(customer: object, lot: Lot) -> tuple[object, ...]:
    return (
        bucket_in(lot.event_id), customer, lot.event_id, lot.n, lot.wallet, lot.earned_at, lot.expires_at, lot.points,
        lot.remaining, lot.order, list(lot.rules) if lot.rules else None, lot.expiry, lot.hold_until, lot.release_at,
        lot.pending, lot.expired, lot.qualifying,
    )  # fmt: skip
