"""Parquet: rows → row groups of bounded size, compressed with zstd, through a stream that keeps what was written.

Points are int64, moments UTC microseconds, declared numbers decimals with their places; money whose places differ from
row to row is decimal text, and what has no fixed form is JSON text. Imported only by exports that need it: pyarrow
takes time and memory.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from troth import limits
from troth.api.export_columns import Column
from troth.exporting.pages import Row
from troth.exporting.property_columns import DIGITS_MAX
from troth.exporting.text_formats import encode_json

if TYPE_CHECKING:
    from decimal import Decimal

_OVERHEAD = 40  # characters that a row weighs beside its texts


class Outlet(io.RawIOBase):
    """A stream that is only written to; `take` gives what was written since."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, part: object) -> int:
        before = len(self._held)
        self._held += memoryview(part)  # type: ignore[arg-type]
        return len(self._held) - before

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


class ParquetFormat:
    """A file is written from its start to its end: what names the row groups comes last."""

    is_resumable = False

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._schema = pa.schema([pa.field(column.name, _type(column)) for column in columns])
        self._outlet = Outlet()
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[Row] = []
        self._characters = 0

    def begin(self) -> bytes:
        self._writer = pq.ParquetWriter(self._outlet, self._schema, compression="zstd")
        return self._outlet.take()

    def write(self, rows: Sequence[Row]) -> bytes:
        for row in rows:
            found = {column.name: _value(row.get(column.name), column) for column in self._columns}
            self._rows.append(found)
            self._characters += _OVERHEAD + sum(len(value) for value in found.values() if isinstance(value, str))
            is_full = len(self._rows) >= limits.EXPORT_GROUP_ROWS
            if is_full or self._characters >= limits.EXPORT_GROUP_CHARACTERS:
                self._write_group()
        return self._outlet.take()

    def end(self) -> bytes:
        assert self._writer is not None, "begun"
        if self._rows:
            self._write_group()
        self._writer.close()
        return self._outlet.take()

    def _write_group(self) -> None:
        assert self._writer is not None, "begun"
        arrays = [pa.array([row[field.name] for row in self._rows], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows, self._characters = [], 0


def _type(column: Column) -> pa.DataType:
    match column.kind:
        case "text" | "json":
            return pa.string()
        case "integer":
            return pa.int64()
        case "boolean":
            return pa.bool_()
        case "date":
            return pa.date32()
        case "time":
            return pa.timestamp("us", tz="UTC")
        case "decimal":
            return pa.string() if column.places is None else pa.decimal128(DIGITS_MAX, column.places)


def _value(value: object, column: Column) -> object:
    if value is None:
        return None
    if column.kind == "json":
        return encode_json(value).decode()
    if column.kind == "decimal" and column.places is None:
        number: Decimal = value  # type: ignore[assignment]
        return f"{number:f}"
    return value
