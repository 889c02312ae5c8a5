"""A server whose exports read up to now, with an eventful past: every kind of value, and customers of every bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.exporting.shop import fill
from tests.serving import Served, serving
from troth import jobs
from troth.config import Config
from troth.embedded.access import DatabaseAccess

NOW = Config(export_margin_seconds=0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that waits is taken at once."""
    monkeypatch.setattr(jobs, "JOB_SECONDS", 0.01)


@pytest.fixture
async def empty(database: DatabaseAccess) -> AsyncIterator[Served]:
    """Exports read up to now: tests do not wait two minutes."""
    async with serving(database, NOW) as server:
        yield server


@pytest.fixture
async def shop(empty: Served) -> Served:
    await fill(empty)
    await asyncio.sleep(0.002)  # `until` is the present, to the millisecond
    return empty
