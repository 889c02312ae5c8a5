"""Whom the worker settles: those whose date has come, each by one worker at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from tests.conftest import TestDatabase
from tests.store.rows import Rows, add_customer, day, lane
from troth.core.state import CalendarState, TierHistory, WalletState
from troth.store import batch, due
from troth.store.pool import Connection, Database

NOW = day("2026-05-01")


@pytest.fixture
async def opened(database: TestDatabase) -> AsyncIterator[Database]:
    async with database.open_database() as pool:
        yield pool


@pytest.fixture
async def connection(opened: Database) -> AsyncIterator[Connection]:
    async with lane(opened) as connection:
        yield connection


async def add(connection: Connection, name: str, days: int | None) -> Rows:
    """A customer who is due so many days after NOW; None: never."""
    rows = await add_customer(connection, name)
    await rows.due_at(NOW + timedelta(days=days) if days is not None else None)
    return rows


@pytest.mark.each_postgres
async def test_the_earliest_come_first(connection: Connection) -> None:
    added = {name: await add(connection, name, days) for name, days in DAYS.items()}
    names = {rows.row.id: name for name, rows in added.items()}
    async with connection.transaction():
        found = await due.claim_due(connection, NOW, 2)
    assert [names[row.id] for row in found] == ["oldest", "old"]
    async with connection.transaction():
        found = await due.claim_due(connection, NOW, 9)
    assert [names[row.id] for row in found] == ["oldest", "old", "now"], "due is what is not later than now"


DAYS = {"later": 1, "now": 0, "old": -1, "oldest": -2, "never": None}


@pytest.mark.each_postgres
async def test_two_workers_share_without_waiting(opened: Database, connection: Connection) -> None:
    added = [await add(connection, name, -1) for name in ("anna", "ben", "carl")]
    async with lane(opened) as other:
        async with connection.transaction():
            mine = await due.claim_due(connection, NOW, 2)
            async with other.transaction():
                theirs = await due.claim_due(other, NOW, 2)
        assert (len(mine), len(theirs)) == (2, 1)
        assert {row.id for row in (*mine, *theirs)} == {rows.row.id for rows in added}


async def test_whoever_was_settled_meanwhile_is_left_out(opened: Database, connection: Connection) -> None:
    """The date is looked at again under the lock."""
    anna = await add(connection, "anna", -1)
    await anna.due_at(None)
    async with connection.transaction():
        assert await due.claim_due(connection, NOW, 2) == []


@pytest.mark.each_postgres
async def test_they_are_read_as_a_batch_reads_them(connection: Connection) -> None:
    """All but the name: due work needs none."""
    anna, ben = await add(connection, "anna", -1), await add(connection, "ben", -2)
    anna.row.state = msgspec.structs.replace(
        anna.row.state, tier="gold", tier_since=NOW, orders=2, counts={"purchase": 3}, last_activity_at=NOW, waiting=1,
        tiers=TierHistory(basis="points", reached=("gold",)), calendar=CalendarState(joined_at=NOW, birthday=2026),
    )  # fmt: skip
    wallets = [WalletState(program=-9, available=4, spent=5, qualifying=n) for n in (1, 2)]
    await anna.write(balances=[(1, f"w{n}", wallet) for n, wallet in enumerate(wallets)])
    keys = [tuple(rows.key) for rows in (anna, ben)]
    found = await due.read_rows(connection, keys)  # type: ignore[arg-type]
    named = (await batch.read(connection, ["anna", "ben"])).rows
    assert [row.external_id for row in found] == ["", ""]
    for row, name in zip(found, ("anna", "ben"), strict=True):
        row.external_id = name
        assert row == named[name]
    assert found[0].state.wallets == {"w0": wallets[0], "w1": wallets[1]}
    assert (found[0].state.tier, found[0].state.tiers.reached, found[0].state.waiting) == ("gold", ("gold",), 1)


@pytest.mark.each_postgres
async def test_one_is_put_off_that_nobody_holds(opened: Database, connection: Connection) -> None:
    """The earliest that could be claimed; who is not due is left alone."""
    added = {name: await add(connection, name, days) for name, days in DAYS.items()}
    until = NOW + timedelta(hours=1)
    async with lane(opened) as other, other.transaction():
        [held] = await due.claim_due(other, NOW, 1)
        assert held.id == added["oldest"].row.id
        assert await due.put_off(connection, NOW, until) == added["old"].row.id
        assert await due.put_off(connection, NOW, until) == added["now"].row.id
        assert await due.put_off(connection, NOW, until) is None
    dates = {row["id"]: row["due_at"] for row in await connection.fetch("select id, due_at from customers")}
    assert [dates[added[name].row.id] for name in ("old", "now", "later", "never")] == [
        until, until, NOW + timedelta(days=1), None
    ]  # fmt: skip


@pytest.mark.each_postgres
async def test_a_program_with_other_dates_has_everybody_looked_at(connection: Connection) -> None:
    """A bucket at a time; whoever is due earlier stays so."""
    added = {name: await add(connection, name, days) for name, days in DAYS.items()}
    await connection.execute("insert into program_live (only_row, revision) values (true, 7)")
    assert await due.dated(connection) == (0, 7)
    for bucket in {rows.key.bucket for rows in added.values()}:
        await due.look_again(connection, bucket, NOW)
    dates = {row["id"]: row["due_at"] for row in await connection.fetch("select id, due_at from customers")}
    assert {name: dates[rows.row.id] for name, rows in added.items()} == {
        "later": NOW, "now": NOW, "old": NOW - timedelta(days=1), "oldest": NOW - timedelta(days=2), "never": NOW
    }  # fmt: skip
    for revision, expected in ((7, 7), (6, 7)):
        await due.set_dated(connection, revision)
        assert await due.dated(connection) == (expected, 7)


async def test_without_a_program_nobody_is_looked_at(connection: Connection) -> None:
    assert await due.dated(connection) == (0, 0)
