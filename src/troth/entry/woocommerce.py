"""WooCommerce's webhooks on orders → events of the order family. Pure.

In: the payload of order.created, updated, deleted or restored, read exactly. Out: what the order's status says, and a
partial refund for each refund it names. Line totals are after discounts and without tax. Of a refund, the order says
only what was paid back in all: its share of the goods counts, shipping left out.
Field names and meanings: WooCommerce's REST API reference, version 3, resource Order.
"""

from __future__ import annotations

from fractions import Fraction

from troth.core.sources.shops import WooCommerceSettings
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
from troth.pipeline.outcome import RawEvent

_TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")
_NOTHING = Fraction(0)
_GMT_LENGTH = len("2026-11-20T10:00:00")


def read_woocommerce(payload: Node, settings: WooCommerceSettings, received: Received) -> Mapped:
    """What a webhook says."""
    if received.topic not in _TOPICS:
        return Mapped(dropped="topic")
    order_id = order_id_of(settings, payload.get("id"))
    if order_id is None:
        return Mapped(dropped="no_order")
    is_deleted = received.topic == "order.deleted"
    meaning = settings.meaning_of("deleted" if is_deleted else payload.get("status"))
    if meaning == "drop":
        return Mapped(dropped="status", order=order_id)
    customer = customer_of(settings, _buyer(payload))
    if customer is None and not is_deleted:  # what is deleted is told by its id alone
        return Mapped(dropped="guest", order=order_id)
    reference = reference_of(received, order_id)
    at = past(_moment(payload, "date_modified"), received.at)
    if meaning in ("reject", "refund"):
        type_id = "checkout_reject" if meaning == "reject" else "refund"
        event = family_event(type_id, {"order_id": order_id}, reference, customer=customer, at=at)
        return Mapped(events=(event,), order=order_id)
    if customer is None:
        return Mapped(dropped="guest", order=order_id)
    content = _content(payload, order_id, settings, received)
    make = opening_event if meaning == "paid" else changing_event
    refunds = _refunds(payload, settings, received, (order_id, customer))
    return Mapped(events=(make(settings, content, customer, reference), *refunds), order=order_id)


def _buyer(payload: Node) -> Buyer:
    return Buyer(
        shop_id=payload.get("customer_id"),
        email=node(payload.get("billing")).get("email"),
        attributes=attributes_of(payload.get("meta_data"), "key"),
    )


def _content(payload: Node, order_id: str, settings: WooCommerceSettings, received: Received) -> Content:
    amount = _amount(payload, settings)
    ordered_at = _moment(payload, "date_paid") or _moment(payload, "date_created")
    return Content(
        order_id=order_id,
        amount=money(amount, settings) if amount is not None else payload.get("total"),
        currency=payload.get("currency"),
        ordered_at=past(ordered_at, received.at),
        updated_at=past(_moment(payload, "date_modified"), received.at),
        items=[_item(line, settings) for line in nodes(payload.get("line_items"))],
    )


def _amount(payload: Node, settings: WooCommerceSettings) -> Fraction | None:
    if settings.basis == "total":
        return number(payload.get("total"))
    lines = nodes(payload.get("line_items"))
    return max(sum((_worth(line, settings) for line in lines), _NOTHING), _NOTHING)


def _worth(line: Node, settings: WooCommerceSettings) -> Fraction:
    total, tax = number(line.get("total")) or _NOTHING, number(line.get("total_tax")) or _NOTHING
    return total if settings.basis == "subtotal" else total + tax


def _item(line: Node, settings: WooCommerceSettings) -> dict[str, object]:
    """The price of a line is a binary float in WooCommerce; its total says it exactly."""
    worth, quantity = max(_worth(line, settings), _NOTHING), number(line.get("quantity"))
    found: dict[str, object] = {"subtotal": money(worth, settings)}
    if quantity:
        found["price"] = money(abs(worth / quantity), settings)
    return item_of(line, found)


def _refunds(
    payload: Node, settings: WooCommerceSettings, received: Received, order: tuple[str, str]
) -> list[RawEvent]:
    order_id, customer = order
    at = past(_moment(payload, "date_modified"), received.at)
    found = []
    for refund in nodes(payload.get("refunds")):
        refund_id, paid_back = identifier(refund.get("id")), number(refund.get("total"))
        if refund_id is None or not paid_back:
            continue
        amount = money(_share(abs(paid_back), payload, settings), settings)
        given = {"order_id": order_id, "refund_id": refund_id, "amount": amount}
        reference = reference_of(received, order_id, refund_id)
        found.append(family_event("partial_refund", given, reference, customer=customer, at=at))
    return found


def _share(paid_back: Fraction, payload: Node, settings: WooCommerceSettings) -> Fraction:
    """What of the money paid back is of what earns points: goods without tax and shipping, unless those count."""
    worth, total = _amount(payload, settings), number(payload.get("total"))
    if settings.basis == "total" or worth is None or total is None:
        return paid_back
    shipping = (number(payload.get("shipping_total")) or _NOTHING) + (number(payload.get("shipping_tax")) or _NOTHING)
    goods = total - shipping
    return min(paid_back * worth / goods, worth) if goods > 0 else paid_back


def _moment(payload: Node, name: str) -> str | None:
    """WooCommerce writes times in UTC without saying so."""
    text = payload.get(f"{name}_gmt")
    return f"{text}Z" if isinstance(text, str) and len(text) == _GMT_LENGTH else None
