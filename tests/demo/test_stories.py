"""The demo shop: the same seed tells the same stories, and more days or customers only continue them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from troth.demo.stories import Happening, Shop

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
SHOP = Shop(seed=1, customers=80, days=150)


def told(shop: Shop, now: datetime = NOW) -> list[Happening]:
    return list(shop.happenings(now))


def by_reference(shop: Shop, now: datetime = NOW) -> dict[str, tuple[str, str, Mapping[str, object]]]:
    return {item.reference: (item.customer, item.type, item.properties) for item in told(shop, now)}


def test_the_same_seed_tells_the_same() -> None:
    assert told(SHOP) == told(SHOP)


@pytest.mark.parametrize(
    "longer",
    [Shop(seed=1, customers=80, days=400), Shop(seed=1, customers=160, days=150), Shop(seed=1, customers=81, days=150)],
    ids=["more days", "more customers", "one customer more"],
)
def test_more_days_or_customers_only_continue_it(longer: Shop) -> None:
    """Under one reference always the same, so that a second run is no conflict; who joins earlier does more."""
    before, after = by_reference(SHOP), by_reference(longer)
    shared = before.keys() & after.keys()
    assert len(shared) > len(before) * 0.9
    assert [name for name in shared if before[name] != after[name]] == []


def test_the_next_day_adds_to_it() -> None:
    before, after = by_reference(SHOP), by_reference(SHOP, NOW + timedelta(hours=5))
    assert before.items() <= after.items()


def test_another_seed_is_another_shop() -> None:
    assert by_reference(SHOP).keys().isdisjoint(by_reference(Shop(seed=2, customers=80, days=150)))


def test_it_is_told_in_order_of_time_and_ends_now() -> None:
    moments = [item.at for item in told(SHOP)]
    assert moments == sorted(moments)
    assert NOW - timedelta(days=151) <= moments[0]
    assert moments[-1] <= NOW


def test_references_are_unique_and_everybody_signs_up_first() -> None:
    happenings = told(SHOP)
    assert len({item.reference for item in happenings}) == len(happenings)
    first: dict[str, str] = {}
    for item in happenings:
        first.setdefault(item.customer, item.type)
    assert set(first.values()) == {"signup"}
    assert len(first) == SHOP.customers


def test_an_order_is_worth_its_lines() -> None:
    purchases = [item.properties for item in told(SHOP) if item.type == "purchase"]
    assert len(purchases) > 100
    for purchase in purchases:
        items = purchase["items"]
        assert isinstance(items, list)
        lines = [Decimal(line["price"]) * line["quantity"] for line in items]
        assert [Decimal(line["subtotal"]) for line in items] == lines
        assert Decimal(str(purchase["amount"])) == sum(lines)
        assert purchase["product_count"] == sum(line["quantity"] for line in items)


def test_all_kinds_of_things_happen() -> None:
    assert {item.type for item in told(SHOP)} >= {"signup", "profile", "purchase", "review", "referral", "checkin"}
