"""Every story of `stories/`, told to a real engine; and after each of them the books balance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.clock import Clock, set_clock, stop_clock
from tests.pipeline.shop import Shop, code, open_shop, publish_document
from tests.scenarios.story import Step, Story, read_act, read_stories
from troth.core.record import Award
from troth.pipeline.outcome import Applied, Duplicate, Outcome, RawEvent

STORIES = read_stories()
AMOUNT = {"amount": {"type": "number", "places": "2", "required": True}, "category": {"type": "text"}}
SECTIONS: dict[str, object] = {
    "settings": {"name": "Story"},
    "wallets": [{"id": "points"}],
    "event_types": [{"id": "purchase", "properties": AMOUNT}, {"id": "signup", "once": True}],
    "rules": [{"id": "base", "event_type": "purchase", "award": "properties.amount"}],
}


@dataclass(kw_only=True)
class Teller:
    """Does what a step says and gathers the facts of that moment."""

    shop: Shop
    clock: Clock
    access: TestDatabase

    async def tell(self, step: Step) -> list[str]:
        match step.text.split():
            case ["at", moment]:
                await set_clock(self.clock, self.access, moment)
                return []
            case ["postings", customer]:
                return await self._postings(customer)
            case ["preview", *_]:
                raw = self._event(step.text.removeprefix("preview "))
                return facts(await self.shop.engine.batcher.preview(raw))
            case [customer]:
                return await self._customer(customer)
            case _:
                return facts(await self.shop.one(self._event(step.text)))

    def _event(self, text: str) -> RawEvent:
        act = read_act(text)
        return RawEvent(
            customer=act.customer,
            type=act.type,
            reference=act.reference,
            occurred_at=act.occurred_at,
            properties=act.properties,
        )

    async def _customer(self, name: str) -> list[str]:
        rows = await self.shop.rows(
            "select b.*, c.tier, c.seq from identities i join customers c on c.id = i.customer_id"
            " join balances b on b.customer_id = c.id where i.external_id = $1",
            name,
        )
        (row,) = rows
        numbers = ("available", "expired", "program", "qualifying")
        lots = await self.shop.rows(
            "select * from lots where customer_id = $1 order by event_id, n", row["customer_id"]
        )
        return [
            *(f"{state} {row[state]}" for state in numbers),
            f"tier {row['tier'] or 'none'}",
            f"events {row['seq']}",
            "lots " + (" ".join(f"{lot['remaining']}/{lot['points']}" for lot in lots) or "none"),
        ]

    async def _postings(self, name: str) -> list[str]:
        rows = await self.shop.rows(
            "select p.* from identities i join postings p on p.customer_id = i.customer_id"
            " where i.external_id = $1 order by p.seq, p.n",
            name,
        )
        told = [f"{row['from_state']}>{row['to_state']} {row['points']} {row['rule'] or row['reason']}" for row in rows]
        return [*told, " | ".join(told)]


def facts(outcome: Outcome) -> list[str]:
    """What an answer says, in the words of a story."""
    if not isinstance(outcome, Applied | Duplicate):
        return [code(outcome)]
    found = outcome.record
    tier = found.tier["id"] if found.tier else "none"
    told = [code(outcome), f"{found.points} points", f"tier {tier}", f"seq {found.seq}", f"revision {found.revision}"]
    told += [f"{key} {value}" for key, value in found.wallets["points"].items()]
    told += [fact for award in found.awards for fact in _award(award)]
    told += [f"warning {warning['code']}" for warning in found.warnings]
    for effect in found.caused:
        told += [f"caused {effect.type}", *(f"caused {award.rule}:{award.points}" for award in effect.awards)]
    return told + ([] if found.awards else ["no awards"]) + ([] if found.caused else ["nothing caused"])


def _award(award: Award) -> list[str]:
    name = f"{award.rule}:{award.points}"
    return [name, f"{name} {award.state}", f"{name} from {award.base}", f"{award.rule} x{award.multiplier}",
            f"{award.rule} until {award.expires_at}", f"{award.rule} cut by {award.cap}"]  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=str)
async def test_story(story: Story, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    await tell(story, database, monkeypatch)


@pytest.mark.each_postgres
async def test_a_story_on_each_postgres(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    for story in (story for story in STORIES if story.title.startswith("A year of a customer")):
        return await tell(story, database, monkeypatch)
    pytest.fail("the story is gone")


async def tell(story: Story, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = stop_clock(monkeypatch, datetime(2026, 11, 20, 10, tzinfo=UTC))
    await set_clock(clock, database, clock.now.isoformat())
    async with open_shop(database, {**SECTIONS, **story.program}) as shop:
        teller = Teller(shop=shop, clock=clock, access=database)
        for step in story.steps:
            if step.text.startswith("publish "):
                await publish_document(shop.database, {**SECTIONS, **story.program, **changed(step.text)})
                continue
            found = await teller.tell(step)
            missing = [fact for fact in step.expected if fact not in found]
            assert not missing, f"{story.file}.txt:{step.line}: {step.text}\n  not: {missing}\n  but: {found}"
        await check_books(shop.database)


def changed(text: str) -> dict[str, object]:
    """`publish FORMULA`: the rule `base` awards that from now on."""
    return {"rules": [{"id": "base", "event_type": "purchase", "award": text.removeprefix("publish ")}]}


def test_stories_say_what_they_expect() -> None:
    assert len(STORIES) >= 20
    assert all(any(step.expected for step in story.steps) for story in STORIES)
