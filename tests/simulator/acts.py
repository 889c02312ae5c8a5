"""What happens in a simulated story, as plain values: events in batches, the clock, publications, crashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Act:
    """One event as a sender sends it."""

    customer: str | None  # None: the event names none
    type: str
    reference: str | None = None
    occurred_at: datetime | None = None  # None: now
    properties: Mapping[str, object] = field(default_factory=dict)
    of: str | None = None  # the reference of the reservation or redemption that a command names
    is_command: bool = False
    wrong: str | None = None  # the code it must be refused with, whatever else is true


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Events of one call."""

    acts: tuple[Act, ...]
    is_crash: bool = False  # the engine is ended while it runs; then all is sent again


@dataclass(frozen=True, kw_only=True)
class Clock:
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Publish:
    """The next program of the story's list is live from now on."""

    number: int


@dataclass(frozen=True, kw_only=True)
class Settle:
    """The worker looks after whoever has something due."""


Step = Batch | Clock | Publish | Settle
Story = tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an event must be answered with. All but the code only where it is recorded."""

    code: str  # applied, duplicate, payload_mismatch, or why it is refused
    points: int | None = None
    outcome: str | None = None
    wallets: Mapping[str, Mapping[str, int]] | None = None
    tier: str | None = None
    seq: int | None = None
    awards: Mapping[str, int] | None = None  # by rule; None: not told (orders that exist)
