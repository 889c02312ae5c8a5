"""The wire forms of events, for the OpenAPI document. Bodies have these forms; nothing is parsed by them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from troth.api.problems import ProblemDocument
from troth.api.profiles import Profile
from troth.core.explain import ExplainedRule
from troth.core.record import RecordedEvent


class EventBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact about one customer. `action` and `data` are read as synonyms of `type` and `properties`."""

    customer: str | None = None  # the integrator's id, 1 to 255 characters
    type: str | None = None
    action: str | None = None
    reference: str | None = None  # idempotency key, 1 to 255 characters; the Idempotency-Key header serves as well
    occurred_at: str | None = None  # RFC 3339; default: now
    properties: Mapping[str, object] | None = None
    data: Mapping[str, object] | None = None


class EventAnswer(RecordedEvent, frozen=True, kw_only=True):
    """A recorded event: what was awarded and why, and where the customer stands after it."""

    duplicate: bool  # recorded before, under the same reference
    payload_mismatch: bool = False  # the duplicate differs from what was recorded
    explanation: tuple[ExplainedRule, ...] | msgspec.UnsetType = msgspec.UNSET  # with ?expand=explanation
    profile: Profile | msgspec.UnsetType = msgspec.UNSET  # with ?expand=profile; no personal attributes


class BulkBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 1,000 events."""

    events: tuple[EventBody, ...]


class BulkResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event of a bulk: `event` when it is recorded, `error` when it is not."""

    index: int
    status: str  # created, duplicate or rejected
    event: EventAnswer | None = None
    error: ProblemDocument | None = None


class BulkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One result per event, in order."""

    results: tuple[BulkResult, ...]
    total: int
    created: int
    duplicates: int
    rejected: int


EXAMPLE: Mapping[str, object] = {
    "customer": "374397439743",
    "type": "purchase",
    "reference": "order_123",
    "occurred_at": "2026-11-20T10:00:00Z",
    "properties": {"amount": "125.00", "category": "electronics", "order_id": "order_123"},
}
