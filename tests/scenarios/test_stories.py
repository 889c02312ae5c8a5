"""Every story of `stories/`, told to a real engine; and after each of them the books balance."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.conftest import TestDatabase
from tests.pipeline.books_balance import check_books
from tests.pipeline.clock import set_clock, stop_clock
from tests.pipeline.shop import open_shop, publish_document
from tests.scenarios.story import Story, read_stories
from tests.scenarios.teller import SECTIONS, Teller

STORIES = read_stories()


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
    first, *following = story.programs
    async with open_shop(database, {**SECTIONS, **first}) as shop:
        teller = Teller(shop=shop, clock=clock, access=database)
        for step in story.steps:
            if step.text == "publish next program":
                await publish_document(shop.database, {**SECTIONS, **following.pop(0)})
                continue
            if step.text.startswith("publish "):
                await publish_document(shop.database, {**SECTIONS, **first, **changed(step.text)})
                continue
            found = await teller.tell(step)
            missing = [fact for fact in step.expected if fact not in found]
            assert not missing, f"{story.file}.txt:{step.line}: {step.text}\n  not: {missing}\n  but: {found}"
        await check_books(shop.database)


def changed(text: str) -> dict[str, object]:
    """`publish FORMULA`: the rule `base` awards that from now on."""
    return {"rules": [{"id": "base", "event_type": "purchase", "award": text.removeprefix("publish ")}]}


def test_stories_say_what_they_expect() -> None:
    assert len(STORIES) >= 100
    assert all(any(step.expected for step in story.steps) for story in STORIES)
