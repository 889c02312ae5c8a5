"""CSV → raw events: one row, one event; columns by name or as mapped, cells as text that the schema reads.

In: a file with a header line. Out: rows in the order of the file, each an event or the reason why it is none; the line
travels along. An empty cell is absent. What a list or an object is declared for is read as JSON.
Must never: guess. A row with too few or too many cells, broken quotes or broken UTF-8 is refused alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from troth import limits
from troth.core.coercion import Problem, escape
from troth.entry.csv_records import CsvRecords, encode_cells
from troth.entry.import_file import ImportFile, UnreadableFileError
from troth.entry.import_rows import (
    LEFT_OUT,
    PROPERTY,
    BadValue,
    MappingError,
    Reading,
    Row,
    Structured,
    own_reference,
    targets_of,
    told,
)
from troth.entry.json_text import JsonReader, UnreadableError
from troth.pipeline.outcome import RawEvent

_REJECTED = ("rejected_line", "rejected_code", "rejected_reason", "rejected_reference")
_ABSENT = -1  # the place of a column that the file does not have: an empty cell is added to each row
_NAMES_TOLD = 30  # columns named in a complaint
_DEPTH = limits.NESTING_DEPTH - 2  # below the event and its properties


class CsvRows:
    """The rows of one CSV file. Raises UnreadableFileError when its header does not tell what the columns are."""

    ending = "csv"

    def __init__(self, file: ImportFile, reading: Reading) -> None:
        self._file = file
        self._reading = reading
        self._json = JsonReader()
        self._records = CsvRecords(file.content, file.name, reading.delimiter, reading.quote)
        self._names = self._read_header()
        self._begins = len(_REJECTED) if tuple(self._names[: len(_REJECTED)]) == _REJECTED else 0
        self._lay_out(self._targets())

    def read(self, structured: Structured, *, first: int = 0) -> Iterator[Row]:
        in_json = {type_id: sorted(names.intersection(self._properties)) for type_id, names in structured.items()}
        self._in_json = {type_id: names for type_id, names in in_json.items() if names}
        records, width, begins = self._records, len(self._names), self._begins
        for number, (line, cells) in enumerate(records, 1):
            if number <= first:
                continue
            if isinstance(cells, Problem):
                yield Row(line, records.size, records.text, None, (cells,))
            elif len(cells) != width:
                detail = f"the row has {len(cells) - begins} cells, the header {width - begins}"
                yield Row(line, records.size, cells, None, (Problem("", "ragged_row", detail),))
            elif records.is_broken:
                problem = Problem("", "invalid_utf8", "the row holds bytes that are not UTF-8")
                yield Row(line, records.size, cells, None, (problem,))
            else:
                yield self._row(line, cells, number)

    def rejected_head(self) -> bytes:
        return self._encode((*_REJECTED, *self._names[self._begins :]))

    def rejected_row(self, row: Row, problems: Sequence[Problem]) -> bytes:
        """Line and reasons before the original cells; a row that could not be parted stands in one cell."""
        assert not isinstance(row.original, bytes)
        cells = (row.original,) if isinstance(row.original, str) else row.original[self._begins :]
        return self._encode((str(row.line), *told(problems), own_reference(row), *cells))

    def as_sent(self, row: Row) -> str | dict[str, str]:
        assert not isinstance(row.original, bytes)
        if isinstance(row.original, str):
            return row.original
        if len(row.original) == len(self._names):
            return dict(zip(self._names[self._begins :], row.original[self._begins :], strict=True))
        return self._encode(row.original[self._begins :]).decode("utf-8", "surrogateescape").removesuffix("\n")

    def _encode(self, cells: Sequence[str]) -> bytes:
        return encode_cells(cells, self._reading.delimiter, self._reading.quote)

    # The header

    def _read_header(self) -> list[str]:
        _, names = next(iter(self._records), (0, Problem("", "empty", "the file is empty; it has no header")))
        if isinstance(names, Problem):
            raise UnreadableFileError(f"{self._file.name}: {names.detail}.")
        if "\0" in self._records.text:
            raise UnreadableFileError(f"{self._file.name} is no text; events are imported from CSV or NDJSON in UTF-8.")
        names = [name.strip() for name in names]
        if "" in names:
            raise UnreadableFileError(f"{self._file.name}: column {names.index('') + 1} of the header has no name.")
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        if twice:
            raise UnreadableFileError(f"{self._file.name}: two columns of the header are called '{_show(twice[0])}'.")
        return names

    def _targets(self) -> list[str]:
        names = [_show(name) for name in self._names]
        try:
            targets = targets_of(names[self._begins :], self._reading)
        except MappingError as error:
            raise UnreadableFileError(f"{self._file.name}: {error}.") from None
        missing = "customer" if "customer" not in targets else "type"
        if missing in targets or (missing == "type" and self._reading.type):
            return [LEFT_OUT] * self._begins + targets
        raise UnreadableFileError(f"{self._file.name}: {self._explain_missing(missing, names)}")

    def _explain_missing(self, field: str, names: list[str]) -> str:
        if len(names) == 1 and (other := re.search(r"[;\t|,]", names[0])):
            return f"the header has one column; say what parts columns (--delimiter {other[0]!r}, or `delimiter`)."
        constant = ", or give all rows one (--type TYPE, or `type`)" if field == "type" else ""
        told_names = ", ".join(names[:_NAMES_TOLD]) + (", …" if len(names) > _NAMES_TOLD else "")
        mapped = f"map one to it (--map COLUMN={field}, or `mapping`){constant}"
        return f"no column is called '{field}'; {mapped}. There are: {told_names}."

    def _lay_out(self, targets: list[str]) -> None:
        """Which cell holds what."""
        places = {target: place for place, target in enumerate(targets)}
        self._customer = places["customer"]
        self._type = places.get("type", _ABSENT)
        self._reference = places.get("reference", _ABSENT)
        self._occurred_at = places.get("occurred_at", _ABSENT)
        self._whole = places.get("properties", _ABSENT)
        parts = [(name.removeprefix(PROPERTY), place) for name, place in places.items() if name.startswith(PROPERTY)]
        self._properties = [name for name, _ in parts]
        self._pick = _picker([place for _, place in parts])

    # Rows

    def _row(self, line: int, cells: list[str], number: int) -> Row:
        size = self._records.size
        try:
            return Row(line, size, cells, self._event([*cells, ""], number))
        except BadValue as bad:
            return Row(line, size, cells, None, bad.problems)

    def _event(self, cells: list[str], number: int) -> RawEvent:
        properties: dict[str, object] = {
            name: cell for name, cell in zip(self._properties, self._pick(cells), strict=True) if cell
        }
        type_id = cells[self._type] or self._reading.type
        for name in self._in_json.get(type_id or "", ()):
            if name in properties:
                properties[name] = self._structure(name, str(properties[name]))
        if cells[self._whole]:
            properties |= self._whole_properties(cells[self._whole], properties)
        return self._reading.event(
            number,
            customer=cells[self._customer] or None,
            type_id=type_id,
            reference=cells[self._reference] or self._given_reference(cells, number),
            occurred_at=cells[self._occurred_at] or None,
            properties=properties,
        )

    def _given_reference(self, cells: list[str], number: int) -> str:
        """What a mended row was given when it was rejected, else its place in this very file."""
        return (cells[self._begins - 1] if self._begins else "") or f"file:{self._file.digest}:{number}"

    def _whole_properties(self, cell: str, others: dict[str, object]) -> dict[str, object]:
        """A `properties` column holds a JSON object; other columns add to it."""
        value = self._value(cell, "/properties")
        if not isinstance(value, dict):
            raise BadValue(Problem("/properties", "type", "the cell must hold a JSON object"))
        twice = value.keys() & others.keys()
        if twice:
            detail = f"'{min(twice)}' stands in 'properties' and in a column of its own"
            raise BadValue(Problem("/properties", "duplicate_key", detail))
        return value

    def _structure(self, name: str, cell: str) -> object:
        """A list or an object is JSON; tags of a customer may stand there as people write them."""
        if self._reading.is_of_customers and name == "tags" and not cell.lstrip().startswith("["):
            return [tag for part in re.split(r"[|;,]", cell) if (tag := part.strip())]
        return self._value(cell, f"/properties/{escape(name)}")

    def _value(self, cell: str, pointer: str) -> object:
        try:
            document = self._json.read(cell.encode(), depth=_DEPTH)
        except UnreadableError as error:
            raise BadValue(Problem(pointer, error.code, f"the cell must hold JSON: {error.detail}")) from None
        if document.flaws:
            raise BadValue(*(Problem(pointer + flaw.pointer, flaw.code, flaw.detail) for flaw in document.flaws))
        return document.value


def _picker(places: list[int]) -> Callable[[list[str]], tuple[str, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda cells: tuple(cells[place] for place in places)


def _show(name: str) -> str:
    """A header may hold broken bytes; messages may not."""
    return name.encode("utf-8", "replace").decode()
