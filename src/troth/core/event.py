"""An event as the core judges it: validated, typed, with its id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
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
    recorded_at: datetime  # aware, UTC, to the millisecond
    values: tuple[object, ...]
    properties: str  # canonical JSON of the stored form, personal ones left out
    attributes: Mapping[str, object | None] = {}  # profile events: what changes; None removes
    tags: tuple[str, ...] | None = None  # profile events: the new tags; None leaves them
    parent: UUID | None = None
    depth: int = 0
