"""What is asked of an export: a JSON document → `Asked`, or a problem document with everything that is wrong with it.

`Asked` is what the job keeps: the filters read, the columns fixed as the program declares them now, and the moment up
to which events are read, so that the export goes on as it began wherever it is taken up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec

from troth import limits
from troth.api.export_columns import Column, ExportFormat, ExportKind, columns_of
from troth.api.export_filter import ExportFilter, Problems, read_filter
from troth.api.problems import ProblemError
from troth.core.coercion import escape
from troth.core.program import Program

Compression = Literal["none", "gzip"]
Formulas = Literal["neutralise", "keep"]


class ExportBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An export to be made."""

    kind: ExportKind
    format: ExportFormat = "csv"
    filter: ExportFilter = ExportFilter()
    compression: Compression = "none"  # Parquet is compressed inside
    formulas: Formulas = "neutralise"  # CSV: a text that a spreadsheet would compute gets an apostrophe in front
    columns: tuple[str, ...] | None = None  # names, in their order; null: all
    personal: bool = False  # personal properties and attributes, ip and user_agent too: the key needs customers:read


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An export as its job keeps it."""

    kind: ExportKind
    format: ExportFormat
    filter: ExportFilter
    compression: Compression
    formulas: Formulas
    columns: tuple[Column, ...]
    personal: bool
    until: datetime  # events and postings recorded before
    keep_days: int


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the server adds to what is asked."""

    keep_days: int
    margin_seconds: int  # how far back from now events are read

    def until(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self.margin_seconds)


def read_asked(document: object, program: Program, terms: Terms, now: datetime) -> Asked:
    """Raises ProblemError with everything that is wrong."""
    problems = Problems()
    if not isinstance(document, dict):
        raise ProblemError(422, "not_an_object", 'An export is asked for as {"kind": "events", …}.')
    fields = msgspec.structs.fields(ExportBody)
    for name in document.keys() - {field.name for field in fields}:
        problems.add(f"/{escape(str(name))}", "unknown_field", f"An export has no field '{name}'.")
    kind = problems.one_of(document, "kind", get_args(ExportKind), None)
    export_format = problems.one_of(document, "format", get_args(ExportFormat), "csv")
    compression = problems.one_of(document, "compression", get_args(Compression), "none")
    formulas = problems.one_of(document, "formulas", get_args(Formulas), "neutralise")
    personal = document.get("personal", False)
    if not isinstance(personal, bool):
        problems.add("/personal", "type", "'personal' is true or false.")
    if export_format == "parquet" and compression == "gzip":
        detail = "Parquet is compressed inside; leave 'compression' out."
        problems.add("/compression", "not_with_parquet", detail)
    filters = read_filter(document.get("filter"), kind, problems)
    if not problems.found:
        named = program.event_types.get(filters.type) if filters.type is not None else None
        there_are = columns_of(kind, export_format, named, personal=personal)  # type: ignore[arg-type]
        columns = _choose(document.get("columns"), there_are, problems)
    problems.tell()
    return Asked(
        kind=kind,  # type: ignore[arg-type]
        format=export_format,  # type: ignore[arg-type]
        filter=filters,
        compression=compression,  # type: ignore[arg-type]
        formulas=formulas,  # type: ignore[arg-type]
        columns=columns,
        personal=personal,
        until=terms.until(now),
        keep_days=terms.keep_days,
    )


def _choose(given: object, there_are: tuple[Column, ...], problems: Problems) -> tuple[Column, ...]:
    """The columns in the order asked for."""
    if given is None:
        return there_are
    if not isinstance(given, list) or not given:
        problems.add("/columns", "type", "'columns' is a list of names.")
        return ()
    if len(given) > limits.EXPORT_COLUMNS:
        problems.add("/columns", "too_many_columns", f"An export has at most {limits.EXPORT_COLUMNS} columns.")
        return ()
    by_name = {column.name: column for column in there_are}
    for place, name in enumerate(given):
        if not isinstance(name, str) or name not in by_name:
            detail = f"There is no such column here; there are: {', '.join(by_name)}."
            problems.add(f"/columns/{place}", "unknown_column", detail)
        elif name in given[:place]:
            problems.add(f"/columns/{place}", "duplicate", f"'{name}' is named twice.")
    return tuple(by_name[name] for name in given if isinstance(name, str) and name in by_name)
