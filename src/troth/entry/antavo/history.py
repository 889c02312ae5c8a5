"""A customer's history as that product lists it: rows, and relative links to the pages beside.

In: the parameters of the request. Out: {"data": […], "prev", "next"}; links name a place in the history, so a page
stays right while events are added, and every page costs the same. `offset` is understood, up to ANTAVO_OFFSET.
Must never: show anything personal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from troth import limits
from troth.api.customers import customer_key
from troth.api.pages import moment
from troth.api.reading import Reading
from troth.core.calendar import wall_clock
from troth.core.program import EventType
from troth.core.rules import RuleBook
from troth.core.sources.antavo import AntavoSettings
from troth.entry.antavo.answers import Actions
from troth.entry.antavo.errors import AntavoError
from troth.store.events import StoredEvent, fetch_events
from troth.store.histories import HistoryFilter, HistoryPlace, history_keys
from troth.store.reads import NEWEST_SEQ

Query = Mapping[str, str]
_LIMIT = 100  # rows of a page unless it says otherwise
_KEPT = ("limit", "order", "action", "action.in", "actions", "points_only", "date.gte", "date.lt", "api_key")
_MOMENT = timedelta(microseconds=1)


class HistoryProperty(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    label: str
    value: object  # declared numbers as decimal text


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded event."""

    id: str
    action: str
    label: str
    points: int
    timestamp: str  # of occurred_at, UTC
    properties: tuple[HistoryProperty, ...]
    expdate: str | None  # the last day on which the first of its points can be used


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    data: tuple[HistoryRow, ...]
    prev: str | None  # relative
    next: str | None


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    narrowed: HistoryFilter
    is_ascending: bool
    place: HistoryPlace
    size: int


async def history(reading: Reading, settings: AntavoSettings, customer: str, query: Query) -> HistoryAnswer:
    """One page. Raises AntavoError, and ProblemError 404."""
    page, book = read_page(query, settings), await reading.live_book()
    async with reading.database.pool.acquire() as connection:
        key = await customer_key(connection, customer)
        found = await history_keys(connection, key, page.narrowed, page.place, size=page.size + 1)
        shown = found[: page.size]
        stored = await fetch_events(connection, reading.vault, [event_id for event_id, _ in shown])
    if page.place.is_upward != page.is_ascending:  # a page before another, read backwards
        shown = shown[::-1]
    actions = Actions(settings)
    before, after = _links(customer, query, page, (shown, len(found) > page.size))
    rows = tuple(_row(stored[event_id], book, actions) for event_id, _ in shown if event_id in stored)
    return HistoryAnswer(data=rows, prev=before, next=after)


def read_page(query: Query, settings: AntavoSettings) -> _Page:
    """What the parameters ask for. Raises AntavoError."""
    is_ascending = query.get("order", "desc") == "asc"
    if query.get("order", "desc") not in ("asc", "desc"):
        raise _bad("order", "asc or desc")
    after, before = _number(query, "after", NEWEST_SEQ), _number(query, "before", NEWEST_SEQ)
    if after is not None or before is not None:
        place = HistoryPlace(seq=after if after is not None else before or 0, is_upward=after is not None)
    else:
        offset = _number(query, "offset", limits.ANTAVO_OFFSET) or 0
        place = HistoryPlace(seq=0 if is_ascending else NEWEST_SEQ, is_upward=is_ascending, offset=offset)
    size = _number(query, "limit", limits.PAGE_ITEMS_MAX)
    if size == 0:
        raise _bad("limit", f"1 to {limits.PAGE_ITEMS_MAX}")
    return _Page(
        narrowed=_narrowed(query, settings),
        is_ascending=is_ascending,
        place=place,
        size=_LIMIT if size is None else size,
    )


def _narrowed(query: Query, settings: AntavoSettings) -> HistoryFilter:
    actions = Actions(settings)
    named = ",".join(query[name] for name in ("action", "action.in", "actions") if query.get(name))
    if "\0" in named:
        raise _bad("action", "names of actions")
    types = tuple(actions.types_of(settings, name) for name in named.split(",")) if named else None
    return HistoryFilter(
        types=types,
        points_only=query.get("points_only", "").lower() in ("1", "true"),
        occurred_from=_date(query, "date.gte"),
        occurred_to=_date(query, "date.lt"),
    )


def _links(
    customer: str, query: Query, page: _Page, found: tuple[Sequence[tuple[UUID, int]], bool]
) -> tuple[str | None, str | None]:
    """The pages before and after this one, in its order."""
    shown, has_more = found
    is_first = page.place.seq in (0, NEWEST_SEQ) and not page.place.offset
    is_backward = page.place.is_upward != page.is_ascending
    beyond = page.place.seq + (1 if page.place.is_upward else -1)  # an empty page lies beside its place
    first, last = (shown[0][1], shown[-1][1]) if shown else (beyond, beyond)
    toward_next, toward_prev = ("after", "before") if page.is_ascending else ("before", "after")
    has_prev = has_more if is_backward else not is_first
    has_next = bool(shown) if is_backward else has_more
    kept = {name: query[name] for name in _KEPT if name in query}

    def link(name: str, seq: int) -> str:
        return f"/customers/{quote(customer, safe='')}/events?{urlencode({**kept, name: str(seq)})}"

    return link(toward_prev, first) if has_prev else None, link(toward_next, last) if has_next else None


def _row(stored: StoredEvent, book: RuleBook, actions: Actions) -> HistoryRow:
    record = stored.record
    event_type = book.program.event_types.get(record.type)
    occurred_at = datetime.fromisoformat(record.occurred_at)
    return HistoryRow(
        id=record.id,
        action=actions.of(record.type),
        label=event_type.label if event_type is not None else record.type,
        points=record.points,
        timestamp=f"{occurred_at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z",
        properties=tuple(
            HistoryProperty(name=name, label=_label(event_type, name), value=stored.properties[name])
            for name in _in_order(event_type, stored.properties)
        ),
        expdate=_last_day(stored, book),
    )


def _in_order(event_type: EventType | None, properties: Mapping[str, object]) -> list[str]:
    """As the type declares them, then the others."""
    declared = [field.name for field in event_type.properties] if event_type is not None else []
    return [name for name in dict.fromkeys([*declared, *properties]) if name in properties]


def _label(event_type: EventType | None, name: str) -> str:
    known = next((field.label for field in event_type.properties if field.name == name), "") if event_type else ""
    return known or name.replace("_", " ").capitalize()


def _last_day(stored: StoredEvent, book: RuleBook) -> str | None:
    ends = [posting.expires_at for posting in stored.postings if posting.expires_at is not None]
    return wall_clock(min(ends) - _MOMENT, book.zone).date().isoformat() if ends else None


def _number(query: Query, name: str, most: int) -> int | None:
    text = query.get(name)
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or int(text) > most:
        raise _bad(name, f"a whole number up to {most}")
    return int(text)


def _date(query: Query, name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    return moment(f"{text}T00:00:00Z" if len(text) == len("2026-11-20") else text, name)


def _bad(name: str, expected: str) -> AntavoError:
    return AntavoError(400, 0, f"invalid_parameter at /query/{name}: expected {expected}")
