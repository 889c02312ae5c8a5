"""One customer's points while one event is judged: a working copy, what moves it, and the postings that say so.

In: the state before the event. Out: wallets, lots, orders and postings after it. Every movement goes through `post`, so
nothing changes without a posting. Must never: leave available points beside a debt, or a lot past its date open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from troth.core.calendar import expires_at, read_expiry
from troth.core.coercion import Problem
from troth.core.event import Event
from troth.core.order_award import as_opened
from troth.core.order_state import LotKey, Order, Part
from troth.core.rules import Shelf
from troth.core.state import (
    EMPTY_WALLET,
    NEVER,
    CustomerState,
    Lacking,
    Lot,
    LotPlace,
    PointState,
    Posting,
    Reason,
    WalletState,
    move,
)


class Refused(Exception):
    """The event is not recorded; nothing of it happened."""

    def __init__(self, pointer: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(pointer, code, detail)


class About(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a posting says beside the movement."""

    reason: Reason
    qualifying: bool = False
    order_id: UUID | None = None
    rule: str | None = None
    base: Decimal | None = None
    multiplier: Decimal | None = None
    cap: str | None = None
    earned_at: datetime | None = None  # when it counts for tiers; None: at the event's time
    expires_at: datetime | None = None


Way = tuple[PointState, PointState]  # from, to


class Account:
    """The working copy. Its parts are replaced, never changed in place."""

    __slots__ = (
        "event",
        "last_activity_at",
        "lots",
        "made",
        "orders",
        "postings",
        "shelf",
        "state",
        "touched",
        "wallets",
    )

    def __init__(self, state: CustomerState, event: Event, shelf: Shelf) -> None:
        self.state = state
        self.event = event
        self.shelf = shelf
        self.wallets: dict[str, WalletState] = dict(state.wallets)
        self.lots: dict[LotKey, Lot] = dict(state.lots) if state.lots else {}
        self.orders: dict[UUID, Order] = dict(state.order_states) if state.order_states else {}
        self.postings: list[Posting] = []
        self.made = 0  # lots of this event
        self.touched: set[LotKey] = set()
        self.last_activity_at = later_activity(state.last_activity_at, event)

    # Reading

    def wallet(self, wallet: str) -> WalletState:
        return self.wallets.get(wallet, EMPTY_WALLET)

    def order(self, order_id: UUID) -> Order:
        """An order by its opening event, its lots with it. Raises Lacking."""
        order = self.orders.get(order_id)
        if order is None:
            plain = self.state.plain_orders.get(order_id)
            if plain is None:
                raise Lacking(order=order_id)
            lots = [lot for lot in self.state.lots.values() if lot.event_id == order_id]
            order = self.keep_order(as_opened(plain.event, plain.inputs, self.shelf.at(plain.revision), lots))
        return order

    def lot(self, key: LotKey) -> Lot:
        lot = self.lots.get(key)
        if lot is None:
            raise Lacking(lot_keys=(key,))
        return lot

    def end_of(self, lot: Lot) -> datetime | None:
        """The first instant at which the lot's points are gone, as activity has moved it."""
        return end_of(lot, self.last_activity_at, self.shelf)

    def place_of(self, lot: Lot) -> LotPlace:
        return (self.end_of(lot) or NEVER, lot.earned_at, lot.event_id, lot.n)

    def in_order(self, lots: Iterable[Lot]) -> list[Lot]:
        """Consumption order: the first to end, then the oldest."""
        return sorted(lots, key=self.place_of)

    def policy_of(self, wallet: str, order: Order) -> str:
        """What becomes of points that are taken back and no longer there: allow (debt) or forgive."""
        known = self.shelf.live.wallets.get(wallet) or self.shelf.at(order.revision).wallets[wallet]
        return known.negative_balance

    # Moving

    def post(self, about: About, points: int, way: Way, where: Lot | str) -> Lot | None:
        """Move points between two states, out of or into a lot, or of a wallet beside its lots. Out: the lot now."""
        assert points > 0, about
        lot = where if isinstance(where, Lot) else None
        wallet = where if isinstance(where, str) else where.wallet
        posting = Posting(
            n=len(self.postings),
            wallet=wallet,
            from_state=way[0],
            to_state=way[1],
            points=points,
            qualifying=about.qualifying,
            lot_event=lot.event_id if lot is not None else None,
            lot_n=lot.n if lot is not None else None,
            occurred_at=self.event.occurred_at,
            reason=about.reason,
            order_id=about.order_id,
            rule=about.rule,
            base=about.base,
            multiplier=about.multiplier,
            cap=about.cap,
            earned_at=about.earned_at if about.earned_at != self.event.occurred_at else None,
            expires_at=about.expires_at,
        )
        self.postings.append(posting)
        self.wallets[wallet] = move(self.wallet(wallet), posting)
        return self._move_lot(lot, points, way) if lot is not None else None

    def _move_lot(self, lot: Lot, points: int, way: Way) -> Lot:
        left, entered = way
        pending = lot.pending + (points if entered == "pending" else -points if left == "pending" else 0)
        remaining = lot.remaining + (points if entered == "available" else -points if left == "available" else 0)
        expired = lot.expired + (points if entered == "expired" else -points if left == "expired" else 0)
        earned = lot.points + (points if left == "program" else 0)
        return self.keep(
            msgspec.structs.replace(lot, points=earned, pending=pending, remaining=remaining, expired=expired)
        )

    def keep(self, lot: Lot) -> Lot:
        self.lots[lot.key] = lot
        self.touched.add(lot.key)
        return lot

    def keep_order(self, order: Order) -> Order:
        self.orders[order.id] = order
        return order

    def add_lot(self, lot: Lot) -> Lot:
        """A new lot of this event, the `made`-th; one that belongs to an older order is noted there."""
        assert lot.event_id == self.event.id, lot
        assert lot.n == self.made, lot
        self.keep(lot)
        self.made += 1
        if lot.order is not None and lot.order != self.event.id:
            order = self.order(lot.order)
            self.keep_order(msgspec.structs.replace(order, lots=(*order.lots, lot.key)))
        return lot

    # What becomes available

    def settle(self, key: LotKey, points: int) -> None:
        """So many points of a lot have just become available: they first cancel what was forgiven for the order that
        earned the lot, then repay debt; what is past its date expires."""
        lot = self.lots[key]
        wallet = self.wallet(lot.wallet)
        if wallet.forgiven and lot.order not in (None, self.event.id):  # nothing is forgiven yet for what opens now
            points -= self._pardon(lot, points)
        if wallet.debt and points:
            points -= self._repay(self.lots[key], points)
        lot = self.lots[key]
        ends = self.end_of(lot)
        if points and ends is not None and ends <= self.event.judged_at:
            self.post(About(reason="expiry"), points, ("available", "expired"), lot)

    def _pardon(self, lot: Lot, points: int) -> int:
        assert lot.order is not None
        order = self.order(lot.order)
        owed = order.forgiven.get(lot.wallet, 0)
        pardoned = min(owed, points)
        if pardoned:
            self.post(About(reason="pardon", order_id=order.id), pardoned, ("available", "forgiven"), lot)
            forgiven = {**order.forgiven, lot.wallet: owed - pardoned}
            self.keep_order(msgspec.structs.replace(order, forgiven=without_zeros(forgiven)))
        return pardoned

    def _repay(self, lot: Lot, points: int) -> int:
        repaid = min(-self.wallet(lot.wallet).debt, points)
        if lot.order is not None:
            order = self.order(lot.order)
            total = order.repaid.get(lot.wallet, 0) + repaid
            self.keep_order(msgspec.structs.replace(order, repaid={**order.repaid, lot.wallet: total}))
        self.post(About(reason="repayment", order_id=lot.order), repaid, ("available", "debt"), lot)
        return repaid

    def release(self, key: LotKey, released_at: datetime) -> None:
        """Make a lot's pending points available: their validity begins at `released_at` (semantics.md §3)."""
        lot = self.lots[key]
        start = max(lot.earned_at, released_at)
        if lot.expiry is not None:
            ends = expires_at(read_expiry(lot.expiry), start, self.shelf.live.zone)
            if ends is not None and lot.order is not None and lot.event_id != lot.order:
                ends = max(ends, self.shelf.live.least_end(self.event.judged_at))  # an increase lives so long at least
            lot = msgspec.structs.replace(lot, expires_at=ends)
        points = lot.pending
        about = About(
            reason="release",
            qualifying=lot.qualifying,
            order_id=lot.order,
            earned_at=lot.earned_at,
            expires_at=lot.expires_at,
        )
        released = msgspec.structs.replace(lot, release_at=None)
        self.post(about, points, ("pending", "available"), released)
        self.settle(key, points)

    # Taking and giving back

    def take(self, wallet: str, points: int, about: About, way: Way) -> tuple[Part, ...]:
        """Take available points in consumption order. Out: what came from which lot. Raises Lacking, Refused."""
        available = self.wallet(wallet).available
        if available < points:
            detail = f"{points} points are needed and {self.wallet(wallet).balance} are there"
            raise Refused("/properties/points", "insufficient_points", detail)
        parts = []
        for lot, taken in self._next(wallet, points):
            self.post(about, taken, way, lot)
            parts.append(Part(lot.event_id, lot.n, taken))
        return tuple(parts)

    def _next(self, wallet: str, points: int) -> list[tuple[Lot, int]]:
        """The lots that so many points come from."""
        if not points:
            return []
        limit = self.state.lots_to.get(wallet)
        if limit is None and not self.state.is_whole:
            raise Lacking(lots=(wallet, points))
        found, rest = [], points
        for lot in self.in_order(lot for lot in self.lots.values() if lot.remaining and lot.wallet == wallet):
            if not self.state.is_whole and limit is not None and self.place_of(lot) > limit:
                break
            taken = min(lot.remaining, rest)
            found.append((lot, taken))
            rest -= taken
            if not rest:
                return found
        if not self.state.is_whole:
            raise Lacking(lots=(wallet, points))
        raise AssertionError(f"{points} points of {wallet} are available, but lie in no lot")

    def give_back(self, parts: Sequence[Part], left: PointState, about: About, *, extends: bool) -> None:
        """Points come back to the lots they were taken from, the last taken first. Raises Lacking.

        `extends`: they live `return_days_min` days at least (returned points); else they keep their date.
        """
        missing = tuple((part.event_id, part.n) for part in parts if (part.event_id, part.n) not in self.lots)
        if missing:
            raise Lacking(lot_keys=missing)
        prolonged: dict[LotKey, LotKey] = {}  # lot → the one that its points come back to, since it ends too soon
        least = self.shelf.live.least_end(self.event.judged_at)
        for part in reversed(parts):
            lot = self.lots[part.event_id, part.n]
            ends = self.end_of(lot)
            about_lot = msgspec.structs.replace(about, order_id=about.order_id or lot.order)
            if extends and ends is not None and ends < least:
                if lot.key not in prolonged:
                    prolonged[lot.key] = self._prolong(lot, least).key
                target = self.lots[prolonged[lot.key]]
                lot = self.keep(msgspec.structs.replace(target, points=target.points + part.points))
            self.post(about_lot, part.points, (left, "available"), lot)
            self.settle(lot.key, part.points)

    def _prolong(self, lot: Lot, ends: datetime) -> Lot:
        """An empty lot like this one, with a later end; activity moves it as before."""
        empty = {"points": 0, "pending": 0, "remaining": 0, "expired": 0}
        own = {"event_id": self.event.id, "n": self.made, "expires_at": ends}
        return self.add_lot(msgspec.structs.replace(lot, **own, **empty))


def later_activity(known: datetime | None, event: Event) -> datetime | None:
    """The last activity, this event included."""
    if not event.type.activity:
        return known
    return event.occurred_at if known is None or event.occurred_at > known else known


def end_of(lot: Lot, last_activity_at: datetime | None, shelf: Shelf) -> datetime | None:
    """When a lot ends: as stored, or later, where activity moves it."""
    if lot.expiry is None or lot.expires_at is None or "a" not in lot.expiry or last_activity_at is None:
        return lot.expires_at
    moved = expires_at(read_expiry(lot.expiry), last_activity_at, shelf.live.zone)
    return lot.expires_at if moved is None else max(lot.expires_at, moved)


def without_zeros(numbers: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in numbers.items() if number}
