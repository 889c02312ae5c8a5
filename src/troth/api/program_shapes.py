"""The wire forms of the program and its items, for the OpenAPI document. Nothing is parsed by them.

Null means the same as absent, which means the default. Numbers with a fraction are text, as in "1.25".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Literal, TypeVar

import msgspec

from troth.api.program_wire import ProgramErrorItem

T = TypeVar("T")
Number = int | str
Window = Literal["day", "week", "month", "year", "ever"]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One mapping of the document."""


class PropertyShape(Shape, frozen=True, kw_only=True):
    """The schema of one property of an event."""

    type: Literal["number", "text", "boolean", "date", "datetime", "list", "object"]
    label: str | None = None
    description: str | None = None
    required: bool | None = None
    default: object = None
    pii: bool | None = None  # personal: sealed, never visible to rules
    places: int | None = None  # number: decimal places kept, 0 to 16; default 4
    min: Number | None = None
    max: Number | None = None
    excess_places: Literal["reject", "round"] | None = None
    enum: tuple[str, ...] | None = None  # text: the only values
    max_length: int | None = None  # text
    max_items: int | None = None  # list
    of: Mapping[str, object] | None = None  # list and object: the fields by name; list of values: {type: …}


class OrderShape(Shape, frozen=True, kw_only=True):
    """Which properties describe an order; line, quantity, price and subtotal are fields of the items."""

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


class EventTypeBody(Shape, frozen=True, kw_only=True):
    id: str | None = None
    label: str | None = None
    description: str | None = None
    properties: Mapping[str, PropertyShape] | None = None
    client_allowed: bool | None = None  # a publishable key may send it
    sensitive: bool | None = None  # in production only by a signed request
    once: bool | None = None  # a second one per customer is rejected
    activity: bool | None = None
    member_visible: bool | None = None
    strict: bool | None = None  # unknown properties are rejected
    scope: str | None = None  # further permission a key needs
    order: OrderShape | None = None  # opens orders


class ActiveShape(Shape, frozen=True, kw_only=True):
    """From is inclusive, until exclusive; without an offset in the program's time zone."""

    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = None


class LimitShape(Shape, frozen=True, kw_only=True):
    """Per customer: at most `times` uses and/or `points` points within the window."""

    window: Window
    times: int | None = None
    points: int | None = None


class ExpiryShape(Shape, frozen=True, kw_only=True):
    kind: Literal["never", "months_after_earning", "months_after_activity"]
    months: int | None = None
    month_end: bool | None = None


Expiry = ExpiryShape | Literal["never"] | None


class RuleBody(Shape, frozen=True, kw_only=True):
    id: str | None = None
    label: str | None = None
    event_type: str | None = None
    when: Number | bool | None = None  # a condition in the rule language; default true
    award: Number | bool | None = None  # a formula in the rule language
    wallet: str | None = None
    tier_multiplier: bool | None = None
    active: ActiveShape | None = None
    limits: tuple[LimitShape, ...] | None = None
    group: str | None = None  # of a group only the rule that gives most awards
    priority: int | None = None
    hold: str | None = None  # ISO 8601 duration
    expiry: Expiry = None
    qualifying: bool | None = None
    enabled: bool | None = None
    segments: tuple[str, ...] | None = None
    campaign: str | None = None


class WalletBody(Shape, frozen=True, kw_only=True):
    id: str | None = None
    label: str | None = None
    expiry: Expiry = None
    hold: str | None = None
    negative_balance: Literal["allow", "forgive"] | None = None


class TierBody(Shape, frozen=True, kw_only=True):
    """One level."""

    id: str | None = None
    label: str | None = None
    threshold: int | None = msgspec.field(default=None, name="from")  # points it asks for
    multiplier: Number | None = None
    benefits: str | None = None


class BasisShape(Shape, frozen=True, kw_only=True):
    wallet: str | None = None
    window: Literal["lifetime", "rolling", "calendar_year"] | None = None
    months: int | None = None


class TiersBody(Shape, frozen=True, kw_only=True):
    """What surrounds the levels; they stay unless `levels` is sent."""

    basis: BasisShape | None = None
    downgrade: Literal["never", "at_period_end", "immediately"] | None = None
    grace_days: int | None = None
    levels: tuple[TierBody, ...] | None = None


class RewardBody(Shape, frozen=True, kw_only=True):
    """What customers can claim for points."""

    id: str | None = None
    label: str | None = None
    description: str | None = None
    cost: int | None = None  # points, at least 1
    wallet: str | None = None
    stock: int | None = None  # claims of all customers together; absent: not limited
    per_customer: int | None = None  # claims of one customer; absent: not limited
    tiers: tuple[str, ...] | None = None  # levels that may claim it; none: everybody
    active: ActiveShape | None = None
    codes: bool | None = None  # each claim is given a code of the reward's pool
    enabled: bool | None = None
    segments: tuple[str, ...] | None = None


class SettingsShape(Shape, frozen=True, kw_only=True):
    name: str | None = None
    time_zone: str | None = None  # IANA name
    rounding: Literal["floor", "half_up", "ceil"] | None = None
    unknown_customer: Literal["create", "reject"] | None = None
    point_value: Number | None = None
    currency: str | None = None  # ISO 4217
    require_signatures: bool | None = None
    return_days_min: int | None = None  # days that returned points live at least; default 30
    inactivity_days: int | None = None  # without activity; then the event `inactivity` is written


class DelayedShape(Shape, frozen=True, kw_only=True):
    """An order that nobody decides is accepted or rejected by itself."""

    after: str  # ISO 8601 duration
    then: Literal["accept", "reject"] | None = None  # default accept


class OrdersShape(Shape, frozen=True, kw_only=True):
    acceptance: Literal["immediate", "manual"] | DelayedShape | None = None


class ProgramBody(Shape, frozen=True, kw_only=True):
    """The whole program. `revision` is read along and means nothing when it is sent back."""

    revision: int | None = None
    settings: SettingsShape | None = None
    orders: OrdersShape | None = None
    wallets: tuple[WalletBody, ...] | None = None
    event_types: tuple[EventTypeBody, ...] | None = None
    rules: tuple[RuleBody, ...] | None = None
    tiers: TiersBody | tuple[()] | None = None
    segments: tuple[object, ...] | None = None
    automations: tuple[object, ...] | None = None
    rewards: tuple[RewardBody, ...] | None = None
    campaigns: tuple[object, ...] | None = None


class EventTypeItem(EventTypeBody, frozen=True, kw_only=True):
    revision: int | None = None  # of its last change: the ETag; absent for what is built in
    built_in: bool | None = None  # exists without being declared
    warnings: tuple[ProgramErrorItem, ...] | None = None  # after a write


class RuleItem(RuleBody, frozen=True, kw_only=True):
    revision: int
    warnings: tuple[ProgramErrorItem, ...] | None = None


class WalletItem(WalletBody, frozen=True, kw_only=True):
    revision: int
    warnings: tuple[ProgramErrorItem, ...] | None = None


class TierItem(TierBody, frozen=True, kw_only=True):
    revision: int
    warnings: tuple[ProgramErrorItem, ...] | None = None


class RewardItem(RewardBody, frozen=True, kw_only=True):
    revision: int
    warnings: tuple[ProgramErrorItem, ...] | None = None


class TiersItem(TiersBody, frozen=True, kw_only=True):
    revision: int | None = None


class ItemPage(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Items in document order, each with its `revision`. Tiers add what surrounds the levels."""

    items: tuple[T, ...]
    next: str | None
