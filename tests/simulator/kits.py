"""The hand-written programs of the simulator, one for each corner of the meaning of points."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tests.simulator.model_program import Form
from tests.simulator.programs import (
    BASE,
    BOOKS,
    FIRST,
    ITEMS,
    LARGE,
    SUBTOTALS,
    VISITED,
    WELCOME,
    Kit,
    document,
)

MONTHS = {"kind": "months_after_earning", "months": "3"}
LEVELS = [
    {"id": "bronze", "from": "0", "multiplier": "1"},
    {"id": "silver", "from": "200", "multiplier": "1.25"},
    {"id": "gold", "from": "800", "multiplier": "1.5"},
]
RISE = {"id": "rise", "event_type": "tier_upgraded", "when": "properties.first_time", "award": "20"}
TIER_FORMS = {"rise": Form(when=lambda seen: seen.p.get("first_time") is True, award=lambda _: 20)}
REWARDS = [
    {"id": "mug", "cost": "60", "stock": "5"},
    {"id": "tea", "cost": "25", "per_customer": "2"},
    {"id": "pen", "cost": "10"},
    {"id": "old", "cost": "1", "active": {"until": "2025-01-01T00:00:00Z"}},
    {"id": "off", "cost": "1", "enabled": False},
]

SIMPLE = Kit(
    name="simple",
    documents=[
        document(BASE, LARGE, WELCOME, VISITED, rewards=REWARDS),
        document({**BASE, "award": "properties.amount * 2"}, FIRST, WELCOME, VISITED, rewards=REWARDS),
    ],
    forms=[{}, {"base": Form(award=lambda seen: seen.number("amount") * 2)}],
    weights={},
)
MANUAL = Kit(
    name="manual",
    documents=[
        document(BASE, BOOKS, FIRST, VISITED, wallets=[{"id": "points", "hold": "P14D", "expiry": MONTHS}],
                 orders={"acceptance": "manual"}, settings={"name": "Manual", "time_zone": "Europe/Budapest"}),
        document(BASE, ITEMS, VISITED, wallets=[{"id": "points", "hold": "P14D", "expiry": MONTHS}],
                 orders={"acceptance": "immediate"}, settings={"name": "Manual", "time_zone": "Europe/Budapest"}),
    ],
    forms=[{}, {}],
    weights={"accept": 12, "reject": 3},
    span_days=20,
)  # fmt: skip
FORGIVE = Kit(
    name="forgive",
    documents=[
        document(BASE, LARGE, VISITED, rewards=REWARDS,
                 wallets=[{"id": "points", "negative_balance": "forgive", "expiry": {**MONTHS, "month_end": True}}]),
    ],
    forms=[{}],
    weights={"claim": 10, "cancel": 6, "refund": 8, "update": 10, "reserve": 6, "spend": 8},
    span_days=15,
)  # fmt: skip
TWO = Kit(
    name="two",
    documents=[
        document(
            BASE, {**ITEMS, "wallet": "miles"}, {**VISITED, "wallet": "miles", "hold": "P3D"}, LARGE,
            wallets=[{"id": "points", "expiry": MONTHS}, {"id": "miles", "negative_balance": "forgive",
                     "hold": "P1D", "expiry": {"kind": "months_after_earning", "months": "1", "month_end": True}}],
            rewards=[{"id": "pen", "cost": "10"}, {"id": "trip", "cost": "20", "wallet": "miles"}],
        ),
    ],
    forms=[{}],
    weights={"claim": 6},
    span_days=12,
)  # fmt: skip
LATER = Kit(
    name="later",
    documents=[
        document(BASE, BOOKS, LARGE, orders={"acceptance": {"after": "P14D", "then": "reject"}}),
        document(BASE, FIRST, orders={"acceptance": {"after": "P3D", "then": "accept"}}),
    ],
    forms=[{}, {}],
    weights={"accept": 10, "publish": 2},
    span_days=10,
)
LIMITS = Kit(
    name="limits",
    documents=[
        document(
            {**BASE, "limits": [{"points": "150", "window": "day"}, {"points": "400", "window": "month"}]},
            {**LARGE, "group": "extra", "limits": [{"times": "1", "window": "week"}]},
            {**BOOKS, "group": "extra", "priority": "1", "limits": [{"points": "60", "window": "month"}]},
            {"id": "tenth", "event_type": "checkout", "award": "properties.amount * 0.1", "group": "extra"},
            {**VISITED, "limits": [{"times": "2", "points": "90", "window": "year"}]},
            WELCOME,
            settings={"name": "Limits", "time_zone": "Europe/Budapest", "rounding": "half_up"},
        ),
    ],
    forms=[{"tenth": Form(award=lambda seen: seen.number("amount") / 10)}],
    weights={"update": 14, "open": 20, "refund": 8},
    span_days=4,
)
ROLLING = Kit(
    name="rolling",
    documents=[
        document(BASE, VISITED, RISE, {**LARGE, "qualifying": False},
                 tiers={"basis": {"wallet": "points", "window": "rolling", "months": "12"},
                        "downgrade": "immediately", "levels": LEVELS},
                 rewards=[{"id": "cup", "cost": "10", "tiers": ["silver", "gold"]}]),
    ],
    forms=[TIER_FORMS],
    weights={"visit": 10, "tier": 3, "claim": 3, "take_back": 0},
    span_days=90,
)  # fmt: skip
PERIOD = Kit(
    name="period",
    documents=[
        document(BASE, VISITED, RISE,
                 tiers={"basis": {"wallet": "points", "window": "rolling", "months": "12"}, "grace_days": "10",
                        "downgrade": "at_period_end", "levels": LEVELS},
                 settings={"name": "Period", "time_zone": "America/New_York"}),
    ],
    forms=[TIER_FORMS],
    weights={"visit": 10, "tier": 1, "take_back": 0},
    span_days=120,
)  # fmt: skip
YEARLY = Kit(
    name="yearly",
    documents=[
        document(BASE, VISITED, RISE, orders={"acceptance": "manual"},
                 tiers={"basis": {"wallet": "points", "window": "calendar_year"}, "grace_days": "15",
                        "downgrade": "at_period_end", "levels": LEVELS},
                 settings={"name": "Yearly", "time_zone": "Europe/Budapest"}),
    ],
    forms=[TIER_FORMS],
    weights={"visit": 10, "tier": 2, "accept": 10, "take_back": 0},
    span_days=120,
)  # fmt: skip
LIFETIME = Kit(
    name="lifetime",
    documents=[
        document({**BASE, "hold": "P7D"}, VISITED, RISE, FIRST,
                 tiers={"basis": {"wallet": "points", "window": "lifetime"}, "levels": LEVELS},
                 wallets=[{"id": "points", "expiry": {**MONTHS, "months": "12"}}],
                 rewards=[{"id": "cup", "cost": "40", "tiers": ["gold"]}, {"id": "pen", "cost": "10"}]),
    ],
    forms=[TIER_FORMS],
    weights={"tier": 3, "take_back": 3},
)  # fmt: skip
ACTIVITY = Kit(
    name="activity",
    documents=[
        document(BASE, VISITED, WELCOME, {"id": "back", "event_type": "inactivity", "award": "5"},
                 {"id": "cake", "event_type": "birthday", "award": "15"},
                 {"id": "year", "event_type": "anniversary", "award": "properties.years * 10"},
                 wallets=[{"id": "points", "expiry": {"kind": "months_after_activity", "months": "2"}}],
                 settings={"name": "Activity", "time_zone": "Europe/Budapest", "inactivity_days": "40"},
                 rewards=[{"id": "pen", "cost": "10"}]),
    ],
    forms=[{
        "back": Form(award=lambda _: 5),
        "cake": Form(award=lambda _: 15),
        "year": Form(award=lambda seen: Fraction(str(seen.p["years"])) * 10),
    }],
    weights={"profile": 4, "visit": 8, "claim": 4},
    span_days=50,
)  # fmt: skip
BURNING = Kit(
    name="burning",
    documents=[
        document(BASE, SUBTOTALS, wallets=[{"id": "points", "expiry": MONTHS}], orders={"acceptance": "manual"}),
        document(BASE, LARGE, wallets=[{"id": "points", "expiry": MONTHS}]),
    ],
    forms=[{}, {}],
    weights={"add": 8, "accept": 10},
    span_days=25,
)

KITS: Sequence[Kit] = (
    SIMPLE,
    MANUAL,
    FORGIVE,
    TWO,
    LATER,
    LIMITS,
    ROLLING,
    PERIOD,
    YEARLY,
    LIFETIME,
    ACTIVITY,
    BURNING,
)
