"""Lists: pages of bounded size with an opaque cursor that names the last item shown, never a count.

In: ?limit= and ?cursor=. Out: {"items": […], "next": cursor or null}. A page stays right while rows are added.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from troth import limits
from troth.api.problems import ProblemError, invalid
from troth.core.coercion import parse_moment

T = TypeVar("T")
Limit = Annotated[
    int, QueryParameter(ge=1, le=limits.PAGE_ITEMS_MAX, description=f"Items of a page, 1 to {limits.PAGE_ITEMS_MAX}.")
]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before.")]


class Identified(Protocol):
    @property
    def id(self) -> UUID: ...


def page_size(limit: int) -> int:
    """A checked `?limit=`. Raises ProblemError."""
    if not 1 <= limit <= limits.PAGE_ITEMS_MAX:
        raise invalid("/query/limit", "invalid_parameter", f"A page has 1 to {limits.PAGE_ITEMS_MAX} items.")
    return limit


def show_cursor(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """What `show_cursor` hid. Raises ProblemError."""
    try:
        return plain_text(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode(), "cursor")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise bad_cursor() from None


def read_place(cursor: str, kind: type[T]) -> T:
    """The place that `show_place` hid, of the type it had. Raises ProblemError."""
    try:
        return msgspec.json.decode(read_cursor(cursor), type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise bad_cursor() from None


def show_place(place: object) -> str:
    """A place in a list as a cursor."""
    return show_cursor(msgspec.json.encode(place).decode())


def cut(found: Sequence[T], size: int) -> tuple[Sequence[T], T | None]:
    """A page of `size`, and its last item when more follow. In: what was found, asked for with one more than `size`."""
    return (found[:size], found[size - 1]) if len(found) > size else (found, None)


def following(last: Identified | None) -> str | None:
    """The cursor of the page after this item, in lists by id; None: there is none."""
    return show_place(last.id) if last is not None else None


def bad_cursor() -> ProblemError:
    return invalid("/query/cursor", "invalid_cursor", "This cursor is none of ours.")


def plain_text(text: str, name: str) -> str:
    """A text parameter that PostgreSQL can hold. Raises ProblemError."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise invalid(f"/query/{name}", "invalid_character", "Text may not contain NUL or half a surrogate pair.")
    return text


def moment(text: str | None, name: str) -> datetime | None:
    """A time parameter, in UTC. Raises ProblemError."""
    if text is None:
        return None
    found = parse_moment(text)
    if found is None:
        detail = f"'{name}' is a time with an offset, like 2026-11-20T10:00:00Z (a + in an address is written %2B)."
        raise invalid(f"/query/{name}", "invalid_datetime", detail)
    return found
