"""Dry runs: the first rows of a file as they would be recorded now, with their points. Nothing is stored.

Each row is previewed by itself, on what is recorded: of two rows for one reference both look new.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import msgspec

from troth.core.coercion import Problem
from troth.core.program import Program
from troth.entry.import_file import ImportFile, Source
from troth.entry.import_options import Detected, ImportAsked, ImportOptions, rows_of
from troth.entry.import_rows import Row, structured_properties
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, RawEvent, Rejected


class Previews(Protocol):
    """What a dry run needs of the batcher."""

    async def preview(self, raw: RawEvent) -> Outcome: ...


class PreviewProblem(msgspec.Struct, frozen=True, kw_only=True):
    pointer: str
    code: str
    detail: str


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one row."""

    line: int
    status: str  # created, duplicate or rejected
    customer: str | None
    type: str | None
    points: int
    errors: tuple[PreviewProblem, ...] = ()


class PreviewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The first rows of a file. Nothing of it was stored."""

    dry_run: bool
    options: ImportOptions  # as they were asked for
    detected: Detected  # how the file is read: format, encoding, delimiter, quote
    read: int
    created: int
    duplicates: int
    rejected: int
    points: int
    rows: tuple[PreviewRow, ...]


def first_rows(source: Source, asked: ImportAsked, program: Program, count: int) -> list[Row]:
    """The first rows of the file; it blocks. Raises UnreadableFileError."""
    with ImportFile(source, asked.detected.encoding) as file:
        rows = rows_of(file, asked, source_detail=source.name)
        return list(islice(rows.read(structured_properties(program)), count))


async def preview_rows(pipeline: Previews, asked: ImportAsked, rows: Sequence[Row]) -> PreviewAnswer:
    """What would become of these rows now."""
    outcomes = [await pipeline.preview(row.event) if row.event is not None else Rejected(row.problems) for row in rows]
    return _answer(asked, rows, outcomes)


def _answer(asked: ImportAsked, rows: Sequence[Row], outcomes: Sequence[Outcome]) -> PreviewAnswer:
    shown = tuple(_shown(row, outcome) for row, outcome in zip(rows, outcomes, strict=True))
    count = [row.status for row in shown].count
    return PreviewAnswer(
        dry_run=True,
        options=asked.options,
        detected=asked.detected,
        read=len(shown),
        created=count("created"),
        duplicates=count("duplicate"),
        rejected=count("rejected"),
        points=sum(row.points for row in shown),
        rows=shown,
    )


def _shown(row: Row, outcome: Outcome) -> PreviewRow:
    event = row.event
    customer = event.customer if event is not None and isinstance(event.customer, str) else None
    type_id = event.type if event is not None and isinstance(event.type, str) else None
    match outcome:
        case Applied():
            points = outcome.brief.points
            return PreviewRow(line=row.line, status="created", customer=customer, type=type_id, points=points)
        case Duplicate():
            return PreviewRow(line=row.line, status="duplicate", customer=customer, type=type_id, points=0)
        case Conflict(problem):
            problems: tuple[Problem, ...] = (problem,)
        case Rejected(problems):
            pass
    errors = tuple(PreviewProblem(pointer=item.pointer, code=item.code, detail=item.detail) for item in problems)
    return PreviewRow(line=row.line, status="rejected", customer=customer, type=type_id, points=0, errors=errors)
