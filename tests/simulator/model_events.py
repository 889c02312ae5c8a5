"""Recording an event of a customer: its own effect, what rules award for it, and the change of tier it causes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from tests.simulator.days import local_day
from tests.simulator.model_books import AFTER, COUNTED, Books, Lot
from tests.simulator.model_program import Item, Seen
from tests.simulator.model_rules import Due, customer_values, deserved_by_event
from tests.simulator.model_tiers import tier_at

DEPTH_MOST = 5
QUIET_TYPES = {  # built in, and no activity
    "checkout_accept", "checkout_reject", "refund", "partial_refund", "point_add", "point_sub", "points_reserved",
    "reservation_captured", "reservation_released", "reward_fulfilled", "reward_cancelled", "tier_set",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event as the model judges it: properties with exact numbers."""

    type: str
    occurred_at: datetime
    is_dated: bool = True  # the sender stated when it occurred
    reference: str = ""
    properties: Mapping[str, object] = field(default_factory=dict)
    of: str = ""
    is_system: bool = False
    depth: int = 0


Effect = Callable[[Books, Told], "Mapping[str, int] | None"]


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What an event did by itself."""

    seq: int
    points: int
    awards: Mapping[str, int] | None


def record(books: Books, told: Told, effect: Effect) -> Effects:
    """One event and what it causes. Raises Refused before anything has moved."""
    customer = books.customer
    customer.seq += 1
    seq, activity = customer.seq, customer.last_activity
    if is_activity(books, told):
        customer.last_activity = max(filter(None, (activity, told.occurred_at)))
    try:
        awards = effect(books, told)
    except Exception:
        customer.seq, customer.last_activity = seq - 1, activity
        raise
    customer.counts[told.type] = customer.counts.get(told.type, 0) + 1
    if not told.is_system:
        _join(books, told)
    change_tier(books, told.depth, told.occurred_at)
    main = books.program.wallets[0]
    own = [move for move in customer.moves if move.seq == seq and move.wallet == main]
    points = sum(((move.target in COUNTED) - (move.source in COUNTED)) * move.points for move in own)
    return Effects(seq=seq, points=points, awards=awards)


def is_activity(books: Books, told: Told) -> bool:
    declared = books.program.event_type(told.type).get("activity", told.type not in QUIET_TYPES)
    return bool(declared) and not told.is_system


def _join(books: Books, told: Told) -> None:
    """Anniversaries are counted from the first opt_in, else from the first event."""
    customer = books.customer
    is_opt_in = told.type == "opt_in" and not customer.opted_in
    if customer.joined is None or is_opt_in:
        customer.joined = local_day(books.program.zone, told.occurred_at)
        customer.joined_known_at = books.now
        customer.opted_in = is_opt_in
        customer.anniversaries.clear()  # they are counted anew from the first opt_in


def change_tier(books: Books, depth: int, occurred_at: datetime) -> None:
    """A system event when the level is another one now; its rules use the new level. It occurred with its cause."""
    customer = books.customer
    before, after = customer.tier, tier_at(books, books.now)
    if books.step == AFTER:  # else the reviews of this moment are still to come
        customer.tier_checked = books.now
    if before == after or depth >= DEPTH_MOST:
        return
    rises = books.program.rank(after) > books.program.rank(before)
    properties: dict[str, object] = {"from_tier": before, "to_tier": after, "wallet": books.tier_wallet}
    if rises:
        properties["first_time"] = after not in customer.reached
        customer.reached.add(str(after))
    customer.tier = after
    told = Told(
        type="tier_upgraded" if rises else "tier_downgraded",
        occurred_at=occurred_at,
        properties=properties,
        is_system=True,
        depth=depth + 1,
    )
    record(books, told, by_rules)


# What rules award


def by_rules(books: Books, told: Told) -> Mapping[str, int]:
    seen = Seen(
        p=told.properties,
        c=customer_values(books),
        time=told.occurred_at.astimezone(books.program.zone),
    )
    found = deserved_by_event(books, told.type, told.occurred_at, seen)
    _award(books, told, found)
    return {str(due.rule["id"]): due.points for due in found}


def _award(books: Books, told: Told, found: list[Due]) -> None:
    made: dict[tuple[object, ...], Lot] = {}
    for due in found:
        rule = str(due.rule["id"])
        lot = _lot_for(books, told, due.rule, made)
        if not due.rule.get("qualifying", True):
            lot.quiet.add(rule)
        add_to(books, lot, due.points, rule)
        books.customer.awards.append((rule, told.occurred_at, due.points))
    for lot in made.values():
        if lot.remaining:
            books.arrive(lot, lot.remaining)


def add_to(books: Books, lot: Lot, points: int, rule: str = "") -> None:
    """Points come into a lot, pending while its hold lasts. What is available has still to arrive."""
    state, reason = "available" if lot.hold_end <= books.now else "pending", "award" if rule else "adjustment"
    books.move(lot.wallet, f"program>{state}", points, reason, qualifying=rule not in lot.quiet)
    if state == "pending":
        lot.pending_of[rule] = lot.pending_of.get(rule, 0) + points
        return
    lot.begins = max(lot.earned_at, lot.hold_end)
    lot.remaining += points
    books.note_earned(lot, points, rule)


def _lot_for(books: Books, told: Told, rule: Item, made: dict[tuple[object, ...], Lot]) -> Lot:
    """One lot for what ends together."""
    program = books.program
    wallet, hold_end = program.wallet_of(rule), told.occurred_at + program.hold_of(rule)
    expiry = program.expiry_of(wallet, rule)
    key = (wallet, hold_end, tuple(sorted(expiry.items(), key=str)))
    if key not in made:
        made[key] = books.new_lot(wallet, earned_at=told.occurred_at, expiry=expiry, hold_end=hold_end)
    return made[key]


# Profiles


def by_profile(books: Books, told: Told) -> Mapping[str, int]:
    customer = books.customer
    for name, value in told.properties.items():
        if name == "tags":
            assert isinstance(value, list)
            customer.tags = [str(tag) for tag in value]
        elif name != "birth_date":
            customer.attributes[name] = value
    if "birth_date" in told.properties:
        birth = date.fromisoformat(str(told.properties["birth_date"]))
        if birth != customer.birth:
            customer.birth, customer.birth_known_at = birth, books.now
    return by_rules(books, told)
