"""What a batch leaves behind, as rows of its tables before they are written.

Postings, lots and balances name their event or customer by its place, from 1.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from troth.core.order_state import Order
from troth.core.state import Lot, Posting, Redemption, Reservation, Use, UseKey, WalletState
from troth.store.batch import CustomerRow


class EventRow(NamedTuple):
    """One row of `events`, in the order of the statement; the program's revision stands between personal_key and
    personal."""

    bucket: int
    id: UUID
    customer_id: UUID
    seq: int
    type: str
    occurred_at: datetime
    source: str
    source_detail: str | None
    actor: str | None
    signed: bool
    parent: UUID | None
    depth: int
    caused: int
    points: int
    properties: str
    inputs: str | None
    after: str
    warnings: str | None
    personal_key: UUID | None
    personal: bytes | None
    outcome: str
    order_key: UUID | None
    clock: datetime | None


class CustomerFold(NamedTuple):
    """A customer with its final state, and which of the rarer parts have changed."""

    row: CustomerRow
    has_new_tiers: bool
    has_new_calendar: bool


class Written(msgspec.Struct, kw_only=True):
    """Everything a batch leaves behind. Places are those of events or of customers, from 1."""

    revision: int  # of the program that judged
    events: list[EventRow] = []
    postings: list[tuple[int, Posting]] = []  # place of the event
    lots: list[tuple[int, Lot]] = []  # place of the customer
    changed_lots: list[Lot] = []
    customers: list[CustomerFold] = []
    new_customers: list[CustomerRow] = []  # of them
    profiles: list[CustomerRow] = []  # of them, known ones whose attributes or tags have changed
    balances: list[tuple[int, str, WalletState]] = []  # place of the customer; only those that changed
    uses: list[tuple[int, UseKey, Use]] = []  # place of the customer
    orders: list[tuple[int, UUID, Order | None, datetime | None]] = []  # place of the customer, id, state, decides_at
    references: list[tuple[bytes, UUID]] = []  # the engine's own: written under the customer's lock
    told: list[int] = []  # places of the events that webhooks are told of

    # What takes further statements, and so a transaction
    waiting_new: list[tuple[int, UUID, UUID]] = []  # place of the customer, order key, event
    waiting_gone: list[tuple[int, UUID, UUID]] = []
    reservations: list[tuple[int, Reservation]] = []  # place of the customer
    redemptions: list[tuple[int, Redemption]] = []  # place of the customer
    counters: list[tuple[str, int]] = []  # locked by this transaction
    codes: list[tuple[str, int, UUID]] = []  # reward, number, the claim that was given it
