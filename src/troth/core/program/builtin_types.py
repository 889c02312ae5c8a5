"""Event types that exist in every program without being declared; a declaration only extends them.

System types are written by the engine and accepted from no door. The order family follows from an opening type (a type
with an `order` mapping). Profile, consent and point types have a direct effect, so a key needs their scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from troth import limits
from troth.core.program import EventType, Property

CALENDAR_TYPES = frozenset({"birthday", "anniversary", "inactivity"})
SYSTEM_TYPES = CALENDAR_TYPES | frozenset(
    {
        "tier_upgraded",
        "tier_downgraded",
        "points_released",
        "points_expired",
        "points_reserved",
        "reservation_captured",
        "reservation_released",
        "reward_claimed",
        "reward_fulfilled",
        "reward_cancelled",
        "tier_set",
        "segment_entered",
        "segment_left",
        "campaign_bonus",
    }
)
COMMAND_TYPES = {  # system types that an endpoint writes for a caller, and the permission it takes
    "points_reserved": "points:write",
    "reservation_captured": "points:write",
    "reservation_released": "points:write",
    "reward_claimed": "points:write",
    "reward_fulfilled": "points:write",
    "reward_cancelled": "points:write",
    "tier_set": "customers:write",
}
ABSENT_TYPES = frozenset({"segment_entered", "segment_left", "campaign_bonus"})  # this version writes none
ORDER_FAMILY_TYPES = frozenset({"checkout_update", "checkout_accept", "checkout_reject", "refund", "partial_refund"})
UNAVAILABLE_TYPES = frozenset({"opt_out"})  # no door accepts them yet
PROFILE_TYPE = "profile"

POINTS_SCOPE = "points:write"
CUSTOMERS_SCOPE = "customers:write"


def _text(name: str, *, required: bool = False, pii: bool = False) -> Property:
    return Property(name=name, kind="text", required=required, pii=pii, max_length=limits.IDENTIFIER_LENGTH)


def _whole(name: str, *, least: int = 0, required: bool = True) -> Property:
    return Property(name=name, kind="number", required=required, places=0, minimum=Decimal(least))


def _flag(name: str) -> Property:
    return Property(name=name, kind="boolean", default=False)


def _money(name: str) -> Property:
    return Property(name=name, kind="number", places=4, minimum=Decimal(0))


def _type(
    type_id: str, label: str, *properties: Property, scope: str | None = None, activity: bool = False
) -> EventType:
    system = type_id in SYSTEM_TYPES
    return EventType(id=type_id, label=label, properties=properties, scope=scope, activity=activity, system=system)


_REASON = Property(name="reason", kind="text")
_WALLET_POINTS = (_text("wallet", required=True), _whole("points"))
_CLAIMED = (_text("wallet"), _whole("points", required=False))  # told by the engine
_CODE = Property(name="code", kind="text", pii=True)
_TIERS = (_text("from_tier"), _text("to_tier"), _text("wallet"))
_REFUND_ITEMS = Property(
    name="items",
    kind="list",
    of=(
        _text("line"),
        _text("product_id"),
        Property(name="quantity", kind="number", places=3, minimum=Decimal(0)),
        _money("amount"),
    ),
)

_DIRECT = (
    _type(
        PROFILE_TYPE,
        "Profile changed",
        Property(name="tags", kind="list", max_items=100, item=_text("")),
        Property(name="birth_date", kind="date", pii=True),
        scope=CUSTOMERS_SCOPE,
        activity=True,
    ),
    _type("opt_in", "Joined the programme", _text("channel"), scope=CUSTOMERS_SCOPE, activity=True),
    _type("opt_out", "Left the programme", _REASON, scope=CUSTOMERS_SCOPE, activity=True),
    _type(
        "point_add",
        "Points added",
        _whole("points", least=1),
        _text("wallet"),
        _REASON,
        Property(name="qualifying", kind="boolean", default=True),
        Property(name="earned_at", kind="datetime"),
        Property(name="expires_at", kind="datetime"),
        _text("hold"),
        scope=POINTS_SCOPE,
    ),
    _type(
        "point_sub",
        "Points taken",
        _whole("points", least=1),
        _text("wallet"),
        _REASON,
        _flag("reverse"),
        _flag("allow_debt"),
        Property(name="qualifying", kind="boolean", default=True),
        scope=POINTS_SCOPE,
    ),
)

_SYSTEM = (
    _type("birthday", "Birthday"),
    _type("anniversary", "Anniversary", _whole("years")),
    _type("inactivity", "Inactive", _whole("days")),
    _type("tier_upgraded", "Tier reached", *_TIERS, _flag("first_time")),
    _type("tier_downgraded", "Tier lost", *_TIERS),
    _type("points_released", "Points released", *_WALLET_POINTS),
    _type("points_expired", "Points expired", *_WALLET_POINTS),
    _type(
        "points_reserved",
        "Points reserved",
        _text("wallet"),
        _whole("points", least=1),
        _text("timeout"),
    ),
    _type(
        "reservation_captured",
        "Reserved points spent",
        _text("reservation", required=True),
        _whole("points", least=1, required=False),
    ),
    _type("reservation_released", "Reserved points released", _text("reservation", required=True), _REASON),
    _type("reward_claimed", "Reward claimed", _text("reward", required=True), *_CLAIMED, _CODE, activity=True),
    _type("reward_fulfilled", "Reward fulfilled", _text("redemption", required=True), _text("reward")),
    _type(
        "reward_cancelled",
        "Reward cancelled",
        _text("redemption", required=True),
        _text("reward"),
        *_CLAIMED,
        _REASON,
    ),
    _type("tier_set", "Tier set by hand", _text("tier"), Property(name="until", kind="datetime"), _REASON),
    _type("segment_entered", "Segment entered", _text("segment", required=True)),
    _type("segment_left", "Segment left", _text("segment", required=True)),
    _type("campaign_bonus", "Campaign bonus", _text("campaign", required=True), *_WALLET_POINTS),
)

_ORDER = (
    _type("checkout_update", "Order changed", _text("order_id"), _text("order_type"), activity=True),
    _type("checkout_accept", "Order accepted", _text("order_id")),
    _type("checkout_reject", "Order rejected", _text("order_id"), _REASON),
    _type("refund", "Order refunded", _text("order_id"), _text("refund_id"), _REASON),
    _type(
        "partial_refund",
        "Order partly refunded",
        _text("order_id"),
        _text("refund_id"),
        _money("amount"),
        _whole("points", required=False),
        _REFUND_ITEMS,
        _REASON,
    ),
)

BUILTIN_TYPES: Mapping[str, EventType] = {known.id: known for known in (*_DIRECT, *_SYSTEM, *_ORDER)}


def with_levels(levels: tuple[str, ...]) -> Mapping[str, EventType]:
    """The built-in types of a program with these tier levels: tier events name one of them."""
    if not levels:
        return BUILTIN_TYPES
    found = dict(BUILTIN_TYPES)
    for type_id in ("tier_upgraded", "tier_downgraded"):
        known = found[type_id]
        properties = tuple(
            replace(item, enum=levels) if item.name in {"from_tier", "to_tier"} else item for item in known.properties
        )
        found[type_id] = replace(known, properties=properties)
    return found


def with_opening_types(types: Mapping[str, EventType]) -> dict[str, EventType]:
    """`types` whose order family knows the opening types: their id properties, and their schema for an update."""
    opening = tuple(known for known in types.values() if known.order is not None)
    found = dict(types)
    for type_id in ORDER_FAMILY_TYPES:
        known = found[type_id]
        properties = [*known.properties, *_order_ids(opening)]
        if type_id == "checkout_update":
            properties += [replace(item, required=False) for parent in opening for item in parent.properties]
        found[type_id] = replace(known, properties=_first_of_each_name(properties))
    return found


def _order_ids(opening: tuple[EventType, ...]) -> tuple[Property, ...]:
    ids = {parent.order.id for parent in opening if parent.order is not None}
    return tuple(replace(item, required=False) for parent in opening for item in parent.properties if item.name in ids)


def _first_of_each_name(properties: Iterable[Property]) -> tuple[Property, ...]:
    found: dict[str, Property] = {}
    for item in properties:
        found.setdefault(item.name, item)
    return tuple(found.values())
