"""Judging without a database: a program document and raw properties → decisions, as the core makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from troth.core.coercion import Problem, Reading, read_fields
from troth.core.decide import Decision, Judged, decide
from troth.core.event import Event
from troth.core.ids import uuid7
from troth.core.program import Program, Property
from troth.core.program.document import validate_document
from troth.core.rules import RuleBook, compile_rules
from troth.core.state import CustomerState, Lot

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday
AMOUNT = {"amount": {"type": "number", "places": "2", "required": True}, "category": {"type": "text"}}
Document = Mapping[str, object]


def document(*rules: Document, **sections: object) -> dict[str, object]:
    """A program with the event type `purchase` and these rules; any section may be given whole."""
    whole: dict[str, object] = {
        "settings": {"name": "Test"},
        "wallets": [{"id": "points"}],
        "event_types": [{"id": "purchase", "properties": AMOUNT}, {"id": "signup", "once": True}],
        "rules": list(rules),
    }
    return {**whole, **sections}


def rule(award: str, **fields: object) -> Document:
    """A rule on `purchase`; its id is `base` unless given."""
    return {"id": "base", "event_type": "purchase", "award": award, **fields}


def tiers(**thresholds: tuple[str, str]) -> Document:
    """Lifetime tiers: level=(threshold, multiplier)."""
    levels = [{"id": name, "from": least, "multiplier": factor} for name, (least, factor) in thresholds.items()]
    return {"basis": {"wallet": "points", "window": "lifetime"}, "levels": levels}


def program_of(source: Document, revision: int = 1) -> Program:
    validated = validate_document(source, revision=revision)
    assert validated.program is not None, validated.problems
    return validated.program


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    assert found.tzinfo is not None, text
    return found.astimezone(UTC)


@dataclass
class Judge:
    """One customer of one program; every event is judged after the one before it."""

    book: RuleBook
    state: CustomerState
    open_lots: list[Lot] = field(default_factory=list)
    serial: int = 0

    def send(
        self, type_id: str = "purchase", now: datetime = NOON, at: datetime | None = None, **raw: object
    ) -> Judged:
        """Record an event received at `now`, occurred `at`; what fell due until then is applied first."""
        decision = self.decide(type_id, now, at, raw)
        assert decision.judged is not None, decision.refusal
        return decision.judged

    def decide(self, type_id: str, now: datetime, at: datetime | None, raw: Mapping[str, object]) -> Decision:
        self.serial += 1
        event = self._event(type_id, now, at or now, raw)
        decision = decide(self._at(now), event, self.book, now)
        closed = {(lot.event_id, lot.n) for lot in decision.closed}
        earned = [lot for judged in decision.recorded for lot in judged.lots if lot.remaining]
        self.open_lots = [lot for lot in self.open_lots if (lot.event_id, lot.n) not in closed] + earned
        self.state = decision.state
        return decision

    def _at(self, now: datetime) -> CustomerState:
        """The state as storage gives it: with every open lot that is past its date."""
        dated = [(lot.expires_at, lot) for lot in self.open_lots if lot.expires_at is not None]
        due = tuple(lot for ends, lot in sorted(dated, key=lambda pair: pair[0]) if ends <= now)
        later = min((ends for ends, _ in dated if ends > now), default=None)
        return msgspec.structs.replace(self.state, due_lots=due, due_at=later)

    def _event(self, type_id: str, now: datetime, at: datetime, raw: Mapping[str, object]) -> Event:
        event_type = self.book.program.event_types[type_id]
        found, problems = read(event_type.properties, raw, self.book.zone)
        assert not problems, problems
        return Event(
            id=event_id(now, self.serial),
            type=event_type,
            occurred_at=at,
            recorded_at=now,
            values=tuple(value for _, value in found),
            properties="{}",
        )

    @property
    def balance(self) -> int:
        return self.state.wallet("points").balance


def judge_of(source: Document) -> Judge:
    """A customer first recorded long ago, without any event."""
    return Judge(book=compile_rules(program_of(source)), state=CustomerState(created_at=moment("2020-01-01T00:00Z")))


def event_id(now: datetime, serial: int) -> UUID:
    return uuid7(int(now.timestamp() * 1000), 7, serial << 20)


def read(
    fields: tuple[Property, ...], raw: Mapping[str, object], zone: ZoneInfo | None = None
) -> tuple[list[tuple[object, object]], list[Problem]]:
    """(stored, value) per field, and every problem."""
    reading = Reading(zone or ZoneInfo("UTC"), [])
    return read_fields(fields, raw, "/properties", reading), reading.problems
