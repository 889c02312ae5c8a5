"""Events with a direct effect on points: adjustments, reservations, claims, and tiers set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from tests.simulator.days import duration, end_of_day, local_day
from tests.simulator.model_books import Books, Lot, Refused, Taken
from tests.simulator.model_events import Effect, Told, add_to, by_rules
from tests.simulator.model_program import Item
from tests.simulator.model_rules import is_active

RESERVED_FOR = timedelta(minutes=30)


def _wallet(books: Books, told: Told) -> str:
    name = str(told.properties.get("wallet") or books.program.wallets[0])
    if name not in books.program.wallets:
        raise Refused("unknown_wallet")
    return name


def _points(told: Told) -> int:
    return int(str(told.properties["points"]))


def _length(told: Told, name: str, default: timedelta) -> timedelta:
    text = told.properties.get(name)
    found = default if text is None else duration(str(text))
    if found is None:
        raise Refused("invalid_duration")
    return found


# Adjustments


def point_add(books: Books, told: Told) -> None:
    wallet, asked = _wallet(books, told), told.properties
    earned_at = asked.get("earned_at") or told.occurred_at
    assert isinstance(earned_at, datetime)
    hold_end = told.occurred_at + _length(told, "hold", timedelta(0))
    lot = books.new_lot(wallet, earned_at=earned_at, expiry=books.program.expiry_of(wallet), hold_end=hold_end)
    if not asked.get("qualifying", True):
        lot.quiet.add("")
    if asked.get("hold") is None:
        lot.hold_end = min(earned_at, hold_end)
    ends = asked.get("expires_at")
    if isinstance(ends, datetime):
        lot.stated_end = end_of_day(books.program.zone, local_day(books.program.zone, ends))
    add_to(books, lot, _points(told))
    if lot.remaining:
        books.arrive(lot, lot.remaining)


def point_sub(books: Books, told: Told) -> None:
    """available → spent, or → program with `reverse`; the rest is debt with `allow_debt`."""
    wallet, points = _wallet(books, told), _points(told)
    reverses, allows = bool(told.properties.get("reverse")), bool(told.properties.get("allow_debt"))
    target = "program" if reverses else "spent"
    parts = books.take(wallet, points) if allows else books.take_all(wallet, points)
    counted = max(0, min(points, books.wallet(wallet)["qualifying"])) if reverses else 0
    for _, part in parts:
        books.move(wallet, f"available>{target}", part, "adjustment")
    rest = points - sum(part for _, part in parts)
    if rest:
        books.move(wallet, f"debt>{target}", rest, "adjustment")
    if counted:  # the text leaves open which points are taken back: those that count, as far as there are any
        books.wallet(wallet)["qualifying"] -= counted
        books.note_taken_back(wallet, counted, None)


# Reservations


def points_reserved(books: Books, told: Told) -> None:
    wallet, length = _wallet(books, told), _length(told, "timeout", RESERVED_FOR)
    parts = books.take_all(wallet, _points(told))
    for _, part in parts:
        books.move(wallet, "available>reserved", part, "reservation")
    books.customer.reservations[told.reference] = Taken(wallet=wallet, parts=parts, due_at=books.now + length)


def _open(found: Taken | None, kind: str) -> Taken:
    if found is None:
        raise Refused(f"unknown_{kind}")
    if found.status != "open":
        raise Refused(f"{kind}_ended")
    return found


def reservation_captured(books: Books, told: Told) -> None:
    """The whole, or `points` in order of taking; the rest is released."""
    taken = _open(books.customer.reservations.get(told.of), "reservation")
    wanted = min(int(str(told.properties.get("points", taken.points))), taken.points)
    rest: list[tuple[Lot, int]] = []
    taken.status = "captured"
    for lot, points in taken.parts:
        part = min(wanted, points)
        wanted -= part
        if part:
            books.move(taken.wallet, "reserved>spent", part, "spend")
        if points > part:
            rest.append((lot, points - part))
    books.give_back(rest[::-1], "reserved", lives_on=False)


def reservation_released(books: Books, told: Told) -> None:
    taken = _open(books.customer.reservations.get(told.of), "reservation")
    taken.status = "released"
    books.give_back(taken.parts[::-1], "reserved", lives_on=False)


# Rewards


def reward_claimed(books: Books, told: Told) -> None:
    name = str(told.properties["reward"])
    reward = books.program.reward(name)
    if reward is None:
        raise Refused("unknown_reward")
    if not _is_available(books, reward):
        raise Refused("reward_unavailable")
    claims = [taken for taken in books.customer.redemptions.values()
              if taken.reward == name and taken.status != "cancelled"]  # fmt: skip
    stock, most = reward.get("stock"), reward.get("per_customer")
    if stock is not None and books.shared.claimed.get(name, 0) >= int(str(stock)):
        raise Refused("out_of_stock")
    if most is not None and len(claims) >= int(str(most)):
        raise Refused("limit_reached")
    wallet = books.program.wallet_of(reward)
    parts = books.take_all(wallet, int(str(reward["cost"])))
    for _, part in parts:
        books.move(wallet, "available>spent", part, "spend")
    books.customer.redemptions[told.reference] = Taken(wallet=wallet, parts=parts, reward=name)
    books.shared.claimed[name] = books.shared.claimed.get(name, 0) + 1


def _is_available(books: Books, reward: Item) -> bool:
    tiers = reward.get("tiers") or []
    assert isinstance(tiers, list)
    is_allowed = not tiers or books.customer.tier in tiers
    return bool(reward.get("enabled", True)) and is_active(reward, books.now) and is_allowed


def reward_fulfilled(books: Books, told: Told) -> None:
    _open(books.customer.redemptions.get(told.of), "redemption").status = "fulfilled"


def reward_cancelled(books: Books, told: Told) -> None:
    taken = _open(books.customer.redemptions.get(told.of), "redemption")
    taken.status = "cancelled"
    books.shared.claimed[str(taken.reward)] -= 1
    books.give_back(taken.parts[::-1], "spent", lives_on=True)


# Tiers


def tier_set(books: Books, told: Told) -> None:
    tier, until = told.properties.get("tier"), told.properties.get("until")
    if tier is not None and not books.program.level(str(tier)):
        raise Refused("unknown_level")
    books.customer.manual = None if tier is None else str(tier)
    books.customer.manual_until = until if isinstance(until, datetime) else None


def _then_rules(effect: object) -> Effect:
    def run(books: Books, told: Told) -> Mapping[str, int]:
        effect(books, told)  # type: ignore[operator]
        return by_rules(books, told)

    return run


DIRECT: Mapping[str, Effect] = {
    effect.__name__: _then_rules(effect)
    for effect in (
        point_add,
        point_sub,
        points_reserved,
        reservation_captured,
        reservation_released,
        reward_claimed,
        reward_fulfilled,
        reward_cancelled,
        tier_set,
    )
}
