"""The public ecommerce vocabulary (Segment's spec, versions 1 and 2) → the starter program's types.

In: the name of a track call and its properties. Out: a type and its properties, or None for a name that says nothing
here. Pure. What a mapping does not use stays under its own name: a program may declare it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Properties = Mapping[str, object]
Mapped = tuple[str, dict[str, object]]

_ORDER_ID = ("order_id", "orderId", "id")
_AMOUNT = ("total", "revenue", "value")
_FREE_TEXT = ("review_body", "reviewBody")  # may say anything about anybody
_ITEM = {  # ours → theirs, the first that is there
    "line_id": ("line_id",),
    "product_id": ("product_id", "productId", "id", "sku"),
    "product_name": ("name",),
    "product_category": ("category",),
    "product_url": ("url",),
    "sku": ("sku",),
    "quantity": ("quantity",),
    "price": ("price",),
    "subtotal": ("subtotal",),
}
_REFUNDED_ITEM = {
    "line": ("line_id",),
    "product_id": _ITEM["product_id"],
    "quantity": ("quantity",),
    "amount": ("amount", "total"),
}
TRAITS = {  # attribute → path in the traits
    "first_name": ("firstName", "first_name", "firstname"),
    "last_name": ("lastName", "last_name", "lastname"),
    "email": ("email",),
    "phone": ("phone",),
    "language": ("language", "locale"),
    "city": ("address.city", "city"),
    "country": ("address.country", "country"),
    "birth_date": ("birthday", "birth_date"),
}
_IDS = frozenset({"order_id", "refund_id", "line_id", "line", "product_id", "sku"})
_COUNTRY_LETTERS = 2
_DATE_LENGTH = len("2026-11-20")


def read_event(name: str, properties: Properties) -> Mapped | None:
    """What an event of this name is to the starter program."""
    mapping = _EVENTS.get(name.casefold())
    return mapping(properties) if mapping is not None else None


def items_of(products: object) -> object:
    """The products of an order as its items; what is no list of objects stays, to be refused by its place."""
    return _each(products, _ITEM, {"quantity": 1})


def attributes_of(traits: Properties) -> dict[str, object]:
    """What the starter program's profile holds of these traits."""
    found = {attribute: first(traits, paths) for attribute, paths in TRAITS.items()}
    country, birth_date = found["country"], found["birth_date"]
    if not isinstance(country, str) or len(country) != _COUNTRY_LETTERS:
        found["country"] = None  # a name where a code belongs
    if isinstance(birth_date, str):
        found["birth_date"] = birth_date[:_DATE_LENGTH]  # JavaScript's dates carry a time
    return {attribute: value for attribute, value in found.items() if value is not None}


def first(source: object, paths: tuple[str, ...]) -> object:
    """The first of these that is there and not null."""
    return next((value for path in paths if (value := at(source, path)) is not None), None)


def at(source: object, path: str) -> object:
    """The value at a path, as products.sku; None when there is none. A step into a list is taken in each item."""
    for step in path.split("."):
        if isinstance(source, list):
            source = [item.get(step) if isinstance(item, dict) else None for item in source]
        else:
            source = source.get(step) if isinstance(source, dict) else None
    return source


def _order(properties: Properties) -> dict[str, object]:
    products = properties.get("products")
    taken = {
        "order_id": first(properties, _ORDER_ID),
        "amount": first(properties, _AMOUNT),
        "items": items_of(products) if products is not None else None,
    }
    return _with_rest(properties, taken, {*_ORDER_ID, *_AMOUNT, "products", "amount", "items"})


def _purchase(properties: Properties) -> Mapped:
    return "purchase", _order(properties)


def _changed(properties: Properties) -> Mapped:
    return "checkout_update", _order(properties)


def _refunded(properties: Properties) -> Mapped:
    """A refund in part names products or an amount; one that names neither is of the whole order."""
    products, amount = properties.get("products"), first(properties, ("amount", *_AMOUNT))
    order_id = first(properties, _ORDER_ID)
    if not products and amount is None:
        return "refund", _present({"order_id": order_id})
    items = _each(products, _REFUNDED_ITEM, {"quantity": 1}) if products else None
    refund_id = first(properties, ("refund_id", "refundId"))
    taken = {"order_id": order_id, "refund_id": refund_id, "amount": amount, "items": items}
    used = {*_ORDER_ID, *_AMOUNT, "amount", "products", "items", "refund_id", "refundId"}
    return "partial_refund", _with_rest(properties, taken, used)


def _cancelled(properties: Properties) -> Mapped:
    return "checkout_reject", _present({"order_id": first(properties, _ORDER_ID)})


def _signed_up(properties: Properties) -> Mapped:
    return "signup", dict(properties)


def _reviewed(properties: Properties) -> Mapped:
    return "review", {name: value for name, value in properties.items() if name not in _FREE_TEXT}


def _each(products: object, names: Mapping[str, tuple[str, ...]], defaults: Properties) -> object:
    if not isinstance(products, list):
        return products
    return [_item(product, names, defaults) if isinstance(product, dict) else product for product in products]


def _item(product: Properties, names: Mapping[str, tuple[str, ...]], defaults: Properties) -> dict[str, object]:
    return {**defaults, **_present({ours: first(product, theirs) for ours, theirs in names.items()})}


def _with_rest(properties: Properties, taken: Properties, used: set[str]) -> dict[str, object]:
    rest = {name: value for name, value in properties.items() if name not in used}
    return {**rest, **_present(taken)}


def _present(found: Properties) -> dict[str, object]:
    """What is there. Ids that were sent as whole numbers become text: to the engine they are names, not amounts."""
    return {
        name: str(value) if name in _IDS and type(value) is int else value
        for name, value in found.items()
        if value is not None
    }


_EVENTS: Mapping[str, Callable[[Properties], Mapped]] = {
    "order completed": _purchase,
    "completed order": _purchase,
    "order updated": _changed,
    "updated order": _changed,
    "order refunded": _refunded,
    "refunded order": _refunded,
    "order cancelled": _cancelled,
    "order canceled": _cancelled,
    "cancelled order": _cancelled,
    "signed up": _signed_up,
    "product reviewed": _reviewed,
}
