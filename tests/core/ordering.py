"""Orders and refunds in a few words, for the tests of what is left of an order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from troth.core.order_content import Net
from troth.core.order_state import Fact, RefundItem
from troth.core.program import EventType, OrderMapping, Property

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVENT = UUID("019a0000-0000-7000-8000-000000000001")
ITEMS = Property(
    name="items",
    kind="list",
    of=(
        Property(name="line_id", kind="text"),
        Property(name="product_id", kind="text"),
        Property(name="quantity", kind="number", places=3),
        Property(name="price", kind="number", places=2),
        Property(name="subtotal", kind="number", places=2),
    ),
)
AMOUNT = Property(name="amount", kind="number", places=2, required=True)
BURNED = Property(name="burned", kind="number", places=0)
MAPPING = OrderMapping(
    amount="amount", items="items", line="line_id", quantity="quantity", price="price", subtotal="subtotal",
    burned="burned",
)  # fmt: skip
SALE = EventType(id="sale", label="Sale", properties=(AMOUNT, ITEMS, BURNED), order=MAPPING)


def line(name: str, quantity: str | None, price: str | None = None, **more: str) -> dict[str, object]:
    """A line in stored form: "2" of a quantity is stored as "2.000", "30" of a price as "30.00"."""
    stored: dict[str, object] = {"line_id": name}
    if quantity is not None:
        stored["quantity"] = f"{Decimal(quantity):.3f}"
    if price is not None:
        stored["price"] = f"{Decimal(price):.2f}"
    return stored | more


def order(amount: str | None, *lines: dict[str, object], **more: object) -> Fact:
    properties: dict[str, object] = dict(more)
    if amount is not None:
        properties["amount"] = f"{Decimal(amount):.2f}"
    if lines:
        properties["items"] = list(lines)
    return Fact(event_id=EVENT, kind="content", occurred_at=NOON, stamp=NOON, hash="c", properties=properties)


def item(text: str) -> RefundItem:
    """`A`: the whole line. `A 1`: of its quantity. `A 1 9.50`, `A - 9.50`: with what is paid back for it."""
    name, quantity, amount = (*text.split(), "-", "-")[:3]
    return RefundItem(
        line=name, quantity=None if quantity == "-" else quantity, amount=None if amount == "-" else amount
    )


def refund(identity: str, *items: str, amount: str | None = None, points: int = 0, hours: int = 0) -> Fact:
    """What comes back `hours` after noon."""
    at = NOON + timedelta(hours=hours)
    return Fact(
        event_id=EVENT,
        kind="partial",
        occurred_at=at,
        stamp=at,
        hash=identity,
        identity=identity,
        amount=amount,
        points=points,
        items=tuple(map(item, items)),
    )


def left(found: Net) -> str:
    """The items left, in the notation `A×1.000 B×2.000`."""
    items = found.properties.get("items", [])
    assert items == found.properties_whole.get("items", [])
    assert isinstance(items, list)
    return " ".join(f"{stored['line_id']}×{stored.get('quantity', '?')}" for stored in items)
