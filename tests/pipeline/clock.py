"""A clock that stands still until it is set, in place of the pipeline's."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.conftest import TestDatabase
from troth.pipeline import ingest
from troth.store import row_ids
from troth.store.upkeep import make_partitions


class Clock:
    """What `time.time_ns` is to the pipeline."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def time_ns(self) -> int:
        return int(self.now.timestamp()) * 1_000_000_000 + self.now.microsecond * 1_000


async def set_clock(clock: Clock, access: TestDatabase, text: str) -> None:
    """Now is `text`; the tables have room for what is recorded then."""
    clock.now = datetime.fromisoformat(text)
    assert clock.now.tzinfo is not None, text
    async with access.owner() as owner:
        await make_partitions(owner, clock.now)


def stop_clock(patch: pytest.MonkeyPatch, now: datetime) -> Clock:
    clock = Clock(now)
    patch.setattr(ingest, "time", clock)
    patch.setattr(row_ids, "time", clock)
    patch.setattr(row_ids, "_ids", row_ids._Ids())  # those before it belong to another time
    return clock
