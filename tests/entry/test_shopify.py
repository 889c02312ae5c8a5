"""What Shopify's webhooks say: money, customers, refunds, and what earns nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from tests.entry.shopping import (
    CUSTOMER,
    MUG,
    ORDER,
    SHIRT,
    Json,
    in_currencies,
    money_refund,
    refund_transaction,
    shopify_line,
    shopify_order,
    shopify_refund,
)
from troth import limits
from troth.core.sources.settings import read_settings
from troth.core.sources.shops import ShopifySettings
from troth.entry.json_text import JsonReader
from troth.entry.shop_orders import Mapped, Received
from troth.entry.shopify import read_shopify
from troth.pipeline.outcome import RawEvent

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def told(topic: str, payload: Json, **settings: Any) -> Mapped:
    """The payload as it is read from the wire."""
    read = read_settings(ShopifySettings, settings)
    assert isinstance(read, ShopifySettings), read
    assert read.flaws() == ()
    document = JsonReader().read(msgspec.json.encode(payload), depth=limits.HOOK_DEPTH)
    assert document.flaws == ()
    assert isinstance(document.value, dict)
    return read_shopify(document.value, read, Received(source_id="shop", delivery="d", topic=topic, at=NOW))


def event(topic: str, payload: Json, **settings: Any) -> RawEvent:
    (found,) = told(topic, payload, **settings).events
    return found


def test_a_paid_order_opens() -> None:
    found = event("orders/paid", shopify_order())
    assert found == RawEvent(
        customer=str(CUSTOMER),
        type="checkout",
        reference=f"shop:orders/paid:{ORDER}:d",
        occurred_at="2026-11-20T10:00:00-05:00",
        properties={
            "transaction_id": str(ORDER),
            "total": "125.51",  # 125.505, half up
            "currency": "EUR",
            "updated_at": "2026-11-20T10:05:00-05:00",
            "items": [
                {
                    "line_id": str(SHIRT),
                    "product_id": str(SHIRT // 3),
                    "product_name": "IPod Nano - 8GB",
                    "sku": "IPOD2008PINK",
                    "quantity": 2,
                    "price": "60.00",
                    "subtotal": "100.00",
                },
                {
                    "line_id": str(MUG),
                    "product_id": str(MUG // 3),
                    "product_name": "IPod Nano - 8GB",
                    "sku": "IPOD2008PINK",
                    "quantity": 1,
                    "price": "25.51",
                    "subtotal": "25.51",
                },
            ],
        },
        is_signed=True,
    )


def test_a_purchase_opens_with_its_own_names() -> None:
    found = event("orders/paid", shopify_order(), opens="purchase", order_prefix="de-", customer_prefix="shop-")
    assert (found.type, found.customer) == ("purchase", f"shop-{CUSTOMER}")
    assert isinstance(found.properties, dict)
    assert {name: found.properties.get(name) for name in ("order_id", "amount", "updated_at")} == {
        "order_id": f"de-{ORDER}",
        "amount": "125.51",
        "updated_at": None,
    }
    assert found.occurred_at == "2026-11-20T10:05:00-05:00"  # no other property says how new it is


INCLUDED = {"taxes_included": True, "subtotal_price_set": in_currencies("150.60", "1")}
AMOUNTS = [
    ({}, {}, "125.51"),
    ({}, {"basis": "subtotal_with_tax"}, "150.61"),
    ({}, {"basis": "total"}, "160.61"),
    ({}, {"places": 0}, "126"),
    ({}, {"places": 3}, "125.505"),
    (INCLUDED, {}, "125.50"),
    (INCLUDED, {"basis": "subtotal_with_tax"}, "150.60"),
    ({"subtotal_price_set": None}, {}, "125.51"),  # an older version of the API
    ({"subtotal_price_set": None, "subtotal_price": "10.004999"}, {}, "10.00"),
    ({"subtotal_price_set": None, "subtotal_price": 0.1}, {}, "0.10"),
    ({"current_subtotal_price_set": in_currencies("5.00", "1")}, {}, "125.51"),
]


@pytest.mark.parametrize(("changed", "settings", "amount"), AMOUNTS)
def test_what_an_order_is_worth(changed: Json, settings: Json, amount: str) -> None:
    properties = event("orders/paid", shopify_order(**changed), **settings).properties
    assert isinstance(properties, dict)
    assert properties["total"] == amount
    assert "current" not in str(properties)


GUEST: Json = {"customer": None, "email": " Jon@Example.COM "}
NAMELESS: Json = {"customer": None, "email": None, "contact_email": None}
HASHED = sha256(b"jon@example.com").hexdigest()
CUSTOMERS = [
    ({}, {}, str(CUSTOMER)),
    ({}, {"customer": "email"}, "john@example.com"),
    ({}, {"customer": "attribute", "customer_attribute": "loyalty_id"}, "ada"),
    ({}, {"customer": "attribute", "customer_attribute": "nothing"}, str(CUSTOMER)),
    (GUEST, {}, None),
    (GUEST, {"guests": "email"}, "jon@example.com"),
    (GUEST, {"guests": "email_hash"}, HASHED),
    (GUEST, {"customer": "email"}, None),
    (GUEST, {"customer": "attribute", "customer_attribute": "loyalty_id"}, "ada"),
    (NAMELESS, {"guests": "email"}, None),
]


@pytest.mark.parametrize(("changed", "settings", "customer"), CUSTOMERS)
def test_whose_an_order_is(changed: Json, settings: Json, customer: str | None) -> None:
    found = told("orders/paid", shopify_order(**changed), **settings)
    assert [event.customer for event in found.events] == ([customer] if customer else [])
    assert found.dropped == (None if customer else "guest")


DROPPED = [
    ("orders/paid", shopify_order(test=True), "test"),
    ("orders/updated", shopify_order(test=True), "test"),
    ("refunds/create", shopify_refund(transactions=[refund_transaction("5.00", test=True)]), "test"),
    ("orders/create", shopify_order(), "topic"),
    ("", shopify_order(), "topic"),
    ("orders/paid", shopify_order(id=None), "no_order"),
    ("refunds/create", shopify_refund(order_id=None), "no_order"),
    ("refunds/create", money_refund(5, "0.00"), "no_amount"),
]


@pytest.mark.parametrize(("topic", "payload", "reason"), DROPPED)
def test_what_says_nothing(topic: str, payload: Json, reason: str) -> None:
    assert (told(topic, payload).events, told(topic, payload).dropped) == ((), reason)


def test_a_change_and_a_cancellation() -> None:
    changed = event("orders/updated", shopify_order())
    assert (changed.type, changed.occurred_at) == ("checkout_update", "2026-11-20T10:05:00-05:00")
    assert changed.properties == event("orders/paid", shopify_order()).properties
    cancelled = event("orders/cancelled", shopify_order(cancelled_at="2026-11-21T00:00:00Z", cancel_reason="fraud"))
    assert (cancelled.type, cancelled.occurred_at) == ("checkout_reject", "2026-11-21T00:00:00Z")
    assert cancelled.properties == {"order_id": str(ORDER), "reason": "fraud"}


def test_a_clock_that_runs_ahead_means_now() -> None:
    assert event("orders/updated", shopify_order(updated_at="2026-11-27T00:00:00Z")).occurred_at is None


SHIPPING = {
    "id": 1,
    "kind": "shipping_refund",
    "amount": "-10.00",
    "tax_amount": "-2.00",
    "amount_set": in_currencies("-10.00", "-1600"),
    "tax_amount_set": in_currencies("-2.00", "-320"),
}
DISCREPANCY = {
    "id": 2,
    "kind": "refund_discrepancy",
    "amount": "-800",
    "tax_amount": "0.00",
    "amount_set": in_currencies("-5.00", "-800"),
    "tax_amount_set": in_currencies("0.00", "0"),
}
IN_YEN = [refund_transaction("800", currency="JPY")]
REFUNDS = [  # payload, settings, amount of the refund, amount of its item
    (shopify_refund(), {}, None, "50.00"),
    (shopify_refund(), {"basis": "subtotal_with_tax"}, None, "60.00"),
    (shopify_refund(), {"prices_include_tax": True}, None, "40.00"),
    (shopify_refund(), {"prices_include_tax": True, "basis": "subtotal_with_tax"}, None, "50.00"),
    (shopify_refund(), {"basis": "total"}, "60.00", "60.00"),
    (money_refund(5, "5.255"), {}, "5.26", None),
    (money_refund(5, "5.00", order_adjustments=[SHIPPING]), {"basis": "total"}, "5.00", None),
    (money_refund(5, "17.00", order_adjustments=[SHIPPING]), {}, "5.00", None),
    ({**money_refund(5, "0"), "transactions": IN_YEN, "order_adjustments": [DISCREPANCY]}, {}, "5.00", None),
    ({**money_refund(5, "0"), "transactions": [], "order_adjustments": [DISCREPANCY, SHIPPING]}, {}, "5.00", None),
    ({**money_refund(5, "0"), "transactions": [refund_transaction("9", status="failure")]}, {}, "dropped", None),
]


@pytest.mark.parametrize(("payload", "settings", "amount", "of_item"), REFUNDS)
def test_what_a_refund_takes(payload: Json, settings: Json, amount: str | None, of_item: str | None) -> None:
    if amount == "dropped":
        assert told("refunds/create", payload, **settings).dropped == "no_amount"
        return
    found = event("refunds/create", payload, **settings)
    assert (found.type, found.customer) == ("partial_refund", None)
    assert isinstance(found.properties, dict)
    assert found.properties.get("amount") == amount
    items = found.properties.get("items", [])
    assert items == ([{"line": str(SHIRT), "quantity": 1, "amount": of_item}] if of_item else [])


def test_a_line_without_a_product_is_known_by_another_id() -> None:
    lines = [shopify_line(3, "1.00", 1, product_id=None), shopify_line(6, "1.00", 1, product_id=None, variant_id=None)]
    properties = event("orders/paid", shopify_order(line_items=lines)).properties
    assert isinstance(properties, dict)
    assert [item["product_id"] for item in properties["items"]] == ["808950810", "6"]


def test_ids_that_are_no_numbers_of_machines_are_exact() -> None:
    huge = 10**30 + 7
    found = event("orders/paid", shopify_order(id=huge, customer={"id": huge + 1}))
    assert isinstance(found.properties, dict)
    assert (found.properties["transaction_id"], found.customer) == (str(huge), str(huge + 1))
    assert Decimal(str(found.properties["total"])) == Decimal("125.51")


def test_an_attribute_needs_its_name() -> None:
    (flaw,) = ShopifySettings(customer="attribute").flaws()
    assert (flaw.pointer, flaw.code) == ("/customer_attribute", "missing")
