"""What is known of one customer when an event is judged: the fold of its events, and the records it is made of.

All records are frozen: a decision makes new ones. What storage loads only in part (lots, orders, limit uses, …) is told
apart from what does not exist: whoever asks for a part that is not here raises `Lacking`, and the pipeline loads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec

from troth.core.order_state import LotKey, Order, Part, Waiting

if TYPE_CHECKING:
    from troth.core.event import Event
    from troth.core.inputs import Inputs

PointState = Literal["program", "pending", "available", "reserved", "spent", "expired", "debt", "forgiven"]
Reason = Literal[
    "award",  # program → available or pending, by a rule
    "adjustment",  # points added or taken by hand
    "release",  # pending → available, when hold and acceptance are over
    "expiry",  # available → expired
    "repayment",  # available → debt: what becomes available repays debt first
    "pardon",  # available → forgiven: what was forgiven for an order is cancelled by its later points
    "reversal",  # an order deserves less: from wherever its points are back to program
    "spend",  # available → spent: reward claims, captured reservations
    "burn",  # available → reserved or spent: points paid with in an order
    "reservation",  # available → reserved
    "return",  # reserved or spent → available: released, cancelled, given back
]


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
    order: UUID | None = None  # opening event of the order that earned it
    rules: tuple[str, ...] = ()  # of an order's lot: the rules whose awards it holds
    earned_at: datetime
    expiry: str | None = None  # how it ends (`calendar.expiry_text`); None: never, or on a stated date
    hold_until: datetime | None = None  # end of its hold; None: none
    qualifying: bool = True  # whether what is pending counts for tiers once released
    release_at: datetime | None = None  # when what is pending becomes available; None: nothing, or not accepted yet
    expires_at: datetime | None  # first instant at which the points are gone; None: never, or not known while pending
    points: int  # that ever came into it
    pending: int = 0
    remaining: int  # available
    expired: int = 0

    @property
    def key(self) -> LotKey:
        return (self.event_id, self.n)


class Posting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One movement of points between two states of a wallet."""

    n: int  # within its event
    wallet: str
    from_state: PointState
    to_state: PointState
    points: int  # > 0
    qualifying: bool
    lot_event: UUID | None  # None: no lot takes part (debt, forgiven)
    lot_n: int | None
    occurred_at: datetime  # of its event: for due work the due time
    reason: Reason
    order_id: UUID | None = None  # opening event of the order it belongs to
    rule: str | None = None  # the award it gives or takes back
    base: Decimal | None = None  # what the formula gave, exact
    multiplier: Decimal | None = None  # the tier multiplier used
    cap: str | None = None  # the limit that cut the award: `times day`, `points month`, …
    earned_at: datetime | None = None  # when it counts for tiers; None: at occurred_at
    expires_at: datetime | None = None  # of an award: when its lot ends, as known then


class Reservation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Points set aside for a payment under way."""

    id: UUID  # the event that made it
    wallet: str
    points: int
    parts: tuple[Part, ...]  # in order of taking
    status: Literal["held", "captured", "released"] = "held"
    due_at: datetime  # when it times out


class Redemption(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A claimed reward."""

    id: UUID  # the event that claimed it
    reward: str
    wallet: str
    points: int
    parts: tuple[Part, ...]  # in order of taking
    status: Literal["created", "fulfilled", "cancelled"] = "created"
    claimed_at: datetime


class Stock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all customers share of one reward; locked while its claims are judged."""

    claimed: int  # not cancelled
    codes: tuple[int, ...] = ()  # numbers of the next free ones; () when it has none


class Use(msgspec.Struct, frozen=True, gc=False):
    """What a limited rule has used up in one period."""

    times: int = 0
    points: int = 0


NO_USE = Use()
UseKey = tuple[str, str]  # rule, period


class Earned(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Qualifying points of one day."""

    counted: date  # program-zone day they count at
    judged: date  # program-zone day they were first known
    points: int


class TierHistory(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What tiers are judged by, beside the lifetime points of the wallet."""

    basis: str = ""  # what `earned` was kept for (`tiers.basis_of`); "": lifetime, nothing is kept
    earned: tuple[Earned, ...] = ()  # by day counted, then judged
    seen_at: datetime | None = None  # when the level was last judged by it: a review falls due after that
    reached: tuple[str, ...] = ()  # levels that were ever risen to
    manual: str | None = None  # the level set by hand
    manual_until: datetime | None = None  # first instant at which it is judged by points again


class CalendarState(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What the calendar events of a customer depend on."""

    joined_at: datetime | None = None  # of the first opt_in, else of the first event
    opted_in: bool = False  # joined_at is an opt_in's
    birthday: int = 0  # the last year whose birthday was told
    birthday_passed: int = 0  # the last year whose birthday had passed when the date became known
    anniversary: int = 0  # the last anniversary that was told, or had passed when the customer was first recorded
    silence: datetime | None = None  # the last activity whose silence was told


NO_TIERS = TierHistory()
NO_CALENDAR = CalendarState()
LotPlace = tuple[datetime, datetime, UUID, int]  # place in consumption order: ends, earned, event, number
NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # stands for "never ends" in a place
ALL_LOTS: LotPlace = (NEVER, NEVER, UUID(int=(1 << 128) - 1), 1 << 15)  # behind every lot


class CustomerState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    created_at: datetime  # when first recorded
    seq: int = 0
    tier: str | None = None
    tier_since: datetime | None = None
    tiers: TierHistory = NO_TIERS
    orders: int = 0  # opened, neither rejected nor refunded, and deserving something after refunds
    waiting: int = 0  # order events that wait for their order
    counts: Mapping[str, int] = {}
    attributes: Mapping[str, object] = {}  # stored form, without personal ones
    birth_date: date | None = None  # personal: known only while the customer's key is open
    tags: tuple[str, ...] = ()
    last_activity_at: datetime | None = None
    calendar: CalendarState = NO_CALENDAR
    wallets: Mapping[str, WalletState] = {}
    due_at: datetime | None = None  # never later than the earliest due moment of anything of this customer

    # Loaded in part; `is_whole`: everything there is, so that what is absent does not exist
    is_whole: bool = False
    uses: Mapping[UseKey, Use] = {}
    lots: Mapping[LotKey, Lot] = {}
    lots_to: Mapping[str, LotPlace] = {}  # per wallet: every open lot up to this place is in `lots`
    due_to: datetime | None = None  # everything that falls due until then is loaded,
    later: datetime | None = None  # and this is the earliest due moment of what is not
    order_ids: Mapping[UUID, UUID | None] = {}  # order key → opening event; None: not open
    order_states: Mapping[UUID, Order] = {}  # by opening event; an order's lots are loaded with it
    plain_orders: Mapping[UUID, Plain] = {}  # opened since, and nothing has happened to them yet
    waiting_events: Mapping[UUID, tuple[Waiting, ...]] = {}  # by order key
    reservations: Mapping[UUID, Reservation | None] = {}
    redemptions: Mapping[UUID, Redemption | None] = {}
    claimed: Mapping[str, int] = {}  # reward → claims of this customer that were not cancelled
    stocks: Mapping[str, Stock] = {}  # reward → what all customers share of it

    def wallet(self, wallet: str) -> WalletState:
        return self.wallets.get(wallet, EMPTY_WALLET)


class Plain(msgspec.Struct, frozen=True, gc=False):
    """A plainly opened order, as far as it has to be known: its opening event tells the rest."""

    event: Event
    inputs: Inputs
    revision: int


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the state, or a revision of the program, that has to be loaded before an event can be judged."""

    lots: tuple[str, int] | None = None  # wallet, points: open lots in consumption order that hold so many
    uses: tuple[UseKey, ...] = ()
    order: UUID | None = None  # by opening event
    order_key: UUID | None = None
    waiting: UUID | None = None  # order key
    reservation: UUID | None = None
    redemption: UUID | None = None
    reward: str | None = None  # its stock, and this customer's claims of it
    qualifying: str | None = None  # wallet: its qualifying points by day, from all postings
    revision: int | None = None
    due: bool = False  # everything that has fallen due
    lot_keys: tuple[LotKey, ...] = ()


class Lacking(Exception):
    """Judging stopped: a part of the state is not loaded. Nothing was decided; load it and judge again."""

    def __init__(self, **need: object) -> None:
        super().__init__()
        self.need = Need(**need)  # type: ignore[arg-type]


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
        changes["qualifying"] = wallet.qualifying + qualifying_change(posting)
    return msgspec.structs.replace(wallet, **changes)


def qualifying_change(posting: Posting) -> int:
    """What a movement adds to the points that count for tiers."""
    if not posting.qualifying:
        return 0
    return ((posting.to_state not in _OUTSIDE) - (posting.from_state not in _OUTSIDE)) * posting.points


_OUTSIDE = frozenset({"program", "pending"})  # states that are not part of lifetime
