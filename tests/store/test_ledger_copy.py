"""A batch of COPIED_EVENTS events and more: the same rows as with inserts, all or none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from tests.conftest import TestDatabase
from tests.store.rows import Rows, customer_of, day
from troth import limits
from troth.core.ids import reference_hash
from troth.core.state import Lot
from troth.store import ledger
from troth.store.events import fetch_postings
from troth.store.ledger_rows import EventRow, Written
from troth.store.parts import load_lots_by_key

NOW = day("2026-05-01")
TABLES = ("events", "postings", "lots", "outbox", "event_refs")


@pytest.fixture
async def anna(database: TestDatabase) -> AsyncIterator[Rows]:
    async with customer_of(database) as rows:
        yield rows


def events(anna: Rows, *special: EventRow) -> list[EventRow]:
    """Just as many as are copied, these first."""
    return [*special, *(anna.event() for _ in range(limits.COPIED_EVENTS - len(special)))]


async def counts(anna: Rows) -> list[int]:
    return [await anna.connection.fetchval(f"select count(*) from {table}") for table in TABLES]


@pytest.mark.each_postgres
async def test_every_column_is_written(anna: Rows) -> None:
    full = anna.full_event()
    postings = anna.two_postings()
    lots = (
        Lot(
            event_id=anna.new_id(), n=3, wallet="gems", order=anna.new_id(), rules=("base", "more"), earned_at=NOW,
            expiry="12e", hold_until=NOW, qualifying=False, release_at=NOW, expires_at=NOW, points=9, pending=4,
            remaining=3, expired=2,
        ),
        anna.lot(),
    )  # fmt: skip
    await anna.write(
        events=events(anna, full),
        postings=[(1, posting) for posting in postings],
        lots=[(1, lot) for lot in lots],
        told=[1, limits.COPIED_EVENTS],
    )
    row = await anna.connection.fetchrow("select * from events where id = $1", full.id)
    assert row is not None
    assert dict(row) == {**full._asdict(), "revision": 1}
    assert await fetch_postings(anna.connection, [full.id]) == {full.id: postings}
    assert set(await load_lots_by_key(anna.connection, [lot.key for lot in lots])) == set(lots)
    assert await counts(anna) == [limits.COPIED_EVENTS, 2, 2, 2, 0]
    assert await anna.connection.fetchval("select min(bucket) = max(bucket) from outbox join events using (bucket, id)")


async def test_a_taken_reference_leaves_nothing(anna: Rows) -> None:
    taken = {reference_hash("reference", "r"): anna.new_id()}
    first = written(anna, events(anna))
    await ledger.write(anna.connection, first, taken, ())
    before = await counts(anna)
    with pytest.raises(ledger.Conflicting):
        await ledger.write(anna.connection, written(anna, events(anna)), taken, ())
    assert not anna.connection.is_in_transaction()
    assert await counts(anna) == before


async def test_what_the_database_refuses_leaves_nothing(anna: Rows) -> None:
    claims = {reference_hash("reference", "r"): anna.new_id()}
    for bad in (anna.event(properties="{"), anna.event(depth=1 << 20)):
        with pytest.raises((asyncpg.DataError, OverflowError)):
            await ledger.write(anna.connection, written(anna, events(anna, bad)), claims, ())
        assert not anna.connection.is_in_transaction()
        assert await counts(anna) == [0, 0, 0, 0, 0]


async def test_in_a_transaction_of_the_callers_it_is_his_to_commit(anna: Rows) -> None:
    transaction = anna.connection.transaction()
    await transaction.start()
    await anna.write(events=events(anna), lots=[(1, anna.lot())])
    assert (await counts(anna))[0] == limits.COPIED_EVENTS
    await transaction.rollback()
    assert await counts(anna) == [0, 0, 0, 0, 0]


def written(anna: Rows, made: list[EventRow]) -> Written:
    anna.row.state = msgspec.structs.replace(anna.row.state, seq=anna.seq)
    return Written(revision=1, events=made)
