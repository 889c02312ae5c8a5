"""verify finds whatever was tampered with, and rebuild mends every cache but never an event or a posting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from troth.core.program import Program
from troth.core.replay import Difference
from troth.engine import Engine, running_engine
from troth.pipeline.outcome import Applied, RawEvent
from troth.proof.rebuild import rebuild
from troth.proof.verify import RuleBooks, verify
from troth.store.pool import Connection
from troth.store.programs import Signature, ensure_program, load_program
from troth.store.vault import Vault

PROGRAM = {
    "settings": {"name": "Proof", "time_zone": "Europe/Budapest"},
    "wallets": [{"id": "points", "expiry": {"kind": "months_after_earning", "months": "12"}}],
    "event_types": [
        {"id": "purchase", "properties": {"amount": {"type": "number", "places": "2", "required": True}}},
        {"id": "review"},
    ],
    "rules": [
        {"id": "base", "event_type": "purchase", "award": "properties.amount"},
        {"id": "review", "event_type": "review", "award": "25", "limits": [{"times": "2", "window": "day"}]},
        {"id": "welcome-silver", "event_type": "tier_upgraded", "award": "50", "tier_multiplier": False},
    ],
    "tiers": {
        "basis": {"wallet": "points", "window": "lifetime"},
        "levels": [
            {"id": "bronze", "from": "0", "multiplier": "1"},
            {"id": "silver", "from": "200", "multiplier": "1.25"},
        ],
    },
}

# What each tampering is found as: (statement of the owner, kinds of differences)
TAMPERINGS = [
    ("update balances set available = available + 1, program = program - 1", {"balance"}),
    ("update balances set qualifying = 0 where qualifying > 200", {"balance"}),
    ("update lots set remaining = 0 where remaining = 150", {"lot"}),
    ("update limit_uses set times = times + 1", {"limit_use"}),
    ("update customers set tier = 'bronze' where tier = 'silver'", {"customer"}),
    ("update customers set counts = '{}'", {"customer"}),
    ("update customers set due_at = null", {"customer"}),
    ("update customers set tags = '[\"vip\"]'", {"customer"}),
    ("delete from limit_uses", {"limit_use"}),
]

WRITTEN_ONCE = [
    ("update postings set points = points + 7 where points = 150", {"posting", "balance", "lot"}),
    ("delete from postings where points = 150", {"posting", "balance", "lot"}),
    (
        "update events set properties = jsonb_set(properties, '{amount}', '\"151.00\"') where type = 'purchase'",
        {"posting"},
    ),
    ("update events set inputs = '{\"multiplier\": \"2\"}' where type = 'purchase'", {"event"}),
    ("delete from event_refs", {"reference"}),
]


@pytest.fixture
async def engine(database) -> AsyncIterator[Engine]:
    async with database.open_database() as pool:
        async with pool.pool.acquire() as connection:
            await ensure_program(connection, PROGRAM, Signature(author="test", published_at=datetime.now(UTC)))
        async with running_engine(pool, Vault(b"m" * 32)) as running:
            await _live(running)
            yield running


async def _live(engine: Engine) -> None:
    """Ann earns 150, then 150 (300 ≥ 200: silver and 50), and reviews three times (the third is over the limit).

    Ben buys for 80 in 2019, which is past its year on arrival."""
    events = [
        *[RawEvent(customer="ann", type="purchase", reference=f"a{n}", properties={"amount": "150"}) for n in range(2)],
        *[RawEvent(customer="ann", type="review", reference=f"r{n}") for n in range(3)],
        RawEvent(customer="ben", type="purchase", properties={"amount": "80"}, occurred_at="2019-05-31T10:00:00Z"),
    ]
    outcomes = await engine.batcher.ingest(events)
    assert all(isinstance(outcome, Applied) for outcome in outcomes), outcomes


def _books(connection: Connection) -> RuleBooks:
    async def read(revision: int) -> Program:
        return await load_program(connection, revision)

    return RuleBooks(read)


async def _differences(engine: Engine) -> list[Difference]:
    async with engine.database.pool.acquire() as connection, engine.database.pool.acquire() as reader:
        return [found async for report in verify(connection, _books(reader)) for found in report.differences]


async def test_what_the_engine_wrote_is_clean(engine: Engine) -> None:
    assert await _differences(engine) == []


@pytest.mark.parametrize(("statement", "kinds"), TAMPERINGS)
async def test_a_wrong_cache_is_found_and_mended(engine: Engine, database, statement: str, kinds: set[str]) -> None:
    async with database.owner() as owner:
        assert not (await owner.execute(statement)).endswith(" 0")
    assert {found.kind for found in await _differences(engine)} == kinds
    async with engine.database.pool.acquire() as connection, engine.database.pool.acquire() as reader:
        assert await rebuild(connection, _books(reader)) > 0
    assert await _differences(engine) == []


@pytest.mark.parametrize(("statement", "kinds"), WRITTEN_ONCE)
async def test_a_changed_record_is_found(engine: Engine, database, statement: str, kinds: set[str]) -> None:
    async with database.owner() as owner:
        assert not (await owner.execute(statement)).endswith(" 0")
    found = {difference.kind for difference in await _differences(engine)}
    assert kinds <= found


async def test_what_fell_due_without_a_posting_is_found(engine: Engine, database) -> None:
    """A lot that ended before a later event of its customer must have expired by then."""
    async with database.owner() as owner:
        await owner.execute("update events set clock = now() + interval '2 years' where seq = 2")
    assert "due" in {found.kind for found in await _differences(engine)}
