"""What goes into the pipeline and what comes out: a raw event in, one of a closed set of outcomes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from troth.core.coercion import Problem
from troth.core.explain import ExplainedRule
from troth.core.record import RecordedEvent

__all__ = ["Applied", "Conflict", "Duplicate", "Outcome", "Overloaded", "Previewed", "Problem", "RawEvent", "Rejected"]


class RawEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event as a door read it. Values are raw JSON (numbers int or Decimal), so that problems can name them."""

    customer: object = None
    type: object = None
    reference: object = None
    occurred_at: object = None
    properties: object = msgspec.field(default_factory=dict)
    source: str = "api"
    source_detail: str | None = None
    actor: str | None = None  # back-office user
    ip: str | None = None
    user_agent: str | None = None
    is_signed: bool = False
    is_client: bool = False  # sent with a publishable key: only `client_allowed` types
    is_command: bool = False  # written by an endpoint for direct effects: may be a command type
    is_trusted: bool = False  # from whoever holds the data: no signature is demanded
    is_historical: bool = False  # of the past: nobody outside is told, no workflow starts
    may_earn: bool = True  # False, of history: it was paid elsewhere, no rule is asked
    mark: int | None = None  # in its id, so that it is known again (core.ids.mark_of)
    scopes: frozenset[str] | None = None  # of the sender; None: everything is allowed
    extra: Mapping[str, object] = {}  # unknown fields beside the known ones, each a problem


class Brief(msgspec.Struct, frozen=True, gc=False):
    """What is counted of a recorded event; as in its record."""

    customer: str | None
    occurred_at: str
    points: int


class Applied:
    """Recorded now. The record is made when it is first asked for: of most of an import's it never is."""

    __slots__ = ("_make", "_record", "brief")

    def __init__(self, brief: Brief, make: Callable[[], RecordedEvent]) -> None:
        self.brief = brief
        self._make = make
        self._record: RecordedEvent | None = None

    @property
    def record(self) -> RecordedEvent:
        if self._record is None:
            self._record = self._make()
        return self._record

    @classmethod
    def of(cls, record: RecordedEvent) -> Applied:
        return Applied(brief_of(record), lambda: record)


class Previewed(Applied):
    """What would be recorded, and why."""

    __slots__ = ("rules",)

    def __init__(self, record: RecordedEvent, rules: tuple[ExplainedRule, ...]) -> None:
        super().__init__(brief_of(record), lambda: record)
        self.rules = rules


def brief_of(record: RecordedEvent) -> Brief:
    return Brief(record.customer, record.occurred_at, record.points)


class Duplicate(msgspec.Struct, frozen=True, gc=False):
    """Its reference was recorded before; the record is the first one's."""

    record: RecordedEvent
    payload_mismatch: bool = False


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """Its reference, or its order, belongs to another event. Nothing was stored."""

    problem: Problem


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """Nothing was stored; every problem is listed, at least one."""

    problems: tuple[Problem, ...]


Outcome = Applied | Duplicate | Conflict | Rejected


class Overloaded(Exception):
    """The events were not taken in; the text says why. Send them again after `retry_seconds`."""

    def __init__(self, reason: str, retry_seconds: int = 1) -> None:
        super().__init__(f"{reason}. Nothing was stored; send it again later.")
        self.retry_seconds = retry_seconds


class Unreachable(Overloaded):
    """The database was lost for too long. What was sent may be stored or not; its reference makes a resend safe."""

    def __init__(self) -> None:
        text = "The database cannot be reached. Send it again later with the same reference: it will not count twice."
        Exception.__init__(self, text)
        self.retry_seconds = 5
