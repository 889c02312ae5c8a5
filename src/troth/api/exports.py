"""Exports: asked for, followed, fetched, cancelled. A job writes the file; these addresses never wait for it.

In: what is wanted. Out: 202 and an id; then its state, and the file in pieces as it is sent, in constant memory.
Must never: give out a file that is not complete, or personal data to a key that may not read customers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, cast
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import caller_of, requires
from troth.api.event_wire import encode
from troth.api.export_asked import Asked, ExportBody, Terms, read_asked
from troth.api.export_wire import ExportItem, ExportPage, export_item
from troth.api.file_answers import FileAnswer
from troth.api.json_bodies import read_object
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, following, page_size, read_place
from troth.api.problems import ProblemError, invalid, not_found
from troth.api.reading import ReadRequest, may, reading_of
from troth.core.ids import read_id, show_id
from troth.store.files import FileStore, StoredFile
from troth.store.jobs import Job, NewJob, add_job, cancel_job, find_job, job_page
from troth.store.pool import Connection, Database
from troth.store.row_ids import new_id

_TAGS = ["Exports"]
_STATUSES = ("waiting", "running", "cancelled", "finished", "failed")
_RETRY_SECONDS = "30"
_EXAMPLE = {
    "kind": "events",
    "format": "csv",
    "filter": {"type": "purchase", "from": "2026-01-01T00:00:00Z"},
    "compression": "gzip",
}
_POST = documented(body=ExportBody, example=_EXAMPLE, answers={202: ExportItem})
_LIST = documented(answers={200: ExportPage})
_READ = documented(answers={200: ExportItem})
_FILE = documented(answers={200: bytes})


@post("/v1/exports", status_code=202, tags=_TAGS, summary="Export data", guards=[requires("exports:write")], opt=_POST)
async def create_export(request: ReadRequest) -> ASGIResponse:
    """Ask for a file of events, customers, postings or orders.

    Events, postings and orders are read up to `until`, two minutes ago unless the server says otherwise: what was
    recorded before is complete, and nothing recorded while the file is written is in one half of it only. Customers,
    and how orders stand, are read as they are when their turn comes.
    """
    reading = reading_of(request)
    terms = cast("Terms", request.app.state["export_terms"])
    document = read_object(await request.body())
    now = datetime.now(UTC)
    asked = read_asked(document, (await reading.live_book()).program, terms, now)
    if asked.personal and not may(request, "customers:read"):
        raise ProblemError(403, "forbidden", "To export personal data the key needs the permission customers:read.")
    caller = caller_of(request.scope)
    assert caller is not None, "guarded"
    await check_room(reading.database)
    job_id = new_id()
    job = await add_job(reading.database, new_export(job_id, asked, now, caller.key_id))
    location = (b"location", b"/v1/exports/" + show_id("exp", job_id).encode())
    return Answer(202, encode(export_item(job, now)), headers=[location])


@get("/v1/exports", tags=_TAGS, summary="List exports", guards=[requires("exports:read")], opt=_LIST)
async def list_exports(
    request: ReadRequest,
    status: Annotated[str | None, QueryParameter(description="waiting, running, cancelled, finished, failed.")] = None,
    limit: Limit = limits.PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> ASGIResponse:
    """The exports that were asked for, newest first."""
    size = page_size(limit)
    if status is not None and status not in _STATUSES:
        raise invalid("/query/status", "not_allowed", f"'status' is one of: {', '.join(_STATUSES)}.")
    before = read_place(cursor, UUID) if cursor is not None else None
    async with reading_of(request).database.pool.acquire() as connection:
        jobs, last = cut(await job_page(connection, "export", before=before, status=status, size=size + 1), size)
    now = datetime.now(UTC)
    items = tuple(export_item(job, now) for job in jobs)
    return Answer(200, encode(ExportPage(items=items, next=following(last))))


@get("/v1/exports/{export_id:str}", tags=_TAGS, summary="Read an export", guards=[requires("exports:read")], opt=_READ)
async def read_export(request: ReadRequest, export_id: FromPath[str]) -> ASGIResponse:
    """How far it is, and what came of it."""
    async with reading_of(request).database.pool.acquire() as connection:
        job = await load_export(connection, export_id)
    return Answer(200, encode(export_item(job, datetime.now(UTC))))


@get(
    "/v1/exports/{export_id:str}/file",
    tags=_TAGS,
    summary="Download an export",
    guards=[requires("exports:read")],
    opt=_FILE,
)
async def read_export_file(request: ReadRequest, export_id: FromPath[str]) -> ASGIResponse:
    """The file, once it is finished and until it expires. `Repr-Digest` (RFC 9530) holds its SHA-256."""
    reading = reading_of(request)
    async with reading.database.pool.acquire() as connection:
        job = await load_export(connection, export_id)
    if msgspec.json.decode(job.asked, type=Asked).personal and not may(request, "customers:read"):
        raise ProblemError(403, "forbidden", "This file holds personal data: the key needs customers:read.")
    files = FileStore(database=reading.database, vault=reading.vault)
    return FileAnswer(files, await finished_file(files, job, datetime.now(UTC)))


@post(
    "/v1/exports/{export_id:str}/cancel",
    status_code=200,
    tags=_TAGS,
    summary="Cancel an export",
    guards=[requires("exports:write")],
    opt=documented(body=None, answers={200: ExportItem}),
)
async def cancel_export(request: ReadRequest, export_id: FromPath[str]) -> ASGIResponse:
    """Give it up; what was written of it is dropped. One that is being written stops within moments."""
    reading = reading_of(request)
    async with reading.database.pool.acquire() as connection:
        job = await cancel_job(connection, (await load_export(connection, export_id)).id)
    if job is None:
        raise ProblemError(409, "already_finished", f"The export {export_id} has come to its end.")
    if job.status == "cancelled" and job.output_file is not None:
        await FileStore(database=reading.database, vault=reading.vault).drop(job.output_file)
    return Answer(200, encode(export_item(job, datetime.now(UTC))))


def new_export(job_id: UUID, asked: Asked, now: datetime, created_by: str) -> NewJob:
    """The job of an export."""
    return NewJob(id=job_id, kind="export", asked=asked, created_at=now, created_by=created_by)


async def check_room(database: Database) -> None:
    """Raises ProblemError 503 when as many exports wait as may."""
    async with database.pool.acquire() as connection:
        waiting = await job_page(connection, "export", before=None, status="waiting", size=limits.EXPORTS_WAITING)
    if len(waiting) >= limits.EXPORTS_WAITING:
        detail = f"{limits.EXPORTS_WAITING} exports wait already; ask again when some of them are done."
        raise ProblemError(503, "too_many_exports", detail, headers={"Retry-After": _RETRY_SECONDS})


async def load_export(connection: Connection, export_id: str) -> Job:
    """Raises ProblemError 404."""
    key = read_id("exp", export_id)
    job = await find_job(connection, key, "export") if key is not None else None
    if job is None:
        raise not_found("export", export_id)
    return job


async def finished_file(files: FileStore, job: Job, now: datetime) -> StoredFile:
    """Raises ProblemError: 409 not there yet, or never; 410 no longer."""
    name = show_id("exp", job.id)
    if job.status != "finished":
        raise ProblemError(409, "not_finished", f"The export {name} is {job.status}; it has no file.")
    file = await files.find(job.output_file) if job.output_file is not None else None
    if file is None or (file.expires_at is not None and file.expires_at <= now):
        raise ProblemError(410, "expired", f"The file of the export {name} has expired; export it again.")
    return file


HANDLERS = [create_export, list_exports, read_export, read_export_file, cancel_export]
