"""Tiers by lifetime points: thresholds, the level held, the level to rise to."""

from __future__ import annotations

import pytest

from tests.core.judging import document, judge_of, program_of, rule, tiers
from troth import limits
from troth.core.program import Tiers
from troth.core.state import CustomerState, WalletState
from troth.core.tiers import held_level, reached_level, upgrade

LEVELS = {"bronze": ("0", "1"), "silver": ("100", "1.25"), "gold": ("500", "1.5")}


def tiers_of(**levels: tuple[str, str]) -> Tiers:
    found = program_of(document(tiers=tiers(**levels))).tiers
    assert found is not None
    return found


FROM_ZERO = tiers_of(**LEVELS)
FROM_HUNDRED = tiers_of(**{name: level for name, level in LEVELS.items() if name != "bronze"})


def holder(tier: str | None, qualifying: int) -> CustomerState:
    judge = judge_of(document())
    wallet = WalletState(program=-qualifying, available=qualifying, qualifying=qualifying)
    return CustomerState(created_at=judge.state.created_at, tier=tier, wallets={"points": wallet})


@pytest.mark.parametrize(
    ("qualifying", "level"), [(0, "bronze"), (99, "bronze"), (100, "silver"), (499, "silver"), (500, "gold")]
)
def test_thresholds_are_inclusive(qualifying: int, level: str) -> None:
    found = reached_level(FROM_ZERO, qualifying)
    assert found is not None
    assert found.id == level


def test_below_the_first_threshold_there_is_no_level() -> None:
    assert reached_level(FROM_HUNDRED, 99) is None


@pytest.mark.parametrize(
    ("levels", "tier", "held"),
    [
        (FROM_ZERO, None, "bronze"),  # the level that asks for nothing is held from the start
        (FROM_ZERO, "gold", "gold"),
        (FROM_ZERO, "removed", "bronze"),  # a level that is gone
        (FROM_HUNDRED, None, None),
        (FROM_HUNDRED, "removed", None),
        (None, "gold", None),
    ],
)
def test_the_level_held(levels: Tiers | None, tier: str | None, held: str | None) -> None:
    found = held_level(levels, holder(tier, 1_000))
    assert (found.id if found else None) == held


@pytest.mark.parametrize(
    ("levels", "tier", "qualifying", "expected"),
    [
        (FROM_ZERO, "bronze", 99, None),
        (FROM_ZERO, "bronze", 100, "silver"),
        (FROM_ZERO, "bronze", 500, "gold"),  # a level is skipped
        (FROM_ZERO, "silver", 499, None),
        (FROM_ZERO, "gold", 0, None),  # lifetime tiers never fall
        (FROM_HUNDRED, None, 99, None),
        (FROM_HUNDRED, None, 100, "silver"),
        (None, None, 1_000, None),
    ],
)
def test_rises(levels: Tiers | None, tier: str | None, qualifying: int, expected: str | None) -> None:
    found = upgrade(levels, holder(tier, qualifying))
    assert (found.id if found else None) == expected


@pytest.mark.parametrize(("factor", "points"), [("100", 10_000), ("0.0001", 0), ("0", 0)])
def test_multipliers_reach_their_bounds(factor: str, points: int) -> None:
    """MULTIPLIER_MAX and MULTIPLIER_PLACES, through a program."""
    assert (limits.MULTIPLIER_MAX, limits.MULTIPLIER_PLACES) == (100, 4)
    judge = judge_of(document(rule("properties.amount"), tiers=tiers(only=("0", factor))))
    judge.send(amount="100")
    assert judge.balance == points
