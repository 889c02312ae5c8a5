"""The bytes of a file to import: unpacked on the way, read once from the start to the end in constant memory.

In: a path. Out: the unpacked bytes as a stream, how far it was read, and the SHA-256 of all of them when asked.
What cannot be a file of events raises UnreadableFileError, whose text says what to do.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self

_BUFFER_BYTES = 1 << 18
_GZIP = b"\x1f\x8b"
_FOREIGN = {  # first bytes → what it is
    b"PK\x03\x04": "a ZIP or Excel file; save it as CSV in UTF-8, or unpack it",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it, or pack it with gzip",
    b"BZh": "packed with bzip2; unpack it, or pack it with gzip",
    b"\xfd7zXZ": "packed with xz; unpack it, or pack it with gzip",
    b"PAR1": "a Parquet file; save it as CSV or as one JSON object per line",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}
_READING_FAULTS = (OSError, EOFError, zlib.error)


class UnreadableFileError(Exception):
    """The file, or the rest of it, cannot be read; the text says why and what to do."""


class ImportFile:
    """A file opened for one pass. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._packed = _open(path)
        except OSError as error:
            raise UnreadableFileError(f"{path} cannot be read: {error.strerror or error}.") from None
        self.size = os.fstat(self._packed.fileno()).st_size  # bytes, as packed
        with translated(path):
            self.content = _unpack(self._packed)
            head = self.content.peek(8)[:8]
        self.head = head
        told = next((told for magic, told in _FOREIGN.items() if head.startswith(magic)), None)
        if told is not None:
            raise UnreadableFileError(f"{path} is {told}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.content.close()
        self._packed.close()

    @property
    def position(self) -> int:
        """How many bytes of the file, as packed, were read."""
        return self.size if self._packed.closed else self._packed.tell()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the unpacked content, in hexadecimal. Reads the whole file once more."""
        with translated(self.path), _open(self.path) as packed, _unpack(packed) as content:
            return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Faults of reading and unpacking as UnreadableFileError."""
    try:
        yield
    except _READING_FAULTS as error:
        raise UnreadableFileError(f"{path} is damaged or cut short ({error}); fetch or pack it again.") from None


def _open(path: Path) -> BufferedReader:
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its other end
        raise OSError("it is not a regular file")
    return BufferedReader(path.open("rb", buffering=0), _BUFFER_BYTES)


def _unpack(packed: BufferedReader) -> BufferedReader:
    """Gzip is known by its first bytes, whatever the file is called."""
    if not packed.peek(2).startswith(_GZIP):
        return packed
    return BufferedReader(gzip.GzipFile(fileobj=packed), _BUFFER_BYTES)
