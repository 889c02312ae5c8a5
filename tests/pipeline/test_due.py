"""What falls due: applied before the next event, shown by previews, and never written twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.clock import Clock, set_clock, stop_clock
from tests.pipeline.shop import BASE, Shop, code, document, open_shop, purchase, record, signup
from troth import limits
from troth.pipeline.outcome import RawEvent
from troth.store import row_ids

WALLETS = [{"id": "points", "expiry": {"kind": "months_after_earning", "months": "1"}}]
START = datetime(2026, 1, 10, 12, tzinfo=UTC)  # points earned now end on 11 February, 00:00


@dataclass(kw_only=True)
class Year:
    """A shop in the year 2026, on a clock that is set."""

    shop: Shop
    clock: Clock
    access: TestDatabase

    async def at(self, text: str) -> None:
        await set_clock(self.clock, self.access, text)

    async def buy(self, amount: str, at: str | None = None, reference: str | None = None) -> int:
        return record(await self.shop.one(purchase("anna", amount, reference, occurred_at=at))).points

    async def expiries(self) -> list[tuple[int, str, str, str]]:
        """(seq, moment, properties, source) of every expiry."""
        rows = await self.shop.rows("select * from events where type = 'points_expired' order by seq")
        return [(row["seq"], f"{row['occurred_at']:%m-%d %H:%M}", row["properties"], row["source"]) for row in rows]

    async def open_points(self) -> int:
        ((found,),) = await self.shop.rows("select coalesce(sum(remaining), 0)::bigint from lots")
        return int(found)


@pytest.fixture
async def year(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Year]:
    clock = stop_clock(monkeypatch, START)
    await set_clock(clock, database, START.isoformat())
    async with open_shop(database, document(wallets=WALLETS)) as shop:
        yield Year(shop=shop, clock=clock, access=database)


@pytest.mark.each_postgres
async def test_what_fell_due_is_applied_before_the_next_event(year: Year) -> None:
    await year.buy("100")
    await year.at("2026-02-10T23:59:59.999+00:00")
    await year.buy("1")
    assert await year.shop.balance("anna") == 101
    await year.at("2026-02-11T00:00:00+00:00")
    assert await year.buy("2") == 2, "the expiry is an event of its own"
    assert await year.shop.balance("anna") == 3
    assert await year.expiries() == [(3, "02-11 00:00", '{"points": "100", "wallet": "points"}', "system")]
    assert await year.open_points() == 3


async def test_every_day_is_one_event_in_order(year: Year) -> None:
    for day, amount in (("12", "1"), ("11", "2"), ("12", "4")):
        await year.at(f"2026-01-{day}T12:00:00+00:00")
        await year.buy(amount)
    await year.at("2026-03-01T00:00:00+00:00")
    await year.buy("8")
    assert [(seq, at) for seq, at, _, _ in await year.expiries()] == [(4, "02-12 00:00"), (5, "02-13 00:00")]
    assert await year.shop.balance("anna") == 8


async def test_due_work_stands_when_its_event_is_refused(year: Year) -> None:
    await year.shop.one(signup("anna"))
    await year.buy("100")
    await year.at("2026-02-11T00:00:00+00:00")
    assert code(await year.shop.one(signup("anna", "again"))) == "not_repeatable"
    assert (await year.shop.balance("anna"), len(await year.expiries())) == (0, 1)
    assert code(await year.shop.one(purchase("anna", "1", "again"))) == "applied"
    assert len(await year.expiries()) == 1


async def test_a_preview_shows_what_is_due_and_writes_nothing(year: Year) -> None:
    await year.buy("100")
    await year.at("2026-02-11T00:00:00+00:00")
    before = await all_rows(year.shop)
    seen = record(await year.shop.engine.batcher.preview(purchase("anna", "5")))
    assert (seen.wallets["points"]["balance"], seen.wallets["points"]["lifetime"], seen.seq) == (5, 105, 3)
    assert await all_rows(year.shop) == before


async def test_more_lots_than_a_page_fall_due_together(year: Year) -> None:
    count = limits.LOTS_PAGE * 2 + 1
    moments = [f"2026-01-{1 + number % 9:02}T{number % 24:02}:00:00Z" for number in range(count)]
    await year.shop.send(*(purchase("anna", "1", occurred_at=at) for at in moments))
    assert await year.shop.balance("anna") == count
    await year.at("2026-03-01T00:00:00+00:00")
    await year.buy("7")
    assert (await year.shop.balance("anna"), await year.open_points()) == (7, 7)
    assert len(await year.expiries()) == 9


async def test_points_born_expired_do_not_count(year: Year) -> None:
    assert await year.buy("50", at="2025-12-09T12:00:00Z", reference="r") == 0
    (outcome,) = await year.shop.send(purchase("anna", "50", "r", occurred_at="2025-12-09T12:00:00Z"))
    (award,) = record(outcome).awards
    assert (award.points, award.state, award.expires_at) == (50, "expired", "2026-01-10T00:00:00Z")
    assert (await year.shop.balance("anna"), await year.expiries()) == (0, [])


async def test_a_late_event_may_end_on_a_day_that_has_been_expired(year: Year, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers' clocks differ, or a batch straddles midnight: the same day then expires in two events."""
    await year.buy("100")
    await year.at("2026-02-11T00:00:00.005+00:00")
    await year.buy("1")  # expires the 100
    await year.at("2026-02-10T23:59:59.999+00:00")  # the other server's clock,
    monkeypatch.setattr(row_ids, "_ids", row_ids._Ids())  # and its ids
    assert await year.buy("10", at="2026-01-10T11:00:00Z") == 10
    await year.at("2026-02-11T00:00:00.010+00:00")
    await year.buy("2")
    assert await year.shop.balance("anna") == 3
    assert [properties for _, _, properties, _ in await year.expiries()] == [
        '{"points": "100", "wallet": "points"}',
        '{"points": "10", "wallet": "points"}',
    ]


async def test_due_work_of_one_customer_leaves_others_alone(year: Year) -> None:
    await year.shop.send(purchase("anna", "100"), purchase("berta", "100"))
    await year.at("2026-02-11T00:00:00+00:00")
    await year.shop.send(purchase("anna", "1"), purchase("carla", "1"))
    assert [await year.shop.balance(name) for name in ("anna", "berta", "carla")] == [1, 100, 1]


async def test_windows_hold_across_events_and_within_a_batch(year: Year) -> None:
    capped = {**BASE, "limits": [{"points": "100", "window": "day"}, {"times": "4", "window": "month"}]}
    await year.shop.publish(document(capped, wallets=WALLETS))
    found = await year.shop.send(*(purchase("anna", "60") for _ in range(3)))
    assert [(record(outcome).points, caps(outcome)) for outcome in found] == [
        (60, [None]),
        (40, ["points day"]),
        (0, []),
    ]
    await year.at("2026-01-11T00:00:00+00:00")
    assert [await year.buy("60"), await year.buy("60", at="2026-01-10T23:00:00Z"), await year.buy("30")] == [60, 0, 30]
    await year.at("2026-01-12T00:00:00+00:00")
    assert await year.buy("60") == 0, "four times this month"
    await year.at("2026-02-01T00:00:00+00:00")
    assert await year.buy("60") == 60
    rows = await year.shop.rows("select period, times, points from limit_uses order by period")
    assert [tuple(row) for row in rows] == [
        ("day 2026-01-10", 2, 100),
        ("day 2026-01-11", 2, 90),
        ("day 2026-02-01", 1, 60),
        ("month 2026-01", 4, 190),
        ("month 2026-02", 1, 60),
    ]


def caps(outcome: object) -> list[str | None]:
    return [award.cap for award in record(outcome).awards]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("moment", "problem"),
    [
        ("2026-01-10T12:05:00Z", "applied"),
        ("2026-01-10T12:05:00.001Z", "in_future"),
        ("1990-01-01T00:00:00Z", "applied"),
        ("1989-12-31T23:59:59Z", "too_early"),
        ("2026-01-10T13:05:00+01:00", "applied"),
        ("2026-01-10T12:00:00", "invalid_datetime"),
        ("yesterday", "invalid_datetime"),
        (1768046400, "invalid_datetime"),
    ],
)
async def test_when_events_may_have_occurred(year: Year, moment: object, problem: str) -> None:
    assert (limits.FUTURE_SECONDS, limits.OCCURRED_YEAR_MIN) == (300, 1990)
    assert code(await year.shop.one(RawEvent(customer="anna", type="signup", occurred_at=moment))) == problem


async def all_rows(shop: Shop) -> list[list[str]]:
    tables = ("events", "postings", "lots", "balances", "customers", "event_refs", "identities", "limit_uses")
    return [[row["text"] for row in await shop.rows(f"select t::text as text from {table} t")] for table in tables]
