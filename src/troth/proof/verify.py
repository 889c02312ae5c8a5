"""Verify: recompute balances, lots, limit uses, tiers and profiles from events and postings; judge every event again.

In: a database. Out: how much was read, and every difference. Reads only, one bucket per snapshot, beside live traffic.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from uuid import UUID

import msgspec

from troth import limits
from troth.core.ids import show_id
from troth.core.program import Program
from troth.core.replay import Difference, Fold, PastEvent, due_moment, replay
from troth.core.rules import RuleBook, compile_rules
from troth.core.state import CustomerState
from troth.store import proof
from troth.store.pool import Connection
from troth.store.proof import Caches

_COMPARED = ("seq", "tier", "tier_since", "orders", "counts", "attributes", "tags", "last_activity_at")


class BucketReport(msgspec.Struct, kw_only=True):
    customers: int = 0
    events: int = 0
    differences: list[Difference] = []


class RuleBooks:
    """Compiled revisions for proving; each is read once."""

    def __init__(self, read: Callable[[int], Awaitable[Program]]) -> None:
        self._read = read
        self._books: dict[int, RuleBook] = {}

    async def all_of(self, events: Sequence[PastEvent]) -> Mapping[int, RuleBook]:
        """The books of every revision among these events."""
        for revision in {event.revision for event in events}:
            if revision not in self._books:
                self._books[revision] = compile_rules(await self._read(revision))
        return self._books


async def verify(connection: Connection, books: RuleBooks) -> AsyncIterator[BucketReport]:
    """A report per bucket, and one at the end for what concerns no single customer."""
    for bucket in range(limits.BUCKETS):
        async with proof.snapshot(connection):
            past = await proof.read_bucket(connection, bucket)
            caches = await proof.read_caches(connection, bucket)
        report = BucketReport(customers=len(caches))
        for customer_id, found in caches.items():
            events = past.pop(customer_id, [])
            report.events += len(events)
            fold = fold_customer(found.state, events, await books.all_of(events))
            report.differences += [*fold.differences, *compare(customer_id, fold, found)]
        report.differences += [_orphan(customer_id) for customer_id in past]
        yield report
    async with proof.snapshot(connection):
        lost = await proof.lost_references(connection)
    yield BucketReport(differences=[_lost(what, event_id) for what, event_id in lost])


def fold_customer(state: CustomerState, events: Sequence[PastEvent], books: Mapping[int, RuleBook]) -> Fold:
    """The fold of all events of one customer, from nothing but its creation."""
    fold = Fold(state=CustomerState(created_at=state.created_at))
    for group in _groups(events):
        replay(fold, group, books[group[0].revision])
    return fold


def _groups(events: Sequence[PastEvent]) -> Iterator[Sequence[PastEvent]]:
    """Events with those they caused: an event without parent begins a group."""
    start = 0
    for place, event in enumerate(events):
        if event.parent is None and place > start:
            yield events[start:place]
            start = place
    if events:
        yield events[start:]


# Comparing with the caches


def compare(customer_id: UUID, fold: Fold, found: Caches) -> Iterator[Difference]:
    """Everything in which the caches differ from the fold."""
    name = show_id("cus", customer_id)
    for field in _COMPARED:
        yield from _differ(("customer", name, field), getattr(fold.state, field), getattr(found.state, field))
    yield from _differ(("customer", name, "due_at"), due_moment(fold), found.due_at)
    for wallet in sorted(fold.state.wallets.keys() | found.wallets.keys()):
        pair = fold.state.wallets.get(wallet), found.wallets.get(wallet)
        yield from _differ(("balance", name, wallet), *pair)
    for key in fold.state.uses.keys() | found.uses.keys():
        yield from _differ(("limit_use", name, " ".join(key)), fold.state.uses.get(key), found.uses.get(key))
    for lot in fold.lots.keys() | found.lots.keys():
        where = ("lot", name, f"{show_id('evt', lot[0])}/{lot[1]}")
        yield from _differ(where, fold.lots.get(lot), found.lots.get(lot))


def _differ(where: tuple[str, str, str], expected: object, found: object) -> Iterator[Difference]:
    if expected != found:
        kind, name, detail = where
        yield Difference(kind=kind, id=name, detail=detail, expected=_show(expected), found=_show(found))


def _show(value: object) -> object:
    return msgspec.to_builtins(value, str_keys=True)


def _orphan(customer_id: UUID) -> Difference:
    detail = "events without their customer's row"
    return Difference(kind="customer", id=show_id("cus", customer_id), detail=detail, expected="a row", found=None)


def _lost(what: str, event_id: UUID) -> Difference:
    return Difference(kind="reference", id=show_id("evt", event_id), detail=what, expected="none", found="one")
