"""What a story has drawn so far, and the small draws that all acts share."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulator.acts import Act
from tests.simulator.programs import Kit

CUSTOMERS = ("anna", "berta", "carla", "dora", "emil")


@dataclass(kw_only=True)
class DrawnOrder:
    """An order that events may name; whether it was opened is another matter."""

    id: str
    customer: str
    at: datetime  # its opening event's occurred_at, if it is opened
    properties: dict[str, object]
    is_opened: bool = False
    refunds: int = 0


@dataclass(kw_only=True)
class Drawing:
    kit: Kit
    dice: random.Random
    now: datetime
    count: int = 0
    sent: list[Act] = field(default_factory=list)
    orders: list[DrawnOrder] = field(default_factory=list)
    reservations: list[tuple[str, str]] = field(default_factory=list)  # customer, reference
    redemptions: list[tuple[str, str]] = field(default_factory=list)

    def reference(self) -> str:
        self.count += 1
        return f"r{self.count}"

    def customer(self) -> str:
        return self.dice.choice(CUSTOMERS)

    def often(self, chance: float) -> bool:
        return self.dice.random() < chance

    def past(self) -> datetime | None:
        """When an event occurred: mostly now, often lately, seldom long ago."""
        kind = self.dice.random()
        if kind < 0.35:
            return None
        longest = 60 if kind < 0.6 else 86_400 * 3 if kind < 0.95 else 86_400 * 300
        return self.now - timedelta(milliseconds=self.dice.randrange(1, longest * 1_000))

    def instant(self) -> datetime:
        """Now, but at another millisecond than before."""
        self.count += 1
        return self.now - timedelta(milliseconds=self.count)

    def money(self, most: int = 200) -> str:
        return f"{self.dice.randrange(1, most)}.{self.dice.choice(['00', '00', '50', '99', '01'])}"

    def act(self, customer: str | None, event_type: str, properties: Mapping[str, object], **fields: object) -> Act:
        fields = {"reference": self.reference(), "occurred_at": self.past(), **fields}
        return Act(customer=customer, type=event_type, properties=properties, **fields)  # type: ignore[arg-type]

    def command(self, customer: str, event_type: str, properties: Mapping[str, object], of: str | None = None) -> Act:
        """What an endpoint writes for a caller: it is about now."""
        return Act(
            customer=customer,
            type=event_type,
            reference=self.reference(),
            properties=properties,
            of=of,
            is_command=True,
        )
