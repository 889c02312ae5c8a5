"""What always holds of an order less its refunds, whatever it is made of and in whatever order they came."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.ordering import SALE, line, order, refund
from troth.core.order_content import Net, net
from troth.core.order_state import Fact

often = settings(max_examples=300, deadline=None, derandomize=True, print_blob=True)
amounts = st.decimals(0, 10_000, places=2).map(str)
money = st.decimals(0, 2_000, places=4).map(str)
quantities = st.one_of(st.integers(0, 5).map(str), st.decimals(0, 3, places=3).map(str))


@st.composite
def lines(draw: st.DrawFn, *, least: int = 0) -> dict[str, object]:
    price = draw(st.none() | st.decimals(-5, 500, places=2).map(str))
    subtotal = {} if draw(st.booleans()) else {"subtotal": f"{draw(st.decimals(0, 500, places=2))}"}
    quantity = draw(st.integers(least, 5).map(str) if least else st.none() | quantities)
    return line(draw(st.sampled_from("ABC")), quantity, price, **subtotal)


@st.composite
def refunds(draw: st.DrawFn) -> Fact:
    items = [
        f"{draw(st.sampled_from('ABCX'))} {draw(st.just('-') | quantities)} {draw(st.just('-') | st.just('-') | money)}"
        for _ in range(draw(st.integers(0, 3)))
    ]
    identity = draw(st.sampled_from("QRSTUV"))
    points = draw(st.integers(0, 20))
    return refund(identity, *items, amount=draw(st.none() | money), points=points, hours=draw(st.integers(0, 3)))


orders = st.builds(lambda amount, found: order(amount, *found, burned="30"), amounts, st.lists(lines(), max_size=5))
several = st.lists(refunds(), max_size=5, unique_by=lambda fact: fact.identity)


def amount_of(found: Net) -> Decimal:
    return Decimal(str(found.properties["amount"]))


def quantity_of(properties: object) -> Decimal:
    assert isinstance(properties, dict)
    return sum((Decimal(each.get("quantity", "1")) for each in properties.get("items", [])), Decimal(0))


@often
@given(orders, several)
def test_no_order_holds_less_than_nothing_or_more_than_was_ordered(content: Fact, asked: list[Fact]) -> None:
    found = net(SALE, content, asked)
    whole = Decimal(str(found.properties_whole["amount"]))
    assert 0 <= amount_of(found) <= whole <= Decimal(str(content.properties["amount"]))
    assert 0 <= quantity_of(found.properties) <= quantity_of(content.properties)
    assert 0 <= found.burned <= 30
    assert found.cut <= {each.identity for each in asked}
    numerator, denominator = found.factor
    assert numerator * whole == denominator * amount_of(found) or not whole


@often
@given(orders, several, st.randoms(use_true_random=False))
def test_the_order_of_refunds_does_not_matter(content: Fact, asked: list[Fact], chance: object) -> None:
    shuffled = list(asked)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert net(SALE, content, shuffled) == net(SALE, content, asked)


@often
@given(orders, several)
def test_each_refund_lowers_or_leaves(content: Fact, asked: list[Fact]) -> None:
    """One more refund, later than all of its kind, never gives anything back."""
    later = [msgspec.structs.replace(fact, items=()) for fact in asked]
    left = [amount_of(net(SALE, content, known)) for known in accumulate([fact] for fact in later)]
    assert left == sorted(left, reverse=True)


@often
@given(amounts, st.lists(lines(least=3), min_size=1, max_size=4), st.sampled_from("ABC"))
def test_parts_come_to_the_whole(amount: str, found: list[dict[str, object]], name: str) -> None:
    content = order(amount, *found)
    at_once = net(SALE, content, [refund("R", f"{name} 3")])
    in_parts = net(SALE, content, [refund(part, f"{name} 1", hours=int(part)) for part in "123"])
    assert in_parts.properties == at_once.properties
    assert bool(in_parts.cut) == bool(at_once.cut)


@often
@given(amounts, st.lists(lines(), min_size=1, max_size=5), st.booleans())
def test_nothing_is_left_of_an_order_that_comes_back_line_by_line(
    amount: str, found: list[dict[str, object]], is_one_refund: bool
) -> None:
    names = sorted({str(each["line_id"]) for each in found})
    asked = [refund("R", *names)] if is_one_refund else [refund(name, name) for name in names]
    standing = net(SALE, order(amount, *found), asked)
    assert (amount_of(standing), standing.properties["items"]) == (0, [])
    assert standing.is_empty
    assert standing.cut == frozenset()
