"""The one shared draft: edited, checked, then published on top of what is live.

In: documents, also ones that are not valid yet. Out: the draft with its problems. Must never: publish over a change
that the live program made to the same item since the draft began.
"""

from __future__ import annotations

import asyncio

import msgspec
from litestar import delete, get, post, put
from litestar.response.base import ASGIResponse

from troth.api.openapi import documented
from troth.api.problems import ProblemError, invalid
from troth.api.program import READ, WRITE, CheckAnswer, NoteBody, check_answer, check_text
from troth.api.program_shapes import ProgramBody
from troth.api.program_wire import (
    JSON_OR_YAML,
    ProgramRequest,
    PublicationAnswer,
    answer,
    change_items,
    database_of,
    expected_revision,
    invalid_program,
    no_content,
    publication_answer,
    read_object,
    read_text_body,
    settle,
    signature_of,
    stale,
)
from troth.core.program.diff import diff
from troth.core.program.document import Validated, validate_document
from troth.core.program.edit import Edit, Invalid, Publication, Unchanged, merge_draft
from troth.core.program.items import plain_document
from troth.store.pool import Connection
from troth.store.programs import (
    Draft,
    drop_draft,
    live_revision,
    load_draft,
    load_revision,
    publish,
    save_draft,
)

_TAGS = ["Program"]


class DraftAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The draft, and what publishing it would meet."""

    version: int  # grows with every change; the ETag
    base: int  # the revision it began from
    author: str
    updated_at: str
    document: object
    check: CheckAnswer  # changes are against the base


_DRAFT = documented(answers={200: DraftAnswer})
_PUT = documented(body=ProgramBody, media_types=JSON_OR_YAML, answers={200: DraftAnswer})
_DROP = documented(answers={204: None})
_PUBLISH = documented(body=NoteBody, answers={200: PublicationAnswer})


@get("/v1/program/draft", tags=_TAGS, summary="Read the draft", guards=READ, opt=_DRAFT)
async def read_draft(request: ProgramRequest) -> ASGIResponse:
    """The shared draft with every problem it has."""
    async with database_of(request).pool.acquire() as connection:
        draft = await _draft_or_404(connection)
        shown = await _show(connection, draft)
    return answer(shown, revision=draft.version)


@put("/v1/program/draft", tags=_TAGS, summary="Save the draft", guards=WRITE, opt=_PUT)
async def put_draft(request: ProgramRequest) -> ASGIResponse:
    """Begin or replace the draft; it may have problems. `If-Match` takes its version."""
    parsed = await read_text_body(request)
    if parsed.problems:
        raise invalid_program((await asyncio.to_thread(check_text, parsed)).problems)
    if not isinstance(parsed.raw, dict):
        raise invalid("", "type", "A program document is a mapping.")
    expected, document = expected_revision(request), plain_document(parsed.raw)
    async with database_of(request).pool.acquire() as connection:
        base = await live_revision(connection)
        draft = await save_draft(connection, document, signature_of(request), base=base, expected=expected)
        if draft is None:
            raise stale(("draft",), base)
        shown = await _show(connection, draft)
    return answer(shown, revision=draft.version)


@delete("/v1/program/draft", status_code=200, tags=_TAGS, summary="Throw the draft away", guards=WRITE, opt=_DROP)
async def delete_draft(request: ProgramRequest) -> ASGIResponse:
    """The live program stays as it is."""
    expected = expected_revision(request)
    async with database_of(request).pool.acquire() as connection:
        await _draft_or_404(connection)
        if not await drop_draft(connection, expected=expected):
            raise stale(("draft",), await live_revision(connection))
    return no_content()


@post("/v1/program/publish", status_code=200, tags=_TAGS, summary="Publish the draft", guards=WRITE, opt=_PUBLISH)
async def publish_draft(request: ProgramRequest) -> ASGIResponse:
    """Make the draft live, on top of what others published meanwhile; 412 when they changed the same items."""
    body = await read_object(request)
    signature, expected = signature_of(request, body.get("note") or ""), expected_revision(request)
    async with database_of(request).pool.acquire() as connection, connection.transaction():
        draft = await _draft_or_404(connection)
        if expected is not None and expected != draft.version:
            raise stale(("draft",), await live_revision(connection))
        decision = await publish(connection, await _edit(connection, draft), signature)
        if isinstance(decision, Publication | Unchanged) and not await drop_draft(connection, expected=draft.version):
            raise stale(("draft",), decision.number)
    settled = settle(decision)
    return answer(publication_answer(settled), revision=settled.number)


async def _edit(connection: Connection, draft: Draft) -> Edit:
    """The draft's own problems come first: what is not valid alone is not merged."""
    validated = await asyncio.to_thread(validate_document, draft.document, revision=0)
    if validated.program is None:
        invalid_draft = Invalid(problems=validated.problems, document=draft.document)
        return lambda _: invalid_draft
    base = await load_revision(connection, draft.base) if draft.base else None
    return merge_draft(base.document if base else {}, draft.document)


async def _draft_or_404(connection: Connection) -> Draft:
    draft = await load_draft(connection)
    if draft is None:
        raise ProblemError(404, "no_draft", "There is no draft. PUT /v1/program/draft begins one.")
    return draft


async def _show(connection: Connection, draft: Draft) -> DraftAnswer:
    base = await load_revision(connection, draft.base) if draft.base else None
    validated: Validated = await asyncio.to_thread(validate_document, draft.document, revision=0)
    changes = diff(base.document if base else {}, draft.document) if validated.program else ()
    return DraftAnswer(
        version=draft.version,
        base=draft.base,
        author=draft.author,
        updated_at=draft.updated_at.isoformat().replace("+00:00", "Z"),
        document=draft.document,
        check=check_answer(validated, change_items(changes)),
    )


HANDLERS = [read_draft, put_draft, delete_draft, publish_draft]
