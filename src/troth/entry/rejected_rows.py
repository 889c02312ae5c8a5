"""The file on this machine that rejected rows are written to, so that they can be mended and imported again.

Made when the first row is rejected; rows hold what people told a company, so only its owner may read the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self


class RejectedRows:
    """Use as a context manager; `write` takes what an import has added to its own file of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes written
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, content: bytes) -> None:
        if self._file is None:
            self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._file.write(content)
        self._file.flush()
        self.size += len(content)
