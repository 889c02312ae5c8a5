"""What WooCommerce's webhooks say: statuses, money without tax, shares of refunds, guests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.entry.shopping import Json, send_woo, woo_line, woo_order
from tests.entry.sourcing import counters, make_source, points_of
from tests.serving import Served
from troth import limits
from troth.core.sources.settings import read_settings
from troth.core.sources.shops import WooCommerceSettings
from troth.entry.json_text import JsonReader
from troth.entry.shop_orders import Mapped, Received
from troth.entry.woocommerce import read_woocommerce

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def told(payload: Json, topic: str = "order.updated", **settings: Any) -> Mapped:
    """The payload as it is read from the wire."""
    read = read_settings(WooCommerceSettings, settings)
    assert isinstance(read, WooCommerceSettings), read
    document = JsonReader().read(msgspec.json.encode(payload), depth=limits.HOOK_DEPTH)
    assert isinstance(document.value, dict)
    return read_woocommerce(document.value, read, Received(source_id="woo", delivery="d", topic=topic, at=NOW))


def properties(payload: Json, place: int = 0, **settings: Any) -> Json:
    found = told(payload, **settings).events[place].properties
    assert isinstance(found, dict)
    return found


def test_a_paid_order_opens() -> None:
    (event,) = told(woo_order(), "order.created").events
    assert (event.customer, event.type, event.reference) == ("26", "checkout", "woo:order.created:727:d")
    assert event.occurred_at == "2026-11-20T15:28:08Z"
    assert event.properties == {
        "transaction_id": "727",
        "total": "100.00",
        "currency": "EUR",
        "updated_at": "2026-11-20T15:28:08Z",
        "items": [
            {
                "line_id": "315",
                "product_id": "93",
                "product_name": "Woo Single #1",
                "sku": "WOO-1",
                "quantity": 2,
                "price": "30.00",
                "subtotal": "60.00",
            },
            {
                "line_id": "316",
                "product_id": "93",
                "product_name": "Woo Single #1",
                "sku": "WOO-1",
                "quantity": 3,
                "price": "13.33",  # 40 / 3; WooCommerce's own price is a binary float
                "subtotal": "40.00",
            },
        ],
    }


STATUSES = [
    ("processing", {}, ["checkout"], None),
    ("completed", {}, ["checkout"], None),
    ("completed", {"opens": "purchase"}, ["purchase"], None),
    ("on-hold", {}, ["checkout_update"], None),
    ("pending", {}, [], "status"),
    ("failed", {}, [], "status"),
    ("checkout-draft", {}, [], "status"),
    ("cancelled", {}, ["checkout_reject"], None),
    ("trash", {}, ["checkout_reject"], None),
    ("refunded", {}, ["refund"], None),
    ("shipped", {}, [], "status"),
    ("shipped", {"statuses": {"shipped": "paid"}}, ["checkout"], None),
    ("processing", {"statuses": {"processing": "drop"}}, [], "status"),
    (None, {}, [], "status"),
]


@pytest.mark.parametrize(("status", "settings", "types", "reason"), STATUSES)
def test_what_a_status_means(status: object, settings: Json, types: list[str], reason: str | None) -> None:
    found = told(woo_order(status=status), **settings)
    assert ([event.type for event in found.events], found.dropped) == (types, reason)


def test_what_is_deleted_is_told_by_its_id_alone() -> None:
    (event,) = told({"id": 727}, "order.deleted").events
    assert (event.customer, event.type, event.properties) == (None, "checkout_reject", {"order_id": "727"})
    assert told({"id": 727}, "order.deleted", statuses={"deleted": "drop"}).events == ()
    assert told({}, "order.deleted").dropped == "no_order"
    assert told({"id": 5}, "product.updated").dropped == "topic"


REFUNDED: Json = {"refunds": [{"id": 726, "reason": "", "total": "-60.00"}, {"id": 728, "total": "-0.00"}]}
SHARES = [  # of 60.00 paid back of an order of 132.00: goods 120.00 with tax, 100.00 without; shipping 12.00
    (REFUNDED, {}, "50.00"),
    (REFUNDED, {"basis": "subtotal_with_tax"}, "60.00"),
    (REFUNDED, {"basis": "total"}, "60.00"),
    ({"refunds": [{"id": 726, "total": "-132.00"}]}, {}, "100.00"),
    ({"refunds": [{"id": 726, "total": "-0.01"}]}, {"places": 3}, "0.008"),
    ({"total": "0.00", "shipping_total": "0.00", "shipping_tax": "0.00", **REFUNDED}, {}, "60.00"),
]


@pytest.mark.parametrize(("changed", "settings", "amount"), SHARES)
def test_a_refund_takes_its_share_of_the_goods(changed: Json, settings: Json, amount: str) -> None:
    found = told(woo_order(**changed), **settings)
    assert [event.type for event in found.events] == ["checkout", "partial_refund"]
    assert found.events[1].properties == {"order_id": "727", "refund_id": "726", "amount": amount}


AMOUNTS = [({}, "100.00"), ({"basis": "subtotal_with_tax"}, "120.00"), ({"basis": "total"}, "132.00")]


@pytest.mark.parametrize(("settings", "amount"), AMOUNTS)
def test_what_an_order_is_worth(settings: Json, amount: str) -> None:
    assert properties(woo_order(), **settings)["total"] == amount


def test_long_floats_and_free_lines() -> None:
    line = woo_line(1, 3, "65.97", "0.00", price=21.989999999999998436805981327779591083526611328125)
    free = woo_line(2, 1, "0.00", "0.00")
    assert [item["price"] for item in properties(woo_order(line_items=[line, free]))["items"]] == ["21.99", "0.00"]


GUEST: Json = {"customer_id": 0}
CUSTOMERS = [
    ({}, {"customer_prefix": "woo-"}, "woo-26"),
    ({}, {"customer": "email"}, "john.doe@example.com"),
    ({}, {"customer": "attribute", "customer_attribute": "loyalty_id"}, "ada"),
    (GUEST, {"guests": "email"}, "john.doe@example.com"),
    ({"customer_id": 9007199254740993}, {}, "9007199254740993"),
]


@pytest.mark.parametrize(("changed", "settings", "customer"), CUSTOMERS)
def test_whose_an_order_is(changed: Json, settings: Json, customer: str) -> None:
    assert told(woo_order(**changed), **settings).events[0].customer == customer


async def test_a_delivery_counts_once_and_guests_are_counted(served: Served) -> None:
    source = await make_source(served, "woocommerce")
    assert (await send_woo(served, source, "order.created", woo_order(), delivery="d1")).json()["accepted"] == 1
    assert (await send_woo(served, source, "order.created", woo_order(), delivery="d1")).json()["duplicates"] == 1
    assert (await send_woo(served, source, "order.created", woo_order(), delivery="d2")).json()["duplicates"] == 1
    assert (await send_woo(served, source, "order.created", woo_order(**GUEST), delivery="d3")).json()["dropped"] == 1
    assert await points_of(served, "26") == 100
    assert await counters(served, source.id) == {"received": 4, "accepted": 1, "duplicates": 2, "dropped": 1}
