"""What the doors of all shops share: an order as a shop tells it → events of the order family. Pure.

In: a shop's settings, and what its own door read from a payload. Out: raw events with exact money and ids.
Must never: read a field that says what is left of an order after refunds; content is gross, refunds are facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from hashlib import sha256

import msgspec

from troth import limits
from troth.core.coercion import as_decimal, parse_moment, show_scaled
from troth.core.expression.runtime import half_up
from troth.core.sources.shops import ShopSettings
from troth.pipeline.outcome import RawEvent

Node = Mapping[str, object]

_NAME_LENGTH = 500  # of a product, as the starter program declares it
_SKU_LENGTH = 100


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request beside its payload."""

    source_id: str
    delivery: str  # the sender's own name for it, or a hash of the body
    topic: str  # in small letters
    at: datetime


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """What a payload says."""

    events: tuple[RawEvent, ...] = ()
    dropped: str | None = None  # why it says nothing here
    order: str | None = None  # the order that these events are of


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """Who bought, as the shop knows it."""

    shop_id: object  # None or 0: a guest
    email: object
    attributes: Node  # of the order, by name


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """An order, gross."""

    order_id: str
    amount: object
    currency: object
    ordered_at: object
    updated_at: object
    items: Sequence[Node]


def node(value: object) -> Node:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def nodes(value: object) -> list[Node]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def identifier(value: object) -> str | None:
    """An id as text, to the last digit; None when there is none. Shops say 0 for none."""
    if isinstance(value, bool) or value in (None, "", 0):
        return None
    return str(value) if isinstance(value, str | int) else None


def number(value: object) -> Fraction | None:
    """An exact number; None when it is none."""
    found = as_decimal(value) if not isinstance(value, bool) else "type"
    return None if isinstance(found, str) else Fraction(found)


def money(value: Fraction, settings: ShopSettings) -> str:
    """Rounded half up to the places of the source's money."""
    return show_scaled(half_up(value.numerator * 10**settings.places, value.denominator), settings.places)


def attributes_of(pairs: object, name: str) -> dict[str, object]:
    """[{name: "a", "value": 1}] as {"a": 1}; `name` is what the shop calls a name."""
    return {str(pair.get(name)): pair.get("value") for pair in nodes(pairs)}


def customer_of(settings: ShopSettings, buyer: Buyer) -> str | None:
    """Our customer id; None: nobody, by the policy for guests."""
    if settings.customer == "attribute":
        named = identifier(buyer.attributes.get(settings.customer_attribute or ""))
        if named is not None:
            return named
    shop_id, email = identifier(buyer.shop_id), _email(buyer.email)
    if shop_id is not None and settings.customer != "email":
        return f"{settings.customer_prefix}{shop_id}"
    if shop_id is not None and email is not None:
        return email
    if email is None or settings.guests == "drop":
        return None
    return email if settings.guests == "email" else sha256(email.encode("utf-8", "replace")).hexdigest()


def order_id_of(settings: ShopSettings, value: object) -> str | None:
    found = identifier(value)
    return None if found is None else f"{settings.order_prefix}{found}"


def item_of(line: Node, found: Node) -> dict[str, object]:
    """An item of an order; `found` is what the shop's own door read of the line."""
    name, sku, line_id = line.get("title") or line.get("name"), line.get("sku"), identifier(line.get("id"))
    product = next((known for key in ("product_id", "variant_id", "id") if (known := identifier(line.get(key)))), None)
    taken = {
        "line_id": line_id,
        "product_id": product,
        "product_name": name[:_NAME_LENGTH] if isinstance(name, str) else None,
        "sku": sku if isinstance(sku, str) and 0 < len(sku) <= _SKU_LENGTH else None,
        "quantity": line.get("quantity", 1),
        **found,
    }
    return {key: value for key, value in taken.items() if value is not None}


def opening_event(settings: ShopSettings, content: Content, customer: str, reference: str) -> RawEvent:
    """The event that opens the order. `purchase` maps no time of change, so its own time says how new it is."""
    is_checkout = settings.opens == "checkout"
    return RawEvent(
        customer=customer,
        type=settings.opens,
        reference=reference,
        occurred_at=content.ordered_at if is_checkout else content.updated_at,
        properties=_properties(settings, content),
        is_signed=True,
    )


def changing_event(settings: ShopSettings, content: Content, customer: str, reference: str) -> RawEvent:
    """The event that changes the order: its whole content anew."""
    return RawEvent(
        customer=customer,
        type="checkout_update",
        reference=reference,
        occurred_at=content.updated_at,
        properties=_properties(settings, content),
        is_signed=True,
    )


def family_event(type_id: str, properties: Node, reference: str, *, customer: str | None, at: object) -> RawEvent:
    """Another event of the order; without a customer it belongs to the order's."""
    given = {name: value for name, value in properties.items() if value is not None}
    return RawEvent(
        customer=customer, type=type_id, reference=reference, occurred_at=at, properties=given, is_signed=True
    )


def reference_of(received: Received, *parts: str) -> str:
    """An event's own name: the same for every delivery of the same message."""
    text = ":".join((received.source_id, received.topic, *parts, received.delivery))
    if len(text) <= limits.IDENTIFIER_LENGTH:
        return text
    return f"{received.source_id}:{sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def past(value: object, now: datetime) -> object:
    """A shop's time; None, which is now, for one that its clock puts into the future."""
    moment = parse_moment(value)
    return None if moment is not None and moment > now else value


def _properties(settings: ShopSettings, content: Content) -> dict[str, object]:
    is_checkout = settings.opens == "checkout"
    found: dict[str, object] = {
        "transaction_id" if is_checkout else "order_id": content.order_id,
        "total" if is_checkout else "amount": content.amount,
        "currency": content.currency,
        "items": list(content.items),
    }
    if is_checkout:
        found["updated_at"] = content.updated_at
    return {name: value for name, value in found.items() if value is not None}


def _email(value: object) -> str | None:
    """As everybody writes it: addresses are compared without regard to case."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return text or None
