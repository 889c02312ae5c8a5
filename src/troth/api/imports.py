"""Reads of imports: what was asked, how far they are, their rejected rows, and the uploaded bytes unchanged.

In: an import's id. Out: its state, or a file as a stream. Counters move with each checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, get_args
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import encode
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, following, page_size, read_place
from troth.api.problems import ProblemError, invalid, not_found
from troth.api.reading import Reading, ReadRequest, reading_of
from troth.core.calendar import show_time
from troth.core.ids import read_id, show_id
from troth.store.files import FileStore, StoredFile, find_files
from troth.store.jobs import Job, JobStatus, find_job, job_page

TAGS = ["Imports"]
_READ = [requires("imports:read")]
_BACKWARDS = (
    "At least {count} rows are earlier than one before them of the same customer. Each was judged in the order of the "
    "file; `sort` orders them by customer and time."
)
_MISMATCHED = "{count} rows differ from what is recorded under their reference; what is recorded stands."


class ImportFileItem(msgspec.Struct, frozen=True, kw_only=True):
    """The uploaded file. Null figures: it is no longer kept."""

    name: str | None
    media_type: str | None
    bytes: int | None
    sha256: str | None  # hexadecimal, of the bytes as they were uploaded
    kept_until: str | None


class ImportNote(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    detail: str


class ImportItem(msgspec.Struct, frozen=True, kw_only=True):
    """An import. What came of its rows stands in its counters, which move as it runs."""

    id: str
    status: str  # waiting, running, paused, cancelled, finished, finished_with_errors or failed
    asked: str | None  # pause or cancel, while the import has not obeyed yet
    file: ImportFileItem
    options: Mapping[str, object]  # as they were asked for; what is absent is a default
    detected: Mapping[str, object]  # how the file is read: format, encoding, delimiter, quote
    read: int  # rows settled
    created: int
    duplicates: int  # recorded before, or twice in the file
    rejected: int
    rejections: int  # of the rejected rows, at most IMPORT_REJECTIONS: those that /v1/rejections has too
    points: int  # of the created events
    seconds: float  # at work
    rate: float | None  # rows a second
    seconds_left: float | None  # as it went so far
    bytes_total: int | None
    bytes_read: int
    warnings: tuple[ImportNote, ...]
    problem: str | None  # why it failed
    created_by: str
    created_at: str
    started_at: str | None
    finished_at: str | None


class ImportPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[ImportItem, ...]  # newest first
    next: str | None


class _Asked(msgspec.Struct, frozen=True):
    options: Mapping[str, object]
    detected: Mapping[str, object]


class _Counters(msgspec.Struct, frozen=True):
    read: int = 0
    created: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejections: int = 0
    points: int = 0
    mismatched: int = 0
    backwards: int = 0
    seconds: float = 0.0
    bytes_read: int = 0


StatusFilter = Annotated[str | None, QueryParameter(description="Only imports of this status.")]
_LIST = documented(answers={200: ImportPage})
_ONE = documented(answers={200: ImportItem})
_FILE = documented(answers={200: str})


@get("/v1/imports", tags=TAGS, summary="List imports", guards=_READ, opt=_LIST)
async def list_imports(
    request: ReadRequest,
    limit: Limit = limits.PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
    status: StatusFilter = None,
) -> ASGIResponse:
    """Imports, those of the command line too, newest first."""
    size, before = page_size(limit), read_place(cursor, UUID) if cursor is not None else None
    if status is not None and status not in get_args(JobStatus):
        raise invalid("/query/status", "invalid_parameter", f"A status is one of: {', '.join(get_args(JobStatus))}.")
    async with reading_of(request).database.pool.acquire() as connection:
        found = await job_page(connection, "import", before=before, status=status, size=size + 1)
        shown, last = cut(found, size)
        files = await find_files(connection, [job.input_file for job in shown if job.input_file is not None])
    items = tuple(import_item(job, files.get(job.input_file or job.id)) for job in shown)
    return Answer(200, encode(ImportPage(items=items, next=following(last))))


@get("/v1/imports/{import_id:str}", tags=TAGS, summary="Read an import", guards=_READ, opt=_ONE)
async def read_import(request: ReadRequest, import_id: FromPath[str]) -> ASGIResponse:
    """How far it is, and what came of its rows.

    `rejections` says how many of its rejected rows are in /v1/rejections, where `source` is the id of the import.
    """
    reading = reading_of(request)
    job = await load_import(reading, import_id)
    return Answer(200, encode(await shown_import(reading, job)))


@get("/v1/imports/{import_id:str}/file", tags=TAGS, summary="Download the uploaded file", guards=_READ, opt=_FILE)
async def download_file(request: ReadRequest, import_id: FromPath[str]) -> Stream:
    """The uploaded bytes unchanged, with their SHA-256 in `X-Content-SHA256`."""
    reading = reading_of(request)
    job = await load_import(reading, import_id)
    return await _download(reading, job.input_file, "The uploaded file is no longer kept.")


@get("/v1/imports/{import_id:str}/errors", tags=TAGS, summary="Download rejected rows", guards=_READ, opt=_FILE)
async def download_rejected(request: ReadRequest, import_id: FromPath[str]) -> Stream:
    """All rejected rows with line, code and reason before their cells, ready to be mended and imported again."""
    reading = reading_of(request)
    job = await load_import(reading, import_id)
    detail = "No row of this import was rejected." if job.output_file is None else "They are no longer kept."
    return await _download(reading, job.output_file, detail)


async def load_import(reading: Reading, import_id: str) -> Job:
    """Raises ProblemError 404."""
    job_id = read_id("imp", import_id)
    if job_id is not None:
        async with reading.database.pool.acquire() as connection:
            job = await find_job(connection, job_id, "import")
        if job is not None:
            return job
    raise not_found("import", import_id)


async def shown_import(reading: Reading, job: Job) -> ImportItem:
    async with reading.database.pool.acquire() as connection:
        files = await find_files(connection, [job.input_file] if job.input_file is not None else [])
    return import_item(job, files.get(job.input_file or job.id))


def import_item(job: Job, file: StoredFile | None) -> ImportItem:
    asked = msgspec.json.decode(job.asked, type=_Asked)
    found = msgspec.json.decode(job.progress, type=_Counters)
    size = file.size if file is not None else None
    is_open = job.status in ("waiting", "running", "paused")
    left = found.seconds * (size - found.bytes_read) / found.bytes_read if size and found.bytes_read else None
    return ImportItem(
        id=show_id("imp", job.id),
        status=job.status,
        asked=job.wish,
        file=_file_item(file),
        options=asked.options,
        detected=asked.detected,
        read=found.read,
        created=found.created,
        duplicates=found.duplicates,
        rejected=found.rejected,
        rejections=found.rejections,
        points=found.points,
        seconds=found.seconds,
        rate=round(found.read / found.seconds, 1) if found.seconds else None,
        seconds_left=round(left, 1) if is_open and left is not None else None,
        bytes_total=size,
        bytes_read=found.bytes_read,
        warnings=tuple(_warnings(found)),
        problem=job.problem,
        created_by=job.created_by,
        created_at=show_time(job.created_at),
        started_at=_shown(job.started_at),
        finished_at=_shown(job.finished_at),
    )


def _file_item(file: StoredFile | None) -> ImportFileItem:
    if file is None:
        return ImportFileItem(name=None, media_type=None, bytes=None, sha256=None, kept_until=None)
    return ImportFileItem(
        name=file.name,
        media_type=file.media_type,
        bytes=file.size,
        sha256=file.sha256.hex() if file.sha256 is not None else None,
        kept_until=_shown(file.expires_at),
    )


def _warnings(found: _Counters) -> list[ImportNote]:
    warnings = []
    if found.mismatched:
        detail = _MISMATCHED.format(count=found.mismatched)
        warnings.append(ImportNote(code="payload_mismatch", detail=detail))
    if found.backwards:
        warnings.append(ImportNote(code="back_in_time", detail=_BACKWARDS.format(count=found.backwards)))
    return warnings


def _shown(moment: datetime | None) -> str | None:
    return show_time(moment.astimezone(UTC)) if moment is not None else None


async def _download(reading: Reading, file_id: UUID | None, missing: str) -> Stream:
    """A file of the store as a stream. Raises ProblemError 404."""
    files = FileStore(database=reading.database, vault=reading.vault)
    file = await files.find(file_id) if file_id is not None else None
    if file is None:
        raise ProblemError(404, "no_file", missing)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}", "Cache-Control": "no-store"}
    if file.sha256 is not None and file.size is not None:
        headers |= {"Content-Length": str(file.size), "X-Content-SHA256": file.sha256.hex()}
    return Stream(files.read(file), headers=headers, media_type=file.media_type, status_code=200)


HANDLERS = [list_imports, read_import, download_file, download_rejected]
