"""Rewards: claiming, fulfilling and cancelling them (semantics.md §4).

In: an event that names a reward or a redemption, what all customers share of the reward, what this customer claimed of
it. Out: the redemption as it then is, the points spent or given back, the stock left. Stock is locked by whoever calls.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from troth.core.account import About, Account, Refused
from troth.core.direct import stored, under_way
from troth.core.program import Reward
from troth.core.state import Lacking, Redemption, Stock
from troth.core.tiers import held_level


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a claim or its end."""

    redemption: Redemption
    claimed: int  # this customer's claims of the reward now, cancelled ones left out
    stock: Stock | None  # what all share of it now; None: nothing is counted
    code: int | None = None  # number of the code that was given


def claim(account: Account) -> Claim:
    """`reward_claimed`: available → spent, one off the stock, a code of the pool."""
    given = stored(account)
    reward = _reward(account, given)
    claimed, stock = _known(account, reward.id)
    if reward.per_customer is not None and claimed >= reward.per_customer:
        detail = f"this customer has claimed '{reward.id}' {claimed} times, which is the limit"
        raise Refused("/properties/reward", "limit_reached", detail)
    if reward.stock is not None and stock is not None and stock.claimed >= reward.stock:
        raise Refused("/properties/reward", "out_of_stock", f"nothing is left of '{reward.id}'")
    if reward.codes and stock is not None and not stock.codes:
        raise Refused("/properties/reward", "out_of_stock", f"no code is left for '{reward.id}'")
    _check_points(account, reward)
    parts = account.take(reward.wallet, reward.cost, About(reason="spend"), ("available", "spent"))
    redemption = Redemption(
        id=account.event.id,
        reward=reward.id,
        wallet=reward.wallet,
        points=reward.cost,
        parts=parts,
        claimed_at=account.event.occurred_at,
    )
    code = stock.codes[0] if reward.codes and stock is not None else None
    left = None
    if stock is not None:
        left = Stock(claimed=stock.claimed + 1, codes=stock.codes[1:] if reward.codes else stock.codes)
    return Claim(redemption=redemption, claimed=claimed + 1, stock=left, code=code)


def _check_points(account: Account, reward: Reward) -> None:
    available = account.wallet(reward.wallet).available
    if available < reward.cost:
        detail = f"'{reward.id}' costs {reward.cost} points, and {available} are there"
        raise Refused("/properties/reward", "insufficient_points", detail)


def _reward(account: Account, given: Mapping[str, object]) -> Reward:
    """The reward an event names, open to this customer now. Raises Refused."""
    program, now = account.shelf.live.program, account.event.judged_at
    reward = program.rewards.get(str(given.get("reward")))
    if reward is None:
        raise Refused("/properties/reward", "unknown_reward", f"the program has no reward '{given.get('reward')}'")
    is_open = (reward.active_from is None or now >= reward.active_from) and (
        reward.active_until is None or now < reward.active_until
    )
    level = held_level(program.tiers, account.state)
    fits = not reward.tiers or (level is not None and level.id in reward.tiers)
    if not reward.enabled or not is_open or not fits:
        why = "is switched off" if not reward.enabled else "is not active now" if not is_open else "is for other tiers"
        raise Refused("/properties/reward", "reward_unavailable", f"'{reward.id}' {why}")
    return reward


def _known(account: Account, reward: str) -> tuple[int, Stock | None]:
    """This customer's claims of a reward, and what all share of it; None where everything is known but that."""
    state = account.state
    if state.is_whole:
        found = (item for item in state.redemptions.values() if item is not None)
        return sum(item.reward == reward and item.status != "cancelled" for item in found), None
    if reward not in state.stocks:
        raise Lacking(reward=reward)
    return state.claimed.get(reward, 0), state.stocks[reward]


def fulfil(account: Account) -> Redemption:
    """`reward_fulfilled`: the customer has it."""
    return msgspec.structs.replace(_claimed(account), status="fulfilled")


def cancel(account: Account) -> Claim:
    """`reward_cancelled`: spent → available, one back to the stock and to the customer's limit; a code stays used."""
    redemption = _claimed(account)
    claimed, stock = _known(account, redemption.reward)
    account.give_back(redemption.parts, "spent", About(reason="return"), extends=True)
    left = None if stock is None else msgspec.structs.replace(stock, claimed=max(stock.claimed - 1, 0))
    cancelled = msgspec.structs.replace(redemption, status="cancelled")
    return Claim(redemption=cancelled, claimed=max(claimed - 1, 0), stock=left)


def _claimed(account: Account) -> Redemption:
    return under_way(account, "redemption", account.state.redemptions)
