"""One batch, one transaction: read → name → claim and lock → decide → write → commit.

The usual batch holds nothing but new references of known customers. It is judged on what was read, and one statement
claims, checks that nothing has changed, and writes: two round trips. Everything else goes the whole way.

In: validated works, on a connection of one's own. Out: every work has its outcome, or waits for a twin's verdict.
Nothing is left behind when anything fails; running the same works again, with the same ids, is harmless.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from troth import limits
from troth.core.ids import bucket_of
from troth.core.program.builtin_types import PROFILE_TYPE
from troth.core.rules import RuleBook
from troth.core.state import CustomerState
from troth.pipeline.books import Book, Books
from troth.pipeline.claim import Claims, claim_followed, first_of_each
from troth.pipeline.judge import judge_works
from troth.pipeline.naming import name_works
from troth.pipeline.outcome import Applied, Conflict, Problem, Rejected
from troth.pipeline.stock import SHARED_TYPES
from troth.pipeline.work import Work
from troth.pipeline.write import Party
from troth.store import batch
from troth.store.batch import CustomerRow, Found, Names
from troth.store.ledger import Conflicting, touch_clock
from troth.store.loading import Sources
from troth.store.pool import Connection, is_transient
from troth.store.row_ids import new_id
from troth.store.vault import Vault

_FOUNDING_TYPES = frozenset({PROFILE_TYPE, "opt_in"})  # they create a customer under every setting
Companion = Callable[[Connection], Awaitable[None]]


class StaleBook(Exception):
    """The live program is newer than the one the works were validated under. Nothing was written."""


class NameChanged(Exception):
    """A customer was renamed or erased between the plain read and the lock. Nothing was written; run again."""


class CompanionFailed(Exception):
    """The companion refused, so its batch is not written either; no event is to blame."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """The steps of a batch."""

    books: Books
    vault: Vault
    claims: Claims

    async def run(
        self, connection: Connection, works: Sequence[Work], book: Book, companion: Companion | None = None
    ) -> list[Work]:
        """Run one transaction over `works`. Out: those that wait for a twin; outcomes count once this returns."""
        if works and companion is None and await self._at_once(connection, works, book):
            return []
        await connection.execute("begin")
        try:
            waiting = await self._steps(connection, works, book) if works else []
            if companion is not None and not waiting:
                await _accompany(companion, connection)
        except Exception as error:
            if not is_transient(error):  # else the connection is given up, and the server rolls back
                await connection.execute("rollback", timeout=limits.ROLLBACK_SECONDS)
            raise
        await connection.execute("commit", timeout=limits.COMMIT_SECONDS)
        return waiting

    async def _at_once(self, connection: Connection, works: Sequence[Work], book: Book) -> bool:
        """The usual batch in two round trips: read, judge, and write if nothing has changed since the read.

        Out: False when it is not that easy (new customers, twins, a refusal, a reference or a customer just taken);
        nothing is written then.
        """
        found = await self._read(connection, works, book)
        owners, twins = first_of_each(works)
        if twins or any(work.echoes or not _is_usual(work, found) for work in works):
            return False
        parties = {name: self._known_party(row) for name, row in found.rows.items()}
        ledger = await judge_works(connection, works, parties, (self._sources(book, works), {}))
        if ledger.needs_transaction or any(not isinstance(work.outcome, Applied) for work in works):
            return False
        claims: dict[bytes, UUID] = {}
        for work in owners:
            claims.update(work.claims)
        try:
            await ledger.write(connection, claims, list(found.rows.values()), tells=found.sends)
        except Conflicting:
            return False
        return True

    async def _steps(self, connection: Connection, works: Sequence[Work], book: Book) -> list[Work]:
        """The whole way, inside a transaction: claims and locks come before judging."""
        for work in works:
            work.outcome = None
        found = await self._read(connection, works, book)
        names_now = found.names
        claimed = await self.claims.claim(connection, works, found)
        fresh = admit(claimed.fresh, names_now, book)
        parties = await self._parties(connection, fresh, found, claimed.versions)
        ledger = await judge_works(connection, fresh, parties, (self._sources(book, works), claimed.opened))
        given_back = {key: value for work in claimed.fresh if _is_refused(work) for key, value in work.claims.items()}
        if given_back:
            await batch.give_back(connection, given_back)
            await claim_followed(connection, fresh)
        await _forget_unrecorded(connection, parties.values())
        if found.clock is not None:
            await touch_clock(connection, found.clock)
        await ledger.write(connection, {}, (), tells=found.sends)
        if any(work.duplicate_of is not None for work in fresh):
            await self.claims.answer_duplicates(connection, fresh)
        unjudged = [work for work in fresh if work.outcome is None]  # echoes of what is recorded now
        return claimed.waiting + unjudged

    def _sources(self, book: Book, works: Sequence[Work]) -> Sources:
        """Where what a decision lacks is loaded from."""
        now = max((work.event().judged_at for work in works), default=present())
        return Sources(book=book.rules, book_at=self._book_at, vault=self.vault, now=now, kept={})

    async def _book_at(self, revision: int) -> RuleBook:
        return (await self.books.at(revision)).rules

    async def _read(self, connection: Connection, works: Sequence[Work], book: Book) -> Found:
        """The plain read before everything, after which every work has its id."""
        found = await batch.read(connection, list(dict.fromkeys(work.customer for work in works)))
        if found.clock != self.books.clock:
            self.books.clock = found.clock
            raise StaleBook
        if found.live != book.revision:
            raise StaleBook
        name_works(works, found.names)
        return found

    # Customers

    async def _parties(
        self, connection: Connection, works: Sequence[Work], found: Found, versions: dict[UUID, int]
    ) -> dict[str, Party]:
        """Every customer of the batch, locked and current: new ones by naming them, known ones as they were read.

        Who was changed between the read and the lock, or named by somebody else meanwhile, is read again.
        """
        parties = await self._add_new(connection, [work for work in works if work.customer not in found.rows])
        again = []
        for name in dict.fromkeys(work.customer for work in works):
            row = found.rows.get(name)
            if row is not None and versions.get(row.id) == row.version:
                parties[name] = self._known_party(row)
            elif name not in parties:
                again.append(name)
        if again:
            parties |= await self._read_again(connection, again)
        return parties

    async def _read_again(self, connection: Connection, names: Sequence[str]) -> dict[str, Party]:
        """Lock these customers by what their names say now, and read them under the lock."""
        found = await batch.read(connection, names)
        locked = await batch.claim(connection, {}, list(found.rows.values()))
        found = await batch.read(connection, names)
        if any(name not in found.rows or found.rows[name].id not in locked.versions for name in names):
            raise NameChanged
        return {name: self._known_party(row) for name, row in found.rows.items()}

    async def _add_new(self, connection: Connection, works: Sequence[Work]) -> dict[str, Party]:
        """Parties for the new names that nobody else has taken meanwhile."""
        if not works:
            return {}
        founders = {work.customer: work for work in reversed(works)}  # the first event of each
        made = [self._new_party(name, work.event().judged_at) for name, work in founders.items()]
        added = await batch.add_customers(connection, [party.row for party in made])
        return {party.row.external_id: party for party in made if party.row.id in added}

    def _new_party(self, name: str, created_at: datetime) -> Party:
        bucket = bucket_of(name)
        customer_id, key_id = new_id(bucket), new_id(bucket)
        key, sealed = self.vault.new_key(key_id)
        state = CustomerState(created_at=created_at)
        row = CustomerRow(
            id=customer_id, bucket=bucket, external_id=name, state=state, personal_key=key_id, sealed_key=sealed
        )
        return Party(row=row, key=key, before=state, is_new=True)

    def _known_party(self, row: CustomerRow) -> Party:
        if row.personal_key is None or row.sealed_key is None:
            raise NameChanged
        return Party(row=row, key=self.vault.open_key(row.personal_key, row.sealed_key), before=row.state)


def _is_usual(work: Work, found: Found) -> bool:
    """Judged on what was read: a known customer, and nothing that customers share or a test clock has to hold still."""
    is_shared = work.valid.type.id in SHARED_TYPES
    return not work.refusal and work.customer in found.rows and not is_shared and found.clock is None


def admit(works: list[Work], customers: Names, book: Book) -> list[Work]:
    """Who goes on: not what a newer program refuses, nor unknown customers where the program rejects them."""
    is_open = book.rules.program.settings.unknown_customer == "create"
    known = set(customers)
    for work in works:
        name = work.customer
        if work.refusal is not None:
            work.outcome = Rejected(work.refusal)
        elif work.valid.type.id in _FOUNDING_TYPES:
            known.add(name)  # for the rest of this batch too
        elif not is_open and name not in known:
            detail = "the program does not create customers from events; create this one first"
            work.outcome = Rejected((Problem("/customer", "unknown_customer", detail),))
    return [work for work in works if work.outcome is None]


async def _forget_unrecorded(connection: Connection, parties: Iterable[Party]) -> None:
    """A new customer of whom every event was refused is nobody yet."""
    nobody = [party.row for party in parties if not party.row.state.seq]
    if nobody:
        await batch.forget_customers(connection, nobody)


async def _accompany(companion: Companion, connection: Connection) -> None:
    try:
        await companion(connection)
    except Exception as error:
        if is_transient(error):
            raise
        raise CompanionFailed(error) from error


def _is_refused(work: Work) -> bool:
    return isinstance(work.outcome, Rejected | Conflict)


def present() -> datetime:
    """The moment for everything the program means, to the millisecond."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)
