"""A year walked in steps of one day, with the worker at each, equals one jump over the whole year.

The same events happen on the same days in two databases. In one the clock visits every day and everything due is
settled there; in the other it only visits the days on which somebody does something, and no worker ever runs.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.conftest import Servers, TestDatabase, fresh_database
from tests.pipeline.books_balance import check_books
from tests.pipeline.clock import set_clock, stop_clock
from tests.pipeline.shop import open_shop
from tests.scenarios.story import Step
from tests.scenarios.teller import SECTIONS, Teller, settle_all

START = datetime(2027, 10, 30, 10, 30, tzinfo=UTC)  # a day before summer time ends; a leap day lies ahead
DAYS = 365
NAMES = ("anna", "berta", "carla")
LEVELS = [
    {"id": "bronze", "from": "0"},
    {"id": "silver", "from": "100", "multiplier": "1.5"},
    {"id": "gold", "from": "300", "multiplier": "2"},
]
RULES: Sequence[Mapping[str, object]] = [
    {"id": "base", "event_type": "purchase", "award": "properties.amount"},
    {"id": "order", "event_type": "checkout", "award": "properties.amount", "hold": "P20D"},
    {"id": "short", "event_type": "purchase", "award": "5", "expiry": {"kind": "months_after_earning", "months": "1"}},
    {"id": "cake", "event_type": "birthday", "award": "30", "qualifying": False},
    {"id": "years", "event_type": "anniversary", "award": "properties.years × 10"},
    {
        "id": "silent",
        "event_type": "inactivity",
        "award": "7",
        "expiry": {"kind": "months_after_earning", "months": "1"},
    },
    {"id": "rise", "event_type": "tier_upgraded", "when": "properties.first_time", "award": "20", "qualifying": False},
    {"id": "fall", "event_type": "tier_downgraded", "award": "1"},
]
SETTINGS = {"name": "Year", "time_zone": "Europe/Budapest", "inactivity_days": "45"}
PROGRAMS: Mapping[str, Mapping[str, object]] = {
    "earning, rolling": {
        "wallets": [{"id": "points", "expiry": {"kind": "months_after_earning", "months": "4"}}],
        "tiers": {
            "basis": {"wallet": "points", "window": "rolling", "months": "3"},
            "downgrade": "immediately",
            "grace_days": "10",
            "levels": LEVELS,
        },
        "orders": {"acceptance": {"after": "P14D", "then": "accept"}},
        "rules": RULES,
    },
    "activity, calendar year": {
        "wallets": [
            {
                "id": "points",
                "expiry": {"kind": "months_after_activity", "months": "5", "month_end": True},
                "negative_balance": "forgive",
                "hold": "P3D",
            }
        ],
        "tiers": {
            "basis": {"wallet": "points", "window": "calendar_year"},
            "downgrade": "at_period_end",
            "levels": LEVELS,
        },
        "orders": {"acceptance": {"after": "P30D", "then": "reject"}},
        "rules": RULES,
    },
    "month ends, periods, two wallets": {
        "wallets": [
            {"id": "points", "expiry": {"kind": "months_after_earning", "months": "2", "month_end": True}},
            {"id": "miles", "expiry": {"kind": "months_after_activity", "months": "1"}, "hold": "P45D"},
        ],
        "tiers": {
            "basis": {"wallet": "points", "window": "rolling", "months": "4"},
            "downgrade": "at_period_end",
            "grace_days": "5",
            "levels": LEVELS,
        },
        "rules": [*RULES, {"id": "fly", "event_type": "purchase", "award": "properties.amount × 2", "wallet": "miles"}],
    },
}
# Day → what happens on it, `{}` being each customer. Days before the first one are told as of their own time.
YEAR: Mapping[int, Sequence[str]] = {
    0: (
        "{} opt_in at=2027-09-01T10:00:00Z",
        "{} profile birth_date=1990-01-15",
        "berta profile birth_date=1992-02-29",
        "{} purchase amount=120 at=2027-06-30T22:30:00Z",
        "{} purchase amount=90",
        "{} checkout order_id={}-1 amount=60",
        "{} checkout order_id={}-2 amount=40",
        "{} reserve points=30 timeout=P100D ref={}-r",
        "carla adjust points=-100",
        "berta set-tier tier=gold until=2028-02-10T12:00:00Z",
        "anna adjust points=15 expires_at=2028-02-29T08:00:00Z",
        "anna checkout_update order_id=anna-1 amount=200",
        "carla adjust points=-500 allow_debt=true",
    ),
    5: ("{} checkout_accept order_id={}-1", "carla refund order_id=carla-2"),
    100: ("anna purchase amount=150", "berta checkout_update order_id=berta-1 amount=10"),
    163: ("berta purchase amount=33.30 at=2027-12-31T22:59:59Z", "anna adjust points=-20 reverse=true"),
    364: ("{} adjust points=1",),
    DAYS: ("{} purchase amount=1",),
}


@pytest.fixture
async def other_database(servers: Servers) -> AsyncIterator[TestDatabase]:
    async with fresh_database(await servers.get("embedded"), template="template_troth") as fresh:
        yield fresh


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_walk_equals_a_jump(
    program: str, database: TestDatabase, other_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {**SECTIONS, "settings": SETTINGS, **PROGRAMS[program]}
    with monkeypatch.context() as patch:
        walked = await live(source, database, patch, walks=True)
    with monkeypatch.context() as patch:
        jumped = await live(source, other_database, patch, walks=False)
    assert walked.keys() == jumped.keys()
    for part, rows in walked.items():
        for ours, theirs in zip(rows, jumped[part], strict=False):
            assert ours == theirs, f"{part}\n{ours}\n{theirs}"
        assert len(rows) == len(jumped[part]), part
    types = {str(row[2]) for row in walked["events"]}
    assert types > {"points_expired", "points_released", "birthday", "anniversary", "inactivity", "tier_downgraded"}
    assert "reservation_released" in types


async def live(
    source: Mapping[str, object], access: TestDatabase, patch: pytest.MonkeyPatch, *, walks: bool
) -> dict[str, list[tuple[object, ...]]]:
    """The year of all customers; what the tables hold at its end."""
    clock = stop_clock(patch, START)
    async with open_shop(access, source) as shop:
        teller = Teller(shop=shop, clock=clock, access=access)
        for day in range(DAYS + 1) if walks else sorted(YEAR):
            await set_clock(clock, access, (START + timedelta(days=day)).isoformat())
            if walks:
                await settle_all(shop)
            for text in _acts(YEAR.get(day, ())):
                clock.now += timedelta(seconds=1)  # equal moments would leave the order of lots to their ids
                (first, *_) = await teller.tell(Step(line=day, text=text, expected=()))
                assert first in ("applied", "insufficient_points"), (text, first)
        await check_books(shop.database)
        return {part: [_plain(row) for row in await shop.rows(sql)] for part, sql in TABLES.items()}


def _acts(lines: Sequence[str]) -> list[str]:
    return [line.replace("{}", name) for line in lines for name in (NAMES if "{}" in line else ("",))]


def _plain(row: asyncpg.Record) -> tuple[object, ...]:
    """Without the ids that a property names."""
    return tuple(
        re.sub(r"\b(res|rdm|evt)_[0-9a-f]{32}", r"\1", value) if isinstance(value, str) else value for value in row
    )


TABLES = {
    "events": """
        select i.external_id, e.seq, e.type, e.occurred_at, e.source, e.points, e.outcome, e.revision, e.depth,
               e.caused, p.seq as parent, e.properties::text, e.inputs::text, e.after::text, e.warnings::text
        from events e join identities i on i.customer_id = e.customer_id left join events p on p.id = e.parent
        order by 1, 2""",
    "postings": """
        select i.external_id, p.seq, p.n, p.wallet, p.from_state, p.to_state, p.points, p.qualifying, l.seq,
               p.lot_n, p.occurred_at, p.reason, p.rule, p.base, p.multiplier, p.cap, o.seq, p.earned_at,
               p.expires_at
        from postings p join identities i on i.customer_id = p.customer_id left join events l on l.id = p.lot_event
        left join events o on o.id = p.order_id order by 1, 2, 3""",
    "lots": """
        select i.external_id, e.seq, l.n, l.wallet, l.earned_at, l.expires_at, l.points, l.remaining, l.pending,
               l.expired, l.release_at, l.hold_until
        from lots l join identities i on i.customer_id = l.customer_id join events e on e.id = l.event_id
        order by 1, 2, 3""",
    "balances": """
        select i.external_id, b.wallet, b.program, b.pending, b.available, b.reserved, b.spent, b.expired, b.debt,
               b.forgiven, b.qualifying
        from balances b join identities i on i.customer_id = b.customer_id order by 1, 2""",
    "customers": """
        select i.external_id, c.seq, c.tier, c.tier_since, c.orders, c.waiting, c.last_activity_at, c.counts::text
        from customers c join identities i on i.customer_id = c.id order by 1""",
}
