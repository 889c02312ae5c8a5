"""Bodies of the Antavo-compatible door: JSON or forms with bracket paths → the fields of each event.

Must never: dispatch on the content type alone; JSON labelled as a form is JSON.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from troth.api.problems import ErrorItem
from troth.entry.antavo.mapping import Fields
from troth.entry.bulk import Unread, read_items
from troth.entry.events import object_of, rejected, unreadable
from troth.entry.forms import read_form
from troth.entry.json_text import JsonReader, UnreadableError

__all__ = ["ActionBody", "ActionsBody", "Unread", "read_bulk", "read_event"]

Headers = Mapping[bytes, bytes]
_reader = JsonReader()


class ActionBody(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's action."""

    customer: str
    action: str
    data: Mapping[str, object] | None = None
    account: str | None = None  # the wallet that the answer shows, and that point_add and point_sub change


class ActionsBody(msgspec.Struct, frozen=True, kw_only=True):
    """Up to 1,000 of them."""

    events: tuple[ActionBody, ...]


def read_event(body: bytes, headers: Headers) -> Fields:
    """The fields of a single event. Raises ProblemError."""
    try:
        return object_of(read_form(body, _reader) if _is_form(body, headers) else _reader.read(body))
    except UnreadableError as error:
        raise unreadable(error) from None


def read_bulk(body: bytes, headers: Headers) -> list[Fields | Unread]:
    """The fields of each event; one that cannot be read spoils no other. Raises ProblemError for the whole."""
    if not _is_form(body, headers):
        return read_items(body, {}, _reader)
    try:
        document = read_form(body, _reader)
    except UnreadableError as error:
        raise unreadable(error) from None
    events = object_of(document).get("events")
    if not isinstance(events, list):
        raise rejected([ErrorItem(pointer="/events", code="missing", detail="A bulk has a list 'events'.")])
    return [_member(event) for event in events]


def _member(event: object) -> Fields | Unread:
    if isinstance(event, Mapping):
        return event
    detail = "An event is an object."
    return Unread(rejected([ErrorItem(pointer="", code="not_an_object", detail=detail)]), str(event))


def _is_form(body: bytes, headers: Headers) -> bool:
    is_labelled = headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded")
    return is_labelled and not body.lstrip().startswith(b"{")
