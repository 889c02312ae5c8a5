"""Program revisions, the live one, and the shared draft.

In: edits decided by `core/program/edit.py`. Out: revisions as they were stored. Must never: change a revision that was
published; a rollback is a new one with old content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from troth.core.program import Program
from troth.core.program.document import SEMANTICS_VERSION, validate_document
from troth.core.program.edit import Decision, Edit, Invalid, Live, Publication, Stale, decide, replace_document
from troth.core.program.items import Document
from troth.core.program.problem import NOWHERE, Positions, ProgramProblem
from troth.store import outbox
from troth.store.sql import load

if TYPE_CHECKING:
    import asyncpg

    from troth.store.pool import Connection

SQL = load("programs.sql")
_NOTHING = Live(number=0, document={}, item_revisions={})
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(dict[str, object]).decode
_decode_numbers = msgspec.json.Decoder(dict[str, int]).decode


class UnknownRevisionError(LookupError):
    """No program of this number was ever published."""


class UnfitProgramError(Exception):
    """A stored revision does not validate under this version of Troth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionSummary:
    number: int
    semantics_version: int
    author: str
    note: str
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision(RevisionSummary):
    document: Document
    item_revisions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    version: int  # grows with every change; never used twice
    base: int  # the revision it began from
    document: Document  # not necessarily a valid one
    author: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who publishes, when and why."""

    author: str
    published_at: datetime
    note: str = ""


async def live_revision(connection: Connection) -> int:
    """Number of the live revision; 0 before the first publication."""
    return int(await connection.fetchval(SQL["live_revision"]) or 0)


async def load_live(connection: Connection) -> Revision | None:
    """The live revision; None before the first publication."""
    row = await connection.fetchrow(SQL["live"])
    return _revision(row) if row is not None else None


async def load_revision(connection: Connection, number: int) -> Revision | None:
    row = await connection.fetchrow(SQL["revision"], number)
    return _revision(row) if row is not None else None


async def load_program(connection: Connection, number: int | None = None) -> Program:
    """The program of a revision, None: of the live one. Raises UnknownRevisionError, UnfitProgramError."""
    revision = await (load_live(connection) if number is None else load_revision(connection, number))
    if revision is None:
        what = "No program was published yet." if number is None else f"There is no program revision {number}."
        raise UnknownRevisionError(what)
    return await asyncio.to_thread(_read_program, revision)


def _read_program(revision: Revision) -> Program:
    validated = validate_document(revision.document, revision=revision.number, item_revisions=revision.item_revisions)
    if validated.program is None:
        first = validated.errors[0]
        raise UnfitProgramError(
            f"Program revision {revision.number} does not fit this version of Troth: {first.pointer}: {first.message}. "
            "Start the version that published it, or publish a mended program with this one."
        )
    return validated.program


async def history(connection: Connection, *, below: int, limit: int) -> list[RevisionSummary]:
    """At most `limit` revisions numbered under `below`, newest first."""
    return [RevisionSummary(**dict(row)) for row in await connection.fetch(SQL["history"], below, limit)]


async def publish(
    connection: Connection, edit: Edit, signature: Signature, *, positions: Positions = NOWHERE
) -> Decision:
    """Decide `edit` against the live program under its lock, and store what comes of it in one transaction."""
    async with connection.transaction():
        await connection.execute(SQL["ensure_live_row"])
        number = await connection.fetchval(SQL["lock_live"])
        live = await load_revision(connection, number) if number else None
        decision = await asyncio.to_thread(decide, _as_live(live), edit, positions=positions)
        if isinstance(decision, Publication):
            if (refusal := await _wallet_in_use(connection, decision)) is not None:
                return refusal
            await _store(connection, decision, signature)
    return decision


async def ensure_program(connection: Connection, document: object, signature: Signature) -> None:
    """Publish `document` when there is no program at all; do nothing otherwise."""
    if await live_revision(connection):
        return
    decision = await publish(connection, replace_document(document, expected=0), signature)
    assert isinstance(decision, Publication | Stale), decision


async def load_draft(connection: Connection) -> Draft | None:
    row = await connection.fetchrow(SQL["draft"])
    return _draft(row) if row is not None else None


async def save_draft(
    connection: Connection, document: Document, signature: Signature, *, base: int, expected: int | None = None
) -> Draft | None:
    """Store the draft; None when `expected` (if given) is not its version any more.

    `base` is the revision a new draft begins from; a draft that goes on keeps its own.
    """
    row = await connection.fetchrow(
        SQL["put_draft"], base, _encode(document).decode(), signature.author, signature.published_at, expected
    )
    return _draft(row) if row is not None else None


async def drop_draft(connection: Connection, *, expected: int | None = None) -> bool:
    """Throw the draft away; False when there is none, or not in version `expected` (if given)."""
    return await connection.fetchval(SQL["drop_draft"], expected) is not None


async def _wallet_in_use(connection: Connection, publication: Publication) -> Invalid | None:
    """Points in a wallet that the program no longer has would be out of everyone's sight."""
    if not any(change.item.startswith("wallets") for change in publication.changes):
        return None
    wallets = [wallet.id for wallet in publication.program.wallets]
    found = await connection.fetchval(SQL["other_wallet_in_use"], wallets)
    if found is None:
        return None
    message = f"customers hold points in the wallet {found!r}, so the program keeps it"
    hint = "keep its id; its label can change"
    problem = ProgramProblem(pointer="/wallets", code="wallet_in_use", message=message, hint=hint)
    return Invalid(problems=(problem,), document=publication.document)


async def _store(connection: Connection, publication: Publication, signature: Signature) -> None:
    await connection.execute(
        SQL["insert_revision"],
        publication.number,
        _encode(publication.document).decode(),
        _encode(publication.item_revisions).decode(),
        SEMANTICS_VERSION,
        signature.author,
        signature.note,
        signature.published_at,
    )
    await connection.execute(SQL["set_live"], publication.number)
    await outbox.tell_program(connection, publication.number)


def _as_live(revision: Revision | None) -> Live:
    if revision is None:
        return _NOTHING
    return Live(number=revision.number, document=revision.document, item_revisions=revision.item_revisions)


def _revision(row: asyncpg.Record) -> Revision:
    fields = dict(row)
    document, item_revisions = _decode(fields.pop("document")), _decode_numbers(fields.pop("item_revisions"))
    return Revision(document=document, item_revisions=item_revisions, **fields)


def _draft(row: asyncpg.Record) -> Draft:
    fields = dict(row)
    return Draft(document=_decode(fields.pop("document")), **fields)
