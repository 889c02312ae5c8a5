"""The records of a CSV file: where each begins, its cells, and its text as it was written.

In: a stream of bytes in UTF-8. Out: records one after another in constant memory; what cannot be parted into cells says
why, and the record after it is read again. Bytes that are not UTF-8 are kept as `surrogateescape` keeps them.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader

from troth import limits
from troth.core.coercion import Problem
from troth.entry.import_file import UnreadableFileError

_BROKEN = re.compile("[\udc80-\udcff]")
_TOO_LONG = f"a row has at most {limits.IMPORT_ROW_CHARACTERS} characters; is a closing quote missing?"

Record = tuple[int, list[str] | Problem]  # the line it begins on, its cells or why there are none


class RecordTooLong(Exception):
    """One record goes on beyond IMPORT_ROW_CHARACTERS."""


class CsvRecords:
    """The records of one stream, from 1; empty lines are none."""

    def __init__(self, content: BufferedReader, name: str, delimiter: str, quote: str = '"') -> None:
        self._name = name
        csv.field_size_limit(limits.IMPORT_ROW_CHARACTERS)
        text = io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._lines = _Lines(text)
        self._reader = csv.reader(self._lines, delimiter=delimiter, quotechar=quote, strict=True)

    def __iter__(self) -> Iterator[Record]:
        """Raises UnreadableFileError where the file breaks off."""
        lines, advance = self._lines, self._reader.__next__
        while True:
            lines.begin()
            line = lines.number + 1
            try:
                cells: list[str] | Problem = advance()
            except StopIteration:
                return
            except csv.Error as error:
                cells = Problem("", "unreadable_row", f"the quotes of this row do not fit: {error}")
            except RecordTooLong:
                cells = Problem("", "too_long", _TOO_LONG)
            except (OSError, EOFError, zlib.error) as error:
                raise UnreadableFileError(f"{self._name} breaks off at line {line} ({error}).") from None
            if cells:
                yield line, cells

    @property
    def text(self) -> str:
        """The record that was read last, without its line end."""
        return "".join(self._lines.parts).rstrip("\r\n")

    @property
    def size(self) -> int:
        """Characters of the record that was read last."""
        return sum(map(len, self._lines.parts))

    @property
    def is_broken(self) -> bool:
        """Whether the record that was read last holds bytes that are not UTF-8."""
        parts = self._lines.parts
        return not all(map(str.isascii, parts)) and any(map(_BROKEN.search, parts))


class _Lines:
    """The physical lines that the csv reader asks for; keeps those of the record it is in."""

    __slots__ = ("_readline", "_room", "number", "parts")

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._readline = text.readline
        self.number = 0  # lines read
        self.begin()

    def begin(self) -> None:
        """A record ends here; the next line begins another."""
        self.parts: list[str] = []
        self._room = limits.IMPORT_ROW_CHARACTERS

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._readline(self._room + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.parts.append(line)
        self._room -= len(line)
        if self._room < 0:
            self._pass_over(line)
            raise RecordTooLong
        return line

    def _pass_over(self, line: str) -> None:
        """The rest of a line that is too long."""
        while line and not line.endswith(("\n", "\r")):
            line = self._readline(limits.IMPORT_ROW_CHARACTERS)


def encode_cells(cells: Sequence[str], delimiter: str, quote: str = '"') -> bytes:
    """One record as bytes; broken ones become again what they were."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quotechar=quote, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "surrogateescape")
