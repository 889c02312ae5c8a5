"""The rejected rows of an import as rejections, beside its file of them: looked at and replayed at /v1/rejections.

In: rejected rows with their reasons. Out: rows of `rejections`, to be written in the transaction of the checkpoint that
counts them: after a crash none is missing and none is there twice. Only the first IMPORT_REJECTIONS of an import are
kept so; all of them are in its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from troth.core.coercion import Problem
from troth.core.ids import show_id
from troth.entry.import_rows import Row, Rows
from troth.entry.refusals import Origin, Refusal, unsealed_row, whole_text
from troth.store.rejections import RejectionRow

_SOURCE = "import"


class ImportRefusals:
    """Those of one import since its last checkpoint."""

    __slots__ = ("_detail", "_reader", "_waiting")

    def __init__(self, import_id: UUID, reader: Rows) -> None:
        self._detail = show_id("imp", import_id)
        self._reader = reader
        self._waiting: list[RejectionRow] = []

    def keep(self, row: Row, problems: Sequence[Problem]) -> int:
        """Keep a rejected row for the next checkpoint. Out: the bytes it takes."""
        refusal = Refusal(problems=tuple(problems), raw=row.event)
        if row.event is None:
            refusal = _unread(refusal.problems, self._reader.as_sent(row))
        origin = Origin(source=_SOURCE, source_detail=self._detail, line=row.line)
        kept = unsealed_row(refusal, origin)
        self._waiting.append(kept)
        return len(kept.sealed)

    def take(self) -> list[RejectionRow]:
        """What waits for a checkpoint; it is the caller's from now on."""
        taken, self._waiting = self._waiting, []
        return taken

    def give_back(self, rows: list[RejectionRow]) -> None:
        """What could not be written waits for the next checkpoint; written twice, it is there once."""
        self._waiting = [*rows, *self._waiting]


def _unread(problems: tuple[Problem, ...], sent: str | dict[str, str]) -> Refusal:
    """Of a row that is no event: its cells by their columns, or its text."""
    if isinstance(sent, str):
        return Refusal(problems=problems, raw=None, text=whole_text(sent))
    cells = {whole_text(name): whole_text(cell) for name, cell in sent.items()}
    return Refusal(problems=problems, raw=None, payload=cells)
