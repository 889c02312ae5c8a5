"""An event as the core judges it: validated, typed, with its id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec

from troth.core.program import EventType

Outcome = Literal["applied", "waiting_for_order"]


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fact about one customer. `values` follow the declared order of the type's properties."""

    id: UUID
    type: EventType
    occurred_at: datetime  # aware, UTC
    recorded_at: datetime  # aware, UTC, to the millisecond; real time
    judged_at: datetime  # the program's present: recorded_at, unless a test clock stands; of due work its moment
    may_earn: bool = True  # rules judge it; history that was paid elsewhere is recorded without awards
    is_timed: bool = True  # its sender said when it occurred
    values: tuple[object, ...]
    properties: str  # canonical JSON of the stored form, personal ones left out
    attributes: Mapping[str, object | None] = {}  # profile events: what changes; None removes
    tags: tuple[str, ...] | None = None  # profile events: the new tags; None leaves them
    birth_date: date | msgspec.UnsetType | None = msgspec.UNSET  # profile events that change it; personal
    order_key: UUID | None = None  # events of an order: which one (`ids.order_key`)
    parent: UUID | None = None
    depth: int = 0
