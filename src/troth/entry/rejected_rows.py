"""The file that rejected rows are written to, so that they can be mended and imported again.

Made when the first row is rejected; rows hold what people told a company, so only its owner may read the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from troth.core.coercion import Problem
from troth.entry.import_rows import Row, Rows


class RejectedRows:
    """Use as a context manager; `add` is an import's `reject`."""

    def __init__(self, path: Path, rows: Rows) -> None:
        self.path = path
        self._rows = rows
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: Row, problems: Sequence[Problem]) -> None:
        if self._file is None:
            self._file = self._make()
        self._file.write(self._rows.rejected_row(row, problems))

    def _make(self) -> BinaryIO:
        file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        file.write(self._rows.rejected_head())
        return file
