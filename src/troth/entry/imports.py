"""POST /v1/imports: a file becomes a job; …/pause, …/resume and …/cancel steer it. Workers run it.

In: multipart/form-data with a file and options. Out: 202 with the import, or a preview of its first rows.
Must never: hold a file in memory, or begin an import whose file cannot be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth.api.answers import Answer
from troth.api.auth import Caller, caller_of, requires
from troth.api.event_wire import encode
from troth.api.imports import TAGS, ImportItem, import_item, load_import, shown_import
from troth.api.openapi import documented
from troth.api.problems import ProblemError, invalid
from troth.api.reading import reading_of
from troth.core.program import Program
from troth.core.program.builtin_types import CUSTOMERS_SCOPE
from troth.entry.events import EventRequest
from troth.entry.import_file import StoredSource, UnreadableFileError
from troth.entry.import_options import ImportAsked, detect_in
from troth.entry.import_preview import PreviewAnswer, Previews, first_rows, preview_rows
from troth.entry.import_request import ImportForm, ImportRequest, plain_options, read_request
from troth.entry.uploads import Upload, read_upload
from troth.store.files import FileStore, NewFile, StoredFile
from troth.store.jobs import Job, NewJob, add_job, cancel_job, pause_job, resume_job
from troth.store.pool import Connection
from troth.store.row_ids import new_id

Steer = Callable[[Connection, UUID], Awaitable[Job | None]]  # None: the job is over

_WRITE = [requires("imports:write")]
_FIELDS = frozenset({"options"})
_EXAMPLE = {"file": "customer,type,reference,amount\nada,purchase,order-1,12.50\n", "options": {"type": "purchase"}}
_MULTIPART = ("multipart/form-data",)
_POST = documented(
    body=ImportForm, media_types=_MULTIPART, example=_EXAMPLE, answers={200: PreviewAnswer, 202: ImportItem}
)
_STEERED = documented(answers={200: ImportItem})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportDoor:
    """What uploads need. Handlers find it in `app.state["imports"]`."""

    files: FileStore
    pipeline: Previews
    program: Callable[[], Awaitable[Program]]
    bytes_max: int
    keep: timedelta


@post("/v1/imports", status_code=202, tags=TAGS, summary="Import a file", guards=_WRITE, opt=_POST)
async def begin_import(request: EventRequest) -> ASGIResponse:
    """Store the file and begin to import it. `GET /v1/imports/{id}` tells how far it is."""
    door, caller = _door(request), caller_of(request.scope)
    assert caller is not None, "guarded"
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(415, "unsupported_encoding", "Pack the file itself with gzip, not the request.")
    name, content_type = caller.name, request.headers.get("content-type", "")
    upload = await read_upload(request.receive, content_type, _FIELDS, _storing(door, name))
    try:
        asked, how = await _read(door, request, upload, caller)
        preview = await _preview(door, upload.file, asked, how.rows) if how.dry_run else None
    except BaseException:
        await door.files.drop(upload.file.id)
        raise
    if preview is not None:
        await door.files.drop(upload.file.id)
        return Answer(200, encode(preview))
    job = await _begin(door, upload.file, asked, name)
    shown = import_item(job, upload.file)
    return Answer(202, encode(shown), headers=[(b"location", f"/v1/imports/{shown.id}".encode())])


def _door(request: EventRequest) -> ImportDoor:
    return cast("ImportDoor", request.app.state["imports"])


def _storing(door: ImportDoor, created_by: str) -> Callable[[str, str, AsyncIterator[bytes]], Awaitable[StoredFile]]:
    async def store(name: str, media_type: str, content: AsyncIterator[bytes]) -> StoredFile:
        new = NewFile(
            name=name.replace("\0", "") or "file",
            media_type=media_type[:100],
            created_at=datetime.now(UTC),
            created_by=created_by,
            keep=door.keep,
        )
        return await door.files.put(new, content, bytes_max=door.bytes_max)

    return store


async def _read(
    door: ImportDoor, request: EventRequest, upload: Upload, caller: Caller
) -> tuple[ImportAsked, ImportRequest]:
    """What is asked, and how the file is read. Raises ProblemError."""
    async with reading_of(request).database.pool.acquire() as connection:
        how = await read_request(connection, upload.fields.get("options", b""))
    if how.kind == "customers" and not caller.may(CUSTOMERS_SCOPE):
        raise ProblemError(403, "forbidden", f"This key lacks the permission {CUSTOMERS_SCOPE}.")
    options = plain_options(how)
    source = StoredSource(door.files, upload.file, asyncio.get_running_loop())
    try:
        detected = await asyncio.to_thread(detect_in, source, options)
    except UnreadableFileError as error:
        raise invalid("/file", "unreadable_file", str(error)) from None
    permits = tuple(sorted(caller.permits)) if caller.permits is not None else None
    return ImportAsked(options=options, detected=detected, permits=permits), how


async def _begin(door: ImportDoor, file: StoredFile, asked: ImportAsked, created_by: str) -> Job:
    new = NewJob(
        id=new_id(),
        kind="import",
        asked=asked,
        created_at=datetime.now(UTC),
        created_by=created_by,
        input_file=file.id,
    )
    return await add_job(door.files.database, new)


async def _preview(door: ImportDoor, file: StoredFile, asked: ImportAsked, count: int) -> PreviewAnswer:
    source = StoredSource(door.files, file, asyncio.get_running_loop())
    try:
        rows = await asyncio.to_thread(first_rows, source, asked, await door.program(), count)
    except UnreadableFileError as error:
        raise invalid("/file", "unreadable_file", str(error)) from None
    return await preview_rows(door.pipeline, asked, rows)


def _steering(verb: str, steer: Steer, told: str) -> HTTPRouteHandler:
    """POST …/{verb}. `told` says in the documentation what it means."""

    async def act(request: EventRequest, import_id: FromPath[str]) -> ASGIResponse:
        """Raises ProblemError 404 and 409."""
        reading = reading_of(request)
        job = await load_import(reading, import_id)
        async with reading.database.pool.acquire() as connection:
            steered = await steer(connection, job.id)
        if steered is None:
            raise ProblemError(409, "import_is_over", f"This import is over: it is {job.status}.")
        return Answer(200, encode(await shown_import(reading, steered)))

    act.__name__, act.__doc__ = f"{verb}_import", told
    address, summary = f"/v1/imports/{{import_id:str}}/{verb}", f"{verb.capitalize()} an import"
    made = post(address, status_code=200, tags=TAGS, summary=summary, guards=_WRITE, opt=_STEERED)
    return cast("Callable[[Callable[..., Awaitable[ASGIResponse]]], HTTPRouteHandler]", made)(act)


HANDLERS = [
    begin_import,
    _steering("pause", pause_job, "What is under way is finished first; what is recorded stays recorded."),
    _steering("resume", resume_job, "Go on from the last checkpoint; one that failed may be resumed too."),
    _steering("cancel", cancel_job, "End it; what is recorded stays recorded."),
]
