"""What the program endpoints share: bodies as JSON or YAML, item revisions as ETags, refusals as problem documents.

In: requests and decisions. Out: values, and answers or a ProblemError. Must never: decide anything about a program.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.response.base import ASGIResponse

from troth.api.answers import JSON, Answer
from troth.api.auth import caller_of
from troth.api.problems import ErrorItem, ProblemError, invalid, not_found
from troth.core.program.diff import Change
from troth.core.program.edit import Decision, Exists, Invalid, Missing, Publication, Stale, Unchanged, within_item
from troth.core.program.problem import ProgramProblem
from troth.core.program.text import ParsedText, parse_document
from troth.store.pool import Database
from troth.store.programs import Signature

ProgramRequest = Request[object, object, State]
JSON_OR_YAML = ("application/json", "application/yaml")
_NOTE_LENGTH = 1_000
_REVISION = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an expression, in code points of its own text."""

    start: int
    end: int
    line: int
    column: int


class ProgramErrorItem(ErrorItem, frozen=True, kw_only=True, omit_defaults=True):
    """One problem of a program: `pointer` is within `item` when an item was sent, else within the document."""

    item: str | None = None  # rules/base: the item it is in
    hint: str | None = None  # what to do
    line: int | None = None  # of a YAML body
    column: int | None = None
    expression: Span | None = None  # within the expression at the pointer


class ChangeItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item that differs."""

    item: str  # rules/base, settings, …
    change: str  # added, removed, changed or reordered
    old: object = None
    new: object = None
    fields: tuple[FieldItem, ...] = ()


class FieldItem(msgspec.Struct, frozen=True, kw_only=True):
    """One field that differs; null stands for absent."""

    pointer: str
    old: object
    new: object


class PublicationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of publishing."""

    revision: int  # the live one now
    changed: bool  # false: nothing differed, no revision was made
    changes: tuple[ChangeItem, ...]
    warnings: tuple[ProgramErrorItem, ...]


def database_of(request: ProgramRequest) -> Database:
    return cast("Database", request.app.state["database"])


def signature_of(request: ProgramRequest, note: object = "") -> Signature:
    """The caller as author, now. Raises ProblemError."""
    if not isinstance(note, str) or len(note) > _NOTE_LENGTH:
        raise invalid("/note", "too_long", f"A note is text of at most {_NOTE_LENGTH} characters.")
    caller = caller_of(request.scope)
    return Signature(author=caller.name if caller else "unknown", published_at=datetime.now(UTC), note=note)


async def read_text_body(request: ProgramRequest) -> ParsedText:
    """The body as the values it writes down. Raises ProblemError (400) for what is no document at all."""
    body = await request.body()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(400, "unreadable", f"Byte {error.start} of the body is not UTF-8.") from None
    is_yaml = "yaml" in request.headers.get("content-type", "").lower()
    parsed = await asyncio.to_thread(parse_document, text, "yaml" if is_yaml else "json")
    if not parsed.readable:
        items = error_items(parsed.problems)
        raise ProblemError(400, "unreadable", items[0].detail, errors=items)
    return parsed


async def read_object(request: ProgramRequest) -> dict[str, object]:
    """A body that is one mapping without flaws. Raises ProblemError."""
    parsed = await read_text_body(request)
    if parsed.problems:
        raise invalid_program(parsed.problems)
    if not isinstance(parsed.raw, dict):
        raise invalid("", "type", "A mapping is expected here.")
    return parsed.raw


def expected_revision(request: ProgramRequest) -> int | None:
    """The revision of If-Match; None when there is none, or any will do. Raises ProblemError."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    match = _REVISION.fullmatch(given.strip())
    if match is None:
        raise invalid("/header/if-match", "invalid_parameter", "If-Match is the revision of the item, such as 12.")
    return int(match[1])


def settle(decision: Decision, *, sent_item: bool = False) -> Publication | Unchanged:
    """What was published; every refusal is raised as a ProblemError."""
    match decision:
        case Publication() | Unchanged():
            return decision
        case Invalid(problems=problems, document=document):
            raise invalid_program(problems, document if sent_item else None)
        case Stale(items=items, live=live):
            raise stale(items, live)
        case Missing(item=item):
            raise not_found("item", item)
        case Exists(item=item):
            raise ProblemError(409, "exists", f"There is already {item}. PUT replaces it.")


def stale(items: Sequence[str], live: int) -> ProblemError:
    what = ", ".join(items) if items else "The program"
    detail = f"{what} changed since; revision {live} is live. Read it again and repeat your change."
    errors = [ProgramErrorItem(pointer="", code="stale", detail=f"{item} changed.", item=item) for item in items]
    return ProblemError(412, "stale", detail, errors=errors)


def invalid_program(problems: Sequence[ProgramProblem], document: Mapping[str, object] | None = None) -> ProblemError:
    """422 with every error; pointers are within their items when `document` is given."""
    errors = error_items([problem for problem in problems if problem.severity == "error"], document)
    detail = f"{len(errors)} {'problem' if len(errors) == 1 else 'problems'}; the live program stays as it is."
    return ProblemError(422, "invalid_program", detail, errors=errors)


def error_items(
    problems: Sequence[ProgramProblem], document: Mapping[str, object] | None = None
) -> tuple[ProgramErrorItem, ...]:
    return tuple(_error_item(problem, document) for problem in problems)


def _error_item(problem: ProgramProblem, document: Mapping[str, object] | None) -> ProgramErrorItem:
    item, pointer = (None, problem.pointer) if document is None else within_item(problem, document)
    span = problem.span
    return ProgramErrorItem(
        pointer=pointer,
        code=problem.code,
        detail=problem.message,
        item=item,
        hint=problem.hint,
        line=problem.line,
        column=problem.column,
        expression=Span(start=span.start, end=span.end, line=span.line, column=span.column) if span else None,
    )


def change_items(changes: Sequence[Change]) -> tuple[ChangeItem, ...]:
    return tuple(
        ChangeItem(
            item=change.item,
            change=change.kind,
            old=change.old,
            new=change.new,
            fields=tuple(FieldItem(pointer=part.pointer, old=part.old, new=part.new) for part in change.fields),
        )
        for change in changes
    )


def publication_answer(settled: Publication | Unchanged) -> PublicationAnswer:
    changed = isinstance(settled, Publication)
    return PublicationAnswer(
        revision=settled.number,
        changed=changed,
        changes=change_items(settled.changes) if isinstance(settled, Publication) else (),
        warnings=error_items(settled.warnings),
    )


def answer(value: object, *, status: int = 200, revision: int | None = None) -> ASGIResponse:
    """`value` as JSON; `revision` becomes the ETag."""
    headers = [(b"etag", f'"{revision}"'.encode())] if revision is not None else []
    return Answer(status, msgspec.json.encode(value), headers=headers)


def text_answer(text: str, media_type: str, *, revision: int) -> ASGIResponse:
    etag = (b"etag", f'"{revision}"'.encode())
    return Answer(200, text.encode(), media_type=media_type.encode(), headers=[etag])


def no_content() -> ASGIResponse:
    return Answer(204, b"", media_type=JSON)
