"""A customer as of now: recorded state, with what fell due applied to it in memory. Writes nothing.

In: a locked-free read of the customer and the live program. Out: the profile that answers show.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import msgspec

from troth.core.calendar import show_time
from troth.core.decide import apply_due
from troth.core.ids import show_id, uuid7
from troth.core.record import show_after
from troth.core.rules import RuleBook
from troth.core.state import CustomerState
from troth.core.tiers import held_level
from troth.store.batch import CustomerRow, load_due, read
from troth.store.events import CustomerPersonal
from troth.store.pool import Connection
from troth.store.reads import CustomerKey
from troth.store.vault import Vault


class TierProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The way to the next level."""

    next: str  # level id
    threshold: int  # qualifying points it asks for
    points: int  # qualifying points held
    missing: int


class TierState(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    label: str
    since: str
    benefits: str
    progress: TierProgress | None  # null: at the highest level


class CustomerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A customer in a list."""

    customer: str  # the integrator's id
    id: str  # ours
    created_at: str
    last_activity_at: str | None
    tags: tuple[str, ...]
    tier: TierState | None
    wallets: Mapping[str, Mapping[str, int]]  # balance, lifetime, pending, reserved


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


async def customer_items(connection: Connection, keys: list[CustomerKey], book: RuleBook) -> list[CustomerItem]:
    """These customers, in this order."""
    rows = (await read(connection, [key.external_id for key in keys])).rows if keys else {}
    found = []
    for key in keys:
        row = rows.get(key.external_id)
        if row is not None:
            found.append(_item(row, await _now(connection, row, book), book))
    return found


async def load_profile(vault: Vault | None, connection: Connection, key: CustomerKey, book: RuleBook) -> Profile | None:
    """The customer's profile, without a vault the redacted one; None when the customer went away meanwhile."""
    row = (await read(connection, [key.external_id])).rows.get(key.external_id)
    if row is None:
        return None
    state = await _now(connection, row, book)
    return Profile(
        **msgspec.structs.asdict(_item(row, state, book)),
        attributes={**state.attributes, **(_personal(row, vault) if vault is not None else {})},
        events=state.counts,
        orders=state.orders,
        segments=(),
        seq=state.seq,
    )


async def _now(connection: Connection, row: CustomerRow, book: RuleBook) -> CustomerState:
    """What fell due is applied in memory. The events of it are not written, so their ids carry nothing but the time."""
    now = datetime.now(UTC)
    passing_id = uuid7(int(now.timestamp() * 1000), row.bucket, 0)
    _, state = apply_due(await load_due(connection, row, now), now, book, passing_id)
    return state


def _item(row: CustomerRow, state: CustomerState, book: RuleBook) -> CustomerItem:
    after = show_after(state, tuple(wallet.id for wallet in book.program.wallets))
    last = state.last_activity_at
    return CustomerItem(
        customer=row.external_id,
        id=show_id("cus", row.id),
        created_at=show_time(state.created_at),
        last_activity_at=show_time(last) if last is not None else None,
        tags=state.tags,
        tier=_tier(state, book),
        wallets=cast("Mapping[str, Mapping[str, int]]", after["wallets"]),
    )


def _tier(state: CustomerState, book: RuleBook) -> TierState | None:
    tiers = book.program.tiers
    level = held_level(tiers, state)
    if tiers is None or level is None:
        return None
    points = state.wallet(tiers.wallet).qualifying
    higher = next((other for other in tiers.levels if other.threshold > level.threshold), None)
    progress = None
    if higher is not None:
        missing = max(higher.threshold - points, 0)
        progress = TierProgress(next=higher.id, threshold=higher.threshold, points=points, missing=missing)
    since = state.tier_since if state.tier == level.id and state.tier_since is not None else state.created_at
    return TierState(id=level.id, label=level.label, since=show_time(since), benefits=level.benefits, progress=progress)


def _personal(row: CustomerRow, vault: Vault) -> Mapping[str, object]:
    """The personal attributes, as far as the customer's key still exists."""
    if row.personal is None or row.personal_key is None or row.sealed_key is None:
        return {}
    opened = vault.open_key(row.personal_key, row.sealed_key).open(row.personal, row.id)
    return msgspec.json.decode(opened, type=CustomerPersonal).attributes
