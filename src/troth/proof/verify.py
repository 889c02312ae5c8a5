"""Verify: recompute every cache from events and postings, judge every event again, and tell each difference.

In: a connection, and compiled programs. Out: per bucket what was read, and every difference. Reads only, one bucket per
snapshot, beside live traffic.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from uuid import UUID

import msgspec

from troth import limits
from troth.core.ids import show_id
from troth.core.program import Program
from troth.core.replay import Difference, Fold, PastEvent, begin, replay, skip_quiet_steps
from troth.core.rules import RuleBook, Shelf, compile_rules
from troth.core.state import CustomerState
from troth.proof.compare import compare
from troth.store import proof
from troth.store.pool import Connection, snapshot


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
        async with snapshot(connection):
            past = await proof.read_bucket(connection, bucket)
            caches = await proof.read_caches(connection, bucket)
        report = BucketReport(customers=len(caches))
        for customer_id, found in caches.items():
            events = past.pop(customer_id, [])
            report.events += len(events)
            revisions = await books.all_of(events)
            fold = fold_customer(found.state, events, revisions)
            shelf = last_shelf(events, revisions)
            report.differences += [*fold.differences, *compare(customer_id, fold, found, shelf)]
        report.differences += [_orphan(customer_id) for customer_id in past]
        yield report
    async with snapshot(connection):
        lost = await proof.lost_references(connection)
        stock = await proof.wrong_stock(connection)
    yield BucketReport(differences=[*(_lost(*entry) for entry in lost), *(_stock(*entry) for entry in stock)])


def fold_customer(state: CustomerState, events: Sequence[PastEvent], books: Mapping[int, RuleBook]) -> Fold:
    """The fold of all events of one customer, from nothing but its creation."""
    fold = begin(state.created_at)
    for group in _groups(events):
        replay(fold, group, Shelf(books[group[0].revision], books))
    shelf, seen_at = last_shelf(events, books), state.tiers.seen_at
    if shelf is not None and seen_at is not None:  # a review that changed nothing has left no event, only its date
        skip_quiet_steps(fold, seen_at, shelf)
    return fold


def last_shelf(events: Sequence[PastEvent], books: Mapping[int, RuleBook]) -> Shelf | None:
    """The program that judged last; None without any event."""
    return Shelf(books[events[-1].revision], books) if events else None


def _groups(events: Sequence[PastEvent]) -> Iterator[Sequence[PastEvent]]:
    """Events with those they caused: an event without parent begins a group."""
    start = 0
    for place, event in enumerate(events):
        if event.parent is None and place > start:
            yield events[start:place]
            start = place
    if events:
        yield events[start:]


def _orphan(customer_id: UUID) -> Difference:
    detail = "events without their customer's row"
    return Difference(kind="customer", id=show_id("cus", customer_id), detail=detail, expected="a row", found=None)


def _lost(what: str, event_id: UUID) -> Difference:
    return Difference(kind="reference", id=show_id("evt", event_id), detail=what, expected="none", found="one")


def _stock(name: str, claimed: int, used: int) -> Difference:
    return Difference(kind="stock", id=name, detail="claims that were not cancelled", expected=claimed, found=used)
