"""Recorded events as reads show them: the answer they got, and everything that was recorded with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from troth.core.calendar import wall_clock
from troth.core.explain import ExplainedRule
from troth.core.record import RecordedEvent
from troth.core.rules import RuleBook
from troth.store.events import StoredEvent


class EventItem(RecordedEvent, frozen=True, kw_only=True):
    """A recorded event. Personal properties, `ip` and `user_agent` are shown to keys with customers:read only."""

    label: str  # of its type
    date: str  # of occurred_at, in the program's time zone
    unix_time: int  # of occurred_at, seconds
    properties: Mapping[str, object]  # declared numbers as decimal text
    source: str
    source_detail: str | None  # file, workflow, key or source name
    actor: str | None  # back-office user
    signed: bool
    parent: str | None  # the event that caused it
    depth: int
    ip: str | None
    user_agent: str | None


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[EventItem, ...]  # newest first
    next: str | None


class ExplanationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every rule of the event's type, under the revision that judged it and with the values it saw then."""

    event: str
    type: str
    revision: int
    inputs: Mapping[str, object]  # what the rules read beyond the event's own properties
    rules: tuple[ExplainedRule, ...]


encode = msgspec.json.Encoder(decimal_format="number").encode


def event_item(stored: StoredEvent, book: RuleBook, *, with_personal: bool) -> EventItem:
    """The event as a list or a single read shows it. `book` is the live one: labels and time zone are today's."""
    record, personal = stored.record, stored.personal
    occurred_at = datetime.fromisoformat(record.occurred_at)
    event_type = book.program.event_types.get(record.type)
    return EventItem(
        **msgspec.structs.asdict(record),
        label=event_type.label if event_type is not None else record.type,
        date=wall_clock(occurred_at, book.zone).date().isoformat(),
        unix_time=int(occurred_at.timestamp()),
        properties={**stored.properties, **personal.properties} if with_personal else stored.properties,
        source=stored.source,
        source_detail=stored.source_detail,
        actor=stored.actor,
        signed=stored.signed,
        parent=stored.parent,
        depth=stored.depth,
        ip=personal.ip if with_personal else None,
        user_agent=personal.user_agent if with_personal else None,
    )
