"""Claims: the first writer of a reference wins; everybody else gets the recorded answer.

In: works with ids. Out: which of them are fresh, which wait for a twin's verdict, and outcomes for the rest.
Claims are made inside the batch's transaction, so a crash or a refusal leaves none behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from troth.core.coercion import Problem
from troth.pipeline.books import Book, Books
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, RawEvent, Rejected
from troth.pipeline.work import Work
from troth.store import batch
from troth.store.batch import Found, Names
from troth.store.events import StoredEvent, fetch_events
from troth.store.pool import Connection
from troth.store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The works of a batch after the claims; what is in neither list has its outcome."""

    versions: dict[UUID, int]  # of the customers' rows, now locked
    fresh: list[Work]  # ours to judge
    waiting: list[Work]  # their reference or order belongs to an earlier one of this batch


class Claims:
    """Compares what is sent with what is recorded."""

    def __init__(self, books: Books, vault: Vault) -> None:
        self._books = books
        self._vault = vault

    async def claim(self, connection: Connection, works: Sequence[Work], found: Found) -> Claimed:
        """Claim for every work and lock the known customers; settle works whose reference, or order, is recorded."""
        owners, twins = first_of_each(works)
        wanted = {key: event_id for work in owners for key, event_id in work.claims.items()}
        claimed = await batch.claim(connection, wanted, list(found.rows.values()))
        recorded, customers = claimed.recorded, found.names
        if not recorded:
            return Claimed(versions=claimed.versions, fresh=owners, waiting=twins)
        stored = await fetch_events(connection, self._vault, set(recorded.values()))
        customers = await _resolve_rest(connection, works, customers)
        fresh = [work for work in owners if work.reference_key not in recorded and work.order_key not in recorded]
        for work in works:
            if work.reference_key in recorded:
                await _release_order(connection, work, recorded)
                work.outcome = await self._recorded(work, stored[recorded[work.reference_key]], customers)
        for work in owners:
            if work.outcome is None and work.order_key in recorded:
                assert work.order_key is not None
                work.outcome = await self._known_order(connection, work, stored[recorded[work.order_key]], customers)
        waiting = [work for work in twins if work.outcome is None]
        return Claimed(versions=claimed.versions, fresh=fresh, waiting=waiting)

    async def look_up(self, connection: Connection, work: Work, customers: Names) -> None:
        """Like `claim` for one work, but reads only: for previews."""
        recorded = await batch.claimed(connection, work.claims)
        stored = await fetch_events(connection, self._vault, set(recorded.values()))
        if work.reference_key in recorded:
            work.outcome = await self._recorded(work, stored[recorded[work.reference_key]], customers)
        elif work.order_key in recorded:
            assert work.order_key is not None
            work.outcome = await self._same_order(work, stored[recorded[work.order_key]], customers)

    async def _recorded(self, work: Work, stored: StoredEvent, customers: Names) -> Outcome:
        """The reference is recorded: by this very event (its answer was lost), by an equal one, or by another."""
        if stored.id == work.id:
            return Applied(stored.record)
        return await self.compare(work.raw, stored, customers.get(work.valid.customer))

    async def compare(
        self, raw: RawEvent, stored: StoredEvent, customer: tuple[UUID, int] | None
    ) -> Duplicate | Conflict:
        """A resend of a recorded reference: a duplicate when customer and type are the same."""
        is_same = customer is not None and customer[0] == stored.customer_id and raw.type == stored.record.type
        if not is_same:
            detail = f"this reference belongs to {stored.record.id}, an event of another customer or type"
            return Conflict(Problem("/reference", "reference_conflict", detail))
        book = await self._books.at(stored.record.revision)
        sent = book.validator.content(raw, stored.record.type)
        is_equal = sent is not None and json.loads(sent, parse_float=Decimal) == stored.properties
        return Duplicate(stored.record, payload_mismatch=not is_equal)

    async def _known_order(self, connection: Connection, work: Work, stored: StoredEvent, customers: Names) -> Outcome:
        """An opening event of an order that is open: equal content is a duplicate, and its reference now says so."""
        assert work.id is not None
        await batch.give_back(connection, {work.reference_key: work.id})
        outcome = await self._same_order(work, stored, customers)
        if isinstance(outcome, Duplicate):
            await batch.claim(connection, {work.reference_key: stored.id})
        return outcome

    async def _same_order(self, work: Work, stored: StoredEvent, customers: Names) -> Outcome:
        pointer = _order_pointer(work)
        known = customers.get(work.valid.customer)
        if known is None or known[0] != stored.customer_id:
            return Conflict(
                Problem(pointer, "not_your_order", f"the order '{work.valid.order_id}' is another customer's")
            )
        book = await self._books.at(stored.record.revision)
        sent = book.validator.content(work.raw, stored.record.type)
        if sent is not None and _content(json.loads(sent, parse_float=Decimal), book, stored) == _content(
            stored.properties, book, stored
        ):
            return Duplicate(stored.record)
        detail = f"the order '{work.valid.order_id}' exists with other content; changing orders is not available yet"
        return Rejected((Problem(pointer, "not_available", detail),))


async def _resolve_rest(connection: Connection, works: Sequence[Work], customers: Names) -> Names:
    """Who was unknown before the claims may have come with the very events that took them."""
    rest = list({work.valid.customer for work in works} - customers.keys())
    return {**customers, **(await batch.resolve(connection, rest)).customers} if rest else customers


async def _release_order(connection: Connection, work: Work, recorded: dict[bytes, UUID]) -> None:
    """A resend under another order id: the order it has just claimed is not its own."""
    if work.order_key is not None and work.order_key not in recorded:
        assert work.id is not None
        await batch.give_back(connection, {work.order_key: work.id})


def first_of_each(works: Sequence[Work]) -> tuple[list[Work], list[Work]]:
    """Per reference and per order the first work of the batch; the others wait for its verdict."""
    seen: set[bytes] = set()
    owners, twins = [], []
    for work in works:
        if seen.isdisjoint(work.claims):
            seen.update(work.claims)
            owners.append(work)
        else:
            twins.append(work)
    return owners, twins


def _content(properties: dict[str, object], book: Book, stored: StoredEvent) -> dict[str, object]:
    """An order's content: all properties but the mapped time stamp."""
    mapping = book.rules.program.event_types[stored.record.type].order
    stamp = mapping.updated_at if mapping else None
    return {name: value for name, value in properties.items() if name != stamp}


def _order_pointer(work: Work) -> str:
    mapping = work.valid.type.order
    assert mapping is not None
    return f"/properties/{mapping.id}" if mapping.id else "/reference"


async def find_recorded(connection: Connection, vault: Vault, keys: Iterable[bytes]) -> dict[bytes, StoredEvent]:
    """The recorded events behind these reference keys."""
    found = await batch.claimed(connection, keys)
    stored = await fetch_events(connection, vault, set(found.values()))
    return {key: stored[event_id] for key, event_id in found.items()}
