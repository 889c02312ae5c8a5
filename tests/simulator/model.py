"""The model: every event judged by plain Python from the text of semantics.md, one customer at a time.

In: acts, and the clock. Out: the answer each must be given, and the books as they are then. It keeps everything, shares
nothing with the engine, and is as slow as it is obvious.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from tests.simulator.acts import Act, Answer
from tests.simulator.days import local_day
from tests.simulator.model_books import AFTER, BEFORE, Books, Customer, Refused, Shared
from tests.simulator.model_direct import DIRECT
from tests.simulator.model_due import (
    CALENDAR,
    DECISION,
    EXPIRY,
    RELEASE,
    REVIEW,
    TIMEOUT,
    DueThing,
    lots_to_expire,
    lots_to_release,
    next_due,
)
from tests.simulator.model_events import Effect, Told, by_profile, by_rules, change_tier, record
from tests.simulator.model_facts import read
from tests.simulator.model_family import decide, is_known_content, order_name, tell_order, wait
from tests.simulator.model_orders import fold
from tests.simulator.model_program import ModelProgram


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Whose it is, what it was sent with, and how it was answered."""

    customer: str
    type: str
    properties: Mapping[str, object]
    answer: Answer


@dataclass(kw_only=True)
class Model:
    program: ModelProgram
    now: datetime
    customers: dict[str, Customer] = field(default_factory=dict)
    references: dict[str, Reference] = field(default_factory=dict)
    shared: Shared = field(default_factory=Shared)
    judged: int = 0

    def judge(self, act: Act) -> Answer:
        """What the event must be answered with; it is recorded unless it is refused."""
        if act.wrong is not None:  # its reference is its own
            return Answer(code=act.wrong)
        self.judged += 1
        told = Told(
            type=act.type,
            occurred_at=act.occurred_at or self.now,
            is_dated=act.occurred_at is not None,
            reference=act.reference or f"(own {self.judged})",
            properties=read(act.properties),
            of=act.of or "",
        )
        name = order_name(self.program, told)
        customer = act.customer or self.shared.owners.get(name or "")
        known = self.references.get(told.reference)
        if known is not None:
            return _again(known, customer, told)
        if customer is None:
            return Answer(code="unknown_order")
        if self.shared.owners.get(name or "", customer) != customer:
            return Answer(code="not_your_order")
        if name is not None and told.type in self.program.opening_types and name in self.shared.owners:
            order = self.customers[customer].orders[name]
            if is_known_content(order, told):
                self.apply_due(customer)
                return self._duplicate_of_opening(order.reference, told)
        return self._judge_new(customer, told, name)

    def _duplicate_of_opening(self, opening: str, told: Told) -> Answer:
        known = self.references[opening]
        self.references[told.reference] = known
        return replace(known.answer, code="duplicate")

    def _judge_new(self, name: str, told: Told, order: str | None) -> Answer:
        books = self.books(name)
        self.apply_due(name)
        if told.type in self._once() and books.customer.counts.get(told.type):
            return Answer(code="not_repeatable")
        waits = order is not None and order not in self.shared.owners and told.type not in self.program.opening_types
        try:
            effects = record(books, told, _waiting(order) if waits and order else self._effect(told, order))
        except Refused as refusal:
            return Answer(code=str(refusal))
        self.customers[name] = books.customer
        if order is not None and not waits:
            self.shared.owners[order] = name
        answer = Answer(
            code="applied",
            points=effects.points,
            outcome="waiting_for_order" if waits else "applied",
            wallets=self.shown(name),
            tier=books.customer.tier,
            seq=effects.seq,
            awards=effects.awards,
        )
        self.references[told.reference] = Reference(
            customer=name, type=told.type, properties={**told.properties, "of": told.of}, answer=answer
        )
        return answer

    def _once(self) -> set[str]:
        return {str(known["id"]) for known in self.program.listed("event_types") if known.get("once")}

    def _effect(self, told: Told, order: str | None) -> Effect:
        if order is not None:
            return tell_order
        return by_profile if told.type == "profile" else DIRECT.get(told.type, by_rules)

    def books(self, name: str) -> Books:
        """The customer's books as of now; a new customer is in none of the lists yet."""
        customer = self.customers.get(name)
        if customer is None:
            customer = Customer(name=name, created_at=self.now, tier=self.program.level_at(0))
        return Books(customer=customer, program=self.program, shared=self.shared, now=self.now)

    def shown(self, name: str) -> dict[str, dict[str, int]]:
        """Every wallet as an answer shows it."""
        books = self.books(name)
        return {
            wallet: {
                "balance": books.balance(wallet),
                "lifetime": books.lifetime(wallet),
                "pending": books.wallet(wallet)["pending"],
                "reserved": books.wallet(wallet)["reserved"],
            }
            for wallet in self.program.wallets
        }

    # Due work

    def settle(self) -> None:
        for name in self.customers:
            self.apply_due(name)

    def apply_due(self, name: str) -> None:
        """Everything that fell due up to now, in order of due time, each as of its own moment."""
        if name not in self.customers:
            return
        while (due := next_due(self.books(name), self.now)) is not None:
            books = replace(self.books(name), now=due.at, step=AFTER if due.kind in (REVIEW, CALENDAR) else BEFORE)
            self._apply(books, due)

    def _apply(self, books: Books, due: DueThing) -> None:
        match due.kind:
            case kind if kind in (RELEASE, EXPIRY):
                _lots_due(books, due)
            case kind if kind == DECISION:
                _decision_due(books, due)
            case kind if kind == TIMEOUT:
                told = Told(type="reservation_released", occurred_at=due.at, of=due.name, is_system=True)
                record(books, told, DIRECT["reservation_released"])
            case kind if kind == REVIEW:
                change_tier(books, -1, due.at)
            case _:
                _calendar_due(books, due)


def _again(known: Reference, customer: str | None, told: Told) -> Answer:
    if customer not in (None, known.customer) or told.type != known.type:
        return Answer(code="reference_conflict")
    is_same = {**told.properties, "of": told.of} == known.properties
    return replace(known.answer, code="duplicate" if is_same else "payload_mismatch")


def _waiting(order: str) -> Effect:
    def effect(books: Books, told: Told) -> None:
        wait(books, told, order)

    return effect


def _lots_due(books: Books, due: DueThing) -> None:
    is_release = due.kind == RELEASE
    lots = lots_to_release(books, due) if is_release else lots_to_expire(books, due)
    points = sum(lot.pending if is_release else lot.remaining for lot in lots)

    def effect(books: Books, told: Told) -> Mapping[str, int]:
        for lot in lots:
            if is_release:
                order = books.customer.orders.get(lot.order or "")
                books.release(lot, None if order is None else order.accepted_at)
            else:
                books.expire_if_past(lot)
        return by_rules(books, told)

    properties = {"wallet": due.name, "points": points}
    event_type = "points_released" if is_release else "points_expired"
    told = Told(type=event_type, occurred_at=due.at, properties=properties, is_system=True)
    record(books, told, effect)


def _decision_due(books: Books, due: DueThing) -> None:
    order = books.customer.orders[due.name]
    event_type = decide(books, order)

    def effect(books: Books, _: Told) -> None:
        fold(books, order, opens=False)

    record(books, Told(type=event_type, occurred_at=due.at, is_system=True), effect)


def _calendar_due(books: Books, due: DueThing) -> None:
    customer = books.customer
    properties: dict[str, object] = {}
    match due.name:
        case "birthday":
            customer.birthdays.add(due.years)
        case "anniversary":
            customer.anniversaries.add(due.years)
            assert customer.joined is not None
            properties["years"] = due.years - customer.joined.year
        case _:
            assert customer.last_activity is not None
            customer.silence_told = local_day(books.program.zone, customer.last_activity)
            properties["days"] = due.years
    record(books, Told(type=due.name, occurred_at=due.at, properties=properties, is_system=True), by_rules)
