"""Judging a batch: every work decided in order of arrival, each customer's state carried forward.

In: works with ids, and their customers as loaded. Out: a ledger of what to write; every work has its outcome. What a
decision lacks is loaded, and the whole batch is judged again: deciding is pure, so nothing of a first try remains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

from troth import limits
from troth.core.decide import decide
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.core.rules import RuleBook, Shelf, use_keys
from troth.core.state import CustomerState, Lacking, Need, Stock, UseKey
from troth.pipeline.outcome import Applied, Conflict, Problem, Rejected
from troth.pipeline.stock import lock_stocks
from troth.pipeline.work import Work
from troth.pipeline.write import Ledger, Party
from troth.store import batch, parts
from troth.store.loading import Sources, load, with_orders
from troth.store.parts import Key, StoredOrder, load_orders
from troth.store.pool import Connection

Parties = Mapping[str, Party]
_NOT_YOURS = "the order '{order}' is another customer's"


async def judge_works(
    connection: Connection, works: Sequence[Work], parties: Parties, context: tuple[Sources, Mapping[bytes, UUID]]
) -> Ledger:
    """Decide every work. In the context: where what is lacking is loaded from, and the orders that opening works found
    open already (claim → opening event)."""
    sources, _ = context
    await prefetch(connection, works, parties, context)
    judged = [work for work in works if work.outcome is None]
    for _ in range(limits.LACKING_ROUNDS):
        for work in judged:
            work.outcome = work.duplicate_of = None
        ledger = Ledger(sources.book, sources.codes)
        lacking = _judge_round(judged, parties, ledger, Shelf(sources.book, sources.kept))
        if not lacking:
            return ledger
        for party, need in lacking:
            party.before = await load(connection, party.row, party.before, need=need, sources=sources)
        for party in parties.values():
            party.row.state = party.before
    missing = [need for _, need in lacking]
    raise RuntimeError(f"after {limits.LACKING_ROUNDS} rounds this is still not loaded: {missing[:3]}")


T = TypeVar("T")


async def decide_loaded(
    connection: Connection, party: Party, sources: Sources, attempt: Callable[[CustomerState, Shelf], T]
) -> T:
    """What `attempt` makes of one customer, once everything it lacks is loaded."""
    for _ in range(limits.LACKING_ROUNDS):
        try:
            return attempt(party.before, Shelf(sources.book, sources.kept))
        except Lacking as lacking:
            party.before = await load(connection, party.row, party.before, need=lacking.need, sources=sources)
    raise RuntimeError(f"after {limits.LACKING_ROUNDS} rounds something is still not loaded")


def _judge_round(works: Sequence[Work], parties: Parties, ledger: Ledger, shelf: Shelf) -> list[tuple[Party, Need]]:
    """One try. Out: what customers lack; their further events are left out, and nothing of the try counts then."""
    lacking: dict[UUID, tuple[Party, Need]] = {}
    stocks: dict[str, Stock] = {}  # what all customers share, carried from one to the next
    taken: set[bytes] = set()  # references of what is recorded
    for work in works:
        party = parties[work.customer]
        if party.row.id in lacking or work.reference_key in taken:
            continue
        try:
            stocks = _judge(work, party, ledger, (shelf, stocks))
            if isinstance(work.outcome, Applied) or work.duplicate_of is not None:
                taken.add(work.reference_key)
        except Lacking as missing:
            lacking[party.row.id] = (party, missing.need)
    ledger.share(stocks)
    return list(lacking.values())


def _judge(work: Work, party: Party, ledger: Ledger, context: tuple[Shelf, dict[str, Stock]]) -> dict[str, Stock]:
    shelf, stocks = context
    state = party.row.state
    if state.stocks:
        state = msgspec.structs.replace(state, stocks={**state.stocks, **stocks})
    decision = decide(state, work.event(), shelf)
    applied = ledger.add(work, party, decision)
    if applied is not None:
        work.outcome = applied
    elif decision.duplicate_of is not None:
        work.duplicate_of = decision.duplicate_of
    else:
        assert decision.refusal is not None
        work.outcome = Rejected((decision.refusal,))
    return {**stocks, **decision.state.stocks} if decision.state.stocks else stocks


# What is known to be needed


async def prefetch(
    connection: Connection, works: Sequence[Work], parties: Parties, context: tuple[Sources, Mapping[bytes, UUID]]
) -> None:
    """Load at once what most of these works will ask for; the rest is loaded when it is missed."""
    sources, opened = context
    for party in parties.values():
        due_at = party.before.due_at
        if due_at is not None and due_at <= sources.now:
            party.before = await load(connection, party.row, party.before, need=Need(due=True), sources=sources)
    await _find_orders(connection, works, parties, opened)
    await _load_orders(connection, parties, sources)
    await _load_uses(connection, works, parties, sources.book)
    await lock_stocks(connection, works, parties, sources)
    for party in parties.values():
        party.row.state = party.before


async def _find_orders(
    connection: Connection, works: Sequence[Work], parties: Parties, opened: Mapping[bytes, UUID]
) -> None:
    """Which orders are open, for every event that names one. Another customer's order settles its work."""
    family = [work.order_key for work in works if work.order_key is not None and not work.opens_order]
    hashes = list(dict.fromkeys([*(key for key in family if key is not None), *opened]))
    found = await parts.find_orders(connection, hashes) if hashes else {}
    for work in works:
        if work.order_key is None:
            continue
        assert work.order_uuid is not None, "named"
        key, party = work.order_uuid, parties[work.customer]
        opening, owner = found.get(work.order_key, (None, None))
        if owner is not None and owner != party.row.id:
            detail = _NOT_YOURS.format(order=work.valid.order_id)
            work.outcome = Conflict(Problem(_order_pointer(work), "not_your_order", detail))
        elif opening is not None or key not in party.before.order_ids:
            order_ids = {**party.before.order_ids, key: opening}
            party.before = msgspec.structs.replace(party.before, order_ids=order_ids)


async def _load_orders(connection: Connection, parties: Parties, sources: Sources) -> None:
    """The open orders that events name, of all customers at once."""
    asked = [
        (Key(party.row.bucket, party.row.id), order_id)
        for party in parties.values()
        for order_id in party.before.order_ids.values()
        if order_id is not None and order_id not in party.before.order_states
    ]
    if not asked:
        return
    stored: dict[UUID, list[StoredOrder]] = {}
    found = await load_orders(connection, asked)
    for key, order_id in asked:
        if order_id in found:
            stored.setdefault(key.customer_id, []).append(found[order_id])
    for party in parties.values():
        if party.row.id in stored:
            party.before = await with_orders(party.before, stored[party.row.id], sources)


def _order_pointer(work: Work) -> str:
    mapping = work.valid.type.order
    if work.valid.type.id in ORDER_FAMILY_TYPES:
        return "/properties/order_id"
    return f"/properties/{mapping.id}" if mapping is not None and mapping.id else "/reference"


async def _load_uses(connection: Connection, works: Sequence[Work], parties: Parties, book: RuleBook) -> None:
    """What limited rules have used up, for every event that these works may bring."""
    if not book.limited_types:
        return
    asked: dict[UUID, list[UseKey]] = {}
    for work in works:
        for name in (work.valid.type.id, "tier_upgraded"):
            rules = book.by_type.get(name)
            if rules is not None and rules.limited:
                keys = use_keys(rules, work.event().occurred_at, book.zone)
                asked.setdefault(parties[work.customer].row.id, []).extend(keys)
    if not asked:
        return
    rows = {party.row.id: party for party in parties.values()}
    wanted = [(owner, rows[owner].row.bucket, key) for owner, keys in asked.items() for key in dict.fromkeys(keys)]
    found = await batch.load_uses(connection, wanted)
    for owner, keys in asked.items():
        uses = {**rows[owner].before.uses, **batch.with_unused(keys, found.get(owner, {}))}
        rows[owner].before = msgspec.structs.replace(rows[owner].before, uses=uses)
