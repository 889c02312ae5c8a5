"""The program: everything marketers decide, as one frozen value.

In: nothing here reads a document; `core/program/document.py` turns a validated document into these types.
Out: plain records that rules, tiers and validation read. A `Program` is whole and consistent by construction:
every reference between its parts exists, every expression compiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

PropertyKind = Literal["number", "text", "boolean", "date", "datetime", "list", "object"]
RoundingMode = Literal["floor", "half_up", "ceil"]
Window = Literal["day", "week", "month", "year", "ever"]
ExpiryKind = Literal["never", "months_after_earning", "months_after_activity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One typed field of an event: how it is read, bounded and stored."""

    name: str
    kind: PropertyKind
    required: bool = False
    label: str = ""
    description: str = ""
    default: object = None  # a raw value the schema accepts; None means no default
    pii: bool = False  # sealed, never visible to a rule
    places: int = 4  # number: decimal places kept, 0 to 16
    minimum: Decimal = Decimal(-(10**12))  # number: inclusive
    maximum: Decimal = Decimal(10**12)  # number: inclusive
    excess_places: Literal["reject", "round"] = "reject"
    enum: tuple[str, ...] = ()  # text: the only values allowed; empty means any
    max_length: int = 1_000  # text: code points
    max_items: int = 200  # list
    of: tuple[Property, ...] = ()  # list of objects, or object: its fields
    item: Property | None = None  # list of scalars: its element (name "")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMapping:
    """Which properties of an opening type describe an order; None means not mapped."""

    id: str | None = None
    amount: str | None = None
    items: str | None = None
    line: str | None = None
    quantity: str | None = None
    price: str | None = None
    subtotal: str | None = None
    burned: str | None = None
    updated_at: str | None = None
    auto_accept: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    id: str
    label: str
    description: str = ""
    properties: tuple[Property, ...] = ()
    client_allowed: bool = False
    sensitive: bool = False
    once: bool = False
    activity: bool = True
    member_visible: bool = True
    strict: bool = False
    scope: str | None = None  # extra permission a key needs to send it
    system: bool = False  # written by the engine only; no door accepts it
    order: OrderMapping | None = None

    @property
    def property_places(self) -> Mapping[str, int]:
        """Name → place among the properties."""
        return {item.name: place for place, item in enumerate(self.properties)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    kind: ExpiryKind = "never"
    months: int = 0
    month_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    id: str
    label: str
    expiry: Expiry = Expiry()
    hold: timedelta = timedelta(0)
    negative_balance: Literal["allow", "forgive"] = "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `times` uses and/or `points` points per customer within the program-zone `window`."""

    window: Window
    times: int | None = None
    points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    label: str
    event_type: str
    when: str = "true"  # condition in the rule language
    award: str  # formula in the rule language
    wallet: str
    tier_multiplier: bool = True
    active_from: datetime | None = None  # aware, inclusive
    active_until: datetime | None = None  # aware, exclusive
    limits: tuple[Limit, ...] = ()
    group: str | None = None
    priority: int = 0
    hold: timedelta | None = None
    expiry: Expiry | None = None  # None: the wallet's
    qualifying: bool = True
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    id: str
    label: str
    threshold: int  # points, inclusive; `from` in the document
    multiplier: Decimal = Decimal(1)  # 0 to 100, at most 4 places
    benefits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    wallet: str
    window: Literal["lifetime", "rolling", "calendar_year"] = "lifetime"
    months: int = 12
    downgrade: Literal["never", "at_period_end", "immediately"] = "never"
    grace_days: int = 0
    levels: tuple[Level, ...] = ()  # ascending by threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    name: str
    time_zone: str = "UTC"  # IANA name
    rounding: RoundingMode = "floor"
    unknown_customer: Literal["create", "reject"] = "create"
    point_value: Decimal = Decimal(0)  # money one point is worth
    currency: str = "EUR"  # ISO 4217
    require_signatures: bool = False
    return_days_min: int = 30  # days that returned points, and increases of an order, live at least
    inactivity_days: int | None = None  # days without activity after which `inactivity` is told; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    acceptance: Literal["immediate", "manual", "after"] = "immediate"
    after: timedelta = timedelta(0)
    then: Literal["accept", "reject"] = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What customers can claim for points."""

    id: str
    label: str
    description: str = ""
    wallet: str
    cost: int  # points, at least 1
    stock: int | None = None  # claims of all customers together; None: not limited
    per_customer: int | None = None  # claims of one customer; None: not limited
    tiers: tuple[str, ...] = ()  # levels that may claim it; empty: everybody
    active_from: datetime | None = None  # aware, inclusive
    active_until: datetime | None = None  # aware, exclusive
    codes: bool = False  # each claim is given a code of its pool
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One revision of the program, validated whole."""

    revision: int
    settings: Settings
    orders: Orders
    wallets: tuple[Wallet, ...]  # never empty; the first is the main wallet
    event_types: Mapping[str, EventType]  # declared and built-in, by id
    rules: tuple[Rule, ...]  # document order
    tiers: Tiers | None
    rewards: Mapping[str, Reward] = field(default_factory=dict)  # by id, document order
    item_revisions: Mapping[str, int] = field(default_factory=dict)  # "rules/base" → revision of its last change
