"""Shopify's webhooks on orders and refunds → events of the order family. Pure.

In: the payload of orders/paid, orders/updated, orders/cancelled or refunds/create, read exactly. Out: at most one
event. Money is the shop's own (`shop_money`), gross: `subtotal_price` is after discounts and before
refunds. Must never: read a `current_…` field.
Field names and meanings: Shopify's Admin API reference, resources Order and Refund.
"""

from __future__ import annotations

from fractions import Fraction

from troth.core.sources.shops import ShopifySettings
from troth.entry.shop_orders import (
    Buyer,
    Content,
    Mapped,
    Node,
    Received,
    attributes_of,
    changing_event,
    customer_of,
    family_event,
    identifier,
    item_of,
    money,
    node,
    nodes,
    number,
    opening_event,
    order_id_of,
    past,
    reference_of,
)

_NOTHING = Fraction(0)


def read_shopify(payload: Node, settings: ShopifySettings, received: Received) -> Mapped:
    """What a webhook says."""
    if payload.get("test") is True:
        return Mapped(dropped="test", order=order_id_of(settings, payload.get("id")))
    match received.topic:
        case "orders/paid" | "orders/updated" | "orders/cancelled":
            return _order(payload, settings, received)
        case "refunds/create":
            return _refund(payload, settings, received)
        case _:
            return Mapped(dropped="topic")


# Orders


def _order(payload: Node, settings: ShopifySettings, received: Received) -> Mapped:
    order_id = order_id_of(settings, payload.get("id"))
    customer = customer_of(settings, _buyer(payload))
    if order_id is None or customer is None:
        return Mapped(dropped="guest" if order_id else "no_order", order=order_id)
    reference = reference_of(received, order_id)
    match received.topic:
        case "orders/paid":
            event = opening_event(settings, _content(payload, order_id, settings, received), customer, reference)
        case "orders/updated":
            event = changing_event(settings, _content(payload, order_id, settings, received), customer, reference)
        case _:
            at = past(payload.get("cancelled_at") or payload.get("updated_at"), received.at)
            given = {"order_id": order_id, "reason": payload.get("cancel_reason")}
            event = family_event("checkout_reject", given, reference, customer=customer, at=at)
    return Mapped(events=(event,), order=order_id)


def _buyer(payload: Node) -> Buyer:
    customer = node(payload.get("customer"))
    return Buyer(
        shop_id=customer.get("id"),
        email=customer.get("email") or payload.get("email") or payload.get("contact_email"),
        attributes=attributes_of(payload.get("note_attributes"), "name"),
    )


def _content(payload: Node, order_id: str, settings: ShopifySettings, received: Received) -> Content:
    lines = nodes(payload.get("line_items"))
    amount = _amount(payload, lines, settings)
    return Content(
        order_id=order_id,
        amount=money(amount, settings) if amount is not None else payload.get("subtotal_price"),
        currency=payload.get("currency"),
        ordered_at=past(payload.get("processed_at") or payload.get("created_at"), received.at),
        updated_at=past(payload.get("updated_at"), received.at),
        items=[_item(line, settings, is_taxed=payload.get("taxes_included") is True) for line in lines],
    )


def _amount(payload: Node, lines: list[Node], settings: ShopifySettings) -> Fraction | None:
    if settings.basis == "total":
        return shop_money(payload, "total_price")
    subtotal = shop_money(payload, "subtotal_price")
    if subtotal is None:
        return None
    tax = sum((_tax(line) for line in lines), _NOTHING)
    return max(_by_basis(subtotal, tax, settings, is_taxed=payload.get("taxes_included") is True), _NOTHING)


def _by_basis(amount: Fraction, tax: Fraction, settings: ShopifySettings, *, is_taxed: bool) -> Fraction:
    """An amount with its tax, or without it; `is_taxed`: it holds its tax as it stands."""
    if is_taxed:
        return amount - tax if settings.basis == "subtotal" else amount
    return amount if settings.basis == "subtotal" else amount + tax


def _item(line: Node, settings: ShopifySettings, *, is_taxed: bool) -> dict[str, object]:
    price, quantity = shop_money(line, "price"), number(line.get("quantity"))
    found: dict[str, object] = {}
    if price is not None:
        found["price"] = money(price, settings)
    if price is not None and quantity is not None:
        off = sum(
            (shop_money(part, "amount") or _NOTHING for part in nodes(line.get("discount_allocations"))), _NOTHING
        )
        subtotal = _by_basis(price * quantity - off, _tax(line), settings, is_taxed=is_taxed)
        found["subtotal"] = money(max(subtotal, _NOTHING), settings)
    return item_of(line, found)


def _tax(line: Node) -> Fraction:
    return sum((shop_money(part, "price") or _NOTHING for part in nodes(line.get("tax_lines"))), _NOTHING)


def shop_money(owner: Node, name: str) -> Fraction | None:
    """The amount of `name` in the shop's currency; where a shop sells in one only, `name` itself says it."""
    amount = number(node(node(owner.get(f"{name}_set")).get("shop_money")).get("amount"))
    return number(owner.get(name)) if amount is None else amount


# Refunds


def _refund(payload: Node, settings: ShopifySettings, received: Received) -> Mapped:
    order_id, refund_id = order_id_of(settings, payload.get("order_id")), identifier(payload.get("id"))
    if order_id is None or refund_id is None:
        return Mapped(dropped="no_order")
    transactions = nodes(payload.get("transactions"))
    if any(transaction.get("test") is True for transaction in transactions):
        return Mapped(dropped="test", order=order_id)
    items = [_refunded(line, settings) for line in nodes(payload.get("refund_line_items"))]
    amount = _refunded_amount(payload, transactions, settings) if not items or settings.basis == "total" else None
    if not items and not amount:
        return Mapped(dropped="no_amount", order=order_id)
    given = {
        "order_id": order_id,
        "refund_id": refund_id,
        "items": items or None,
        "amount": money(amount, settings) if amount else None,
    }
    at = past(payload.get("processed_at") or payload.get("created_at"), received.at)
    event = family_event("partial_refund", given, reference_of(received, refund_id), customer=None, at=at)
    return Mapped(events=(event,), order=order_id)


def _refunded(line: Node, settings: ShopifySettings) -> dict[str, object]:
    subtotal, tax = shop_money(line, "subtotal"), shop_money(line, "total_tax") or _NOTHING
    found: dict[str, object] = {
        "line": identifier(line.get("line_item_id")) or identifier(node(line.get("line_item")).get("id")),
        "quantity": line.get("quantity"),
    }
    if subtotal is not None:
        amount = _by_basis(subtotal, tax, settings, is_taxed=settings.prices_include_tax)
        found["amount"] = money(max(amount, _NOTHING), settings)
    return {name: value for name, value in found.items() if value is not None}


def _refunded_amount(payload: Node, transactions: list[Node], settings: ShopifySettings) -> Fraction:
    """What was paid back, in the shop's currency; without what was paid back of shipping, unless that counts."""
    adjustments = nodes(payload.get("order_adjustments"))
    of_shipping = [part for part in adjustments if part.get("kind") == "shipping_refund"]
    others = [part for part in adjustments if part.get("kind") != "shipping_refund"]
    paid_back = [part for part in transactions if part.get("kind") == "refund" and part.get("status") == "success"]
    amount = sum((shop_money(part, "amount") or _NOTHING for part in paid_back), _NOTHING)
    if not paid_back or _is_foreign(paid_back, adjustments):
        return sum((_adjusted(part) for part in (adjustments if settings.basis == "total" else others)), _NOTHING)
    shipping = sum((_adjusted(part) for part in of_shipping), _NOTHING)
    return amount if settings.basis == "total" else max(amount - shipping, _NOTHING)


def _adjusted(adjustment: Node) -> Fraction:
    """An adjustment is what the shop gives back, with its tax: a negative amount."""
    return abs((shop_money(adjustment, "amount") or _NOTHING) + (shop_money(adjustment, "tax_amount") or _NOTHING))


def _is_foreign(transactions: list[Node], adjustments: list[Node]) -> bool:
    """Whether money was paid back in the buyer's currency, and adjustments say what that is in the shop's."""
    shop = {node(node(part.get("amount_set")).get("shop_money")).get("currency_code") for part in adjustments} - {None}
    paid = {part.get("currency") for part in transactions if not part.get("amount_set")} - {None}
    return bool(shop and paid - shop)
