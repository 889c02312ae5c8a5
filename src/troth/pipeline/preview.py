"""Preview: the same steps as a real event, on plain reads of one moment. Nothing is claimed, locked or written."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from troth.core.decide import Decision, decide
from troth.core.explain import ExplainedRule, explain, explain_order
from troth.core.judging import Judged
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.core.rules import RuleBook, Shelf
from troth.core.state import CustomerState
from troth.pipeline.books import Book, Books
from troth.pipeline.claim import Claims
from troth.pipeline.ingest import admit, present
from troth.pipeline.judge import decide_loaded, prefetch
from troth.pipeline.naming import name_works
from troth.pipeline.outcome import Outcome, Previewed, RawEvent, Rejected
from troth.pipeline.owners import Owners
from troth.pipeline.validate import Refused
from troth.pipeline.work import Work
from troth.pipeline.write import Party, show, show_record
from troth.store import batch
from troth.store.batch import CustomerRow
from troth.store.loading import Sources
from troth.store.pool import Connection, snapshot
from troth.store.row_ids import new_id
from troth.store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Judges events without recording them."""

    books: Books
    claims: Claims
    owners: Owners
    vault: Vault

    async def run(self, connection: Connection, raw: RawEvent, book: Book) -> Outcome:
        """The outcome that the event would have now; a known reference is answered as the duplicate it would be.

        Without a customer it is a guest's: somebody of whom nothing is known.
        """
        is_of_order = isinstance(raw.type, str) and raw.type in ORDER_FAMILY_TYPES
        is_guest = raw.customer is None and not is_of_order
        if is_guest:
            raw = msgspec.structs.replace(raw, customer=f"guest {new_id()}")
        outcome = None
        while outcome is None:
            async with snapshot(connection):
                outcome = await self._outcome(connection, raw, book, is_guest=is_guest)
            if outcome is None:
                book = await self.books.refresh()
        return _as_guest(outcome) if is_guest else outcome

    async def _outcome(self, connection: Connection, raw: RawEvent, book: Book, *, is_guest: bool) -> Outcome | None:
        """The outcome under this program; None when another one is live."""
        clock = self.books.clock
        valid = book.validator.validate(raw, clock or present())
        if isinstance(valid, Refused):
            return Rejected(valid.problems)
        work = Work(valid=valid, revision=book.revision, clock=clock)
        await self.owners.find(connection, [work])
        if work.outcome is not None:
            return work.outcome
        found = await batch.read(connection, [work.customer])
        if found.live != book.revision or found.clock != clock:
            self.books.clock = found.clock
            return None
        name_works([work], found.names)
        opened = await self.claims.look_up(connection, work, found.names)
        if work.outcome is None and not is_guest:
            admit([work], found.names, book)
        if work.outcome is not None:
            return work.outcome
        party = _party(work, found.rows.get(work.customer))
        sources = Sources(book=book.rules, book_at=self._book_at, vault=self.vault, now=work.event().judged_at)
        await prefetch(connection, [work], {work.customer: party}, (sources, opened))
        if work.outcome is not None:
            return work.outcome

        def attempt(state: CustomerState, shelf: Shelf) -> Decision:
            return decide(state, work.event(), shelf)

        decision = await decide_loaded(connection, party, sources, attempt)
        if decision.duplicate_of is not None:
            return await self.claims.duplicate(connection, decision.duplicate_of)
        return _previewed(work, party, decision, Shelf(book.rules, sources.kept))

    async def _book_at(self, revision: int) -> RuleBook:
        return (await self.books.at(revision)).rules


def _party(work: Work, row: CustomerRow | None) -> Party:
    """The customer as it is now; an unknown one as it would begin."""
    if row is not None:
        return Party(row=row, key=None, before=row.state)
    assert work.id is not None
    state = CustomerState(created_at=work.event().judged_at)
    new = CustomerRow(id=work.id, bucket=0, external_id=work.customer, state=state, personal_key=None)
    return Party(row=new, key=None, before=state, is_new=True)


def _as_guest(outcome: Outcome) -> Outcome:
    """A guest has no name."""
    if isinstance(outcome, Previewed):
        return Previewed(msgspec.structs.replace(outcome.record, customer=None), outcome.rules)
    return outcome


def _previewed(work: Work, party: Party, decision: Decision, shelf: Shelf) -> Outcome:
    if decision.judged is None:
        assert decision.refusal is not None
        return Rejected((decision.refusal,))
    shown = show(decision.judged, shelf.live)
    record = show_record(decision.judged, party.row.external_id, work.valid.reference, shown)
    return Previewed(record, tuple(_rules(decision.judged, party, decision, shelf)))


def _rules(judged: Judged, party: Party, decision: Decision, shelf: Shelf) -> list[ExplainedRule]:
    """Why; of an order, as it would stand. One that opens plainly is explained by its event, like any other."""
    event, after = judged.event, decision.state
    opening = after.order_ids.get(event.order_key) if event.order_key is not None else None
    order = after.order_states.get(opening) if opening is not None else None
    if order is not None:
        return explain_order(party.before.order_states.get(order.id), order, shelf.at(order.revision))
    return explain(event, judged.inputs, shelf.live)
