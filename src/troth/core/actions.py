"""What events of some types do by themselves, beside what rules give for them.

In: the account of the event. Out: its effect: what it changes of the state, and the event as it is recorded where the
engine adds to it. Orders have a room of their own (`order_events`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from troth.core.account import Account
from troth.core.claims import Claim, cancel, claim, fulfil
from troth.core.coercion import Problem, Reading, read_fields
from troth.core.direct import add_points, capture, release, reserve, stored, take_points
from troth.core.event import Event, Outcome
from troth.core.order_events import OrderEffect
from troth.core.state import Reservation, TierHistory, Use, UseKey
from troth.core.tier_changes import set_by_hand


class Effect(msgspec.Struct, kw_only=True):
    """What an event changes beside points."""

    changes: Mapping[str, object] = {}  # fields of the state
    tiers: TierHistory | None = None  # None: as before
    event: Event | None = None  # as it is recorded, with what the engine adds; None: as it came
    order: OrderEffect | None = None
    outcome: Outcome = "applied"
    warnings: tuple[Problem, ...] = ()
    uses: list[tuple[UseKey, Use]] = []
    dates: tuple[datetime, ...] = ()  # when something new falls due
    code: tuple[str, int] | None = None  # reward and number of the code that was given


def _adjust(account: Account) -> Effect:
    (add_points if account.event.type.id == "point_add" else take_points)(account)
    return Effect()


def _reserve(account: Account) -> Effect:
    return _with_reservation(account, reserve(account))


def _capture(account: Account) -> Effect:
    return _with_reservation(account, capture(account))


def release_reservation(account: Account) -> Effect:
    return _with_reservation(account, release(account))


def _with_reservation(account: Account, found: Reservation) -> Effect:
    changes = {"reservations": {**account.state.reservations, found.id: found}}
    return Effect(changes=changes, dates=(found.due_at,) if found.status == "held" else ())


def _claim(account: Account) -> Effect:
    found = claim(account)
    redemption = found.redemption
    effect = _with_claim(account, found)
    effect.event = _completed(account, {"wallet": redemption.wallet, "points": redemption.points})
    effect.code = (redemption.reward, found.code) if found.code is not None else None
    return effect


def _cancel(account: Account) -> Effect:
    found = cancel(account)
    redemption = found.redemption
    effect = _with_claim(account, found)
    added = {"reward": redemption.reward, "wallet": redemption.wallet, "points": redemption.points}
    effect.event = _completed(account, added)
    return effect


def _fulfil(account: Account) -> Effect:
    found = fulfil(account)
    changes = {"redemptions": {**account.state.redemptions, found.id: found}}
    return Effect(changes=changes, event=_completed(account, {"reward": found.reward}))


def _with_claim(account: Account, found: Claim) -> Effect:
    state, redemption = account.state, found.redemption
    changes: dict[str, object] = {
        "redemptions": {**state.redemptions, redemption.id: redemption},
        "claimed": {**state.claimed, redemption.reward: found.claimed},
    }
    if found.stock is not None:
        changes["stocks"] = {**state.stocks, redemption.reward: found.stock}
    return Effect(changes=changes)


def _set_tier(account: Account) -> Effect:
    return Effect(tiers=set_by_hand(account.state, account.event, stored(account), account.shelf.live))


def _completed(account: Account, added: Mapping[str, object]) -> Event:
    """The event with what the engine knows of it, read by its type's schema."""
    event = account.event
    kept = {**stored(account), **added}
    reading = Reading(account.shelf.live.zone, [])
    found = read_fields(event.type.properties, kept, "/properties", reading)
    pairs = list(zip(event.type.properties, found, strict=True))
    named = {field.name: value for field, (value, _) in pairs if value is not None}
    text = _encoder.encode({**kept, **named}).decode()
    values = tuple(None if field.pii else value for field, (_, value) in pairs)
    return msgspec.structs.replace(event, values=values, properties=text)


_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")

ACTIONS: Mapping[str, Callable[[Account], Effect]] = {
    "point_add": _adjust,
    "point_sub": _adjust,
    "points_reserved": _reserve,
    "reservation_captured": _capture,
    "reservation_released": release_reservation,
    "reward_claimed": _claim,
    "reward_fulfilled": _fulfil,
    "reward_cancelled": _cancel,
    "tier_set": _set_tier,
}
