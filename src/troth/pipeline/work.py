"""One event on its way through the pipeline: what is fixed about it, and what the steps find out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg.pgproto.pgproto import UUID as StoredUUID  # noqa: N811 - a uuid.UUID, made and hashed in C

from troth.core.event import Event
from troth.core.ids import recorded_at, reference_hash, show_id
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.pipeline.outcome import Outcome, Problem, RawEvent
from troth.pipeline.validate import Refused, ValidEvent


class Work(msgspec.Struct, kw_only=True):
    """Made once per event. The id is given once and survives every further try."""

    valid: ValidEvent
    revision: int  # of the program it was validated under
    id: UUID | None = None
    reference_key: bytes = b""
    order_key: bytes | None = None  # of an event of an order: the hash by which the order is claimed,
    order_uuid: UUID | None = None  # and what names the order beside its customer
    clock: datetime | None = None  # the test clock it was validated under; None: real time
    follows: bool = False  # an earlier event of its batch claims its order
    echoes: bool = False  # an earlier event of its batch claims its reference: judged only if that one is refused
    duplicate_of: UUID | None = None  # the opening event of its order, which has the same content
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
        self.order_key = self.order_hash
        self.order_uuid = StoredUUID(self.order_key[:16]) if self.order_key is not None else None

    @property
    def order_hash(self) -> bytes | None:
        """What names the order of an event, by its claim; None: it belongs to none."""
        order_id = self.valid.order_id
        return reference_hash("order", order_id) if order_id is not None else None

    @property
    def is_opening(self) -> bool:
        return self.valid.type.id not in ORDER_FAMILY_TYPES

    def give_customer(self, customer: str) -> None:
        """The order's customer, where the event names none."""
        self.valid = msgspec.structs.replace(self.valid, customer=customer)

    @property
    def customer(self) -> str:
        """Whom it is about; known before it is put in line."""
        assert self.valid.customer is not None, "resolved from its order"
        return self.valid.customer

    @property
    def opens_order(self) -> bool:
        return self.order_key is not None and self.is_opening

    @property
    def order_claim(self) -> bytes | None:
        """What an opening event claims; other events of an order only name it."""
        return self.order_key if self.opens_order else None

    def renew(self, valid: ValidEvent | Refused, revision: int, clock: datetime | None) -> None:
        """The same event as a newer revision of the program, or at another moment of the test clock, reads it."""
        self.revision = revision
        self.clock = clock
        self.refusal = valid.problems if isinstance(valid, Refused) else None
        if isinstance(valid, ValidEvent):
            known = self.valid.customer
            self.valid = valid if valid.customer is not None else msgspec.structs.replace(valid, customer=known)
            self.made = None
            if self.id is not None:
                self.name(self.id)

    @property
    def claims(self) -> dict[bytes, UUID]:
        assert self.id is not None
        if self.echoes:
            return {}
        claim = None if self.follows else self.order_claim
        return {self.reference_key: self.id} if claim is None else {self.reference_key: self.id, claim: self.id}

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
            occurred_at=valid.occurred_at or self.clock or recorded,
            recorded_at=recorded,
            judged_at=self.clock or recorded,
            is_timed=valid.occurred_at is not None,
            may_earn=valid.raw.may_earn,
            values=valid.values,
            properties=valid.properties,
            attributes=valid.attributes,
            tags=valid.tags,
            birth_date=valid.birth_date,
            order_key=self.order_uuid,
        )
