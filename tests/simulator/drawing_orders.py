"""Draws the events of orders: opened, changed, accepted, rejected, refunded, in order and out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from fractions import Fraction

from tests.simulator.acts import Act
from tests.simulator.drawing import CUSTOMERS, Drawing, DrawnOrder

HAS_TWINS = "limits"  # the program under which orders may have two lines of one id; their items name quantities


def _order(drawing: Drawing) -> DrawnOrder:
    """A new one, opened by nobody yet."""
    at = drawing.past() or drawing.now
    made = DrawnOrder(
        id=f"o{len(drawing.orders) + 1}", customer=drawing.customer(), at=at, properties=_content(drawing)
    )
    drawing.orders.append(made)
    return made


def _content(drawing: Drawing) -> dict[str, object]:
    dice = drawing.dice
    found: dict[str, object] = {"amount": drawing.money()}
    if drawing.often(0.6):
        items = [_line(drawing, name) for name in "abc"[: dice.choice([1, 2, 2, 3])]]
        if drawing.kit.name == HAS_TWINS and drawing.often(0.2):
            items[-1]["line"] = items[0]["line"]
        total = sum(Fraction(str(item["price"])) * Fraction(str(item["quantity"])) for item in items)
        factor = dice.choice([Fraction(1), Fraction(1), Fraction(9, 10), Fraction(2, 3)])
        cents = max(1, int(total * factor * 100))
        found |= {"items": items, "amount": f"{cents // 100}.{cents % 100:02}"}
    if drawing.often(0.15):
        found["auto_accept"] = drawing.often(0.5)
    if drawing.kit.name in ("burning", "simple", "forgive") and drawing.often(0.3):
        found["burned"] = str(dice.randrange(0, 60))
    if drawing.often(0.1):
        found["category"] = dice.choice(["toys", "food"])
    return found


def _line(drawing: Drawing, name: str) -> dict[str, object]:
    dice = drawing.dice
    found: dict[str, object] = {
        "line": name,
        "quantity": dice.choice(["1", "2", "3", "4", "1.5"]),
        "price": drawing.money(60),
    }
    if drawing.often(0.5):
        found["category"] = dice.choice(["book", "toy"])
    if drawing.often(0.5):
        cents = int(Fraction(str(found["price"])) * Fraction(str(found["quantity"])) * 100)
        found["subtotal"] = f"{cents // 100}.{cents % 100:02}"
    return found


def _known(drawing: Drawing) -> DrawnOrder | None:
    found = [order for order in drawing.orders[-25:] if order.is_opened]
    return drawing.dice.choice(found) if found else None


def open_order(drawing: Drawing) -> list[Act]:
    early = [order for order in drawing.orders[-15:] if not order.is_opened]
    order = drawing.dice.choice(early) if early and drawing.often(0.5) else _order(drawing)
    return [_opening(drawing, order)]


def _opening(drawing: Drawing, order: DrawnOrder) -> Act:
    order.is_opened = True
    fields: dict[str, object] = {"occurred_at": order.at}
    if drawing.often(0.1):
        order.id, fields["reference"] = f"{order.id}x", f"{order.id}x"
        return drawing.act(order.customer, "checkout", dict(order.properties), **fields)
    return drawing.act(order.customer, "checkout", {**order.properties, "order_id": order.id}, **fields)


def update(drawing: Drawing) -> list[Act]:
    order = _known(drawing)
    return [] if order is None else [_update(drawing, order)]


def _update(drawing: Drawing, order: DrawnOrder) -> Act:
    """Content as a whole; sometimes by the opening type, sometimes the same, sometimes stamped."""
    content = dict(order.properties) if drawing.often(0.2) else _content(drawing)
    if drawing.often(0.3):
        content["amount"] = drawing.money(300)
    stamp = _later(drawing, order)
    if drawing.often(0.3):
        content["updated_at"] = stamp
    event_type = "checkout" if drawing.often(0.25) else "checkout_update"
    return drawing.act(order.customer, event_type, {**content, "order_id": order.id}, **_when(drawing, order))


def _later(drawing: Drawing, order: DrawnOrder) -> str:
    room = max(1, int((drawing.now - order.at) / timedelta(milliseconds=1)))
    at = order.at + timedelta(milliseconds=drawing.dice.randrange(0, room))
    return at.isoformat()


def _when(drawing: Drawing, order: DrawnOrder, *, is_refund: bool = False) -> dict[str, object]:
    """Mostly now; else some time since the order. Refunds are told apart by their time."""
    if drawing.often(0.6):
        return {"occurred_at": drawing.instant() if is_refund else None}
    room = max(1, int((drawing.now - order.at) / timedelta(milliseconds=1)))
    return {"occurred_at": order.at + timedelta(milliseconds=drawing.dice.randrange(0, room))}


def _whole(event_type: str) -> Callable[[Drawing], list[Act]]:
    def draw(drawing: Drawing) -> list[Act]:
        order = _known(drawing)
        return [] if order is None else [_fact(drawing, order, event_type)]

    return draw


def _fact(drawing: Drawing, order: DrawnOrder, event_type: str) -> Act:
    if event_type == "checkout_update":
        return _update(drawing, order)
    properties: dict[str, object] = {"order_id": order.id}
    if event_type == "partial_refund":
        properties |= _refund(drawing, order)
    when = _when(drawing, order, is_refund=event_type == "partial_refund")
    return drawing.act(order.customer, event_type, properties, **when)


def _refund(drawing: Drawing, order: DrawnOrder) -> Mapping[str, object]:
    dice = drawing.dice
    found: dict[str, object] = {}
    if drawing.often(0.5):
        if drawing.often(0.8):
            order.refunds += 1
        found["refund_id"] = f"f{order.refunds}"
    kind = dice.random()
    if order.properties.get("items") and kind < 0.55:
        found["items"] = [_returned(drawing, name) for name in dice.sample("abcd", dice.choice([1, 1, 2]))]
        if drawing.often(0.2):
            found["amount"] = drawing.money(40)
    elif kind < 0.9 or drawing.kit.name not in ("burning", "simple"):
        found["amount"] = drawing.money(60)
    if drawing.kit.name in ("burning", "simple") and (len(found) < 2 or drawing.often(0.3)):
        found["points"] = str(dice.randrange(0, 30))
    return found


def _returned(drawing: Drawing, name: str) -> dict[str, object]:
    found: dict[str, object] = {"line": name}
    if drawing.often(0.7) or drawing.kit.name == HAS_TWINS:
        found["quantity"] = drawing.dice.choice(["1", "1", "2", "0.5", "9"])
    if drawing.often(0.25):
        found["amount"] = drawing.money(30)
    return found


def partial(drawing: Drawing) -> list[Act]:
    order = _known(drawing)
    return [] if order is None else [_fact(drawing, order, "partial_refund")]


_FACTS = ("checkout_update", "checkout_accept", "partial_refund", "partial_refund", "checkout_reject", "refund")


def early(drawing: Drawing) -> list[Act]:
    """A fact of an order that was not opened yet."""
    waiting = [order for order in drawing.orders[-10:] if not order.is_opened]
    order = drawing.dice.choice(waiting) if waiting and drawing.often(0.5) else _order(drawing)
    kind = drawing.dice.choices(_FACTS, [4, 3, 3, 3, 1, 1])[0]
    return [_fact(drawing, order, kind)]


def shuffled(drawing: Drawing) -> list[Act]:
    """A whole order in any order of arrival."""
    order = _order(drawing)
    acts = [_fact(drawing, order, drawing.dice.choice(_FACTS[:4])) for _ in range(drawing.dice.choice([2, 3, 4]))]
    acts.append(_opening(drawing, order))
    drawing.dice.shuffle(acts)
    return acts


def without_customer(drawing: Drawing) -> list[Act]:
    if not drawing.orders:
        return []
    order = drawing.dice.choice(drawing.orders[-15:])
    kind = drawing.dice.choice(_FACTS)
    act = _fact(drawing, order, "checkout_update" if kind == "checkout" else kind)
    fields = {"occurred_at": act.occurred_at, "reference": act.reference}
    event_type = "checkout_update" if act.type == "checkout" else act.type
    return [drawing.act(None, event_type, act.properties, **fields)]


def foreign(drawing: Drawing) -> list[Act]:
    order = _known(drawing)
    if order is None:
        return []
    act = _fact(drawing, order, drawing.dice.choice(_FACTS))
    other = drawing.dice.choice([name for name in CUSTOMERS if name != order.customer])
    return [drawing.act(other, act.type, act.properties, occurred_at=act.occurred_at)]


ORDER_ACTS: Mapping[str, Callable[[Drawing], list[Act]]] = {
    "open": open_order,
    "update": update,
    "accept": _whole("checkout_accept"),
    "reject": _whole("checkout_reject"),
    "refund": _whole("refund"),
    "partial": partial,
    "early": early,
    "shuffled": shuffled,
    "without_customer": without_customer,
    "foreign": foreign,
}
