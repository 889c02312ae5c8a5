"""The facts of an order and what follows from them alone: the newest content, refunds applied, what is left.

In: raw properties of order events. Out: the order as it now stands, with exact numbers. Nothing here knows of points.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from tests.simulator.days import moment
from tests.simulator.model_program import Item, ModelProgram

NUMBERS = {"amount", "burned", "quantity", "price", "subtotal", "points"}
TIMES = {"updated_at", "earned_at", "expires_at", "until"}


def coerce(value: object, name: str = "") -> object:
    """A property as the schema reads it: exact numbers, times, text; what is null is absent."""
    if isinstance(value, Mapping):
        return {key: coerce(item, str(key)) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [coerce(item) for item in value]
    if name in NUMBERS:
        return Fraction(str(value))
    return moment(str(value)) if name in TIMES else value


def read(properties: Mapping[str, object]) -> dict[str, object]:
    found = coerce(properties)
    assert isinstance(found, dict)
    return found


def _canonical(value: object) -> str:
    """JSON with sorted keys, no white space, numbers as the shortest decimal text."""
    if isinstance(value, Mapping):
        inner = ",".join(f"{json.dumps(key)}:{_canonical(value[key])}" for key in sorted(value))
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",".join(_canonical(item) for item in value) + "]"
    if isinstance(value, Fraction):
        whole, thousandths = divmod(int(value * 10_000), 10_000)
        return f"{whole}.{thousandths:04}".rstrip("0").rstrip(".")
    return json.dumps(value, ensure_ascii=False)


def content_hash(properties: Mapping[str, object]) -> str:
    """`properties` as `read` gives them; the stamp is no part of the content."""
    kept = {key: value for key, value in properties.items() if key != "updated_at"}
    return hashlib.sha256(_canonical(kept).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Content:
    properties: Mapping[str, object]
    stamp: datetime
    hash: str


def known_by(reference: str) -> str:
    """The identity of a refund that names none: its reference, hashed as it is kept (semantics.md §5.1)."""
    return "ref:" + hashlib.sha256(b"reference\0" + reference.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Refund:
    identity: str
    occurred_at: datetime
    hash: str
    properties: Mapping[str, object]

    @property
    def points(self) -> int:
        return int(str(self.properties.get("points", 0)))

    @property
    def items(self) -> list[Mapping[str, object]]:
        found = self.properties.get("items") or []
        assert isinstance(found, list)
        return found

    @property
    def amount(self) -> Fraction | None:
        found = self.properties.get("amount")
        assert isinstance(found, Fraction | None)
        return found


@dataclass(frozen=True, kw_only=True)
class WaitingEvent:
    type: str
    reference: str
    occurred_at: datetime
    properties: Mapping[str, object]


@dataclass(kw_only=True)
class ModelOrder:
    """An order: facts first, then what the customer holds of it."""

    id: str
    owner: str
    type: str
    reference: str  # of the opening event
    program: ModelProgram
    opened_at: datetime  # the opening event's occurred_at
    content: Content
    tier_multiplier: Fraction
    customer_values: Mapping[str, object]
    refunds: dict[str, Refund] = field(default_factory=dict)
    accepted_at: datetime | None = None
    decides_at: datetime | None = None
    then: str = "accept"
    is_rejected: bool = False
    is_refunded: bool = False
    rooms: dict[str, list[tuple[int | None, int | None]]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)  # rule → points it was given and still has
    burned: list[tuple[object, int]] = field(default_factory=list)  # (lot, points) in order of taking
    is_paid: bool = False
    forgiven: dict[str, int] = field(default_factory=dict)
    repaid: dict[str, int] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return self.is_rejected or self.is_refunded

    def add_content(self, properties: Mapping[str, object], occurred_at: datetime) -> bool:
        """False when a newer content is known."""
        found = make_content(properties, occurred_at)
        if (found.stamp, found.hash) <= (self.content.stamp, self.content.hash):
            return False
        self.content = found
        return True

    def add_refund(self, reference: str, occurred_at: datetime, properties: Mapping[str, object]) -> None:
        """A refund identity sent again replaces the earlier one when it is newer."""
        identity = str(properties.get("refund_id") or known_by(reference))
        found = Refund(
            identity=identity, occurred_at=occurred_at, hash=content_hash(properties), properties=dict(properties)
        )
        known = self.refunds.get(identity)
        if known is None or (known.occurred_at, known.hash) < (found.occurred_at, found.hash):
            self.refunds[identity] = found

    def accept(self, at: datetime) -> None:
        self.accepted_at = min(self.accepted_at or at, at)
        self.decides_at = None

    def end(self, *, is_rejected: bool) -> None:
        self.is_rejected = self.is_rejected or is_rejected
        self.is_refunded = self.is_refunded or not is_rejected
        self.decides_at = None

    @property
    def burn_target(self) -> int:
        """Burn of the newest content less points that refunds name."""
        if self.is_over:
            return 0
        burned = int(str(self.content.properties.get("burned", 0)))
        return max(0, burned - sum(refund.points for refund in self.refunds.values()))

    @property
    def is_counted(self) -> bool:
        """Whether `customer.orders` counts it."""
        return not self.is_over and not Standing(self).is_gone


def make_content(properties: Mapping[str, object], occurred_at: datetime) -> Content:
    stamp = properties.get("updated_at") or occurred_at
    assert isinstance(stamp, datetime)
    return Content(properties=dict(properties), stamp=stamp, hash=content_hash(properties))


def half_up(number: Fraction, places: int = 2) -> Fraction:
    scaled = number * 10**places
    return Fraction((2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator), 10**places)


class Standing:
    """An order as it now stands: its content with every refund applied, those by items first."""

    def __init__(self, order: ModelOrder) -> None:
        content = order.content.properties
        amount = content["amount"]
        assert isinstance(amount, Fraction)
        self.content = content
        self.gross = amount
        self.before = amount  # before refunds by amount alone
        self.lines: list[Item] = list(content.get("items") or [])  # type: ignore[call-overload]
        self.left = [_number(line, "quantity") for line in self.lines]
        self.is_cut = False
        self._shares = self._split()
        self._returned = [Fraction(0) for _ in self.lines]
        refunds = sorted(order.refunds.values(), key=lambda refund: (refund.occurred_at, refund.identity))
        for refund in refunds:
            if refund.items:
                self._lower(self._return_items(refund))
        self.net = self.before
        for refund in refunds:
            if not refund.items and refund.amount is not None:
                part = min(self.net, refund.amount)
                self.is_cut = self.is_cut or part < refund.amount
                self.net -= part
        self.is_touched = any(refund.items or refund.amount is not None for refund in refunds)
        burned = Fraction(str(content.get("burned", 0)))
        self.is_cut = self.is_cut or sum(refund.points for refund in refunds) > burned

    @property
    def is_gone(self) -> bool:
        """Nothing is left after refunds."""
        return self.is_touched and (self.net == 0 or (bool(self.lines) and not any(self.left)))

    def properties(self, *, sees_before: bool) -> dict[str, object]:
        found = {**self.content, "amount": self.before if sees_before else self.net}
        if self.lines:
            found["items"] = [self._line(place) for place, left in enumerate(self.left) if left]
        return found

    def _line(self, place: int) -> dict[str, object]:
        line, left = self.lines[place], self.left[place]
        found = {**line, "quantity": left}
        if "subtotal" in line:
            found["subtotal"] = half_up(_number(line, "subtotal") * left / _number(line, "quantity"))
        return found

    def _lower(self, amount: Fraction) -> None:
        part = min(self.before, amount)
        self.is_cut = self.is_cut or part < amount
        self.before -= part

    def _split(self) -> list[Fraction]:
        """The gross amount over all lines, half-up; the last one takes the rest."""
        worth = [_number(line, "quantity") * _number(line, "price") for line in self.lines]
        if not sum(worth):
            return [Fraction(0) for _ in worth]
        shares = [half_up(self.gross * part / sum(worth)) for part in worth]
        shares[-1] = self.gross - sum(shares[:-1])
        return shares

    def _return_items(self, refund: Refund) -> Fraction:
        """What the refund pays back: its own amount, else those of its items, else the shares."""
        total = Fraction(0)
        for item in refund.items:
            share = self._return_item(item)
            total += _number(item, "amount") if "amount" in item else share
        return total if refund.amount is None else refund.amount

    def _return_item(self, item: Mapping[str, object]) -> Fraction:
        """Take quantities off the lines of that id, in content order; their shares."""
        wanted = _number(item, "quantity") if "quantity" in item else None
        share = Fraction(0)
        for place, line in enumerate(self.lines):
            if line.get("line") != item.get("line") or not self.left[place] or wanted == 0:
                continue
            quantity = self.left[place] if wanted is None else min(wanted, self.left[place])
            share += self._return_part(place, quantity)
            if wanted is None:
                return share
            wanted -= quantity
        self.is_cut = self.is_cut or wanted is None or wanted > 0
        return share

    def _return_part(self, place: int, quantity: Fraction) -> Fraction:
        self.left[place] -= quantity
        whole = _number(self.lines[place], "quantity")
        so_far = half_up(self._shares[place] * (whole - self.left[place]) / whole)
        part, self._returned[place] = so_far - self._returned[place], so_far
        return part


def _number(item: Mapping[str, object], name: str) -> Fraction:
    found = item.get(name, Fraction(0))
    assert isinstance(found, Fraction), (name, found)
    return found
