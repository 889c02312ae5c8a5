"""What the owner does beside serving: month partitions made ahead, statistics of tables that grow from nothing.

Ingest issues no DDL, so a month without its partition would refuse every event: `make_partitions` at start and daily.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg

from troth.core.ids import first_id_at
from troth.store.pool import SCHEMA, WRITE_ONCE, Connection
from troth.store.sql import load

SQL = load("upkeep.sql")
MONTHS_AHEAD = 3
LOCK_SECONDS = 3
LOCK_ATTEMPTS = 5
ANALYSED_ROWS_MIN = 1_000


async def make_partitions(owner: Connection, now: datetime) -> list[str]:
    """Make the partitions of the month of `now` and three more; returns the names of the new ones.

    A day before counts as now, for clocks that disagree. LockNotAvailableError when another transaction holds the
    parent for `LOCK_SECONDS` five times over; the months made until then stay.
    """
    made = []
    for first, following in _months(now - timedelta(days=1), now):
        for parent in WRITE_ONCE:
            name = f"{parent}_{first:%Y_%m}"
            bounds = f"from ('{first_id_at(first)}') to ('{first_id_at(following)}')"
            if not await owner.fetchval(SQL["has_table"], name) and await _make_with_patience(
                owner, name, f"alter table {parent} attach partition {name} for values {bounds}"
            ):
                made.append(name)
    return made


async def analyse_grown(owner: Connection) -> list[str]:
    """ANALYZE what has grown tenfold since it was last analysed (1k, 10k, 100k rows …); returns the tables' names.

    It also makes every session plan its prepared statements on these tables anew.
    """
    grown = await owner.fetch(SQL["find_grown"], SCHEMA, ANALYSED_ROWS_MIN)
    for row in grown:
        await owner.execute(f"analyze {row['relation']}")
    return [row["relation"] for row in grown]


def _months(since: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """(first moment, first moment of the next) of each month from `since` to MONTHS_AHEAD after `now`, in UTC."""
    month = since.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = now.astimezone(UTC).year * 12 + now.astimezone(UTC).month + MONTHS_AHEAD
    while month.year * 12 + month.month <= last:
        following = (month + timedelta(days=32)).replace(day=1)
        yield month, following
        month = following


async def _make_with_patience(owner: Connection, name: str, attach: str) -> bool:
    """Make and attach one partition; False when it exists. Waits a short time for locks, but several times."""
    for attempt in range(LOCK_ATTEMPTS):
        try:
            return await _make_partition(owner, name, attach)
        except asyncpg.LockNotAvailableError:
            if attempt == LOCK_ATTEMPTS - 1:
                raise
    raise AssertionError


async def _make_partition(owner: Connection, name: str, attach: str) -> bool:
    """Built beside its parent and then attached, which blocks neither readers nor writers of the parent."""
    async with owner.transaction():
        await owner.fetchval(SQL["set_lock_timeout"], f"{LOCK_SECONDS}s")
        await owner.fetchval(SQL["lock_partitions"])
        if await owner.fetchval(SQL["has_table"], name):
            return False
        parent = name.split("_")[0]
        await owner.execute(f"create table {name} (like {parent} including all)")
        await owner.execute(attach)
    return True
