"""One event on its way through the pipeline: what is fixed about it, and what the steps find out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from troth.core.event import Event
from troth.core.ids import recorded_at, reference_hash, show_id
from troth.pipeline.outcome import Outcome, Problem, RawEvent
from troth.pipeline.validate import Refused, ValidEvent


class Work(msgspec.Struct, kw_only=True):
    """Made once per event. The id is given once and survives every further try."""

    valid: ValidEvent
    revision: int  # of the program it was validated under
    id: UUID | None = None
    reference_key: bytes = b""
    order_key: bytes | None = None
    refusal: tuple[Problem, ...] | None = None  # by a newer revision; counts unless the event is recorded already
    outcome: Outcome | None = None  # None: not settled yet
    made: Event | None = None

    @property
    def raw(self) -> RawEvent:
        return self.valid.raw

    def name(self, event_id: UUID) -> None:
        """Give the event its id; without a reference of its own the id serves as one."""
        self.id = event_id
        text = self.valid.reference if self.valid.reference is not None else show_id("evt", event_id)
        self.reference_key = reference_hash("reference", text)
        has_order = self.valid.type.order is not None and self.valid.order_id is not None
        self.order_key = reference_hash("order", str(self.valid.order_id)) if has_order else None

    def renew(self, valid: ValidEvent | Refused, revision: int) -> None:
        """The same event as a newer revision of the program reads it."""
        self.revision = revision
        self.refusal = valid.problems if isinstance(valid, Refused) else None
        if isinstance(valid, ValidEvent):
            self.valid, self.made = valid, None
            if self.id is not None:
                self.name(self.id)

    @property
    def claims(self) -> dict[bytes, UUID]:
        assert self.id is not None
        keys = (self.reference_key,) if self.order_key is None else (self.reference_key, self.order_key)
        return dict.fromkeys(keys, self.id)

    def event(self) -> Event:
        """The event as the core judges it; made once."""
        if self.made is None:
            self.made = self._make()
        return self.made

    def _make(self) -> Event:
        assert self.id is not None
        recorded: datetime = recorded_at(self.id)
        valid = self.valid
        return Event(
            id=self.id,
            type=valid.type,
            occurred_at=valid.occurred_at or recorded,
            recorded_at=recorded,
            values=valid.values,
            properties=valid.properties,
            attributes=valid.attributes,
            tags=valid.tags,
        )
