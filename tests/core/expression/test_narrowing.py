"""What a condition proves, and what it does not: presence and divisors, through every operator that carries facts."""

from __future__ import annotations

import pytest

from tests.core.expression.schema import EVENT, SCOPE, evaluated
from troth.core.expression import check

PROVEN = """
    has(properties.rating) && properties.rating > 1
    has(properties.rating) && properties.first && properties.rating > 1
    properties.first && has(properties.rating) && properties.rating > 1
    (has(properties.rating) && properties.first) ? properties.rating : 0
    properties.rating != null and properties.rating > 1
    null != properties.rating and properties.rating > 1
    properties.rating == null or properties.rating > 1
    !has(properties.rating) || properties.rating > 1
    not (not has(properties.rating)) ? properties.rating : 0
    !(properties.rating == null || properties.gift == null) ? (properties.gift ? properties.rating : 0) : 1
    properties.rating == null ? 0 : properties.rating
    has(properties.rating) ? (properties.first ? properties.rating : 0) : 0
    properties.rating ?? 0
    (properties.rating ?? properties.discount) ?? 0
    properties.rating == 4 && properties.rating + 1 == 5
    properties.rating == properties.amount && properties.rating > 1
    properties.category in ["books"] && properties.category.lower() == "books"
    has(properties.address.city) && properties.address.city.lower() == "a"
    has(properties.address) && properties.address.city.lower() == "a"
    properties.items.any(i, has(i.weight) && i.weight > 1)
    properties.items.filter(i, i.price > 1).sum(i, has(i.weight) ? i.weight : 0)
    has(properties.rating) && properties.items.any(i, i.price > properties.rating)
    1 / max(properties.pieces, 1)
    1 / (properties.pieces + 1)
    1 / clamp(properties.pieces, 1, 5)
    1 / (abs(properties.change) + 1)
    1 / -max(properties.amount, 1)
    1 / round(max(properties.amount, 0.5))
    1 / (properties.rating ?? 1)
    1 / (properties.first ? 1 : 2)
    properties.pieces != 0 ? 1 / properties.pieces : 0
    0 != properties.pieces ? 1 / properties.pieces : 0
    properties.pieces == 0 ? 0 : 1 % properties.pieces
    properties.pieces == 0 || 1 / properties.pieces >= 0
    properties.pieces > 0 && 1 / properties.pieces >= 0
    properties.change < 0 ? 1 / properties.change : 0
    properties.change >= 0.5 ? 1 / properties.change : 0
    properties.change <= 0 ? 0 : 1 / properties.change
    properties.change != 0 ? 1 / -properties.change : 0
    properties.change != 0 ? 1 / abs(properties.change) : 0
    properties.change != 0 ? 1 / (properties.change * properties.change) : 0
    properties.change - 1 != 0 ? 1 / (properties.change - 1) : 0
    properties.items.size > 0 ? 1 / properties.items.size : 0
    properties.rating != null && properties.rating != 0 ? 1 / properties.rating : 0
    properties.items.all(i, i.quantity == 0 || 1 / i.quantity > 0)
"""
UNPROVEN = """
    maybe_missing    has(properties.rating) || properties.rating > 1
    maybe_missing    !has(properties.rating) && properties.rating > 1
    maybe_missing    properties.rating > 1 && has(properties.rating)
    maybe_missing    properties.rating != null || properties.rating > 1
    maybe_missing    properties.rating == null && properties.rating > 1
    maybe_missing    has(properties.rating) ? 1 : properties.rating + 1
    maybe_missing    properties.rating == null ? properties.rating + 1 : 1
    maybe_missing    (has(properties.rating) || properties.first) && properties.rating > 1
    maybe_missing    !(has(properties.rating) && properties.first) || properties.discount > 1
    maybe_missing    (has(properties.rating) ? 1 : 2) + properties.rating
    maybe_missing    properties.rating == null && properties.first || properties.rating > 1
    maybe_missing    has(properties.discount) && properties.rating > 1
    maybe_missing    properties.rating == properties.discount && properties.rating > 1
    maybe_missing    properties.rating != 4 && properties.rating > 1
    maybe_missing    properties.category in ["books", null] && properties.category.lower() == "a"
    maybe_missing    !(properties.category in ["books"]) && properties.category.lower() == "a"
    maybe_missing    (properties.rating ?? 0) > 0 && properties.rating > 1
    maybe_missing    properties.items.any(i, has(i.weight)) && properties.items.sum(i, i.weight) > 1
    maybe_missing    properties.items.filter(i, has(i.weight)).sum(i, i.weight)
    maybe_missing    has(properties.address) && properties.address.floor > 1
    maybe_missing    properties.items.size >= 0 && properties.items.min(i, i.price) > 1
    maybe_missing    (properties.rating ?? properties.discount) + 1
    division_by_zero 1 / properties.pieces
    division_by_zero 1 / max(properties.pieces, 0)
    division_by_zero 1 / clamp(properties.pieces, 0, 5)
    division_by_zero 1 / abs(properties.change)
    division_by_zero 1 / (properties.first ? 1 : 0)
    division_by_zero 1 / (properties.rating ?? 0)
    division_by_zero 1 / round(max(properties.amount, 0.4))
    division_by_zero 1 / floor(max(properties.amount, 0.9))
    division_by_zero 1 / (properties.change * properties.change)
    division_by_zero properties.pieces != 0 ? 0 : 1 / properties.pieces
    division_by_zero properties.pieces == 0 ? 1 / properties.pieces : 0
    division_by_zero properties.pieces != 1 ? 1 / properties.pieces : 0
    division_by_zero properties.pieces > 0 || 1 / properties.pieces > 1
    division_by_zero properties.pieces >= 0 && 1 / properties.pieces > 1
    division_by_zero properties.change > -1 ? 1 / properties.change : 0
    division_by_zero properties.pieces != 0 || properties.first ? 1 / properties.pieces : 0
    division_by_zero properties.change != 0 ? 1 / round(properties.change) : 0
    division_by_zero properties.change != 0 ? 1 / (properties.change / 1000) : 0
    division_by_zero properties.change != 0 ? 1 / (properties.change % 2) : 0
    division_by_zero properties.change != 0 ? 1 / (properties.change - 1) : 0
    division_by_zero properties.pieces != 0 ? 1 / (properties.pieces - properties.pieces) : 0
    division_by_zero properties.items.any(i, i.quantity != 0) && properties.items.all(j, 1 / j.quantity > 0)
"""


@pytest.mark.parametrize("source", [line.strip() for line in PROVEN.strip().splitlines()])
def test_proven(source: str) -> None:
    """Accepted, and worth the same in every form, whether what is optional was sent or not, and where it is 0."""
    optional = ("rating", "discount", "gift", "category", "address", "items")
    bare = {name: value for name, value in EVENT.items() if name not in optional}
    nothing = {**EVENT, "pieces": 0, "change": 0, "amount": 0, "items": (("a", 0, 0, None, None, None),)}
    for event in (EVENT, bare, nothing):
        evaluated(source, event)


@pytest.mark.parametrize(("code", "source"), [line.strip().split(maxsplit=1) for line in UNPROVEN.strip().splitlines()])
def test_unproven(code: str, source: str) -> None:
    findings = [check(source, SCOPE, kind).diagnostics for kind in ("number", "condition")]
    for found in findings:
        errors = {each.code for each in found if each.severity == "error"}
        assert code in errors
        assert errors <= {code, "type"}  # of the two kinds expected, one is wrong
