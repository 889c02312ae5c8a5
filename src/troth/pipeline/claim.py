"""Claims: the first writer of a reference wins; everybody else gets the recorded answer.

In: works with ids. Out: which of them are fresh, which wait for a twin's verdict, and outcomes for the rest.
Claims are made inside the batch's transaction, so a crash or a refusal leaves none behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from troth.core.coercion import Problem
from troth.core.exact_json import read_exact
from troth.pipeline.books import Books
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, RawEvent
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
    opened: Mapping[bytes, UUID]  # orders that fresh ones wanted to open and that are open: claim → opening event


class Claims:
    """Compares what is sent with what is recorded."""

    def __init__(self, books: Books, vault: Vault) -> None:
        self._books = books
        self._vault = vault

    async def claim(self, connection: Connection, works: Sequence[Work], found: Found) -> Claimed:
        """Claim for every work and lock the known customers; settle works whose reference is recorded."""
        owners, twins = first_of_each(works)
        wanted = {key: event_id for work in owners for key, event_id in work.claims.items()}
        claimed = await batch.claim(connection, wanted, list(found.rows.values()))
        recorded, customers = claimed.recorded, found.names
        if not recorded:
            return Claimed(versions=claimed.versions, fresh=owners, waiting=twins, opened={})
        resent = [work for work in works if work.reference_key in recorded]
        if resent:
            stored = await fetch_events(connection, self._vault, {recorded[work.reference_key] for work in resent})
            customers = await _resolve_rest(connection, resent, customers)
            for work in resent:
                await _release_order(connection, work, recorded)
                work.outcome = await self._recorded(work, stored[recorded[work.reference_key]], customers)
        fresh = [work for work in owners if work.outcome is None]
        opened = {work.order_claim: recorded[work.order_claim] for work in fresh if work.order_claim in recorded}
        waiting = [work for work in twins if work.outcome is None]
        return Claimed(
            versions=claimed.versions,
            fresh=fresh,
            waiting=waiting,
            opened={key: event_id for key, event_id in opened.items() if key is not None},
        )

    async def look_up(self, connection: Connection, work: Work, customers: Names) -> dict[bytes, UUID]:
        """Like `claim` for one work, but reads only: for previews. Out: the order it wanted to open, if it is open."""
        recorded = await batch.claimed(connection, work.claims)
        if work.reference_key in recorded:
            opening = recorded[work.reference_key]
            stored = await fetch_events(connection, self._vault, {opening})
            work.outcome = await self._recorded(work, stored[opening], customers)
        claim = work.order_claim
        return {claim: recorded[claim]} if claim is not None and claim in recorded else {}

    async def answer_duplicates(self, connection: Connection, works: Sequence[Work]) -> None:
        """Opening events with the content their order has: their own references answer as its opening event now."""
        openings = {work.duplicate_of for work in works if work.duplicate_of is not None}
        stored = await fetch_events(connection, self._vault, openings)
        for work in works:
            if work.duplicate_of is not None:
                assert work.id is not None
                await batch.give_back(connection, {work.reference_key: work.id})
                await batch.claim(connection, {work.reference_key: work.duplicate_of})
                work.outcome = Duplicate(stored[work.duplicate_of].record)

    async def duplicate(self, connection: Connection, opening: UUID) -> Duplicate:
        """The answer of an order's opening event, for previews."""
        stored = await fetch_events(connection, self._vault, [opening])
        return Duplicate(stored[opening].record)

    async def _recorded(self, work: Work, stored: StoredEvent, customers: Names) -> Outcome:
        """The reference is recorded: by this very event (its answer was lost), by an equal one, or by another."""
        if stored.id == work.id:
            return Applied.of(stored.record)
        return await self.compare(work.raw, stored, customers.get(work.customer))

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
        is_equal = sent is not None and _is_equal(read_exact(sent), stored, raw)
        return Duplicate(stored.record, payload_mismatch=not is_equal)


def _is_equal(sent: Mapping[str, object], stored: StoredEvent, raw: RawEvent) -> bool:
    """Whether it is the same content; what the engine added to a command is not the sender's."""
    if not raw.is_command:
        return sent == stored.properties
    return all(stored.properties.get(name) == value for name, value in sent.items())


async def _resolve_rest(connection: Connection, works: Sequence[Work], customers: Names) -> Names:
    """Who was unknown before the claims may have come with the very events that took them."""
    rest = list({work.customer for work in works} - customers.keys())
    return {**customers, **(await batch.resolve(connection, rest)).customers} if rest else customers


async def _release_order(connection: Connection, work: Work, recorded: dict[bytes, UUID]) -> None:
    """A resend under another order id: the order it has just claimed is not its own."""
    if work.order_claim is not None and work.order_claim not in recorded:
        assert work.id is not None
        await batch.give_back(connection, {work.order_claim: work.id})


def first_of_each(works: Sequence[Work]) -> tuple[list[Work], list[Work]]:
    """Per reference, and per order, of different customers the first work; the others wait for its verdict.

    One customer's further events of a reference echo the first one, those that would open the same order follow it:
    they are judged in their place, an echo only if the first one is refused.
    """
    references: dict[bytes, str] = {}
    openers: dict[bytes, str] = {}
    awaited: set[bytes] = set()  # whoever comes later for the same waits behind
    owners, twins = [], []
    for work in works:
        claim = work.order_claim
        owner, opener = references.get(work.reference_key), openers.get(claim) if claim is not None else None
        is_behind = work.reference_key in awaited or claim in awaited
        if is_behind or owner not in (None, work.customer) or opener not in (None, work.customer):
            twins.append(work)
            awaited.update((work.reference_key,) if claim is None else (work.reference_key, claim))
            continue
        work.echoes, work.follows = owner is not None, opener is not None
        references[work.reference_key] = work.customer
        if claim is not None:
            openers[claim] = work.customer
        owners.append(work)
    return owners, twins


async def claim_followed(connection: Connection, works: Sequence[Work]) -> None:
    """References and orders whose first event of the batch was refused, and that a later one has taken."""
    claimed = {key for work in works if isinstance(work.outcome, Applied) for key in work.claims}
    wanted: dict[bytes, UUID] = {}
    for work in works:
        if isinstance(work.outcome, Applied) and (work.echoes or work.follows):
            assert work.id is not None
            keys = (work.reference_key, work.order_claim)
            wanted |= {key: work.id for key in keys if key is not None and key not in claimed and key not in wanted}
    if wanted:
        await batch.claim(connection, wanted)


async def find_recorded(connection: Connection, vault: Vault, keys: Iterable[bytes]) -> dict[bytes, StoredEvent]:
    """The recorded events behind these reference keys."""
    found = await batch.claimed(connection, keys)
    stored = await fetch_events(connection, vault, set(found.values()))
    return {key: stored[event_id] for key, event_id in found.items()}
