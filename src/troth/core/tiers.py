"""Tiers by lifetime points: which level a customer holds and which one the points reach."""

from __future__ import annotations

from troth.core.program import Level, Tiers
from troth.core.state import CustomerState


def reached_level(tiers: Tiers, qualifying: int) -> Level | None:
    """The highest level whose threshold `qualifying` points meet; None below the first."""
    reached = None
    for level in tiers.levels:
        if level.threshold > qualifying:
            break
        reached = level
    return reached


def held_level(tiers: Tiers | None, state: CustomerState) -> Level | None:
    """The level the customer holds: the recorded one, else the one that asks for no points, if there is one."""
    if tiers is None:
        return None
    for level in tiers.levels:
        if level.id == state.tier:
            return level
    return reached_level(tiers, 0)


def upgrade(tiers: Tiers | None, state: CustomerState) -> Level | None:
    """The level to rise to at once, or None. Lifetime tiers never fall (`downgrade: never`)."""
    if tiers is None:
        return None
    reached = reached_level(tiers, state.wallet(tiers.wallet).qualifying)
    held = held_level(tiers, state)
    if reached is None or (held is not None and reached.threshold <= held.threshold):
        return None
    return reached
