"""The section `rewards` of a program document: what customers can claim for points.

In: the fields of the document, and what rewards may refer to. Out: rewards by id, in document order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from troth import limits
from troth.core.program import Reward
from troth.core.program.fields import Fields
from troth.core.program.problem import meant, pointer_to
from troth.core.program.sections import not_available, optional_whole, read_period


def read_rewards(
    document: Fields, *, wallets: Sequence[str], levels: Sequence[str], zone: ZoneInfo
) -> Mapping[str, Reward]:
    """All rewards by id. `wallets` and `levels` are ids of the same document; the first wallet is the main one."""
    found: dict[str, Reward] = {}
    for fields in document.items("rewards", limits.REWARDS):
        reward = _read_reward(fields, wallets, levels, zone)
        if reward.id in found:
            fields.error("id", "duplicate_id", f"there is already a reward {reward.id!r}")
        elif reward.id:
            found[reward.id] = reward
    return found


def _read_reward(fields: Fields, wallets: Sequence[str], levels: Sequence[str], zone: ZoneInfo) -> Reward:
    reward_id = fields.identifier()
    if not fields.has("cost"):
        fields.error("", "required", "'cost' is missing", "say how many points it costs")
    if fields.take("segments") not in (None, []):
        not_available(fields, "segments", "limiting a reward to segments")
    active_from, active_until = read_period(fields, zone)
    reward = Reward(
        id=reward_id,
        label=fields.text("label", reward_id),
        description=fields.text("description", length=limits.PROGRAM_TEXT_LENGTH),
        wallet=fields.reference("wallet", wallets, "wallet") or wallets[0],
        cost=fields.whole("cost", 1, least=1, most=limits.AWARD_POINTS),
        stock=optional_whole(fields, "stock", least=0, most=limits.REWARD_STOCK),
        per_customer=optional_whole(fields, "per_customer", least=1, most=limits.REWARD_CLAIMS),
        tiers=_read_tiers(fields, levels),
        active_from=active_from,
        active_until=active_until,
        codes=fields.boolean("codes", False),
        enabled=fields.boolean("enabled", True),
    )
    fields.close()
    return reward


def _read_tiers(fields: Fields, levels: Sequence[str]) -> tuple[str, ...]:
    """The levels that may claim it, as written; each exists and is named once."""
    found: list[str] = []
    for index, value in enumerate(fields.values("tiers", limits.LEVELS)):
        pointer = pointer_to(fields.at("tiers"), index)
        if not isinstance(value, str):
            fields.problems.error(pointer, "type", "the id of a level is expected here", "put it in quotes")
        elif value not in levels:
            message = f"there is no level {value[: limits.PROGRAM_ID_LENGTH]!r}"
            fields.problems.error(pointer, "unknown_reference", message, meant(value, levels))
        elif value in found:
            fields.problems.error(pointer, "duplicate_value", f"{value!r} is listed more than once")
        else:
            found.append(value)
    return tuple(found)
