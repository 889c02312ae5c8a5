"""Ids of what a process records, made once: they survive every further try of their batch.

In: the present moment and random bits of the operating system. Out: UUIDv7 in the order in which they were made, also
within a millisecond (RFC 9562 §6.2, method 2), so that of one bucket's rows the later one has the greater id.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as StoredUUID  # noqa: N811 - a uuid.UUID, made and hashed in C

from troth.core.ids import MARK_BITS, RANDOM_BITS, SERIAL_BITS, uuid7_number

_NO_BUCKET = 0  # of rows that belong to no customer

_DRAWN = 256  # numbers drawn at a time
_SET_BACK_MILLISECONDS = 10_000  # a clock that goes back by more is believed
_STEP_BITS = 32  # how far an id may be from the last one of its millisecond
_FIRST_BITS = RANDOM_BITS - 1  # of the first one: half of the numbers are left for those that follow
_MARK_END = SERIAL_BITS + MARK_BITS


class _Ids:
    def __init__(self) -> None:
        self._drawn: Iterator[int] = iter(())
        self._millisecond = 0
        self._number = 0

    def make(self, bucket: int, mark: int | None = None) -> UUID:
        now = time.time_ns() // 1_000_000
        if not 0 <= self._millisecond - now <= _SET_BACK_MILLISECONDS:
            self._begin(now)
        else:  # the same millisecond, or a clock that was put right
            self._number += (1 + (self._random() & (1 << _STEP_BITS) - 1)) << SERIAL_BITS
        if mark is not None:
            self._number = (self._number >> _MARK_END) + 1 << _MARK_END | mark << SERIAL_BITS
        if self._number >> RANDOM_BITS:
            self._begin(self._millisecond + 1)
            return self.make(bucket, mark)
        return StoredUUID(uuid7_number(self._millisecond, bucket, self._number).to_bytes(16))

    def _begin(self, millisecond: int) -> None:
        self._millisecond = millisecond
        self._number = self._random() & (1 << _FIRST_BITS) - 1

    def _random(self) -> int:
        bits = next(self._drawn, None)
        if bits is not None:
            return bits
        size = (RANDOM_BITS + 7) // 8
        drawn = os.urandom(size * _DRAWN)
        self._drawn = iter([int.from_bytes(drawn[at : at + size]) for at in range(0, len(drawn), size)])
        return next(self._drawn)


_ids = _Ids()


def new_id(bucket: int = _NO_BUCKET, mark: int | None = None) -> UUID:
    """The next id, in a customer's bucket or none's. `mark`: MARK_BITS bits to tell it by again (`ids.mark_of`)."""
    return _ids.make(bucket, mark)
