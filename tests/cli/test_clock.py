"""troth clock …: where it stands, that days have 24 hours, and that nothing goes back behind what was judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from troth.cli.clock import clock
from troth.store.clock import Clock, ClockRefused, advance_clock, present, read_clock, set_clock

Troth = Callable[..., Awaitable[Result]]
REAL = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def troth(database, monkeypatch) -> Troth:
    monkeypatch.setenv("TROTH_DATABASE_URL", database.app_dsn)
    monkeypatch.setenv("TROTH_DATABASE_OWNER_URL", database.owner_dsn)

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, clock, list(arguments))

    return run


@pytest.fixture
async def connection(database):
    async with database.open_database() as opened, opened.pool.acquire() as acquired:
        yield acquired


async def use_up(database, moment: str) -> None:
    async with database.owner() as owner:
        await owner.execute("update program_clock set used = $1", datetime.fromisoformat(moment))


async def test_it_is_set_advanced_and_reset(troth: Troth) -> None:
    assert (await troth("show")).output.endswith("Z\treal time\n")
    assert (await troth("set", "2026-10-24T22:30:00Z")).output == "2026-10-24T22:30:00Z\tset\n"
    assert (await troth("advance", "P1D")).output == "2026-10-25T22:30:00Z\tset\n"
    assert (await troth("advance", "P2WT12H30M")).output == "2026-11-09T11:00:00Z\tset\n"
    assert (await troth("show")).output == "2026-11-09T11:00:00Z\tset\n"
    assert (await troth("reset")).output.endswith("Z\treal time\n")
    assert (await troth("show")).output.endswith("Z\treal time\n")


async def test_what_was_judged_stays_behind(troth: Troth, database) -> None:
    await use_up(database, "2026-05-01T00:00:00+00:00")
    for moment, code in (("2026-04-30T23:59:59Z", 1), ("2026-05-01T00:00:00Z", 0), ("2026-05-02T00:00:00+02:00", 0)):
        done = await troth("set", moment)
        assert done.exit_code == code, (moment, done.output)
    refused = await troth("set", "2026-04-30T00:00:00Z")
    assert "it can stand at 2026-05-01T00:00:00Z or later" in refused.stderr
    assert (await troth("show")).output == "2026-05-01T22:00:00Z\tset\n"


@pytest.mark.parametrize(
    "arguments", [("set", "tomorrow"), ("set", "2026-05-01"), ("advance", "1 day"), ("advance", "P")]
)
async def test_what_is_no_moment_is_wrong_usage(troth: Troth, arguments: tuple[str, str]) -> None:
    assert (await troth(*arguments)).exit_code == 2


async def test_production_has_no_clock(troth: Troth, monkeypatch) -> None:
    monkeypatch.setenv("TROTH_MODE", "production")
    done = await troth("show")
    assert (done.exit_code, "development mode only" in done.stderr) == (1, True)


# The row


async def test_real_time_does_not_come_back_before_what_was_judged(connection, database) -> None:
    used = datetime(2026, 5, 1, tzinfo=UTC)
    await use_up(database, used.isoformat())
    refused = await set_clock(connection, None, used - timedelta(seconds=1))
    assert (type(refused), await present(connection)) == (ClockRefused, None)
    assert isinstance(await set_clock(connection, None, used), Clock)


async def test_it_stands_to_the_millisecond(connection) -> None:
    await set_clock(connection, datetime(2026, 5, 1, 0, 0, 0, 123_999, UTC), REAL)
    assert await present(connection) == datetime(2026, 5, 1, 0, 0, 0, 123_000, UTC)


async def test_it_begins_from_real_time(connection) -> None:
    assert await advance_clock(connection, timedelta(hours=1), REAL) == Clock(now=REAL + timedelta(hours=1), used=None)
    await connection.execute("set timezone to 'Europe/Budapest'")
    await set_clock(connection, datetime(2026, 10, 24, 22, tzinfo=UTC), REAL)
    assert (await advance_clock(connection, timedelta(days=1), REAL)).now == datetime(2026, 10, 25, 22, tzinfo=UTC)


@pytest.mark.parametrize("moment", [datetime(1989, 12, 31, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)])
async def test_it_stays_in_the_calendar(connection, moment: datetime) -> None:
    assert isinstance(await set_clock(connection, moment, REAL), ClockRefused)
    assert isinstance(await advance_clock(connection, timedelta(days=999 * 366), REAL), ClockRefused)
    assert (await read_clock(connection)).now is None
    assert isinstance(await set_clock(connection, datetime(2999, 12, 31, tzinfo=UTC), REAL), Clock)


async def test_two_who_advance_it_both_count(database, connection) -> None:
    await set_clock(connection, REAL, REAL)
    async with database.open_database(connections=8) as opened:

        async def advance() -> None:
            async with opened.pool.acquire() as other:
                await advance_clock(other, timedelta(days=1), REAL)

        await asyncio.gather(*(advance() for _ in range(20)))
    assert await present(connection) == REAL + timedelta(days=20)
