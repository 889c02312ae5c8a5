"""What is said over links."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from troth.config import Config
from troth.pipeline.outcome import Brief, Conflict, Duplicate, RawEvent, Rejected
from troth.pipeline.queues import BatchStatistics

Role = Literal["jobs", "recorder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first message to a new process: what it is there for, and where its database is."""

    role: Role
    config: Config
    dsn: str = field(repr=False)  # of the serving role; may hold a password


@dataclass(frozen=True, slots=True)
class GiveWay:
    """Live events come: batches of imports stay small for a while."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events to record, in their order."""

    number: int
    events: list[RawEvent]


Told = Brief | Duplicate | Conflict | Rejected  # an outcome; of a new event its brief


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a chunk, and what the lanes did since the last message."""

    number: int
    outcomes: list[Told]
    done: BatchStatistics


@dataclass(frozen=True, slots=True)
class Failed:
    """A chunk that was not taken in, or of which not all is known to be recorded."""

    number: int
    problem: str  # no value of an event is in it
    is_overload: bool  # another try may cure it


@dataclass(frozen=True, slots=True)
class Done:
    """What the lanes of a process did since its last message."""

    done: BatchStatistics
