"""CSV and NDJSON: rows → bytes, exact to the last digit, a page at a time and without memory of the page before.

Numbers are never floats: points are integers, money and declared numbers decimal text, moments RFC 3339 in UTC.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from troth.api.export_columns import Column
from troth.core.calendar import show_time
from troth.exporting.pages import Row

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what spreadsheets compute, or what leads to such a character
encode_json = msgspec.json.Encoder(decimal_format="number").encode


class CsvFormat:
    """RFC 4180 in UTF-8, with a header. Texts that a spreadsheet would compute get an apostrophe in front.

    Cells of other kinds hold what we write ourselves: a negative number stays a number.
    """

    is_resumable = True

    def __init__(self, columns: Sequence[Column], *, formulas: Literal["neutralise", "keep"]) -> None:
        self._names = [column.name for column in columns]
        self._guarded = [column.kind == "text" and formulas == "neutralise" for column in columns]
        self._is_guarding = formulas == "neutralise"

    def begin(self) -> bytes:
        return _csv([[_harmless(name) if self._is_guarding else name for name in self._names]])

    def write(self, rows: Sequence[Row]) -> bytes:
        return _csv([self._cells(row) for row in rows])

    def end(self) -> bytes:
        return b""

    def _cells(self, row: Row) -> list[str]:
        cells = [_cell(row.get(name)) for name in self._names]
        return [_harmless(cell) if is_text else cell for cell, is_text in zip(cells, self._guarded, strict=True)]


class NdjsonFormat:
    """One JSON object per line."""

    is_resumable = True

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def begin(self) -> bytes:
        return b""

    def write(self, rows: Sequence[Row]) -> bytes:
        return b"".join(encode_json(self._object(row)) + b"\n" for row in rows)

    def end(self) -> bytes:
        return b""

    def _object(self, row: Row) -> dict[str, object]:
        return {column.name: _member(row.get(column.name), column) for column in self._columns}


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            return show_time(value)
        case date():
            return value.isoformat()
        case _:
            return encode_json(value).decode()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _member(value: object, column: Column) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return show_time(value)
    if column.kind == "json" and value is None:
        return {} if column.name == "properties" else None
    return value
