"""How far an export is, as its job keeps it and as answers tell it."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where reading goes on: in a bucket, behind the row of this key."""

    bucket: int
    after: tuple[str, ...] = ()  # empty: the bucket begins


class Progress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What of an export is in its file."""

    begun: int = 0  # how often, but for interruptions
    rows: int = 0
    bytes: int = 0
    percent: int = 0
    place: Place | None = None  # None: not begun, or whole
    is_whole: bool = False  # every row is in the file
    size: int | None = None  # of the complete file
    sha256: str | None = None  # hexadecimal
    expires_at: datetime | None = None  # first instant at which the file is gone
