"""A customer as of now: recorded state, with what fell due applied to it in memory. Writes nothing.

In: a read without locks of the customer, the live program, and the program's present. Out: the profile that answers
show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from troth import limits
from troth.api.reading import Reading
from troth.core.calendar import show_time
from troth.core.due import apply_due
from troth.core.ids import show_id, uuid7
from troth.core.program import Level, Tiers
from troth.core.rules import RuleBook, Shelf
from troth.core.state import CustomerState, Lacking, WalletState
from troth.core.tier_changes import is_manual, standing_of, with_history
from troth.core.tiers import held_level
from troth.store.batch import CustomerRow, read
from troth.store.clock import present
from troth.store.events import CustomerPersonal
from troth.store.loading import Sources, load
from troth.store.pool import Connection
from troth.store.reads import CustomerKey
from troth.store.vault import Vault


class TierProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The way to the next level."""

    next: str  # level id
    threshold: int  # qualifying points it asks for
    points: int  # qualifying points that count now: all, in the window, or in this year
    missing: int


class TierKept(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a level that time can take away."""

    until: str  # the first instant at which it falls if nothing else happens
    needed: int  # qualifying points still to be earned before then to keep it


class TierState(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    label: str
    since: str
    benefits: str
    progress: TierProgress | None  # null: at the highest level
    kept: TierKept | None  # null: time does not take this level away, or it is set by hand
    manual: bool  # set by hand: points do not change it
    until: str | None  # when a level set by hand is judged by points again; null: until somebody says so


class WalletBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Points of a wallet. The states sum to zero with what the program has given."""

    balance: int  # available + debt
    lifetime: int  # available + reserved + spent + expired + debt + forgiven
    pending: int
    available: int
    reserved: int
    spent: int
    expired: int
    debt: int  # ≤ 0
    forgiven: int  # ≤ 0
    qualifying: int  # of lifetime, what counts for tiers


class CustomerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A customer in a list."""

    customer: str  # the integrator's id
    id: str  # ours
    created_at: str
    last_activity_at: str | None
    tags: tuple[str, ...]
    tier: TierState | None
    wallets: Mapping[str, WalletBalance]  # every wallet of the program, empty ones too


class Profile(CustomerItem, frozen=True, kw_only=True):
    """Everything current about a customer."""

    attributes: Mapping[str, object]  # personal ones too
    events: Mapping[str, int]  # recorded events by type
    orders: int  # opened and not fully refunded
    segments: tuple[str, ...]
    seq: int  # of the latest event


class CustomerPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[CustomerItem, ...]  # by the integrator's id
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The moment that a read shows, under the live program."""

    reading: Reading
    book: RuleBook
    moment: datetime


async def now_of(reading: Reading, connection: Connection, book: RuleBook) -> Now:
    """Now, as the program means it. `book`: the live one."""
    return Now(reading=reading, book=book, moment=await program_now(connection))


async def program_now(connection: Connection) -> datetime:
    """The program's present: where the test clock stands, else real time."""
    return await present(connection) or datetime.now(UTC)


async def customer_items(connection: Connection, keys: list[CustomerKey], now: Now) -> list[CustomerItem]:
    """These customers, in this order."""
    rows = (await read(connection, [key.external_id for key in keys])).rows if keys else {}
    found = []
    for key in keys:
        row = rows.get(key.external_id)
        if row is not None:
            found.append(_item(row, await as_of(connection, row, now), now))
    return found


async def load_profile(connection: Connection, key: CustomerKey, now: Now, *, with_personal: bool) -> Profile | None:
    """The customer's profile, whole or redacted; None when the customer went away meanwhile."""
    found = await load_profiles(connection, [key], now, with_personal=with_personal)
    return found[0] if found else None


async def load_profiles(
    connection: Connection, keys: list[CustomerKey], now: Now, *, with_personal: bool
) -> list[Profile]:
    """The profiles of these customers, in this order, without those that went away meanwhile."""
    rows = (await read(connection, [key.external_id for key in keys])).rows if keys else {}
    found = []
    for key in keys:
        row = rows.get(key.external_id)
        if row is not None:
            state = await as_of(connection, row, now)
            found.append(_profile(row, state, now, with_personal=with_personal))
    return found


async def as_of(connection: Connection, row: CustomerRow, now: Now) -> CustomerState:
    """What fell due is applied in memory. The events of it are not written, so their ids carry nothing but the time."""
    passing_id = uuid7(int(now.moment.timestamp() * 1000), row.bucket, 0)
    reading = now.reading
    sources = Sources(book=now.book, book_at=reading.book_at, vault=reading.vault, now=now.moment)
    state = row.state
    for _ in range(limits.LACKING_ROUNDS):
        try:
            _, current = apply_due(state, now.moment, Shelf(now.book, sources.kept), passing_id)
            return with_history(current, now.book)
        except Lacking as lacking:
            state = await load(connection, row, state, need=lacking.need, sources=sources)
    raise AssertionError(f"what is due of customer {row.id} cannot be loaded")


def _profile(row: CustomerRow, state: CustomerState, now: Now, *, with_personal: bool) -> Profile:
    return Profile(
        **msgspec.structs.asdict(_item(row, state, now)),
        attributes={**state.attributes, **(_personal(row, now.reading.vault) if with_personal else {})},
        events=state.counts,
        orders=state.orders,
        segments=(),
        seq=state.seq,
    )


def _item(row: CustomerRow, state: CustomerState, now: Now) -> CustomerItem:
    last = state.last_activity_at
    return CustomerItem(
        customer=row.external_id,
        id=show_id("cus", row.id),
        created_at=show_time(state.created_at),
        last_activity_at=show_time(last) if last is not None else None,
        tags=state.tags,
        tier=_tier(state, now),
        wallets={wallet.id: _balance(state.wallet(wallet.id)) for wallet in now.book.program.wallets},
    )


def _balance(wallet: WalletState) -> WalletBalance:
    return WalletBalance(
        balance=wallet.balance,
        lifetime=wallet.lifetime,
        pending=wallet.pending,
        available=wallet.available,
        reserved=wallet.reserved,
        spent=wallet.spent,
        expired=wallet.expired,
        debt=wallet.debt,
        forgiven=wallet.forgiven,
        qualifying=wallet.qualifying,
    )


def _tier(state: CustomerState, now: Now) -> TierState | None:
    tiers = now.book.program.tiers
    level = held_level(tiers, state)
    if tiers is None or level is None:
        return None
    standing = standing_of(state, now.moment, now.book)
    by_hand = is_manual(state, now.moment)
    falls = None if by_hand else standing.kept_until
    since = state.tier_since if state.tier == level.id and state.tier_since is not None else state.created_at
    return TierState(
        id=level.id,
        label=level.label,
        since=show_time(since),
        benefits=level.benefits,
        progress=_progress(tiers, level, standing.points),
        kept=TierKept(until=show_time(falls), needed=standing.needed) if falls is not None else None,
        manual=by_hand,
        until=_shown(state.tiers.manual_until) if by_hand else None,
    )


def _progress(tiers: Tiers, level: Level, points: int) -> TierProgress | None:
    higher = next((other for other in tiers.levels if other.threshold > level.threshold), None)
    if higher is None:
        return None
    missing = max(higher.threshold - points, 0)
    return TierProgress(next=higher.id, threshold=higher.threshold, points=points, missing=missing)


def _shown(moment: datetime | None) -> str | None:
    return show_time(moment) if moment is not None else None


def _personal(row: CustomerRow, vault: Vault) -> Mapping[str, object]:
    """The personal attributes, as far as the customer's key still exists."""
    if row.personal is None or row.personal_key is None or row.sealed_key is None:
        return {}
    opened = vault.open_key(row.personal_key, row.sealed_key).open(row.personal, row.id)
    return msgspec.json.decode(opened, type=CustomerPersonal).attributes
