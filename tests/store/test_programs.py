"""Revisions, the live one and the draft, in a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from troth.core.program.document import SEMANTICS_VERSION
from troth.core.program.edit import Exists, Invalid, Publication, Stale, create_item, replace_document, replace_item
from troth.core.program.items import section_items
from troth.starter import starter_document
from troth.store.programs import (
    Signature,
    UnfitProgramError,
    UnknownRevisionError,
    drop_draft,
    ensure_program,
    history,
    live_revision,
    load_draft,
    load_live,
    load_program,
    load_revision,
    publish,
    save_draft,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANNA = Signature(author="anna", published_at=NOW, note="first")


def rule(item_id: str, award: str = "1") -> dict[str, object]:
    return {"id": item_id, "event_type": "opt_in", "award": award}


def document(*rules: dict[str, object]) -> dict[str, object]:
    return {"settings": {"name": "Shop"}, "rules": list(rules)}


@pytest.fixture
async def connection(database):
    async with database.open_database() as opened, opened.pool.acquire() as acquired:
        yield acquired


async def test_nothing_is_live_at_first(connection) -> None:
    assert await live_revision(connection) == 0
    assert await load_live(connection) is None
    with pytest.raises(UnknownRevisionError):
        await load_program(connection)
    with pytest.raises(UnknownRevisionError, match="revision 3"):
        await load_program(connection, 3)


@pytest.mark.each_postgres
async def test_a_published_program_is_live(connection) -> None:
    decision = await publish(connection, replace_document(document(rule("a"))), ANNA)
    assert isinstance(decision, Publication)
    live = await load_live(connection)
    assert live is not None
    assert (live.number, live.author, live.note, live.published_at) == (1, "anna", "first", NOW)
    assert live.semantics_version == SEMANTICS_VERSION
    assert live.document == document(rule("a"))
    assert live.item_revisions == {"settings": 1, "rules/a": 1}
    assert await live_revision(connection) == 1
    assert await load_program(connection) == decision.program == await load_program(connection, 1)


async def test_the_order_of_properties_is_kept(connection) -> None:
    """jsonb would sort them."""
    names = ["zz", "a", "mmm", "b"]
    types = [{"id": "t", "properties": {name: {"type": "text"} for name in names}}]
    await publish(connection, replace_document({"event_types": types}), ANNA)
    program = await load_program(connection)
    assert [item.name for item in program.event_types["t"].properties] == names


async def test_everything_of_a_program_reads_back(connection) -> None:
    whole = {
        "settings": {"return_days_min": 14, "inactivity_days": 90},
        "orders": {"acceptance": {"after": "P14D", "then": "reject"}},
        "wallets": [{"id": "points", "hold": "P14D"}, {"id": "gems", "negative_balance": "forgive"}],
        "tiers": {
            "basis": {"wallet": "gems", "window": "rolling", "months": 6},
            "downgrade": "at_period_end",
            "grace_days": 7,
            "levels": [{"id": "gold", "from": 10}],
        },
        "rewards": [{"id": "mug", "cost": 500, "stock": 9, "tiers": ["gold"], "wallet": "gems", "codes": True}],
    }
    decision = await publish(connection, replace_document(whole), ANNA)
    assert isinstance(decision, Publication)
    loaded = await load_program(connection)
    assert loaded == decision.program
    assert loaded.item_revisions["rewards/mug"] == 1
    assert (loaded.rewards["mug"].cost, loaded.orders.acceptance, len(loaded.wallets)) == (500, "after", 2)


async def test_an_invalid_program_leaves_the_live_one(connection) -> None:
    await publish(connection, replace_document(document(rule("a"), rule("b"))), ANNA)
    decision = await publish(connection, replace_item("rules", rule("b", "properties.amout")), ANNA)
    assert isinstance(decision, Invalid)
    [problem] = decision.problems
    assert (problem.code, problem.pointer) == ("unknown_property", "/rules/1/award")
    live = await load_live(connection)
    assert live is not None
    assert (live.number, live.document) == (1, document(rule("a"), rule("b")))
    assert await load_revision(connection, 2) is None


async def test_history_is_newest_first_and_rollback_is_a_new_revision(connection) -> None:
    for award in "123":
        at = NOW + timedelta(hours=int(award))
        signature = Signature(author=f"author {award}", published_at=at, note=f"award {award}")
        await publish(connection, replace_document(document(rule("a", award))), signature)
    first = await load_revision(connection, 1)
    assert first is not None
    decision = await publish(connection, replace_document(first.document), ANNA)
    assert isinstance(decision, Publication)
    assert decision.number == 4
    assert decision.document == first.document
    listed = await history(connection, below=2**31 - 1, limit=3)
    assert [(each.number, each.note) for each in listed] == [(4, "first"), (3, "award 3"), (2, "award 2")]
    assert [each.number for each in await history(connection, below=2, limit=3)] == [1]
    second = await load_revision(connection, 2)
    assert second is not None
    assert second.document == document(rule("a", "2")), "what was published stays as it was"


async def test_publishers_at_the_same_moment_get_numbers_of_their_own(database) -> None:
    """Ten editors of ten rules: every edit is there in the end, none on top of another."""
    async with database.open_database(connections=10) as opened:

        async def add(n: int) -> object:
            async with opened.pool.acquire() as connection:
                return await publish(connection, create_item("rules", rule(f"r{n}")), ANNA)

        decisions = await asyncio.gather(*(add(n) for n in range(10)))
        numbers = sorted(decision.number for decision in decisions if isinstance(decision, Publication))
        assert numbers == list(range(1, 11))
        async with opened.pool.acquire() as connection:
            live = await load_live(connection)
    assert live is not None
    assert set(section_items(live.document, "rules")) == {f"r{n}" for n in range(10)}
    assert sorted(live.item_revisions.values()) == list(range(1, 11))


async def test_of_two_publishers_of_one_rule_one_is_stale(database) -> None:
    async with database.open_database(connections=2) as opened:
        async with opened.pool.acquire() as connection:
            await publish(connection, replace_document(document(rule("a"))), ANNA)

        async def change(award: str) -> object:
            async with opened.pool.acquire() as connection:
                return await publish(connection, replace_item("rules", rule("a", award), expected=1), ANNA)

        decisions = await asyncio.gather(change("2"), change("3"))
    kinds = sorted(type(decision).__name__ for decision in decisions)
    assert kinds == ["Publication", "Stale"]
    assert Stale(items=("rules/a",), live=2) in decisions


async def test_who_creates_second_is_told(database) -> None:
    async with database.open_database(connections=2) as opened:

        async def add() -> object:
            async with opened.pool.acquire() as connection:
                return await publish(connection, create_item("rules", rule("same")), ANNA)

        decisions = await asyncio.gather(add(), add())
    assert Exists(item="rules/same") in decisions


async def test_a_reader_does_not_wait_for_a_publisher(database) -> None:
    opening = database.open_database(connections=2)
    async with opening as opened, opened.pool.acquire() as publisher, opened.pool.acquire() as reader:
        await publish(publisher, replace_document(document(rule("a"))), ANNA)
        async with publisher.transaction():
            await publish(publisher, replace_document(document(rule("b"))), ANNA)
            assert await asyncio.wait_for(live_revision(reader), 5) == 1
        assert await live_revision(reader) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "update program_revisions set note = 'other'",
        "delete from program_revisions",
        "truncate program_revisions",
        "delete from program_live",
    ],
)
async def test_published_revisions_cannot_be_changed(connection, statement: str) -> None:
    await publish(connection, replace_document(document(rule("a"))), ANNA)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)


async def test_the_starter_is_published_once(database) -> None:
    async with database.open_database(connections=2) as opened:

        async def begin() -> None:
            async with opened.pool.acquire() as connection:
                await ensure_program(connection, starter_document(), ANNA)

        await asyncio.gather(begin(), begin())
        await begin()
        async with opened.pool.acquire() as connection:
            assert await live_revision(connection) == 1
            assert (await load_program(connection)).settings.name == "Starter program"


async def test_a_stored_program_that_no_longer_fits_says_so(database) -> None:
    async with database.owner() as owner:
        await owner.execute(
            "insert into program_revisions values (1, '{\"rules\": [{\"id\": \"r\"}]}', '{}', 1, 'old', '', now());"
            "insert into program_live values (true, 1)"
        )
    async with database.open_database() as opened, opened.pool.acquire() as connection:
        with pytest.raises(UnfitProgramError, match=r"revision 1 .* /rules/0"):
            await load_program(connection)


async def test_the_draft_keeps_its_base_and_counts_its_versions(connection) -> None:
    assert await load_draft(connection) is None
    first = await save_draft(connection, document(rule("a")), ANNA, base=3)
    assert first is not None
    assert (first.version, first.base, first.document, first.author) == (1, 3, document(rule("a")), "anna")
    second = await save_draft(connection, document(rule("b")), ANNA, base=5, expected=1)
    assert second is not None
    assert (second.version, second.base) == (2, 3)
    assert await save_draft(connection, document(), ANNA, base=5, expected=1) is None
    assert await load_draft(connection) == second
    assert not await drop_draft(connection, expected=1)
    assert await drop_draft(connection, expected=2)
    assert not await drop_draft(connection)
    assert await load_draft(connection) is None
    assert await save_draft(connection, document(), ANNA, base=5, expected=3) is None
    again = await save_draft(connection, document(), ANNA, base=6)
    assert again is not None
    assert (again.version, again.base) == (4, 6)


async def test_a_wallet_that_holds_points_stays(connection) -> None:
    """Its label may change; without points it may go."""
    await publish(connection, replace_document({"wallets": [{"id": "points"}]}), ANNA)
    assert isinstance(await publish(connection, replace_document({"wallets": [{"id": "coins"}]}), ANNA), Publication)
    await connection.execute("insert into balances values (7, gen_random_uuid(), 'coins', -5, 0, 5, 0, 0, 0, 0, 0, 5)")
    for wallets in ([{"id": "points"}], []):
        decision = await publish(connection, replace_document({"wallets": wallets}), ANNA)
        assert isinstance(decision, Invalid)
        assert [(found.code, found.pointer) for found in decision.problems] == [("wallet_in_use", "/wallets")]
    renamed = {"wallets": [{"id": "coins", "label": "Coins"}]}
    assert isinstance(await publish(connection, replace_document(renamed), ANNA), Publication)
    assert await live_revision(connection) == 3
