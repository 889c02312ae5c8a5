"""What is known of one customer when an event is judged, and what an event does to it.

All records are frozen: a decision makes new ones. `CustomerState` is a fold of the customer's events.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

PointState = Literal["program", "pending", "available", "reserved", "spent", "expired", "debt", "forgiven"]


class WalletState(msgspec.Struct, frozen=True, gc=False):
    """Points per state; they sum to zero, since `program` is where points come from."""

    program: int = 0  # ≤ 0: what the program has given
    pending: int = 0
    available: int = 0
    reserved: int = 0
    spent: int = 0
    expired: int = 0
    debt: int = 0  # ≤ 0
    forgiven: int = 0  # ≤ 0
    qualifying: int = 0  # of lifetime, what counts for tiers

    @property
    def balance(self) -> int:
        return self.available + self.debt

    @property
    def lifetime(self) -> int:
        return self.available + self.reserved + self.spent + self.expired + self.debt + self.forgiven


EMPTY_WALLET = WalletState()


class Lot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Points earned together that end together. Named by its earning event and a number."""

    event_id: UUID
    n: int
    wallet: str
    earned_at: datetime
    expires_at: datetime | None  # first instant at which the points are gone
    points: int
    remaining: int


class Posting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One movement of points between two states of a wallet."""

    n: int  # within its event
    wallet: str
    from_state: PointState
    to_state: PointState
    points: int  # > 0
    qualifying: bool
    lot_event: UUID
    lot_n: int
    occurred_at: datetime
    reason: Literal["award", "expiry"]
    rule: str | None = None
    base: Decimal | None = None  # what the formula gave, exact
    multiplier: Decimal | None = None  # the tier multiplier used
    cap: str | None = None  # the limit that cut the award: `times day`, `points month`, …


class Use(msgspec.Struct, frozen=True, gc=False):
    """What a limited rule has used up in one period."""

    times: int = 0
    points: int = 0


NO_USE = Use()
UseKey = tuple[str, str]  # rule, period


class CustomerState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    created_at: datetime  # when first recorded
    seq: int = 0
    tier: str | None = None
    tier_since: datetime | None = None
    orders: int = 0
    counts: Mapping[str, int] = {}
    attributes: Mapping[str, object] = {}  # stored form, without personal ones
    tags: tuple[str, ...] = ()
    last_activity_at: datetime | None = None
    wallets: Mapping[str, WalletState] = {}
    uses: Mapping[UseKey, Use] = {}  # of the periods in question; absent means none
    due_lots: tuple[Lot, ...] = ()  # open lots already past their date, in order of it
    due_at: datetime | None = None  # earliest expiry of the open lots that are not in due_lots

    def wallet(self, wallet: str) -> WalletState:
        return self.wallets.get(wallet, EMPTY_WALLET)


def apply_postings(wallets: Mapping[str, WalletState], postings: tuple[Posting, ...]) -> Mapping[str, WalletState]:
    """The wallets after these movements."""
    if not postings:
        return wallets
    changed = dict(wallets)
    for posting in postings:
        changed[posting.wallet] = move(changed.get(posting.wallet, EMPTY_WALLET), posting)
    return changed


def move(wallet: WalletState, posting: Posting) -> WalletState:
    """One movement. Leaving or entering the states of `lifetime` changes `qualifying` alike."""
    left, entered = posting.from_state, posting.to_state
    changes: dict[str, int] = {
        left: getattr(wallet, left) - posting.points,
        entered: getattr(wallet, entered) + posting.points,
    }
    if posting.qualifying:
        counted = (entered not in _OUTSIDE) - (left not in _OUTSIDE)
        changes["qualifying"] = wallet.qualifying + counted * posting.points
    return msgspec.structs.replace(wallet, **changes)


_OUTSIDE = frozenset({"program", "pending"})  # states that are not part of lifetime
