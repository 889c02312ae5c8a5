"""Ids of rows that belong to no customer: UUIDv7 of a moment, so that their order is that of arrival."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID

from troth.core.ids import RANDOM_BITS, neighbour, uuid7


def fresh_id(moment: datetime) -> UUID:
    """A new id; its milliseconds are `moment`."""
    bits = secrets.randbits(RANDOM_BITS)
    return uuid7(int(moment.timestamp() * 1000), bits & 0xFF, bits)


def next_id(moment: datetime, before: UUID | None) -> UUID:
    """A new id that comes after the one given `before` it."""
    fresh = fresh_id(moment)
    return fresh if before is None or fresh.int >> 80 > before.int >> 80 else neighbour(before, 1)
