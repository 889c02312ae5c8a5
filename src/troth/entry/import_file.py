"""The bytes of a file to import: unpacked on the way, read once from the start to the end in constant memory.

In: a path, or a file of the store. Out: the unpacked bytes as a stream, in UTF-8 whatever they were written in; how far
it was read; the SHA-256 of all of them when asked. What cannot be a file of events raises UnreadableFileError, whose
text says what to do. It blocks: beside a running loop it is read in a thread.
"""

from __future__ import annotations

import asyncio
import codecs
import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from troth.store.files import FileStore, StoredFile

_BUFFER_BYTES = 1 << 18
_RECODED_CHARACTERS = 1 << 16
_GZIP = b"\x1f\x8b"
_FOREIGN = {  # first bytes → what it is
    b"PK\x03\x04": "a ZIP or Excel file; save it as CSV in UTF-8, or unpack it",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it, or pack it with gzip",
    b"BZh": "packed with bzip2; unpack it, or pack it with gzip",
    b"\xfd7zXZ": "packed with xz; unpack it, or pack it with gzip",
    b"PAR1": "a Parquet file; save it as CSV or as one JSON object per line",
}
_READING_FAULTS = (OSError, EOFError, zlib.error)


class UnreadableFileError(Exception):
    """The file, or the rest of it, cannot be read; the text says why and what to do."""


class Source(Protocol):
    """Where the bytes of a file are."""

    @property
    def name(self) -> str:
        """As messages call it."""
        ...

    def size(self) -> int:
        """Bytes. Raises OSError."""
        ...

    def open(self) -> io.RawIOBase:
        """The bytes from the start. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A regular file of this machine."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def size(self) -> int:
        return self.path.stat().st_size

    def open(self) -> io.RawIOBase:
        if not stat.S_ISREG(self.path.stat().st_mode):  # opening a pipe would wait for its other end
            raise OSError("it is not a regular file")
        return self.path.open("rb", buffering=0)


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A complete file of the store, read in a thread while `loop` runs in another."""

    store: FileStore
    file: StoredFile
    loop: asyncio.AbstractEventLoop

    @property
    def name(self) -> str:
        return self.file.name

    def size(self) -> int:
        return self.file.size or 0

    def open(self) -> io.RawIOBase:
        return _StoredBytes(self)


class ImportFile:
    """A file opened for one pass. Use as a context manager."""

    def __init__(self, source: Path | Source, encoding: str = "utf-8") -> None:
        self.source = LocalSource(source) if isinstance(source, Path) else source
        self.name = self.source.name
        try:
            self.size = self.source.size()  # bytes, as packed
            self._packed = _buffered(self.source.open())
        except OSError as error:
            raise UnreadableFileError(f"{self.name} cannot be read: {error.strerror or error}.") from None
        with translated(self.name):
            self._bytes = _unpack(self._packed)
            head = self._bytes.peek(8)[:8]
        told = next((told for magic, told in _FOREIGN.items() if head.startswith(magic)), None)
        if told is not None:
            raise UnreadableFileError(f"{self.name} is {told}.")
        self.content = self._bytes if is_utf8(encoding) else _recode(self._bytes, encoding)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.content.close()
        self._bytes.close()
        self._packed.close()

    @property
    def head(self) -> bytes:
        """How it begins, unpacked but as it was written. To be asked before it is read."""
        with translated(self.name):
            return self._bytes.peek(_BUFFER_BYTES)

    @property
    def position(self) -> int:
        """How many bytes of the file, as packed, were read."""
        return self.size if self._packed.closed else self._packed.tell()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the unpacked content, in hexadecimal. Reads the whole file once more."""
        with (
            translated(self.name),
            _buffered(self.source.open()) as packed,
            _unpack(packed) as content,
        ):
            return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Faults of reading and unpacking as UnreadableFileError."""
    try:
        yield
    except _READING_FAULTS as error:
        raise UnreadableFileError(f"{name} is damaged or cut short ({error}); fetch or pack it again.") from None


def is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def _unpack(packed: BufferedReader) -> BufferedReader:
    """Gzip is known by its first bytes, whatever the file is called."""
    if not packed.peek(2).startswith(_GZIP):
        return packed
    return BufferedReader(gzip.GzipFile(fileobj=packed), _BUFFER_BYTES)


def _recode(content: BufferedReader, encoding: str) -> BufferedReader:
    return _buffered(_Recoded(content, encoding))


def _buffered(raw: io.RawIOBase) -> BufferedReader:
    return BufferedReader(raw, _BUFFER_BYTES)


class _Recoded(io.RawIOBase):
    """Text of another encoding as UTF-8. Bytes that are none of it stay what they were, and so are none of UTF-8."""

    def __init__(self, content: BufferedReader, encoding: str) -> None:
        self._content = content
        self._decode = codecs.getincrementaldecoder(encoding)(errors="surrogateescape").decode
        self._rest = b""
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._rest and not self._is_over:
            part = self._content.read1(_RECODED_CHARACTERS)
            self._is_over = not part
            try:
                text = self._decode(part, final=self._is_over)
            except UnicodeError as error:
                raise OSError(f"it is not what its encoding says: {error.__class__.__name__}") from None
            self._rest = text.encode("utf-8", "surrogateescape")
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


class _StoredBytes(io.RawIOBase):
    """A file of the store as a raw stream, a piece at a time."""

    def __init__(self, source: StoredSource) -> None:
        self._source = source
        self._place = 0
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._source.size()}[whence]
        self._place, self._piece = start + offset, memoryview(b"")
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not self._piece:
            source = self._source
            reading = asyncio.run_coroutine_threadsafe(source.store.piece(source.file, self._place), source.loop)
            self._piece = memoryview(reading.result())
        size = min(len(view), len(self._piece))
        view[:size], self._piece = self._piece[:size], self._piece[size:]
        self._place += size
        return size
