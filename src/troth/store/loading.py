"""Loading what a decision lacks: one need → the customer's state with that part in it.

In: a customer's row and state, and a `Need` that judging has raised. Out: the same state, knowing more. What is loaded
holds as long as the customer's row is locked, or is still the version that was read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

import msgspec

from troth import limits
from troth.core.inputs import from_json
from troth.core.moments import birthday_told
from troth.core.order_award import as_opened
from troth.core.order_state import Order, Waiting
from troth.core.replay import PastEvent, event_of
from troth.core.rules import RuleBook
from troth.core.state import ALL_LOTS, CustomerState, Lot, Need, Stock
from troth.core.tier_changes import history_of
from troth.store import batch, parts
from troth.store.batch import CustomerRow
from troth.store.codes import open_code
from troth.store.events import CustomerPersonal
from troth.store.parts import Key, StoredOrder
from troth.store.pool import Connection
from troth.store.vault import Vault


@dataclass(slots=True, kw_only=True)
class Sources:
    """Where the parts of states come from, for one batch."""

    book: RuleBook  # the live one
    book_at: Callable[[int], Awaitable[RuleBook]]
    vault: Vault
    now: datetime  # up to which due work is loaded
    kept: dict[int, RuleBook] = field(default_factory=dict)  # revisions that orders were opened under
    asked: dict[tuple[UUID, str], int] = field(default_factory=dict)  # customer, wallet → points of lots asked for
    most_lots: int | None = None  # due lots loaded at once; None: all
    codes: dict[tuple[str, int], str] = field(default_factory=dict)  # reward and number → the free code

    async def at(self, revision: int) -> RuleBook:
        if revision == self.book.program.revision:
            return self.book
        if revision not in self.kept:
            self.kept[revision] = await self.book_at(revision)
        return self.kept[revision]


async def load(
    connection: Connection, row: CustomerRow, state: CustomerState, *, need: Need, sources: Sources
) -> CustomerState:
    """The state with the part that is needed."""
    key = Key(row.bucket, row.id)
    if need.revision is not None:
        await sources.at(need.revision)
        return state
    if need.due:
        return await _load_due(connection, row, state, sources)
    if need.lots is not None:
        return await _load_lots(connection, key, state, (need.lots, sources))
    if need.order is not None:
        return await load_orders(connection, key, state, ((need.order,), sources))
    if need.reward is not None:
        return await _load_reward(connection, key, state, (need.reward, sources))
    if need.qualifying is not None:
        found = await parts.load_qualifying(connection, key, need.qualifying)
        return _replace(state, tiers=history_of(state.tiers, sources.book, sources.now, found))
    return await _load_named(connection, key, state, need)


async def _load_named(connection: Connection, key: Key, state: CustomerState, need: Need) -> CustomerState:
    """Parts that are found by their own names."""
    if need.lot_keys:
        return _with_lots(state, await parts.load_lots_by_key(connection, need.lot_keys))
    if need.uses:
        found = await batch.load_uses(connection, [(key.customer_id, key.bucket, use) for use in need.uses])
        uses = batch.with_unused(need.uses, found.get(key.customer_id, {}))
        return _replace(state, uses={**state.uses, **uses})
    if need.waiting is not None:
        events = (await parts.load_waiting(connection, key, [need.waiting])).get(need.waiting, [])
        return _replace(state, waiting_events={**state.waiting_events, need.waiting: tuple(map(_waiting, events))})
    if need.reservation is not None:
        reservations = await parts.load_reservations(connection, key, [need.reservation])
        known = {**state.reservations, need.reservation: reservations.get(need.reservation)}
        return _replace(state, reservations=known)
    assert need.redemption is not None, need
    redemptions = await parts.load_redemptions(connection, key, [need.redemption])
    return _replace(state, redemptions={**state.redemptions, need.redemption: redemptions.get(need.redemption)})


def _waiting(event: parts.WaitingEvent) -> Waiting:
    return Waiting(event_id=event.event_id, type=event.type, occurred_at=event.occurred_at, properties=event.properties)


# Lots


async def _load_lots(
    connection: Connection, key: Key, state: CustomerState, ask: tuple[tuple[str, int], Sources]
) -> CustomerState:
    """Open lots in consumption order, enough for everything asked of this wallet so far. Where activity moves their
    ends, the order of storage is not theirs, and all are read."""
    (wallet, points), sources = ask
    place = (key.customer_id, wallet)
    total = sources.asked.get(place, 0) + points
    is_again = place in sources.asked
    sources.asked[place] = total if not is_again else 2 * total
    wanted = None if _moves(sources.book) else sources.asked[place]
    lots, until = await parts.load_lots(connection, key, wallet, wanted)
    state = _with_lots(state, lots)
    return _replace(state, lots_to={**state.lots_to, wallet: until or ALL_LOTS})


def _moves(book: RuleBook) -> bool:
    kinds = [wallet.expiry for wallet in book.program.wallets] + [rule.expiry for rule in book.program.rules]
    return any(expiry is not None and expiry.kind == "months_after_activity" for expiry in kinds)


def _with_lots(state: CustomerState, lots: Iterable[Lot]) -> CustomerState:
    return _replace(state, lots={**state.lots, **{lot.key: lot for lot in lots}})


# Orders


async def load_orders(
    connection: Connection, key: Key, state: CustomerState, ask: tuple[Iterable[UUID], Sources]
) -> CustomerState:
    """These orders, by opening event, with their lots."""
    ids, sources = ask
    return await with_orders(state, (await parts.load_order(connection, key, list(ids))).values(), sources)


async def with_orders(state: CustomerState, stored: Iterable[StoredOrder], sources: Sources) -> CustomerState:
    """The state with these orders and their lots."""
    orders, lots = dict(state.order_states), dict(state.lots)
    order_ids = dict(state.order_ids)
    for found in stored:
        book = await sources.at(found.revision)
        order = order_of(found, book)
        orders[order.id], order_ids[order.key] = order, order.id
        for lot in found.lots:
            lots.setdefault(lot.key, lot)
    return _replace(state, order_states=orders, order_ids=order_ids, lots=lots)


def order_of(found: StoredOrder, book: RuleBook) -> Order:
    """An order as stored; one without a state is as its opening event opened it."""
    if found.state is not None:
        return found.state
    past = PastEvent(
        id=found.id,
        seq=0,
        type=found.type,
        occurred_at=found.occurred_at,
        source="",
        properties=found.properties,
        inputs=found.inputs,
        after={},
        parent=None,
        depth=0,
        caused=0,
        revision=found.revision,
        order_key=found.order_key,
        clock=found.clock,
        postings=(),
    )
    return as_opened(event_of(past, book), from_json(found.inputs), book, found.lots)


# Rewards


async def _load_reward(
    connection: Connection, key: Key, state: CustomerState, ask: tuple[str, Sources]
) -> CustomerState:
    """This customer's claims of a reward, and its stock: locked until the transaction ends."""
    name, sources = ask
    claimed = await parts.load_claimed(connection, key, [name])
    reward = sources.book.program.rewards.get(name)
    used = (await parts.lock_stock(connection, [name])).get(name, 0)
    codes: tuple[int, ...] = ()
    if reward is not None and reward.codes:
        for code in await parts.next_codes(connection, name, limits.BATCH_EVENTS):
            sources.codes[name, code.n] = open_code(sources.vault, code.code_hash, code.sealed)
        codes = tuple(n for reward_id, n in sources.codes if reward_id == name)
    return _replace(
        state,
        claimed={**state.claimed, name: claimed.get(name, 0)},
        stocks={**state.stocks, name: Stock(claimed=used, codes=codes)},
    )


# Due work


async def _load_due(connection: Connection, row: CustomerRow, state: CustomerState, sources: Sources) -> CustomerState:
    """Everything of the customer that has fallen due, and when the next thing does."""
    key = Key(row.bucket, row.id)
    found = await parts.load_due(connection, key, sources.now, sources.most_lots)
    state = _with_lots(state, [lot for lot in found.lots if lot.key not in state.lots])
    asked = dict.fromkeys(found.orders)
    if sources.book.tier_basis:  # they keep since when their points count for tiers
        asked |= {lot.order: None for lot in found.lots if lot.pending and lot.order is not None}
    missing = [order_id for order_id in asked if order_id not in state.order_states]
    if missing:
        state = await load_orders(connection, key, state, (missing, sources))
    born = birth_date_of(row, sources.vault)
    return _replace(
        state,
        reservations={**{held.id: held for held in found.reservations}, **state.reservations},
        birth_date=born,
        calendar=birthday_told(state.calendar, born, state.created_at, sources.book),
        due_to=found.until,
        later=found.later,
    )


def birth_date_of(row: CustomerRow, vault: Vault) -> date | None:
    """The customer's birth date, as far as the key still exists."""
    if row.personal is None or row.personal_key is None or row.sealed_key is None:
        return None
    opened = vault.open_key(row.personal_key, row.sealed_key).open(row.personal, row.id)
    text = msgspec.json.decode(opened, type=CustomerPersonal).attributes.get("birth_date")
    return date.fromisoformat(text) if isinstance(text, str) else None


_replace = msgspec.structs.replace
