"""What is known of one order: its facts as they came, and what was posted for it.

In: nothing; plain records. The facts decide (semantics.md §5): content, refunds by identity, acceptance, rejection,
whole refund. What is held and how it was paid is what the next fold is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec

Room = tuple[int | None, int | None]  # (times, points) that a limit leaves; None: not limited
LotKey = tuple[UUID, int]  # the event that earned it, number
FactKind = Literal["content", "accept", "reject", "refund", "partial"]


class RefundItem(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A returned line, or a part of it."""

    line: str  # the line's id, else its product
    quantity: str | None = None  # exact decimal text; None: the whole line
    amount: str | None = None  # what is paid back for it; None: its share
    is_product: bool = False  # the id was given as a product's: lines may have the same ids as products


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What one order event says. Drawn from its type, time and stored properties alone (`orders.read_fact`)."""

    event_id: UUID
    kind: FactKind
    occurred_at: datetime
    stamp: datetime  # content: the mapped updated_at, else occurred_at; the newest one counts
    hash: str  # of the canonical content; breaks ties of stamps
    properties: Mapping[str, object] = {}  # content: whole, stored form
    auto_accept: bool | None = None  # content: as mapped
    identity: str = ""  # partial: refund_id, else its event
    amount: str | None = None  # partial: what is paid back, exact decimal text
    points: int = 0  # partial: burned points given back
    items: tuple[RefundItem, ...] = ()  # partial


class Waiting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order event that came before its order; which type opens the order tells what it says."""

    event_id: UUID
    type: str
    occurred_at: datetime
    properties: Mapping[str, object]  # stored form


class Held(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an order was given by one rule and still has."""

    wallet: str
    points: int
    qualifying: bool = True


class Part(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Points taken out of one lot: burned, reserved, or spent on a reward."""

    event_id: UUID
    n: int
    points: int


class Known(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Points of an order that count for tiers, by the day that brought them."""

    day: date  # program-zone day on which they were first known
    points: int


class Order(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    id: UUID  # its opening event
    key: UUID  # hash of its id (`ids.order_key`)
    type: str  # of the opening event: by its rules the order is judged,
    revision: int  # of this program,
    opened_at: datetime  # as of the opening event's occurred_at,
    values: Mapping[str, object] = {}  # with its recorded inputs (JSON form),
    multiplier: str = "1"  # and the tier multiplier of then
    content: Fact  # the newest
    rooms: Mapping[str, tuple[Room, ...]] = {}  # per limited rule: what its limits leave this order at most
    may_earn: bool = True  # False: history that was paid elsewhere; it never deserves anything
    refunds: tuple[Fact, ...] = ()  # by identity
    accepted_at: datetime | None = None
    decides_at: datetime | None = None  # when it is accepted or rejected by itself
    is_rejected: bool = False
    is_refunded: bool = False
    is_counted: bool = True  # in customer.orders
    held: Mapping[str, Held] = {}  # by rule
    known: tuple[Known, ...] = ()  # what of it counts for tiers, oldest day first; kept where time takes levels away
    lots: tuple[LotKey, ...] = ()  # that hold points it earned
    burned: tuple[Part, ...] = ()  # burned points it holds, in order of taking
    is_paid: bool = False  # they are spent; until it is accepted they are reserved
    forgiven: Mapping[str, int] = {}  # wallet → points forgiven for it
    repaid: Mapping[str, int] = {}  # wallet → debt its points have repaid

    @property
    def status(self) -> Literal["pending", "accepted", "rejected", "refunded"]:
        if self.is_rejected:
            return "rejected"
        if self.is_refunded:
            return "refunded"
        return "accepted" if self.accepted_at is not None else "pending"

    @property
    def is_as_opened(self) -> bool:
        """Nothing has happened since a plain opening: its opening event tells all of it (`order_fold.as_opened`)."""
        is_plain = not (self.refunds or self.burned or self.forgiven or self.repaid)
        is_decided = self.status == "accepted" and self.accepted_at == self.opened_at and self.decides_at is None
        is_first = self.content.event_id == self.id and all(event_id == self.id for event_id, _ in self.lots)
        return is_plain and is_decided and is_first and self.is_counted
