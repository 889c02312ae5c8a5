"""An order's content less its refunds: what the rules of the order are evaluated on (semantics.md §5.3, §5.7).

In: the content as ordered and the refunds by identity, in whatever order. Out: the content as it now stands, twice: the
amount after every refund, and before those that name an amount only. Exact: quantities and prices are brought to one
scale, money is rounded to the amount's places at the named steps only. Must never: let an order hold less than
nothing, or depend on the order in which refunds came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from troth import limits
from troth.core.coercion import Reading, as_decimal, read_fields, show_scaled
from troth.core.expression.runtime import half_up
from troth.core.order_state import Fact, RefundItem
from troth.core.program import EventType, OrderMapping, Property

_PLACES = limits.NUMBER_PLACES  # of every quantity and price while they are compared: no declared number has more
_UNIT: int = 10**_PLACES
_WHOLE = (1, 1)
_PRODUCT = "product_id"  # by which a line is found beside the mapped one
_UTC = ZoneInfo("UTC")


class Net(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it now stands. Both properties are in stored form; their items are the items left."""

    properties: Mapping[str, object]  # for rules that do not read the items: the net amount
    properties_whole: Mapping[str, object]  # for rules that do: the amount before refunds that name an amount only
    factor: tuple[int, int]  # net amount, amount before such refunds; (1, 1) when there are none
    is_empty: bool  # nothing is left of it after refunds: it deserves nothing
    cut: frozenset[str]  # identities of refunds that exceed it, in lines, quantity, amount or burned points
    burned: int  # points, less those that refunds name


def net(opening: EventType, content: Fact, refunds: Sequence[Fact]) -> Net:
    """The order of type `opening` with this content, less its refunds (one per identity)."""
    if not refunds:
        return Net(
            properties=content.properties,
            properties_whole=content.properties,
            factor=_WHOLE,
            is_empty=False,
            cut=frozenset(),
            burned=max(_burned(opening, content.properties), 0),
        )
    standing = _Standing(opening, content.properties)
    for refund in sorted(refunds, key=_turn):
        standing.apply(refund)
    return standing.as_net()


def _turn(refund: Fact) -> tuple[bool, object, str, str]:
    """Those with items come first; then by time, identity, hash."""
    return (not refund.items, refund.occurred_at, refund.identity, refund.hash)


def lowered_fields(opening: EventType) -> tuple[Property, ...]:
    """The properties of `opening` as an order with refunds is read: what they lower may be below its minimum."""
    mapping = _mapping(opening)
    return tuple(
        replace(field, of=_lowered(field.of, (mapping.quantity, mapping.subtotal))) if field.name == mapping.items
        else field
        for field in _lowered(opening.properties, (mapping.amount,))
    )  # fmt: skip


def _lowered(fields: tuple[Property, ...], names: tuple[str | None, ...]) -> tuple[Property, ...]:
    return tuple(
        replace(field, minimum=min(field.minimum, Decimal(0))) if field.name in names else field for field in fields
    )


# The lines


class _Line(msgspec.Struct):
    """One line of the content while refunds are applied to it."""

    stored: Mapping[str, object]
    quantity: int  # as ordered, × _UNIT
    share: int  # of the order's amount, scaled to its places
    left: int  # of the quantity
    is_returned: bool = False  # wholly or in part

    @property
    def is_gone(self) -> bool:
        return self.is_returned and not self.left

    def take(self, quantity: int) -> int:
        """Return so much of what is left, at most. Out: its share of the amount."""
        before = self._share_returned()
        taken = min(quantity, self.left)
        self.left -= taken
        self.is_returned = self.is_returned or taken > 0
        return self._share_returned() - before

    def take_whole(self) -> int:
        before = self._share_returned()
        self.left, self.is_returned = 0, True
        return self._share_returned() - before

    def _share_returned(self) -> int:
        """By the quantity returned so far, so that parts add up to the whole (semantics-answers.md 6)."""
        if self.quantity <= 0:
            return self.share if self.is_returned else 0
        return half_up(self.share * (self.quantity - self.left), self.quantity)


def _read_lines(mapping: OrderMapping, properties: Mapping[str, object], amount: int) -> list[_Line]:
    items = _at(properties, mapping.items)
    stored = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    quantities = [_quantity(item, mapping) for item in stored]
    weights = [max(_weight(item, quantity, mapping), 0) for item, quantity in zip(stored, quantities, strict=True)]
    if not any(weights):  # all for free, and yet something was paid
        weights = [max(quantity, 0) for quantity in quantities]
    shares = _split(amount, weights)
    return [
        _Line(stored=item, quantity=quantity, share=share, left=max(quantity, 0))
        for item, quantity, share in zip(stored, quantities, shares, strict=True)
    ]


def _quantity(item: Mapping[str, object], mapping: OrderMapping) -> int:
    quantity = _scaled(_at(item, mapping.quantity), _PLACES)
    return _UNIT if quantity is None else quantity


def _weight(item: Mapping[str, object], quantity: int, mapping: OrderMapping) -> int:
    """What the line counts when the amount is split, × _UNIT²."""
    price = _scaled(_at(item, mapping.price), _PLACES)
    if price is not None:
        return quantity * price
    subtotal = _scaled(_at(item, mapping.subtotal), _PLACES)
    return (quantity if subtotal is None else subtotal) * _UNIT


def _split(amount: int, weights: list[int]) -> list[int]:
    """`amount` by weights, each share half-up and at most what is left; the last takes the rest."""
    if not weights:
        return []
    total, left, shares = sum(weights) or 1, amount, []
    for weight in weights[:-1]:
        shares.append(min(half_up(amount * weight, total), left))
        left -= shares[-1]
    return [*shares, left]


# Applying refunds


class _Standing:
    """The order while refunds are applied to it, one after the other."""

    def __init__(self, opening: EventType, properties: Mapping[str, object]) -> None:
        self.mapping = _mapping(opening)
        self.properties = properties
        amount = _find(opening.properties, self.mapping.amount)
        items = _find(opening.properties, self.mapping.items)
        self.item_fields = () if items is None else items.of
        self.places = 4 if amount is None else amount.places  # of a refund's amount, when the order has none
        self.amount = _scaled(_at(properties, self.mapping.amount), self.places)
        self.held = max(self.amount or 0, 0)  # what refunds can take
        self.left = self.whole = self.held  # after all of them so far; after those with items
        self.lines = _read_lines(self.mapping, properties, self.held)
        self.by_id = _index(self.lines, self.mapping)
        self.burned = max(_burned(opening, properties), 0)
        self.is_lowered = False
        self.cut: set[str] = set()

    def apply(self, refund: Fact) -> None:
        by_items, is_cut = 0, False
        for item in refund.items:
            share, exceeds = self._return(item)
            by_items += share if item.amount is None else self._stated(item.amount)
            is_cut = is_cut or exceeds
        asked = by_items if refund.amount is None else self._stated(refund.amount)
        if is_cut or asked > self.left or refund.points > self.burned:
            self.cut.add(refund.identity)
        self.left -= min(asked, self.left)
        self.burned -= min(refund.points, self.burned)
        if refund.items:
            self.whole = self.left
        self.is_lowered = self.is_lowered or bool(refund.items) or refund.amount is not None

    def _stated(self, amount: str) -> int:
        return max(_scaled(amount, self.places) or 0, 0)

    def _return(self, item: RefundItem) -> tuple[int, bool]:
        """(the share of the amount, whether more is returned than the order holds)."""
        lines = self._lines_of(item)
        if lines is None:
            return 0, True
        while lines and lines[0].is_gone:
            lines.popleft()
        if item.quantity is None:
            return sum(line.take_whole() for line in lines), not lines
        share, wanted = 0, max(_scaled(item.quantity, _PLACES) or 0, 0)
        for line in lines:
            before = line.left
            share += line.take(wanted)
            wanted -= before - line.left
            if not wanted:
                break
        return share, wanted > 0

    def _lines_of(self, item: RefundItem) -> deque[_Line] | None:
        """Those of that id, in content order: an id of a line before an id of a product, unless it is given as one."""
        names = (_PRODUCT, self.mapping.line) if item.is_product else (self.mapping.line, _PRODUCT)
        found = (self.by_id.get((name, item.line)) for name in names if name is not None and item.line)
        return next((lines for lines in found if lines is not None), None)

    def as_net(self) -> Net:
        whole = dict(self.properties)
        is_returned = any(line.is_returned for line in self.lines)
        if is_returned and self.mapping.items is not None:
            whole[self.mapping.items] = [self._left_of(line) for line in self.lines if not line.is_gone]
        after = dict(whole)
        if self.amount is not None and self.mapping.amount is not None:
            whole[self.mapping.amount] = show_scaled(self.amount - self.held + self.whole, self.places)
            after[self.mapping.amount] = show_scaled(self.amount - self.held + self.left, self.places)
        nothing_paid = self.is_lowered and self.amount is not None and self.amount - self.held + self.left == 0
        return Net(
            properties=after,
            properties_whole=whole,
            factor=_WHOLE if self.left == self.whole else (self.left, self.whole),
            is_empty=nothing_paid or (is_returned and not any(line.left for line in self.lines)),
            cut=frozenset(self.cut),
            burned=self.burned,
        )

    def _left_of(self, line: _Line) -> Mapping[str, object]:
        """The line with what is left of it."""
        if not line.is_returned:
            return line.stored
        stored = dict(line.stored)
        quantity = _find(self.item_fields, self.mapping.quantity)
        if quantity is not None and quantity.name in stored:
            left = half_up(line.left, 10 ** (_PLACES - quantity.places))
            stored[quantity.name] = show_scaled(max(left, 1), quantity.places)  # it is there, so it is not shown as 0
        subtotal = _find(self.item_fields, self.mapping.subtotal)
        before = None if subtotal is None else _scaled(stored.get(subtotal.name), subtotal.places)
        if subtotal is not None and before is not None:
            lowered = half_up(before * line.left, line.quantity)
            least = 1 if subtotal.minimum > 0 else lowered  # a rule may divide by it
            stored[subtotal.name] = show_scaled(max(lowered, least), subtotal.places)
        return stored


def _index(lines: list[_Line], mapping: OrderMapping) -> dict[tuple[str, str], deque[_Line]]:
    """(property, id) → the lines, in content order."""
    found: dict[tuple[str, str], deque[_Line]] = {}
    for name in {mapping.line, _PRODUCT} - {None}:
        assert name is not None
        for line in lines:
            known = line.stored.get(name)
            if isinstance(known, str):
                found.setdefault((name, known), deque()).append(line)
    return found


# Reading


def _mapping(opening: EventType) -> OrderMapping:
    assert opening.order is not None, f"{opening.id} opens no orders"
    return opening.order


def _find(fields: tuple[Property, ...], name: str | None) -> Property | None:
    return next((field for field in fields if field.name == name), None)


def _at(properties: Mapping[str, object], name: str | None) -> object:
    return None if name is None else properties.get(name)


def _burned(opening: EventType, properties: Mapping[str, object]) -> int:
    return _scaled(_at(properties, _mapping(opening).burned), 0) or 0


def _scaled(raw: object, places: int) -> int | None:
    """A stored number × 10^places, half-up; None when it is none."""
    number = as_decimal(raw)
    if isinstance(number, str):
        return None
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "finite"
    whole = int("".join(map(str, digits))) * (-1 if sign else 1)
    shift = exponent + places
    return whole * 10**shift if shift >= 0 else half_up(whole, 10**-shift)


# Completing


def complete(
    *,
    new: Mapping[str, object],
    previous: Mapping[str, object],
    opening_then: EventType,
    opening_now: EventType | None,
    reads: frozenset[str],
) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """New content, as the schema of the order's revision can read it (semantics.md §5.7).

    `previous`: the content before, which that schema can read. `opening_then`, `opening_now`: the opening type in the
    order's revision and in the live one (None: it is gone). `reads`: properties that its rules read. Out: the content
    with the previous value of what that revision needs and the content lacks, and the names of these, in schema order.
    What the live type still lets the sender leave out is absent on purpose. The time and the acceptance of a content
    are its own: `read_fact` takes them before, and they are not carried on for their mapping alone.
    """
    mapping = _mapping(opening_then)
    needed = reads | {mapping.id, mapping.amount, mapping.items, mapping.burned, mapping.currency}
    declared = {field.name: field for field in (opening_now.properties if opening_now else ()) if not field.pii}
    completed, kept = dict(new), []
    for field in opening_then.properties:
        if field.pii or not (field.required or field.name in needed):
            continue
        if not _lacks(field, new.get(field.name), declared.get(field.name)):
            continue
        completed.pop(field.name, None)  # of an unreadable value without a predecessor nothing is left
        if previous.get(field.name) is not None:
            completed[field.name] = previous[field.name]
            kept.append(field.name)
    return completed, tuple(kept)


def _lacks(then: Property, value: object, now: Property | None) -> bool:
    if value is None:
        return now is None or now.required or then.required
    reading = Reading(_UTC, [])
    read_fields((then,), {then.name: value}, "", reading)
    return bool(reading.problems)
