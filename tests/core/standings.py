"""Standings without events: a history written by hand, tiers of every policy, and the level at a moment.

Silver asks for 100 points and gold for 500. A history is written `2026-01-15 +500`, or, when points count on one day
and were known only on another, `2026-01-15/2026-03-01 +500`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from troth.core.program import Level, Tiers
from troth.core.state import NO_TIERS, TierHistory
from troth.core.tiers import Standing, add_earned, standing

BUDAPEST, NEW_YORK = ZoneInfo("Europe/Budapest"), ZoneInfo("America/New_York")
BRONZE = Level(id="bronze", label="Bronze", threshold=0)
SILVER = Level(id="silver", label="Silver", threshold=100)
GOLD = Level(id="gold", label="Gold", threshold=500)
LIFETIME = Tiers(wallet="points", levels=(SILVER, GOLD))
FROM_ZERO = Tiers(wallet="points", levels=(BRONZE, SILVER, GOLD))
AT_ONCE = Tiers(wallet="points", window="rolling", downgrade="immediately", levels=(SILVER, GOLD))
BEST = Tiers(wallet="points", window="rolling", downgrade="never", levels=(SILVER, GOLD))
PERIODS = Tiers(wallet="points", window="rolling", downgrade="at_period_end", levels=(SILVER, GOLD))
YEARS = Tiers(wallet="points", window="calendar_year", downgrade="at_period_end", levels=(SILVER, GOLD))
BEST_YEAR = Tiers(wallet="points", window="calendar_year", downgrade="never", levels=(SILVER, GOLD))


def varied(tiers: Tiers, months: int = 12, grace_days: int = 0) -> Tiers:
    return replace(tiers, months=months, grace_days=grace_days)


def history_of(*lines: str) -> TierHistory:
    history = NO_TIERS
    for line in lines:
        days, points = line.split()
        counted, _, judged = days.partition("/")
        history = add_earned(history, date.fromisoformat(counted), date.fromisoformat(judged or counted), int(points))
    return history


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def at(tiers: Tiers, now: str, lines: Iterable[str], zone: ZoneInfo = BUDAPEST) -> Standing:
    return standing(tiers, history_of(*lines), 0, now=moment(now), zone=zone)


def name(found: Standing) -> str | None:
    return found.level.id if found.level is not None else None


def assert_levels(tiers: Tiers, lines: Iterable[str], expected: Mapping[str, str | None]) -> None:
    """At each moment this level, when all of these points are known."""
    found = {now: name(at(tiers, now, lines)) for now in expected}
    assert found == expected
