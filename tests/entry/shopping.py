"""Webhooks as shops send them: payloads with the fields of the public references, signed as the shops sign.

await send_shopify(served, source, "orders/paid", shopify_order(), event="e1")
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import httpx

from tests.entry.sourcing import Made
from tests.serving import Served

Json = dict[str, Any]

ORDER = 820982911946154508  # beyond 2^53, as in Shopify's own sample
CUSTOMER = 115310627314723954
SHIRT, MUG = 866550311766439020, 141249953214522974


def in_currencies(shop: str, buyer: str) -> Json:
    """Money of an order sold in another currency."""
    return {
        "shop_money": {"amount": shop, "currency_code": "EUR"},
        "presentment_money": {"amount": buyer, "currency_code": "JPY"},
    }


def shopify_line(line: int, price: str, quantity: int, *, off: str = "0.00", tax: str = "0.00", **more: Any) -> Json:
    product = line // 3
    return {
        "id": line,
        "admin_graphql_api_id": f"gid://shopify/LineItem/{line}",
        "current_quantity": 0,
        "discount_allocations": [
            {"amount": off, "amount_set": in_currencies(off, "999"), "discount_application_index": 0}
        ],
        "fulfillable_quantity": quantity,
        "fulfillment_status": None,
        "gift_card": False,
        "grams": 567,
        "name": "IPod Nano - 8GB",
        "price": price,
        "price_set": in_currencies(price, "99999"),
        "product_exists": True,
        "product_id": product,
        "properties": [],
        "quantity": quantity,
        "requires_shipping": True,
        "sku": "IPOD2008PINK",
        "tax_lines": [{"price": tax, "price_set": in_currencies(tax, "8888"), "rate": 0.2, "title": "VAT"}],
        "taxable": True,
        "title": "IPod Nano - 8GB",
        "total_discount": "0.00",
        "variant_id": 808950810,
        **more,
    }


def shopify_order(**more: Any) -> Json:
    """Two shirts of 60 less 20, and a mug of 25.505: 125.505 after discounts; tax 25.10, shipping 10."""
    return {
        "id": ORDER,
        "admin_graphql_api_id": f"gid://shopify/Order/{ORDER}",
        "cancel_reason": None,
        "cancelled_at": None,
        "contact_email": "jon@example.com",
        "created_at": "2026-11-20T10:00:00-05:00",
        "currency": "EUR",
        "current_subtotal_price": "1.00",
        "current_total_price": "1.00",
        "customer": {"id": CUSTOMER, "email": "John@Example.com", "first_name": "John", "last_name": "Smith"},
        "email": "jon@example.com",
        "financial_status": "paid",
        "line_items": [
            shopify_line(SHIRT, "60.00", 2, off="20.00", tax="20.00"),
            shopify_line(MUG, "25.505", 1, tax="5.10"),
        ],
        "name": "#9999",
        "note_attributes": [{"name": "loyalty_id", "value": "ada"}],
        "order_number": 1234,
        "presentment_currency": "JPY",
        "processed_at": "2026-11-20T10:00:00-05:00",
        "refunds": [],
        "shipping_lines": [{"id": 271878346596884015, "price": "10.00", "title": "Generic Shipping"}],
        "subtotal_price": "125.505",
        "subtotal_price_set": in_currencies("125.505", "20000"),
        "tax_lines": [],
        "taxes_included": False,
        "test": False,
        "total_discounts": "20.00",
        "total_line_items_price": "145.505",
        "total_price": "160.61",
        "total_price_set": in_currencies("160.61", "26000"),
        "total_shipping_price_set": in_currencies("10.00", "1600"),
        "total_tax": "25.10",
        "updated_at": "2026-11-20T10:05:00-05:00",
        **more,
    }


def shopify_refund(refund: int = 890088186047892319, **more: Any) -> Json:
    """One of the two shirts: 50.00."""
    return {
        "id": refund,
        "order_id": ORDER,
        "created_at": "2026-11-21T10:00:00-05:00",
        "note": "Things were damaged",
        "processed_at": "2026-11-21T10:00:00-05:00",
        "restock": False,
        "user_id": 548380009,
        "refund_line_items": [
            {
                "id": 487817672276298627,
                "line_item_id": SHIRT,
                "line_item": shopify_line(SHIRT, "60.00", 2),
                "quantity": 1,
                "restock_type": "no_restock",
                "subtotal": 50.00,
                "subtotal_set": in_currencies("50.00", "8000"),
                "total_tax": 10.00,
                "total_tax_set": in_currencies("10.00", "1600"),
            }
        ],
        "transactions": [refund_transaction("60.00")],
        "order_adjustments": [],
        **more,
    }


def refund_transaction(amount: str, **more: Any) -> Json:
    return {
        "id": 179259969,
        "amount": amount,
        "currency": "EUR",
        "gateway": "bogus",
        "kind": "refund",
        "status": "success",
        "test": False,
        **more,
    }


def money_refund(refund: int, amount: str, **more: Any) -> Json:
    """Money back, and no goods."""
    return shopify_refund(
        refund, refund_line_items=[], transactions=[refund_transaction(amount)], created_at=None, **more
    )


async def send_shopify(
    served: Served, source: Made, topic: str, payload: Json, *, event: str = "", **headers: str
) -> httpx.Response:
    named = {"X-Shopify-Event-Id": event, "X-Shopify-Webhook-Id": f"w-{event}-{topic}"} if event else {}
    given = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": "johns-apparel.myshopify.com",
        "X-Shopify-API-Version": "2026-07",
        **named,
        **headers,
    }
    return await send(served, source, json.dumps(payload).encode(), given, signed_in="X-Shopify-Hmac-Sha256")


def woo_line(line: int, quantity: int, total: str, tax: str, **more: Any) -> Json:
    return {
        "id": line,
        "name": "Woo Single #1",
        "product_id": 93,
        "variation_id": 0,
        "quantity": quantity,
        "tax_class": "",
        "subtotal": "99.00",
        "subtotal_tax": "0.45",
        "total": total,
        "total_tax": tax,
        "taxes": [{"id": 75, "total": tax, "subtotal": tax}],
        "meta_data": [],
        "sku": "WOO-1",
        "price": float(total) / quantity + 1e-13,
        **more,
    }


def woo_order(**more: Any) -> Json:
    """100.00 of goods, 20.00 of tax on them, 12.00 of shipping with tax."""
    return {
        "id": 727,
        "parent_id": 0,
        "number": "727",
        "order_key": "wc_order_58d2d042d1d",
        "created_via": "rest-api",
        "version": "9.0.0",
        "status": "processing",
        "currency": "EUR",
        "date_created": "2026-11-20T16:28:02",
        "date_created_gmt": "2026-11-20T15:28:02",
        "date_modified": "2026-11-20T16:28:08",
        "date_modified_gmt": "2026-11-20T15:28:08",
        "date_paid": "2026-11-20T16:28:08",
        "date_paid_gmt": "2026-11-20T15:28:08",
        "discount_total": "10.00",
        "shipping_total": "10.00",
        "shipping_tax": "2.00",
        "cart_tax": "20.00",
        "total": "132.00",
        "total_tax": "22.00",
        "prices_include_tax": False,
        "customer_id": 26,
        "billing": {"first_name": "John", "email": "John.Doe@Example.com", "country": "DE"},
        "meta_data": [{"id": 13106, "key": "loyalty_id", "value": "ada"}],
        "line_items": [woo_line(315, 2, "60.00", "12.00"), woo_line(316, 3, "40.00", "8.00")],
        "shipping_lines": [{"id": 317, "method_title": "Flat Rate", "total": "10.00", "total_tax": "2.00"}],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [],
        **more,
    }


async def send_woo(
    served: Served, source: Made, topic: str, payload: Json, *, delivery: str = "", **headers: str
) -> httpx.Response:
    given = {
        "X-WC-Webhook-Source": "https://example.com/",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": topic.partition(".")[0],
        "X-WC-Webhook-Event": topic.partition(".")[2],
        "X-WC-Webhook-ID": "142",
        **({"X-WC-Webhook-Delivery-ID": delivery} if delivery else {}),
        **headers,
    }
    return await send(served, source, json.dumps(payload).encode(), given, signed_in="X-WC-Webhook-Signature")


async def send(
    served: Served, source: Made, body: bytes, headers: Mapping[str, str], *, signed_in: str
) -> httpx.Response:
    """A body with its base64 HMAC-SHA256, and without any key of ours."""
    given = {"Content-Type": "application/json", signed_in: signature(source.secrets["secret"], body), **headers}
    return await served.post(f"/v1/hooks/{source.id}", body, key=None, headers=given)


def signature(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
