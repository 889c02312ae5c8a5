"""Judging without a database: a program document and raw properties → decisions, as the core makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from troth.core.account import Account
from troth.core.coercion import Problem, Reading, read_fields
from troth.core.decide import Decision, decide
from troth.core.due import apply_due
from troth.core.event import Event
from troth.core.ids import order_key, show_id, uuid7
from troth.core.judging import Judged
from troth.core.order_state import Order
from troth.core.program import EventType, Program, Property
from troth.core.program.builtin_types import ORDER_FAMILY_TYPES, PROFILE_TYPE
from troth.core.program.document import validate_document
from troth.core.rules import RuleBook, Shelf, compile_rules
from troth.core.state import CalendarState, CustomerState, Lot, Posting

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
AMOUNT = {"amount": {"type": "number", "places": "2", "required": True}, "category": {"type": "text"}}
LINE = {
    "line_id": {"type": "text"},
    "product_id": {"type": "text"},
    "quantity": {"type": "number", "places": "3"},
    "price": {"type": "number", "places": "2"},
}
SALE = {
    "id": "sale",
    "properties": {
        "order_id": {"type": "text"},
        "amount": {"type": "number", "places": "2", "required": True},
        "items": {"type": "list", "of": LINE},
        "burned": {"type": "number", "places": "0", "min": "0"},
        "updated_at": {"type": "datetime"},
        "auto_accept": {"type": "boolean"},
    },
    "order": {
        "id": "order_id",
        "amount": "amount",
        "items": "items",
        "line": "line_id",
        "quantity": "quantity",
        "price": "price",
        "burned": "burned",
        "updated_at": "updated_at",
        "auto_accept": "auto_accept",
    },
}
Document = Mapping[str, object]


def hour(number: int) -> datetime:
    """So many hours after noon: events of a story that follow each other."""
    return NOON + timedelta(hours=number)


def document(*rules: Document, **sections: object) -> dict[str, object]:
    """A program with the event type `purchase` and these rules; any section may be given whole."""
    whole: dict[str, object] = {
        "settings": {"name": "Test"},
        "wallets": [{"id": "points"}],
        "event_types": [{"id": "purchase", "properties": AMOUNT}, {"id": "signup", "once": True}, SALE],
        "rules": list(rules),
    }
    return {**whole, **sections}


def rule(award: str, **fields: object) -> Document:
    """A rule on `purchase`; its id is `base` unless given."""
    return {"id": "base", "event_type": "purchase", "award": award, **fields}


def sale_rule(award: str, **fields: object) -> Document:
    """A rule on `sale`, which opens orders; its id is `base` unless given."""
    return rule(award, event_type="sale", **fields)


def tiers(**thresholds: tuple[str, str]) -> Document:
    """Lifetime tiers: level=(threshold, multiplier)."""
    levels = [{"id": name, "from": least, "multiplier": factor} for name, (least, factor) in thresholds.items()]
    return {"basis": {"wallet": "points", "window": "lifetime"}, "levels": levels}


def program_of(source: Document, revision: int = 1) -> Program:
    validated = validate_document(source, revision=revision)
    assert validated.program is not None, validated.problems
    return validated.program


def book_of(source: Document, revision: int = 1) -> RuleBook:
    return compile_rules(program_of(source, revision))


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    assert found.tzinfo is not None, text
    return found.astimezone(UTC)


@dataclass
class Judge:
    """One customer of one program; every event is judged after the one before it."""

    shelf: Shelf
    state: CustomerState
    serial: int = 0

    def send(
        self, type_id: str = "purchase", now: datetime = NOON, at: datetime | None = None, **raw: object
    ) -> Judged:
        """Record an event received at `now`, occurred `at`; what fell due until then is applied first."""
        decision = self.decide(type_id, now, at, raw)
        assert decision.judged is not None, decision.refusal or decision.duplicate_of
        return decision.judged

    def refuse(
        self, type_id: str = "purchase", now: datetime = NOON, at: datetime | None = None, **raw: object
    ) -> Problem:
        """Why an event is refused. Nothing of it may have happened."""
        decision = self.decide(type_id, now, at, raw)
        assert decision.judged is None
        assert decision.refusal is not None, decision
        return decision.refusal

    def decide(self, type_id: str, now: datetime, at: datetime | None, raw: Mapping[str, object]) -> Decision:
        decision = decide(self.state, self.event(type_id, now, at or now, raw), self.shelf)
        self.state = decision.state
        return decision

    def settle(self, now: datetime, most: int | None = None) -> tuple[Judged, ...]:
        """Apply what falls due until `now`, as the worker does. Out: what is written."""
        self.serial += 1
        due, self.state = apply_due(self.state, now, self.shelf, event_id(now, self.serial), most=most)
        return due

    def event(self, type_id: str, now: datetime, at: datetime, raw: Mapping[str, object]) -> Event:
        """The event as validation makes it. An order event that names no order belongs to `o1`."""
        self.serial += 1
        event_type = self.book.program.event_types[type_id]
        found, problems = read(event_type.properties, raw, self.book.zone)
        assert not problems, problems
        pairs = list(zip(event_type.properties, found, strict=True))
        kept = {field.name: stored for field, (stored, _) in pairs if stored is not None and not field.pii}
        born = {field.name: value for field, (_, value) in pairs}.get("birth_date", msgspec.UNSET)
        is_birth_told = type_id == PROFILE_TYPE and "birth_date" in raw
        return Event(
            id=event_id(now, self.serial),
            type=event_type,
            occurred_at=at,
            recorded_at=now,
            judged_at=now,
            values=tuple(None if field.pii else value for field, (_, value) in pairs),
            properties=msgspec.json.encode(kept).decode(),
            birth_date=born if is_birth_told else msgspec.UNSET,  # type: ignore[arg-type]
            order_key=order_key(_order_id(event_type, raw)) if _is_of_order(event_type) else None,
        )

    # Reading

    @property
    def book(self) -> RuleBook:
        return self.shelf.live

    @property
    def balance(self) -> int:
        return self.state.wallet("points").balance

    @property
    def open_lots(self) -> list[Lot]:
        return [lot for lot in self.state.lots.values() if lot.remaining]

    def order(self, order_id: str = "o1") -> Order:
        opening = self.state.order_ids[order_key(order_id)]
        assert opening is not None
        return Account(self.state, self.event("opt_in", NOON, NOON, {}), self.shelf).order(opening)

    def lot(self, judged: Judged, n: int = 0) -> Lot:
        """A lot that this event earned, as it is now."""
        return self.state.lots[judged.event.id, n]

    def in_states(self, wallet: str = "points") -> dict[str, int]:
        """The wallet's states that are not zero."""
        found = msgspec.structs.asdict(self.state.wallet(wallet))
        return {name: points for name, points in found.items() if points and name not in {"program", "qualifying"}}


def judge_of(source: Document, **state: object) -> Judge:
    """A customer first recorded long ago, without any event; no anniversary is to be told for a hundred years."""
    calendar = CalendarState(joined_at=LONG_AGO, opted_in=True, anniversary=100)
    known: dict[str, object] = {"created_at": LONG_AGO, "is_whole": True, "calendar": calendar, **state}
    return Judge(shelf=Shelf(book_of(source), {}), state=CustomerState(**known))  # type: ignore[arg-type]


def _is_of_order(event_type: EventType) -> bool:
    return event_type.order is not None or event_type.id in ORDER_FAMILY_TYPES


def _order_id(event_type: EventType, raw: Mapping[str, object]) -> str:
    name = event_type.order.id if event_type.order is not None else None
    return str(raw.get(name or "order_id", raw.get("order_id", "o1")))


def event_id(now: datetime, serial: int) -> UUID:
    return uuid7(int(now.timestamp() * 1000), 7, serial << 20)


def named(kind: str, judged: Judged) -> str:
    """What later events name a reservation (`res`) or a redemption (`rdm`) by."""
    return show_id(kind, judged.event.id)  # type: ignore[arg-type]


def moves(postings: Iterable[Posting]) -> list[str]:
    """Movements in one notation: `100 program→available award`, or with the rule `100 program→available base`."""
    return [f"{found.points} {found.from_state}→{found.to_state} {found.rule or found.reason}" for found in postings]


def read(
    fields: tuple[Property, ...], raw: Mapping[str, object], zone: ZoneInfo | None = None
) -> tuple[list[tuple[object, object]], list[Problem]]:
    """(stored, value) per field, and every problem."""
    reading = Reading(zone or ZoneInfo("UTC"), [])
    return read_fields(fields, raw, "/properties", reading), reading.problems


def earned_by(judged: Judged) -> list[Lot]:
    """The lots that this very event made, as it left them."""
    return [lot for lot in judged.after.lots.values() if lot.event_id == judged.event.id]
