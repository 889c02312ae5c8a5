"""Stock: what all customers share of rewards, locked at once and in the order of names, before a batch is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from troth.core.ids import read_id
from troth.core.state import Need
from troth.pipeline.work import Work
from troth.pipeline.write import Party
from troth.store.loading import Sources, load
from troth.store.pool import Connection

SHARED_TYPES = frozenset({"reward_claimed", "reward_cancelled"})  # they count a stock


async def lock_stocks(
    connection: Connection, works: Sequence[Work], parties: Mapping[str, Party], sources: Sources
) -> None:
    """Load the stock of every reward that these works claim or give back."""
    asked: dict[tuple[str, UUID], Party] = {}
    for work in works:
        if work.outcome is None and work.valid.type.id in SHARED_TYPES:
            party = parties[work.customer]
            reward = await _reward_of(connection, work, party, sources)
            if reward is not None:
                asked[reward, party.row.id] = party
    for (reward, _), party in sorted(asked.items(), key=lambda entry: entry[0]):
        party.before = await load(connection, party.row, party.before, need=Need(reward=reward), sources=sources)


async def _reward_of(connection: Connection, work: Work, party: Party, sources: Sources) -> str | None:
    """The reward that a claim names, or that the redemption was of."""
    name = str(work.event().values[0])
    if work.valid.type.id == "reward_claimed":
        return name if name in sources.book.program.rewards else None
    key = read_id("rdm", name)
    if key is None:
        return None
    if key not in party.before.redemptions:
        party.before = await load(connection, party.row, party.before, need=Need(redemption=key), sources=sources)
    claim = party.before.redemptions[key]
    return claim.reward if claim is not None else None
