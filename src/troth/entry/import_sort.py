"""Rows by customer and time, whatever their order in the file; in constant memory.

In: rows in the order of the file. Out: the same rows, each customer's together, the earliest first; rows that are no
event come first. Runs are sorted in memory and merged from temporary files,
which have no name and end with the process.
"""

from __future__ import annotations

import heapq
import pickle
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import IO

from troth import limits
from troth.core.coercion import parse_moment
from troth.entry.import_rows import Row

_LAST = datetime.max.replace(tzinfo=UTC)  # rows without a time happen when they are recorded
Key = tuple[str, datetime, int]  # customer, when, place in the file
Keyed = tuple[Key, int, Row]  # the number of the record, which names its event


class SortStopped(Exception):
    """Told to stop while the rows were still being read."""


class SortedRows:
    """Iterates once. `total` is known from the first row on."""

    def __init__(self, rows: Iterator[Row], should_stop: Callable[[], bool]) -> None:
        self.total = 0
        self.given = 0
        self._rows = rows
        self._should_stop = should_stop
        self._runs: list[IO[bytes]] = []

    def __iter__(self) -> Iterator[Row]:
        """Raises SortStopped, and what reading the file raises."""
        try:
            rest = self._sort_runs()
            for _, _, row in heapq.merge(*(_read(run) for run in self._runs), rest, key=lambda keyed: keyed[0]):
                self.given += 1
                yield row
        finally:
            for run in self._runs:
                run.close()

    def _sort_runs(self) -> list[Keyed]:
        """Every row read: full runs in files, the last one in memory."""
        run: list[Keyed] = []
        room = limits.IMPORT_SORT_CHARACTERS
        for row in self._rows:
            self.total += 1
            run.append((_key(row, self.total), self.total, row))
            room -= row.size + _ROW_OVERHEAD
            if room < 0:
                if self._should_stop():
                    raise SortStopped
                self._put_away(run)
                run, room = [], limits.IMPORT_SORT_CHARACTERS
        run.sort(key=lambda keyed: keyed[0])
        return run

    def _put_away(self, run: list[Keyed]) -> None:
        run.sort(key=lambda keyed: keyed[0])
        file = tempfile.TemporaryFile()  # noqa: SIM115
        for keyed in run:
            pickle.dump(keyed, file, pickle.HIGHEST_PROTOCOL)
        file.seek(0)
        self._runs.append(file)


_ROW_OVERHEAD = 500  # of an event in memory, beside its characters


def _key(row: Row, place: int) -> Key:
    event = row.event
    if event is None:
        return "", _LAST, place
    return str(event.customer), parse_moment(event.occurred_at) or _LAST, place


def _read(file: IO[bytes]) -> Iterator[Keyed]:
    while True:
        try:
            yield pickle.load(file)  # noqa: S301, what this process has just written
        except EOFError:
            return
