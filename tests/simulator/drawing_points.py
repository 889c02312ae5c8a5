"""Draws everything that is not an order's: visits, adjustments, reservations, claims, tiers, profiles, wrong input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.simulator.acts import Act
from tests.simulator.drawing import Drawing

HIDDEN = ("nothing", "missing")  # rewards and levels that do not exist


def visit(drawing: Drawing) -> list[Act]:
    return [_plain(drawing, "visit")]


def note(drawing: Drawing) -> list[Act]:
    return [_plain(drawing, "note")]


def _plain(drawing: Drawing, event_type: str) -> Act:
    fields: dict[str, object] = {} if drawing.often(0.8) else {"reference": None}
    return drawing.act(drawing.customer(), event_type, {"amount": drawing.money(120)}, **fields)


def signup(drawing: Drawing) -> list[Act]:
    return [drawing.act(drawing.customer(), "signup", {})]


def opt_in(drawing: Drawing) -> list[Act]:
    return [drawing.act(drawing.customer(), "opt_in", {})]


def profile(drawing: Drawing) -> list[Act]:
    properties: dict[str, object] = {}
    if drawing.often(0.6):
        day = drawing.dice.choice(["02-29", "06-15", "12-31", "03-29", "10-25"])
        properties["birth_date"] = f"{drawing.dice.choice([1980, 1992])}-{day}"
    if drawing.often(0.5) or not properties:
        properties["tags"] = drawing.dice.sample(["fan", "vip", "new"], 2)
    if drawing.often(0.3):
        properties["city"] = drawing.dice.choice(["Szeged", "Pécs"])
    return [drawing.act(drawing.customer(), "profile", properties)]


# Adjustments


def _wallet(drawing: Drawing) -> dict[str, object]:
    wallets = drawing.kit.program(0).wallets
    if drawing.often(0.02):
        return {"wallet": "nowhere"}
    return {"wallet": drawing.dice.choice(wallets)} if len(wallets) > 1 or drawing.often(0.2) else {}


def add(drawing: Drawing) -> list[Act]:
    dice = drawing.dice
    properties: dict[str, object] = {"points": str(dice.randrange(1, 150)), **_wallet(drawing)}
    if drawing.often(0.2):
        properties["qualifying"] = False
    if drawing.often(0.15):
        properties["earned_at"] = (drawing.now - timedelta(days=dice.randrange(0, 300), seconds=7)).isoformat()
    if drawing.often(0.15):
        properties["expires_at"] = (drawing.now + timedelta(days=dice.randrange(-20, 90), minutes=3)).isoformat()
    if drawing.often(0.15):
        properties["hold"] = dice.choice(["P1D", "P14D", "PT5H"])
    return [drawing.act(drawing.customer(), "point_add", properties)]


def spend(drawing: Drawing) -> list[Act]:
    properties: dict[str, object] = {"points": str(drawing.dice.randrange(1, 120)), **_wallet(drawing)}
    if drawing.often(0.2):
        properties["allow_debt"] = True
    return [drawing.act(drawing.customer(), "point_sub", properties)]


def take_back(drawing: Drawing) -> list[Act]:
    (act,) = spend(drawing)
    return [replace(act, properties={**act.properties, "reverse": True})]


# Reservations and rewards


def reserve(drawing: Drawing) -> list[Act]:
    properties: dict[str, object] = {"points": str(drawing.dice.randrange(1, 80)), **_wallet(drawing)}
    if drawing.often(0.5):
        properties["timeout"] = drawing.dice.choice(["PT10M", "PT6H", "P2D", "P40D"])
    act = drawing.command(drawing.customer(), "points_reserved", properties)
    drawing.reservations.append((str(act.customer), str(act.reference)))
    return [act]


def _about(drawing: Drawing, made: list[tuple[str, str]], event_type: str) -> list[Act]:
    """A command on something made before; now and then on nothing, or by somebody else."""
    if not made or drawing.often(0.03):
        return [drawing.command(drawing.customer(), event_type, {}, of=HIDDEN[0])]
    customer, reference = drawing.dice.choice(made[-10:])
    if drawing.often(0.03):
        customer = drawing.customer()
    return [drawing.command(customer, event_type, {}, of=reference)]


def capture(drawing: Drawing) -> list[Act]:
    (act,) = _about(drawing, drawing.reservations, "reservation_captured")
    if not drawing.often(0.4):
        return [act]
    made = next((sent for sent in drawing.sent if sent.reference == act.of), None)
    most = int(str(made.properties["points"])) if made is not None else 1
    return [replace(act, properties={"points": str(drawing.dice.randrange(1, most + 1))})]


def release(drawing: Drawing) -> list[Act]:
    return _about(drawing, drawing.reservations, "reservation_released")


def claim(drawing: Drawing) -> list[Act]:
    rewards = [str(reward["id"]) for reward in drawing.kit.program(0).listed("rewards")] or [HIDDEN[0]]
    name = HIDDEN[0] if drawing.often(0.03) else drawing.dice.choice(rewards)
    act = drawing.command(drawing.customer(), "reward_claimed", {"reward": name})
    drawing.redemptions.append((str(act.customer), str(act.reference)))
    return [act]


def fulfil(drawing: Drawing) -> list[Act]:
    return _about(drawing, drawing.redemptions, "reward_fulfilled")


def cancel(drawing: Drawing) -> list[Act]:
    return _about(drawing, drawing.redemptions, "reward_cancelled")


def tier(drawing: Drawing) -> list[Act]:
    levels = [str(level["id"]) for level in drawing.kit.program(0).levels]
    properties: dict[str, object] = {}
    if drawing.often(0.7):
        properties["tier"] = drawing.dice.choice([*levels, HIDDEN[1]] if drawing.often(0.1) else levels)
        if drawing.often(0.6):
            days = drawing.dice.randrange(1, 200)
            properties["until"] = (drawing.now + timedelta(days=days, minutes=days)).isoformat()
    return [drawing.command(drawing.customer(), "tier_set", properties)]


# Wrong input


def wrong(drawing: Drawing) -> list[Act]:
    """Refused for what it is, whatever the customer has."""
    ways: list[tuple[str, Mapping[str, object], Mapping[str, object]]] = [
        ("type", {"amount": "abc"}, {}),
        ("missing", {}, {}),
        ("too_many_places", {"amount": "1.234"}, {}),
        ("below_minimum", {"amount": "-1"}, {}),
        ("in_future", {"amount": "1"}, {"occurred_at": drawing.now + timedelta(minutes=6)}),
        ("too_early", {"amount": "1"}, {"occurred_at": datetime(1989, 12, 31, tzinfo=UTC)}),
        ("reserved_reference", {"amount": "1"}, {"reference": "sys:1"}),
    ]
    code, properties, fields = drawing.dice.choice(ways)
    return [drawing.act(drawing.customer(), "visit", properties, **{"occurred_at": None, **fields}, wrong=code)]


POINT_ACTS: Mapping[str, Callable[[Drawing], list[Act]]] = {
    draw.__name__: draw
    for draw in (
        visit, note, signup, opt_in, profile, add, spend, take_back, reserve, capture, release, claim, fulfil, cancel,
        tier, wrong,
    )
}  # fmt: skip
