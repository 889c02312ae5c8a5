"""Facts of orders: what an event says, which of two is the newer, and the hash that tells equal contents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from itertools import permutations
from uuid import UUID

import pytest

from troth.core.order_facts import canonical_hash, is_newer, is_same_content, merge, read_fact
from troth.core.order_state import Fact, RefundItem
from troth.core.program import EventType, OrderMapping, Property
from troth.core.program.builtin_types import BUILTIN_TYPES, ORDER_FAMILY_TYPES

moment = datetime.fromisoformat
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVENT = UUID("019a0000-0000-7000-8000-000000000001")
MONEY = Property(name="total", kind="number", places=2)
CHECKOUT = EventType(
    id="checkout",
    label="Checkout",
    properties=(
        Property(name="transaction_id", kind="text"),
        MONEY,
        Property(name="updated_at", kind="datetime"),
        Property(name="auto_accept", kind="boolean"),
        Property(name="items", kind="list", of=(Property(name="price", kind="number", places=2),)),
        Property(name="address", kind="object", of=(Property(name="floor", kind="number", places=1),)),
        Property(name="sizes", kind="list", item=Property(name="", kind="number", places=1)),
        Property(name="note", kind="text"),
    ),
    order=OrderMapping(
        id="transaction_id", amount="total", items="items", updated_at="updated_at", auto_accept="auto_accept"
    ),
)
NAMELESS = EventType(id="sale", label="Sale", properties=(MONEY,), order=OrderMapping(amount="total"))


def fact(type_id: str, at: datetime = NOON, opening: EventType = CHECKOUT, **properties: object) -> Fact:
    event_type = {"checkout": CHECKOUT, "sale": NAMELESS}.get(type_id) or BUILTIN_TYPES[type_id]
    return read_fact(event_type, opening, event_id=EVENT, occurred_at=at, properties=properties)


def content_hash(properties: Mapping[str, object]) -> str:
    return canonical_hash(CHECKOUT, properties)


# Reading


@pytest.mark.parametrize(
    ("type_id", "kind"),
    [
        ("checkout", "content"),
        ("checkout_update", "content"),
        ("checkout_accept", "accept"),
        ("checkout_reject", "reject"),
        ("refund", "refund"),
        ("partial_refund", "partial"),
    ],
)
def test_each_type_of_the_family_has_its_kind(type_id: str, kind: str) -> None:
    assert fact(type_id, order_id="A").kind == kind


def test_the_whole_family_is_known() -> None:
    kinds = {fact(type_id).kind for type_id in ORDER_FAMILY_TYPES}
    assert kinds == {"content", "accept", "reject", "refund", "partial"}


def test_an_opening_event_is_read_by_its_own_type() -> None:
    said = {"transaction_id": "A", "total": "10.00", "updated_at": "2026-11-21T08:00:00Z", "auto_accept": False}
    read = read_fact(CHECKOUT, None, event_id=EVENT, occurred_at=NOON, properties=said)
    assert (read.event_id, read.occurred_at, read.stamp) == (EVENT, NOON, moment("2026-11-21T08:00Z"))
    assert read.properties == said
    assert read.auto_accept is False


def test_a_content_without_its_own_time_is_as_new_as_its_event() -> None:
    assert fact("checkout", total="10.00").stamp == NOON
    assert fact("checkout", total="10.00").auto_accept is None
    assert fact("sale", opening=NAMELESS, total="10.00", updated_at="2026-11-21T08:00:00Z").stamp == NOON


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ({"transaction_id": "A", "total": "1.00"}, {"transaction_id": "A", "total": "1.00"}),
        # What only names the order is left out; the order's name stands under the type's own property.
        ({"order_id": "A", "order_type": "checkout", "total": "1.00"}, {"transaction_id": "A", "total": "1.00"}),
        ({"order_id": "A", "transaction_id": "A"}, {"transaction_id": "A"}),
    ],
)
def test_an_update_says_what_an_opening_event_would(said: Mapping[str, object], content: Mapping[str, object]) -> None:
    update, opened = fact("checkout_update", **said), fact("checkout", **content)
    assert update.properties == content
    assert is_same_content(update, opened)


def test_an_update_of_a_type_without_an_id_does_not_hold_it() -> None:
    assert fact("checkout_update", opening=NAMELESS, order_id="A", total="1.00").properties == {"total": "1.00"}


def test_an_update_of_a_type_whose_id_is_order_id_keeps_it() -> None:
    opening = EventType(id="sale", label="Sale", order=OrderMapping(id="order_id"))
    assert fact("checkout_update", opening=opening, order_id="A").properties == {"order_id": "A"}


def test_a_partial_refund_names_what_comes_back() -> None:
    items = [
        {"line": "L1", "quantity": "1.000", "amount": "3.5000"},
        {"line": "L2", "product_id": "P2"},
        {"product_id": "P3", "quantity": "0.500"},
        {"amount": "4.9900"},
    ]
    read = fact("partial_refund", order_id="A", refund_id="R1", amount="12.3400", points="30", items=items)
    assert (read.identity, read.amount, read.points) == ("R1", "12.3400", 30)
    assert read.items == (
        RefundItem(line="L1", quantity="1.000", amount="3.5000"),
        RefundItem(line="L2"),
        RefundItem(line="P3", quantity="0.500", is_product=True),
        RefundItem(line="", amount="4.9900", is_product=True),
    )


@pytest.mark.parametrize("said", [{}, {"refund_id": ""}])
def test_a_partial_refund_without_an_identity_is_its_event(said: Mapping[str, object]) -> None:
    read = fact("partial_refund", order_id="A", **said)
    assert (read.identity, read.amount, read.points, read.items) == (f"evt:{EVENT.hex}", None, 0, ())


# Which of two counts


def refund(identity: str, at: str, amount: str) -> Fact:
    return fact("partial_refund", moment(at), refund_id=identity, amount=amount)


def test_the_newest_counts_and_of_one_time_the_greater_hash() -> None:
    old, new = fact("checkout", total="1.00"), fact("checkout", moment("2026-11-20T12:00:01Z"), total="1.00")
    assert is_newer(new, old)
    assert not is_newer(old, new)
    assert not is_newer(old, old)
    one, other = fact("checkout", total="1.00"), fact("checkout", total="2.00")
    assert is_newer(one, other) == (one.hash > other.hash)
    assert is_newer(one, other) != is_newer(other, one)


def test_an_updated_at_decides_before_the_time_of_the_event() -> None:
    late = fact("checkout", moment("2026-11-22T00:00Z"), total="1.00", updated_at="2026-11-20T00:00:00Z")
    early = fact("checkout", moment("2026-11-21T00:00Z"), total="2.00", updated_at="2026-11-20T06:00:00Z")
    assert is_newer(early, late)


REFUNDS = (
    refund("B", "2026-11-21T00:00Z", "1.0000"),
    refund("A", "2026-11-22T00:00Z", "2.0000"),
    refund("A", "2026-11-23T00:00Z", "3.0000"),  # takes the place of the one before
    refund("C", "2026-11-21T00:00Z", "4.0000"),
)


@pytest.mark.parametrize("arrival", list(permutations(REFUNDS)))
def test_of_one_identity_the_newest_refund_counts_in_whatever_order(arrival: tuple[Fact, ...]) -> None:
    merged: tuple[Fact, ...] = ()
    for each in arrival:
        merged = merge(merge(merged, each), each)
    assert [(known.identity, known.amount) for known in merged] == [("B", "1.0000"), ("C", "4.0000"), ("A", "3.0000")]


def test_of_one_refund_at_one_time_the_greater_hash_counts() -> None:
    one, other = refund("A", "2026-11-21T00:00Z", "1.0000"), refund("A", "2026-11-21T00:00Z", "2.0000")
    winner = max(one, other, key=lambda known: known.hash)
    assert merge((one,), other) == merge((other,), one) == (winner,)


# The canonical form


@pytest.mark.parametrize(
    ("properties", "canonical"),
    [
        ({}, "{}"),
        ({"total": "10.00"}, '{"total":10}'),
        ({"total": "0.10"}, '{"total":0.1}'),
        ({"total": "-0.00"}, '{"total":0}'),
        ({"total": "-1200.50"}, '{"total":-1200.5}'),
        ({"note": "10.00"}, '{"note":"10.00"}'),  # a text stays one
        ({"total": "1E+1"}, '{"total":10}'),
        ({"total": "ten"}, '{"total":"ten"}'),  # of another revision, where it was no number
        ({"extra": "10.00"}, '{"extra":"10.00"}'),  # so does what nobody declared
        ({"extra": 10}, '{"extra":10}'),
        ({"extra": Decimal("10.0")}, '{"extra":10}'),
        ({"extra": Decimal("1E+3")}, '{"extra":1000}'),
        ({"extra": Decimal("1E-8")}, '{"extra":0.00000001}'),
        ({"extra": Decimal(f"{'9' * 35}.5")}, '{"extra":' + "9" * 35 + ".5}"),  # no precision cuts it
        ({"extra": 2**70}, '{"extra":1180591620717411303424}'),
        ({"extra": [True, None, {"b": 1, "a": Decimal("2.50")}]}, '{"extra":[true,null,{"a":2.5,"b":1}]}'),
        ({"items": [{"price": "5.00", "sku": "5.00"}]}, '{"items":[{"price":5,"sku":"5.00"}]}'),
        ({"address": {"floor": "2.0", "door": "2.0"}}, '{"address":{"door":"2.0","floor":2}}'),
        ({"sizes": ["1.0", "1.5"]}, '{"sizes":[1,1.5]}'),
        ({"total": "1.00", "note": "é"}, '{"note":"é","total":1}'),
    ],
)
def test_the_canonical_form(properties: Mapping[str, object], canonical: str) -> None:
    assert content_hash(properties) == sha256(canonical.encode()).hexdigest()


def test_a_declared_number_equals_an_undeclared_one() -> None:
    assert canonical_hash(CHECKOUT, {"total": "10.00"}) == canonical_hash(BUILTIN_TYPES["refund"], {"total": 10})


def test_the_time_of_a_content_is_no_part_of_it() -> None:
    early = fact("checkout", total="1.00", updated_at="2026-11-20T00:00:00Z")
    late = fact("checkout", total="1.00", updated_at="2026-11-21T00:00:00Z")
    assert is_same_content(early, late)
    assert is_newer(late, early)
    assert not is_same_content(early, fact("checkout", total="1.01", updated_at="2026-11-20T00:00:00Z"))


def test_a_float_is_refused() -> None:
    with pytest.raises(AssertionError, match="float is no stored value"):
        content_hash({"extra": 1.5})
