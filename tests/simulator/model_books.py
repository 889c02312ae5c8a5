"""What the model keeps of one customer: every movement of points, lots, orders, and everything else that happened.

Points move by `Books.move` alone. Whatever becomes available goes through `Books.arrive`: it cancels what was forgiven
for its order, repays debt, and is gone at once when its date is past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from tests.simulator.days import end_of_day, expiry_end, local_day
from tests.simulator.model_facts import ModelOrder, WaitingEvent
from tests.simulator.model_program import Item, ModelProgram

STATES = ("program", "pending", "available", "reserved", "spent", "expired", "debt", "forgiven")
LIFETIME = ("available", "reserved", "spent", "expired", "debt", "forgiven")
BEFORE, AFTER = 0, 2  # the reviews of a tier, which are due between releases and events of one moment
COUNTED = ("pending", "available", "debt")  # what the `points` of an event are the change of


class Refused(Exception):
    """The decision refuses the event; the text is its code."""


@dataclass(kw_only=True)
class Lot:
    """Points earned together that end together."""

    number: int  # in order of making
    wallet: str
    order: str | None = None
    rules: set[str] = field(default_factory=set)
    earned_at: datetime
    expiry: Item  # kind, months, month_end
    stated_end: datetime | None = None  # an adjustment's own end
    begins: datetime | None = None  # start of validity; None while all of it is pending
    hold_end: datetime  # end of hold: the earliest moment of release
    is_increase: bool = False  # of an order that existed: it lives for the days of a return
    least_end: datetime | None = None  # increases and returned points live at least until then
    quiet: set[str] = field(default_factory=set)  # rules whose points do not qualify; "": points of no rule
    pending_of: dict[str, int] = field(default_factory=dict)  # rule → what is pending of its award; "": no rule's
    remaining: int = 0
    expired: int = 0

    @property
    def pending(self) -> int:
        return sum(self.pending_of.values())


@dataclass(frozen=True, kw_only=True)
class Move:
    seq: int  # of the event
    wallet: str
    source: str
    target: str
    points: int
    reason: str
    qualifying: bool


@dataclass(kw_only=True)
class Earned:
    """Qualifying points: when they count, when they were known, and whose they are."""

    counted_at: datetime
    known_at: datetime
    step: int  # of that moment: BEFORE or AFTER the reviews of the tier
    points: int
    order: str | None

    @property
    def known(self) -> tuple[datetime, int]:
        return (self.known_at, self.step)


@dataclass(kw_only=True)
class Taken:
    """A reservation or a redemption: points taken out of lots, in order of taking."""

    wallet: str
    parts: list[tuple[Lot, int]]
    status: str = "open"
    due_at: datetime | None = None
    reward: str | None = None

    @property
    def points(self) -> int:
        return sum(points for _, points in self.parts)


@dataclass(kw_only=True)
class Customer:
    name: str
    created_at: datetime
    seq: int = 0
    moves: list[Move] = field(default_factory=list)
    wallets: dict[str, dict[str, int]] = field(default_factory=dict)
    lots: list[Lot] = field(default_factory=list)
    earned: list[Earned] = field(default_factory=list)  # of the wallet that tiers are judged by
    awards: list[tuple[str, datetime, int]] = field(default_factory=list)  # rule, occurred_at, points; not of orders
    orders: dict[str, ModelOrder] = field(default_factory=dict)
    waiting: dict[str, list[WaitingEvent]] = field(default_factory=dict)
    reservations: dict[str, Taken] = field(default_factory=dict)  # by reference of the event that made it
    redemptions: dict[str, Taken] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    attributes: dict[str, object] = field(default_factory=dict)
    last_activity: datetime | None = None
    silence_told: date | None = None  # the day it began
    birth: date | None = None
    birth_known_at: datetime | None = None
    birthdays: set[int] = field(default_factory=set)  # years told
    joined: date | None = None
    joined_known_at: datetime | None = None
    opted_in: bool = False
    anniversaries: set[int] = field(default_factory=set)
    tier: str | None = None
    reached: set[str] = field(default_factory=set)
    manual: str | None = None
    manual_until: datetime | None = None
    tier_checked: datetime | None = None


@dataclass(kw_only=True)
class Shared:
    """What customers have in common."""

    owners: dict[str, str] = field(default_factory=dict)  # order → customer
    claimed: dict[str, int] = field(default_factory=dict)  # reward → claims that were not cancelled


@dataclass(kw_only=True)
class Books:
    """The points of one customer under the live program, as of `now`."""

    customer: Customer
    program: ModelProgram
    shared: Shared
    now: datetime
    step: int = AFTER  # of the moment `now`

    # Reading

    def wallet(self, name: str) -> dict[str, int]:
        return self.customer.wallets.setdefault(name, {**dict.fromkeys(STATES, 0), "qualifying": 0})

    def lifetime(self, name: str) -> int:
        return sum(self.wallet(name)[state] for state in LIFETIME)

    def balance(self, name: str) -> int:
        return self.wallet(name)["available"] + self.wallet(name)["debt"]

    def end_of(self, lot: Lot) -> datetime | None:
        """The first instant at which the lot's available points are gone; None: never."""
        begins = lot.begins or lot.hold_end
        if lot.stated_end is not None:
            end: datetime | None = lot.stated_end
        else:
            if lot.expiry["kind"] == "months_after_activity" and self.customer.last_activity is not None:
                begins = max(begins, self.customer.last_activity)
            end = expiry_end(self.program.zone, lot.expiry, begins)
        return max(end, lot.least_end) if end is not None and lot.least_end is not None else end

    def in_consumption_order(self, lots: Iterable[Lot]) -> list[Lot]:
        """Earliest end first, then oldest."""
        far = datetime.max.replace(tzinfo=self.now.tzinfo)
        return sorted(lots, key=lambda lot: (self.end_of(lot) or far, lot.earned_at, lot.number))

    def open_lots(self, wallet: str) -> list[Lot]:
        return self.in_consumption_order(x for x in self.customer.lots if x.wallet == wallet and x.remaining)

    def return_end(self) -> datetime:
        """Until when what is given back now lives at least."""
        zone = self.program.zone
        return end_of_day(zone, local_day(zone, self.now) + timedelta(days=self.program.return_days))

    # Moving

    def move(self, wallet: str, way: str, points: int, reason: str, *, qualifying: bool = False) -> None:
        """`way` is "available>spent". Qualifying points change when points enter or leave lifetime."""
        assert points > 0, (wallet, way, points)
        source, target = way.split(">")
        sums = self.wallet(wallet)
        sums[source] -= points
        sums[target] += points
        if qualifying:
            sums["qualifying"] += ((target in LIFETIME) - (source in LIFETIME)) * points
        made = Move(
            seq=self.customer.seq,
            wallet=wallet,
            source=source,
            target=target,
            points=points,
            reason=reason,
            qualifying=qualifying,
        )
        self.customer.moves.append(made)

    def new_lot(self, wallet: str, **fields: object) -> Lot:
        lot = Lot(number=len(self.customer.lots), wallet=wallet, **fields)  # type: ignore[arg-type]
        self.customer.lots.append(lot)
        return lot

    def take(self, wallet: str, points: int) -> list[tuple[Lot, int]]:
        """Available points in consumption order, at most so many; they are off their lots but not yet moved."""
        parts = []
        for lot in self.open_lots(wallet):
            part = min(points, lot.remaining)
            if part:
                lot.remaining -= part
                points -= part
                parts.append((lot, part))
        return parts

    def take_all(self, wallet: str, points: int) -> list[tuple[Lot, int]]:
        if self.wallet(wallet)["available"] < points:
            raise Refused("insufficient_points")
        return self.take(wallet, points)

    def arrive(self, lot: Lot, points: int) -> None:
        """`points` of the lot have become available just now."""
        order = self.customer.orders.get(lot.order or "")
        if order is not None and order.forgiven.get(lot.wallet, 0):
            pardoned = min(points, order.forgiven[lot.wallet])
            lot.remaining -= pardoned
            points -= pardoned
            order.forgiven[lot.wallet] -= pardoned
            self.move(lot.wallet, "available>forgiven", pardoned, "pardon")
        repaid = min(points, -self.wallet(lot.wallet)["debt"])
        if repaid:
            lot.remaining -= repaid
            self.move(lot.wallet, "available>debt", repaid, "repayment")
            if order is not None:
                order.repaid[lot.wallet] = order.repaid.get(lot.wallet, 0) + repaid
        self.expire_if_past(lot)

    def expire_if_past(self, lot: Lot) -> None:
        end = self.end_of(lot)
        if lot.remaining and end is not None and end <= self.now:
            points, lot.remaining = lot.remaining, 0
            lot.expired += points
            self.move(lot.wallet, "available>expired", points, "expiry")

    def release(self, lot: Lot, accepted_at: datetime | None) -> None:
        """What is pending becomes available; its time begins with the latest of earning, hold and acceptance."""
        points, parts, lot.pending_of = lot.pending, lot.pending_of, {}
        lot.begins = max(filter(None, (lot.earned_at, lot.hold_end, accepted_at)))
        lot.remaining += points
        lot.least_end = self.return_end() if lot.is_increase else lot.least_end
        for rule, part in parts.items():
            if part:
                self.move(lot.wallet, "pending>available", part, "release", qualifying=rule not in lot.quiet)
                self.note_earned(lot, part, rule)
        self.arrive(lot, points)

    def give_back(self, parts: list[tuple[Lot, int]], state: str, *, lives_on: bool) -> None:
        """Points return to their lots. `lives_on`: they keep their date or live for the days of a return."""
        for lot, points in parts:
            target = self._living_on(lot) if lives_on else lot
            target.remaining += points
            self.move(lot.wallet, f"{state}>available", points, "return")
            self.arrive(target, points)

    def _living_on(self, lot: Lot) -> Lot:
        """The lot itself, or one like it that lasts for the days of a return."""
        end, least = self.end_of(lot), self.return_end()
        if end is None or end >= least:
            return lot
        twin = self.new_lot(lot.wallet, earned_at=lot.earned_at, expiry=lot.expiry, hold_end=lot.hold_end)
        twin.order, twin.rules = lot.order, set(lot.rules)
        twin.stated_end, twin.begins, twin.least_end = lot.stated_end, lot.begins, least
        return twin

    # Qualifying points

    def note_earned(self, lot: Lot, points: int, rule: str) -> None:
        if rule not in lot.quiet and lot.wallet == self.tier_wallet:
            self._note(lot.earned_at, points, lot.order)

    @property
    def tier_wallet(self) -> str:
        basis = self.program.section("tiers").get("basis") or {}
        assert isinstance(basis, Mapping)
        return str(basis.get("wallet") or self.program.wallets[0])

    def _note(self, counted_at: datetime, points: int, order: str | None) -> None:
        made = Earned(counted_at=counted_at, known_at=self.now, step=self.step, points=points, order=order)
        self.customer.earned.append(made)

    def note_taken_back(self, wallet: str, points: int, order: str | None) -> None:
        """Qualifying points were never earned: the order's own, the newest known first; else counted against now."""
        if wallet != self.tier_wallet:
            return
        for entry in reversed(self.customer.earned if order is not None else []):
            if entry.order == order and points:
                part = min(points, entry.points)
                entry.points -= part
                points -= part
        if points:
            self._note(self.now, -points, order)
