"""The program document whole: read, replace, check; its revisions, what differs between them, and the way back.

In: documents as JSON or YAML. Out: the same, and what publishing changed. Every change is a new numbered revision.
"""

from __future__ import annotations

import asyncio

import msgspec
from litestar import get, post, put
from litestar.params import FromPath, FromQuery
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.auth import requires
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, bad_cursor, cut, page_size, read_place, show_place
from troth.api.problems import ProblemError, not_found
from troth.api.program_shapes import ProgramBody
from troth.api.program_wire import (
    JSON_OR_YAML,
    ChangeItem,
    ProgramErrorItem,
    ProgramRequest,
    PublicationAnswer,
    answer,
    change_items,
    database_of,
    error_items,
    expected_revision,
    invalid_program,
    publication_answer,
    read_object,
    read_text_body,
    settle,
    signature_of,
    text_answer,
)
from troth.core.program.diff import diff
from troth.core.program.document import Validated, validate_document
from troth.core.program.edit import replace_document
from troth.core.program.items import plain_document
from troth.core.program.problem import in_order
from troth.core.program.text import ParsedText
from troth.core.program.writer import write_yaml
from troth.store.programs import Revision, RevisionSummary, history, load_live, load_revision, publish

READ = [requires("program:read")]
WRITE = [requires("program:write")]
_TAGS = ["Program"]
_NEWEST = 2**31 - 1


class RevisionItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One published revision; `document` only where a single one is read."""

    revision: int
    author: str
    note: str
    published_at: str  # RFC 3339, UTC
    semantics_version: int
    document: object = None


class RevisionPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[RevisionItem, ...]  # newest first
    next: str | None


class DiffAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What has to change in `old` to become `new`."""

    old: int
    new: int
    changes: tuple[ChangeItem, ...]


class CheckAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What publishing this document would do."""

    valid: bool
    errors: tuple[ProgramErrorItem, ...]
    warnings: tuple[ProgramErrorItem, ...]
    changes: tuple[ChangeItem, ...]  # against the live program; empty when it is not valid


class NoteBody(msgspec.Struct, frozen=True, kw_only=True):
    note: str = ""


_DOCUMENT = documented(answers={200: ProgramBody})
_REPLACE = documented(body=ProgramBody, media_types=JSON_OR_YAML, answers={200: PublicationAnswer})
_CHECK = documented(body=ProgramBody, media_types=JSON_OR_YAML, answers={200: CheckAnswer})
_HISTORY = documented(answers={200: RevisionPage})
_REVISION = documented(answers={200: RevisionItem})
_DIFF = documented(answers={200: DiffAnswer})
_ROLLBACK = documented(body=NoteBody, answers={200: PublicationAnswer})


@get("/v1/program", tags=_TAGS, summary="Read the live program", guards=READ, opt=_DOCUMENT)
async def read_program(request: ProgramRequest) -> ASGIResponse:
    """The live document with its `revision`; as YAML when `Accept` names application/yaml."""
    live = await load_live_or_404(request)
    if "yaml" in request.headers.get("accept", "").lower():
        text = f"# revision {live.number}\n{write_yaml(live.document)}"
        return text_answer(text, "application/yaml", revision=live.number)
    return answer({"revision": live.number, **live.document}, revision=live.number)


@put("/v1/program", tags=_TAGS, summary="Replace the program", guards=WRITE, opt=_REPLACE)
async def replace_program(request: ProgramRequest, note: FromQuery[str] = "") -> ASGIResponse:
    """Publish this document in place of the live one. `If-Match` takes the live revision."""
    parsed = await read_text_body(request)
    if parsed.problems:
        raise invalid_program((await asyncio.to_thread(check_text, parsed)).problems)
    edit = replace_document(parsed.raw, expected=expected_revision(request))
    async with database_of(request).pool.acquire() as connection:
        decision = await publish(connection, edit, signature_of(request, note), positions=parsed.positions)
    settled = settle(decision)
    return answer(publication_answer(settled), revision=settled.number)


@post("/v1/program/check", status_code=200, tags=_TAGS, summary="Check a program", guards=READ, opt=_CHECK)
async def check_program(request: ProgramRequest) -> ASGIResponse:
    """Every problem of this document, and what it would change; nothing is stored."""
    parsed = await read_text_body(request)
    validated = await asyncio.to_thread(check_text, parsed)
    changes: tuple[ChangeItem, ...] = ()
    if validated.program is not None:
        async with database_of(request).pool.acquire() as connection:
            live = await load_live(connection)
        changes = change_items(diff(live.document if live else {}, plain_document(parsed.raw)))
    return answer(check_answer(validated, changes))


@get("/v1/program/revisions", tags=_TAGS, summary="List revisions", guards=READ, opt=_HISTORY)
async def list_revisions(
    request: ProgramRequest, limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """Published revisions, newest first."""
    size = page_size(limit)
    below = read_place(cursor, int) if cursor else _NEWEST
    if not 0 < below <= _NEWEST:
        raise bad_cursor()
    async with database_of(request).pool.acquire() as connection:
        page, last = cut(await history(connection, below=below, limit=size + 1), size)
    more = show_place(last.number) if last is not None else None
    return answer(RevisionPage(items=tuple(map(revision_item, page)), next=more))


@get("/v1/program/revisions/{number:int}", tags=_TAGS, summary="Read a revision", guards=READ, opt=_REVISION)
async def read_revision(request: ProgramRequest, number: FromPath[int]) -> ASGIResponse:
    """One revision with its document, as it was published."""
    return answer(revision_item(await load_revision_or_404(request, number)))


@get(
    "/v1/program/revisions/{old:int}/diff/{new:int}",
    tags=_TAGS,
    summary="Compare two revisions",
    guards=READ,
    opt=_DIFF,
)
async def diff_revisions(request: ProgramRequest, old: FromPath[int], new: FromPath[int]) -> ASGIResponse:
    """Item by item, what has to change in `old` to become `new`."""
    before, after = await load_revision_or_404(request, old), await load_revision_or_404(request, new)
    return answer(DiffAnswer(old=old, new=new, changes=change_items(diff(before.document, after.document))))


@post(
    "/v1/program/revisions/{number:int}/rollback",
    status_code=200,
    tags=_TAGS,
    summary="Publish an old revision again",
    guards=WRITE,
    opt=_ROLLBACK,
)
async def roll_back(request: ProgramRequest, number: FromPath[int]) -> ASGIResponse:
    """A new revision with the content of an old one; history stays."""
    body = await read_object(request)
    old = await load_revision_or_404(request, number)
    signature = signature_of(request, body.get("note") or f"Rollback to revision {number}")
    edit = replace_document(old.document, expected=expected_revision(request))
    async with database_of(request).pool.acquire() as connection:
        settled = settle(await publish(connection, edit, signature))
    return answer(publication_answer(settled), revision=settled.number)


def check_text(parsed: ParsedText) -> Validated:
    """The document's problems, together with those of the text it came from."""
    validated = validate_document(parsed.raw, revision=0, positions=parsed.positions)
    if not parsed.problems:
        return validated
    return Validated(program=None, problems=in_order((*parsed.problems, *validated.problems)))


def check_answer(validated: Validated, changes: tuple[ChangeItem, ...] = ()) -> CheckAnswer:
    return CheckAnswer(
        valid=validated.program is not None,
        errors=error_items(validated.errors),
        warnings=error_items(validated.warnings),
        changes=changes,
    )


async def load_live_or_404(request: ProgramRequest) -> Revision:
    async with database_of(request).pool.acquire() as connection:
        live = await load_live(connection)
    if live is None:
        raise ProblemError(404, "not_found", "No program was published yet. PUT /v1/program publishes one.")
    return live


async def load_revision_or_404(request: ProgramRequest, number: int) -> Revision:
    async with database_of(request).pool.acquire() as connection:
        revision = await load_revision(connection, number) if 0 < number <= _NEWEST else None
    if revision is None:
        raise not_found("revision", str(number))
    return revision


def revision_item(revision: RevisionSummary) -> RevisionItem:
    return RevisionItem(
        revision=revision.number,
        author=revision.author,
        note=revision.note,
        published_at=revision.published_at.isoformat().replace("+00:00", "Z"),
        semantics_version=revision.semantics_version,
        document=revision.document if isinstance(revision, Revision) else None,
    )


HANDLERS = [
    read_program,
    replace_program,
    check_program,
    list_revisions,
    read_revision,
    diff_revisions,
    roll_back,
]
