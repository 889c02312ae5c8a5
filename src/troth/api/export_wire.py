"""Exports as answers show them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from troth.api.export_asked import Asked, Compression, Formulas
from troth.api.export_columns import ExportFormat, ExportKind
from troth.api.export_filter import ExportFilter
from troth.api.export_progress import Progress
from troth.core.calendar import show_time
from troth.core.ids import show_id
from troth.store.jobs import Job


class ExportItem(msgspec.Struct, frozen=True, kw_only=True):
    """An export."""

    id: str
    status: str  # waiting, running, finished, failed, cancelled; expired: finished, and its file is gone
    kind: ExportKind
    format: ExportFormat
    compression: Compression
    formulas: Formulas  # of CSV
    filter: ExportFilter
    columns: tuple[str, ...]
    personal: bool
    until: str  # events and postings recorded before are in it; later ones are not
    rows: int  # so far
    percent: int  # of the way, not of the rows
    size: int | None  # bytes of the file; null: not finished
    sha256: str | None  # of the file, hexadecimal
    created_at: str
    created_by: str
    started_at: str | None
    finished_at: str | None
    seconds: float | None  # from start to end
    expires_at: str | None  # the first instant at which the file is gone
    problem: str | None  # why it failed


class ExportPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[ExportItem, ...]  # newest first
    next: str | None


def export_item(job: Job, now: datetime) -> ExportItem:
    asked = msgspec.json.decode(job.asked, type=Asked)
    progress = msgspec.json.decode(job.progress, type=Progress)
    is_expired = job.status == "finished" and progress.expires_at is not None and progress.expires_at <= now
    started, finished = job.started_at, job.finished_at
    return ExportItem(
        id=show_id("exp", job.id),
        status="expired" if is_expired else job.status,
        kind=asked.kind,
        format=asked.format,
        compression=asked.compression,
        formulas=asked.formulas,
        filter=asked.filter,
        columns=tuple(column.name for column in asked.columns),
        personal=asked.personal,
        until=show_time(asked.until),
        rows=progress.rows,
        percent=progress.percent,
        size=progress.size,
        sha256=progress.sha256,
        created_at=show_time(job.created_at),
        created_by=job.created_by,
        started_at=_shown(started),
        finished_at=_shown(finished),
        seconds=round((finished - started).total_seconds(), 3) if started and finished else None,
        expires_at=_shown(progress.expires_at),
        problem=job.problem,
    )


def _shown(moment: datetime | None) -> str | None:
    return show_time(moment) if moment is not None else None
