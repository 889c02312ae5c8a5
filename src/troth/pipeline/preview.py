"""Preview: the same steps as a real event, on plain reads. Nothing is claimed, locked or written."""

from __future__ import annotations

from dataclasses import dataclass

from troth.core.decide import decide
from troth.core.explain import explain
from troth.core.rules import RuleBook
from troth.core.state import CustomerState
from troth.pipeline.books import Book, Books
from troth.pipeline.claim import Claims
from troth.pipeline.ingest import admit, load_uses, name_works, present
from troth.pipeline.outcome import Outcome, Previewed, RawEvent, Rejected
from troth.pipeline.validate import Refused
from troth.pipeline.work import Work
from troth.pipeline.write import Party, show_record
from troth.store import batch
from troth.store.batch import CustomerRow
from troth.store.pool import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Judges events without recording them."""

    books: Books
    claims: Claims

    async def run(self, connection: Connection, raw: RawEvent, book: Book) -> Outcome:
        """The outcome that the event would have now; a known reference is answered as the duplicate it would be."""
        valid = book.validator.validate(raw, present())
        if isinstance(valid, Refused):
            return Rejected(valid.problems)
        work = Work(valid=valid, revision=book.revision)
        found = await batch.read(connection, [valid.customer])
        if found.live != book.revision:
            return await self.run(connection, raw, await self.books.refresh())
        name_works([work], found.names)
        await self.claims.look_up(connection, work, found.names)
        if work.outcome is None:
            admit([work], found.names, book)
        if work.outcome is not None:
            return work.outcome
        party = await _party(connection, work, found.rows.get(valid.customer))
        return await _judge(connection, work, party, book.rules)


async def _party(connection: Connection, work: Work, row: CustomerRow | None) -> Party:
    """The customer as it is now; an unknown one as it would begin."""
    if row is not None:
        row.state = await batch.load_due(connection, row, present())
        return Party(row=row, key=None, before=row.state)
    assert work.id is not None
    state = CustomerState(created_at=work.event().recorded_at)
    new = CustomerRow(id=work.id, bucket=0, external_id=work.valid.customer, state=state, personal_key=None)
    return Party(row=new, key=None, before=state, is_new=True)


async def _judge(connection: Connection, work: Work, party: Party, book: RuleBook) -> Outcome:
    await load_uses(connection, [work], {work.valid.customer: party}, book)
    decision = decide(party.row.state, work.event(), book, present())
    if decision.judged is None:
        assert decision.refusal is not None
        return Rejected((decision.refusal,))
    judged = decision.judged
    return Previewed(show_record(judged, party, work, book), tuple(explain(judged.event, judged.inputs, book)))
