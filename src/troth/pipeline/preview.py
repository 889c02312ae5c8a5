"""Preview: the same steps as a real event, on plain reads. Nothing is claimed, locked or written."""

from __future__ import annotations

from troth.core.decide import decide
from troth.core.rules import RuleBook
from troth.core.state import CustomerState
from troth.pipeline.books import Book, Books
from troth.pipeline.claim import Claims
from troth.pipeline.ingest import load_uses, name_works, present
from troth.pipeline.outcome import Applied, Outcome, Problem, RawEvent, Rejected
from troth.pipeline.validate import Refused
from troth.pipeline.work import Work
from troth.pipeline.write import Party, show_record
from troth.store import batch
from troth.store.batch import CustomerRow
from troth.store.pool import Connection


async def preview(connection: Connection, raw: RawEvent, books: Books, claims: Claims, book: Book) -> Outcome:
    """The outcome that the event would have now; a known reference is answered as the duplicate it would be."""
    valid = book.validator.validate(raw, present())
    if isinstance(valid, Refused):
        return Rejected(valid.problems)
    work = Work(valid=valid, revision=book.revision)
    resolved = await batch.resolve(connection, [valid.customer])
    if resolved.live != book.revision:
        return await preview(connection, raw, books, claims, await books.refresh())
    name_works([work], resolved.customers)
    await claims.look_up(connection, work, resolved.customers)
    if work.outcome is not None:
        return work.outcome
    known = resolved.customers.get(valid.customer)
    if known is None and book.rules.program.settings.unknown_customer == "reject":
        return Rejected((Problem("/customer", "unknown_customer", "the program has no such customer"),))
    party = await _read_party(connection, work, known)
    return await _judge(connection, work, party, book.rules)


async def _read_party(connection: Connection, work: Work, known: tuple[object, int] | None) -> Party:
    name = work.valid.customer
    if known is not None:
        customer_id, bucket = known
        for row in (await batch.read_customers(connection, {customer_id: (bucket, name)})).values():  # type: ignore[dict-item]
            row.state = await batch.load_due(connection, row, present())
            return Party(row=row, key=None, before=row.state)
    assert work.id is not None
    state = CustomerState(created_at=work.event().recorded_at)
    row = CustomerRow(id=work.id, bucket=0, external_id=name, state=state, personal_key=None)
    return Party(row=row, key=None, before=state)


async def _judge(connection: Connection, work: Work, party: Party, book: RuleBook) -> Outcome:
    await load_uses(connection, [work], {work.valid.customer: party}, book)
    decision = decide(party.row.state, work.event(), book, present())
    if decision.judged is None:
        assert decision.refusal is not None
        return Rejected((decision.refusal,))
    return Applied(show_record(decision.judged, party, work, book))
