"""What is left of an order after its refunds, each number worked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from tests.core.ordering import AMOUNT, BURNED, ITEMS, MAPPING, SALE, item, left, line, order, refund
from troth.core.order_content import complete, lowered_fields, net
from troth.core.order_state import Fact, RefundItem
from troth.core.program import EventType, Property

# 2 × 30 + 1 × 40 = 100, of which 90 was paid: A's share is 90 × 60 ÷ 100 = 54, B takes the rest, 36.
DISCOUNTED = order("90", line("A", "2", "30"), line("B", "1", "40"))
# 10.00 over three equal lines: 3.33, 3.33, and the rest, 3.34.
THIRDS = order("10", line("A", "1", "1"), line("B", "1", "1"), line("C", "1", "1"))
# Shares: A 10 × 30 ÷ 45 = 6.67 (6.666…), B the rest, 3.33. Of A: one is 2.22 (2.2233), two 4.45 (4.4466), three 6.67.
PARTS = order("10", line("A", "3", "10"), line("B", "1", "15"))
TWINS = order("40", line("A", "1", "10"), line("B", "1", "5"), line("A", "2", "12.50"))  # shares 10, 5, 25
PLAIN = order("50")  # nothing is known of its lines


@pytest.mark.parametrize(
    ("content", "refunds", "amount", "items"),
    [
        (DISCOUNTED, [refund("R", "A 1")], "63.00", "A×1.000 B×1.000"),  # 54 × 1 ÷ 2 = 27
        (DISCOUNTED, [refund("R", "A 2")], "36.00", "B×1.000"),
        (DISCOUNTED, [refund("R", "A")], "36.00", "B×1.000"),  # without a quantity the whole line
        (DISCOUNTED, [refund("R", "B")], "54.00", "A×2.000"),
        (DISCOUNTED, [refund("R", "A 1", "B")], "27.00", "A×1.000"),
        (DISCOUNTED, [refund("R", "A 1"), refund("S", "A", hours=1)], "36.00", "B×1.000"),  # what is left of it
        (DISCOUNTED, [refund("R", "A 0")], "90.00", "A×2.000 B×1.000"),
        (DISCOUNTED, [refund("R", "A"), refund("S", "A 0", hours=1)], "36.00", "B×1.000"),
        # Fractions of a quantity: 54 × 0.333 ÷ 2 = 8.991.
        (DISCOUNTED, [refund("R", "A 0.333")], "81.01", "A×1.667 B×1.000"),
        (THIRDS, [refund("R", "A")], "6.67", "B×1.000 C×1.000"),
        (THIRDS, [refund("R", "B")], "6.67", "A×1.000 C×1.000"),
        (THIRDS, [refund("R", "C")], "6.66", "A×1.000 B×1.000"),
        (THIRDS, [refund("R", "A", "C")], "3.33", "B×1.000"),
        # 0.02 over four lines: 0.005 is 0.01, 0.01, then nothing is left to split.
        (order("0.02", *(line(name, "1", "1") for name in "ABCD")), [refund("R", "A", "C")], "0.01", "B×1.000 D×1.000"),
        (PARTS, [refund("R", "A 1")], "7.78", "A×2.000 B×1.000"),
        (PARTS, [refund("R", "A 2")], "5.55", "A×1.000 B×1.000"),
        (PARTS, [refund("R", "A 1"), refund("S", "A 1", hours=1)], "5.55", "A×1.000 B×1.000"),  # 2.22, then 2.23
        (PARTS, [refund("R", "A 1"), refund("S", "A 1"), refund("T", "A 1")], "3.33", "B×1.000"),
        (PARTS, [refund("R", "A 1", "A 1", "A 1")], "3.33", "B×1.000"),
        # Equal ids are taken in content order.
        (TWINS, [refund("R", "A 1")], "30.00", "B×1.000 A×2.000"),
        (TWINS, [refund("R", "A 2")], "17.50", "B×1.000 A×1.000"),  # 10, and half of 25
        (TWINS, [refund("R", "A")], "5.00", "B×1.000"),
        # What is stated wins: the refund's amount over its items', these over the shares.
        (DISCOUNTED, [refund("R", "A 1 99", amount="20")], "70.00", "A×1.000 B×1.000"),
        (DISCOUNTED, [refund("R", "A 1 25", "B")], "29.00", "A×1.000"),  # 25 and B's share, 36
        (DISCOUNTED, [refund("R", "A - 50", "B - 1.5")], "38.50", ""),
        # A share does not depend on what was stated for another part: 10, then 54 × 2 ÷ 2 − 27.
        (DISCOUNTED, [refund("R", "A 1 10"), refund("S", "A 1", hours=1)], "53.00", "B×1.000"),
        # Half-up to the amount's places, each stated amount by itself.
        (PLAIN, [refund("R", amount="4.9950")], "45.00", ""),
        (PLAIN, [refund("R", amount="4.9949")], "45.01", ""),
        (DISCOUNTED, [refund("R", "A 1 0.0050", "B 1 0.0050")], "89.98", "A×1.000"),
        (PLAIN, [refund("R", amount="20"), refund("S", amount="5.5")], "24.50", ""),
        (order("-5"), [refund("R", amount="0")], "-5.00", ""),  # nothing there to come back
    ],
)
def test_what_comes_back(content: Fact, refunds: list[Fact], amount: str, items: str) -> None:
    found = net(SALE, content, refunds)
    assert (found.properties["amount"], left(found)) == (amount, items)
    assert found.cut == frozenset()


@pytest.mark.parametrize(
    ("lines", "shares"),
    [
        # Without a price the subtotal counts: 90 × 60 ÷ 100.
        ([line("A", "2", subtotal="60.00"), line("B", "1", subtotal="40.00")], ["54.00", "36.00"]),
        # A price counts more than a subtotal.
        ([line("A", "2", "30", subtotal="1.00"), line("B", "1", "40", subtotal="99.00")], ["54.00", "36.00"]),
        # Without either the quantity: 90 × 2 ÷ 3.
        ([line("A", "2"), line("B", "1")], ["60.00", "30.00"]),
        # Without a quantity a line is one: 90 × 30 ÷ (30 + 60).
        ([line("A", None, "30"), line("B", "2", "30")], ["30.00", "60.00"]),
        # A line of a discount has no share: 90 × 60 ÷ 100, 90 × 40 ÷ 100, 0.
        ([line("A", "2", "30"), line("B", "1", "40"), line("D", "1", "-10")], ["54.00", "36.00", "0.00"]),
        # All for free, and yet 90 was paid: by quantity.
        ([line("A", "1", "0"), line("B", "3", "0")], ["22.50", "67.50"]),
        ([line("A", "0", "0"), line("B", "0", "0")], ["0.00", "90.00"]),
    ],
)
def test_how_the_amount_is_split(lines: list[dict[str, object]], shares: list[str]) -> None:
    content = order("90", *lines)
    rest = [net(SALE, content, [refund("R", str(each["line_id"]))]).properties["amount"] for each in lines]
    assert [f"{90 - Decimal(str(amount)):.2f}" for amount in rest] == shares


@pytest.mark.parametrize(
    ("content", "refunds", "amount", "items", "cut"),
    [
        (DISCOUNTED, [refund("R", "A 3")], "36.00", "B×1.000", "R"),
        (DISCOUNTED, [refund("R", "X 1")], "90.00", "A×2.000 B×1.000", "R"),
        (DISCOUNTED, [refund("R", "X 0")], "90.00", "A×2.000 B×1.000", "R"),
        (DISCOUNTED, [refund("R", "X 1 5")], "85.00", "A×2.000 B×1.000", "R"),  # stated, so it counts
        (DISCOUNTED, [refund("R", "A 5 10")], "80.00", "B×1.000", "R"),  # a cut quantity does not cut what is stated
        (DISCOUNTED, [refund("R", "A"), refund("S", "A", hours=1)], "36.00", "B×1.000", "S"),
        (DISCOUNTED, [refund("R", "A 1"), refund("S", "A 2", hours=1)], "36.00", "B×1.000", "S"),
        (DISCOUNTED, [refund("S", "A 2"), refund("R", "A 1", hours=1)], "36.00", "B×1.000", "R"),
        (DISCOUNTED, [refund("R", "A 1", amount="90.01")], "0.00", "A×1.000 B×1.000", "R"),
        # Of one moment the identity decides: R takes 80, of the 20 of S only 10 are left.
        (DISCOUNTED, [refund("S", amount="20"), refund("R", amount="80")], "0.00", "A×2.000 B×1.000", "S"),
        # Those by items come first, though they came later: 36 stays, of which 40 is asked.
        (DISCOUNTED, [refund("S", amount="40"), refund("R", "A", hours=5)], "0.00", "B×1.000", "S"),
        # A share is more than what is left after a stated amount: 80 and then 36.
        (DISCOUNTED, [refund("R", "A 1 80"), refund("S", "B", hours=1)], "0.00", "A×1.000", "S"),
        (PLAIN, [refund("R", "A 1")], "50.00", "", "R"),
        (PLAIN, [refund("R", "A 1 20")], "30.00", "", "R"),
        (order("0"), [refund("R", amount="1")], "0.00", "", "R"),
        (order("-5"), [refund("R", amount="1")], "-5.00", "", "R"),
    ],
)
def test_what_exceeds_the_order_is_cut(content: Fact, refunds: list[Fact], amount: str, items: str, cut: str) -> None:
    found = net(SALE, content, refunds)
    assert (found.properties["amount"], left(found)) == (amount, items)
    assert found.cut == {cut}


@pytest.mark.parametrize(
    ("content", "refunds", "is_empty"),
    [
        (DISCOUNTED, [], False),
        (order("0"), [], False),  # an order for nothing has no refund
        (order("0"), [refund("R", points=1)], False),  # and points alone return nothing else
        (order("0", line("A", "2", "1")), [refund("R", "A 1")], True),
        (DISCOUNTED, [refund("R", amount="89.99")], False),
        (DISCOUNTED, [refund("R", amount="90")], True),
        (DISCOUNTED, [refund("R", "A", "B")], True),
        (DISCOUNTED, [refund("R", "A - 1", "B - 1")], True),  # 88 is left, but no quantity
        (DISCOUNTED, [refund("R", "A 1", amount="90")], True),  # quantity, but nothing paid
        (DISCOUNTED, [refund("R", "X")], False),
        (order("5", line("A", "0", "1")), [refund("R", amount="1")], False),  # it never had a quantity
        (order("5", line("A", "0", "1"), line("B", "1", "1")), [refund("R", "B 1 1")], True),
    ],
)
def test_when_it_deserves_nothing(content: Fact, refunds: list[Fact], is_empty: bool) -> None:
    assert net(SALE, content, refunds).is_empty is is_empty


def test_without_refunds_it_stands_as_it_came() -> None:
    found = net(SALE, DISCOUNTED, [])
    assert found.properties is found.properties_whole is DISCOUNTED.properties
    assert found.factor == (1, 1)


@pytest.mark.parametrize(
    ("refunds", "whole", "amount", "factor"),
    [
        ([refund("R", "A 1")], "63.00", "63.00", (1, 1)),
        ([refund("R", amount="30")], "90.00", "60.00", (6_000, 9_000)),
        ([refund("R", amount="30"), refund("S", "A 1", hours=1)], "63.00", "33.00", (3_300, 6_300)),
        ([refund("R", "A 1", amount="30"), refund("S", amount="15")], "60.00", "45.00", (4_500, 6_000)),
        ([refund("R", "A", "B"), refund("S", amount="15")], "0.00", "0.00", (1, 1)),  # nothing left to lower
        ([refund("R", points=3)], "90.00", "90.00", (1, 1)),
    ],
)
def test_rules_that_read_items_see_the_amount_before_refunds_of_an_amount(
    refunds: list[Fact], whole: str, amount: str, factor: tuple[int, int]
) -> None:
    found = net(SALE, DISCOUNTED, refunds)
    assert (found.properties_whole["amount"], found.properties["amount"]) == (whole, amount)
    assert found.factor == factor


def test_a_subtotal_falls_with_the_quantity() -> None:
    lines = line("A", "3", subtotal="10.00", note="kept"), line("B", "1", subtotal="2.00")
    content = order("9", *lines)
    kept = {"line_id": "A", "quantity": "2.000", "subtotal": "6.67", "note": "kept"}  # 10 × 2 ÷ 3
    assert net(SALE, content, [refund("R", "A 1")]).properties["items"] == [kept, lines[1]]
    assert content == order("9", *lines)  # what came is left as it is


# Burned points


@pytest.mark.parametrize(
    ("burned", "refunds", "held", "cut"),
    [
        ("30", [], 30, set()),
        (None, [], 0, set()),
        ("30", [refund("R", points=10), refund("S", "A 1", points=5)], 15, set()),
        ("30", [refund("R", "A", "B")], 30, set()),  # only what is named comes back
        ("30", [refund("R", points=20), refund("S", points=20)], 0, {"S"}),
        (None, [refund("R", points=1)], 0, {"R"}),
    ],
)
def test_burned_points_are_those_that_no_refund_names(
    burned: str | None, refunds: list[Fact], held: int, cut: set[str]
) -> None:
    more = {} if burned is None else {"burned": burned}
    found = net(SALE, order("90", line("A", "2", "30"), line("B", "1", "40"), **more), refunds)
    assert (found.burned, found.cut) == (held, cut)


# What is not mapped, and how a line is found


def mapped(*properties: Property, **changes: str | None) -> EventType:
    return replace(SALE, properties=properties or SALE.properties, order=replace(MAPPING, **changes))


def test_without_an_amount_only_quantities_come_back() -> None:
    opening = mapped(ITEMS, BURNED, amount=None)
    content = order(None, line("A", "2", "30"))
    half = net(opening, content, [refund("R", "A 1")])
    assert (left(half), half.cut, half.is_empty) == ("A×1.000", frozenset(), False)
    assert net(opening, content, [refund("R", "A 2")]).is_empty
    stated = net(opening, content, [refund("R", "A 1 5"), refund("S", amount="0.4"), refund("T", amount="0")])
    assert (left(stated), stated.cut, stated.factor) == ("A×1.000", {"R", "S"}, (1, 1))
    assert not stated.is_empty


def test_an_amount_that_is_not_there_is_like_none() -> None:
    found = net(SALE, order(None, line("A", "2", "30")), [refund("R", amount="5")])
    assert (found.cut, found.is_empty, "amount" in found.properties) == ({"R"}, False, False)


def test_without_quantities_a_line_is_one() -> None:
    opening = mapped(quantity=None)
    content = order("90", line("A", None, "30"), line("B", None, "60"))
    assert left(net(opening, content, [refund("R", "A 1")])) == "B×?"
    half = net(opening, content, [refund("R", "A 0.5")])
    assert (half.properties["amount"], left(half)) == ("75.00", "A×? B×?")
    assert net(opening, content, [refund("R", "A 2")]).cut == {"R"}


def test_items_that_are_not_mapped_are_no_lines() -> None:
    opening = mapped(items=None, line=None, quantity=None, price=None, subtotal=None)
    found = net(opening, DISCOUNTED, [refund("R", "A 1"), refund("S", amount="10")])
    assert (found.properties["amount"], left(found), found.cut) == ("80.00", "A×2.000 B×1.000", {"R"})


LINES = (line("1", "1", "10", product_id="2"), line("2", "1", "30", product_id="9"), line("3", "1", "50"))


@pytest.mark.parametrize(
    ("opening", "returned", "items"),
    [
        (SALE, item("2"), "1×1.000 3×1.000"),  # a line's id first
        (SALE, RefundItem(line="2", is_product=True), "2×1.000 3×1.000"),  # but not when it is given as a product's
        (SALE, item("9"), "1×1.000 3×1.000"),
        (SALE, RefundItem(line="3", is_product=True), "1×1.000 2×1.000"),  # no product is called so
        (SALE, RefundItem(line=""), "1×1.000 2×1.000 3×1.000"),
        (mapped(line=None), item("2"), "2×1.000 3×1.000"),
        (mapped(line="product_id"), item("2"), "2×1.000 3×1.000"),
    ],
)
def test_how_a_line_is_found(opening: EventType, returned: RefundItem, items: str) -> None:
    asked = msgspec.structs.replace(refund("R"), items=(returned,))
    assert left(net(opening, order("90", *LINES), [asked])) == items


# What a schema says stays true of what refunds have lowered


def test_places_of_the_order_are_kept() -> None:
    whole = replace(ITEMS.of[2], places=0)
    items = replace(ITEMS, of=(*ITEMS.of[:2], whole, *ITEMS.of[3:]))
    opening = mapped(replace(AMOUNT, places=0), items)
    content = order("91", {**line("A", None, "30"), "quantity": "3"})
    found = net(opening, content, [refund("R", "A 1.250")])
    assert (found.properties["amount"], left(found)) == ("53", "A×2")  # 91 × 1.25 ÷ 3 = 37.9; 1.75 are left
    assert left(net(opening, content, [refund("R", "A 2.750")])) == "A×1"  # a quarter is left, and not shown as 0


def test_a_subtotal_above_zero_stays_above_zero() -> None:
    positive = replace(ITEMS.of[4], minimum=Decimal("0.01"))
    opening = mapped(AMOUNT, replace(ITEMS, of=(*ITEMS.of[:4], positive)))
    content = order("1", line("A", "3", subtotal="0.01"))  # 0.01 ÷ 3 is 0.00
    (kept,) = net(opening, content, [refund("R", "A 2")]).properties["items"]  # type: ignore[misc]
    assert kept["subtotal"] == "0.01"


def test_what_refunds_lower_may_fall_below_its_minimum() -> None:
    one = Decimal(1)
    of = tuple(replace(each, minimum=one) if each.kind == "number" else each for each in ITEMS.of)
    opening = mapped(replace(AMOUNT, minimum=one), replace(ITEMS, of=of), replace(BURNED, minimum=one))
    amount, items, burned = lowered_fields(opening)
    assert (amount.minimum, burned.minimum) == (0, 1)
    assert {each.name: each.minimum for each in items.of if each.kind == "number"} == {
        "quantity": 0,
        "price": 1,
        "subtotal": 0,
    }


# Content of a program that has moved on


CODE = Property(name="code", kind="text", max_length=3)
THEN = mapped(AMOUNT, ITEMS, BURNED, CODE, Property(name="note", kind="text"))
PREVIOUS = {"amount": "10.00", "items": [line("A", "1", "10")], "burned": "5", "code": "old", "note": "old"}
READS = frozenset({"code"})


def without(opening: EventType, *names: str) -> EventType:
    return replace(opening, properties=tuple(each for each in opening.properties if each.name not in names))


def having(opening: EventType, *changed: Property) -> EventType:
    kept = without(opening, *(each.name for each in changed))
    return replace(kept, properties=(*kept.properties, *changed))


@pytest.mark.parametrize(
    ("now", "content", "kept"),
    [
        (THEN, {"amount": "20.00"}, ()),  # what is optional and left out is absent on purpose
        (THEN, {"amount": "20.00", "code": "new"}, ()),
        (without(THEN, "code"), {"amount": "20.00"}, ("code",)),  # read by a rule, and nobody is asked for it any more
        (without(THEN, "code"), {"amount": "20.00", "code": "new"}, ()),  # sent all the same
        (without(THEN, "note"), {"amount": "20.00"}, ()),  # nobody needs it
        (without(THEN, "burned", "items"), {"amount": "20.00"}, ("items", "burned")),  # mapped
        (having(THEN, replace(AMOUNT, required=False)), {"code": "new"}, ("amount",)),  # required then
        (having(THEN, replace(CODE, required=True)), {"amount": "20.00"}, ("code",)),  # an update may leave it out
        (having(THEN, replace(CODE, pii=True)), {"amount": "20.00"}, ("code",)),  # sealed, so no rule can have it
        (THEN, {"amount": "20.00", "code": "longer"}, ("code",)),  # no longer what the rules were written for
        (THEN, {"amount": "20.001"}, ("amount",)),
        (THEN, {"amount": "20.0000", "note": 5}, ()),  # other places, the same number; and nobody reads the note
        (THEN, {"amount": "20.00", "items": [{"quantity": "1.0001"}]}, ("items",)),
        (None, {}, ("amount", "items", "burned", "code")),  # the whole type is gone
    ],
)
def test_what_the_revision_of_the_order_needs_is_kept(
    now: EventType | None, content: Mapping[str, object], kept: tuple[str, ...]
) -> None:
    found = complete(new=content, previous=PREVIOUS, opening_then=THEN, opening_now=now, reads=READS)
    assert found == ({**content, **{name: PREVIOUS[name] for name in kept}}, kept)


def test_what_nobody_can_read_is_not_there() -> None:
    content = {"amount": "20.00", "code": "longer"}
    found = complete(new=content, previous={}, opening_then=THEN, opening_now=THEN, reads=READS)
    assert found == ({"amount": "20.00"}, ())


def test_the_time_and_the_acceptance_of_a_content_are_its_own() -> None:
    stamps = (Property(name="updated_at", kind="datetime"), Property(name="auto_accept", kind="boolean"))
    then = replace(THEN, properties=(AMOUNT, *stamps))
    then = replace(then, order=replace(MAPPING, updated_at="updated_at", auto_accept="auto_accept"))
    previous = {"amount": "1.00", "updated_at": "2026-11-20T00:00:00Z", "auto_accept": True}
    found = complete(new={}, previous=previous, opening_then=then, opening_now=None, reads=frozenset({"auto_accept"}))
    assert found == ({"amount": "1.00", "auto_accept": True}, ("amount", "auto_accept"))


def test_what_is_personal_is_no_part_of_a_content() -> None:
    then = having(THEN, Property(name="email", kind="text", pii=True, required=True))
    previous = {**PREVIOUS, "email": "a@b"}
    content = {"amount": "20.00", "code": "new"}
    found = complete(new=content, previous=previous, opening_then=then, opening_now=THEN, reads=READS)
    assert found == (content, ())
