"""The test clock of development mode: the program's present, standing still until it is set again.

In: moments. Out: where the clock stands. It replaces "now" for everything the program means; ids and `recorded_at` keep
real time. Must never: go back behind a moment at which something was judged.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from troth import limits
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection

SQL = load("clock.sql")
CLOCK_FROM = datetime(limits.OCCURRED_YEAR_MIN, 1, 1, tzinfo=UTC)
CLOCK_BEFORE = datetime(3000, 1, 1, tzinfo=UTC)  # so that no hold or expiry leads out of the calendar


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    now: datetime | None  # None: real time
    used: datetime | None  # the newest present that something was judged at; None: nothing was


class ClockRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The clock stays as it is: the moment is before `earliest`, or not before `latest`."""

    earliest: datetime
    latest: datetime


async def present(connection: Connection) -> datetime | None:
    """Where the test clock stands; None: real time."""
    found: datetime | None = await connection.fetchval(SQL["present"])
    return found


async def read_clock(connection: Connection) -> Clock:
    row = await connection.fetchrow(SQL["clock"])
    return Clock(now=row["now"], used=row["used"]) if row is not None else Clock(now=None, used=None)


async def set_clock(connection: Connection, now: datetime | None, real: datetime) -> Clock | ClockRefused:
    """Let it stand at `now`, to the millisecond; None: let time be real, if that is not `used` already."""
    moment = _to_millisecond(now) if now is not None else None
    if moment is not None and not CLOCK_FROM <= moment < CLOCK_BEFORE:
        return await _refused(connection)
    row = await connection.fetchrow(SQL["set_clock"], moment, real)
    return Clock(now=row["now"], used=row["used"]) if row is not None else await _refused(connection)


async def advance_clock(connection: Connection, by: timedelta, real: datetime) -> Clock | ClockRefused:
    """Let it stand so much later; from real time when it was not set."""
    row = await connection.fetchrow(SQL["advance_clock"], by, _to_millisecond(real), CLOCK_BEFORE)
    return Clock(now=row["now"], used=row["used"]) if row is not None else await _refused(connection)


async def _refused(connection: Connection) -> ClockRefused:
    used = (await read_clock(connection)).used
    return ClockRefused(earliest=used if used is not None else CLOCK_FROM, latest=CLOCK_BEFORE)


def _to_millisecond(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
