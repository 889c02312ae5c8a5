"""Events of orders: opening, content, acceptance, rejection, refunds; those that wait for their order.

In: order events in any order of arrival. Out: the order's facts, and a fold after each of them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from tests.simulator.days import duration
from tests.simulator.model_books import Books, Refused
from tests.simulator.model_events import Told
from tests.simulator.model_facts import ModelOrder, WaitingEvent, make_content
from tests.simulator.model_orders import fold
from tests.simulator.model_program import ModelProgram
from tests.simulator.model_rules import customer_values, deserved_by_order, measure_rooms

FAMILY = {"checkout_update", "checkout_accept", "checkout_reject", "refund", "partial_refund"}


def order_name(program: ModelProgram, told: Told) -> str | None:
    """The order that an event names; None: it is no event of an order."""
    if told.type in FAMILY:
        return str(told.properties["order_id"])
    if told.type not in program.opening_types:
        return None
    return str(told.properties.get("order_id") or told.reference)


def is_known_content(order: ModelOrder, told: Told) -> bool:
    """Equal to the newest content, and not stated to be newer: the event is a duplicate of the opening one."""
    found = make_content(told.properties, told.occurred_at)
    is_newer = found.stamp > order.content.stamp and (told.is_dated or "updated_at" in told.properties)
    return found.hash == order.content.hash and not is_newer


def tell_order(books: Books, told: Told) -> Mapping[str, int] | None:
    """The effect of an order event on an order that is known, or opened by it."""
    name = order_name(books.program, told)
    assert name is not None
    order = books.customer.orders.get(name)
    if order is None:
        return _open(books, told, name)
    before = copy.copy(order)
    order.refunds, order.rooms = dict(order.refunds), dict(order.rooms)
    if _add_fact(order, told):
        measure_rooms(books, order)
    try:
        fold(books, order, opens=False)
    except Refused:
        order.__dict__.update(before.__dict__)
        raise
    return None


def _add_fact(order: ModelOrder, told: Told | WaitingEvent) -> bool:
    """True when the newest content is another one now."""
    match told.type:
        case "checkout_accept":
            order.accept(told.occurred_at)
        case "checkout_reject" | "refund":
            order.end(is_rejected=told.type == "checkout_reject")
        case "partial_refund":
            order.add_refund(told.reference, told.occurred_at, told.properties)
        case _:
            if told.properties.get("auto_accept") is True:
                order.accept(told.occurred_at)
            return order.add_content(told.properties, told.occurred_at)
    return False


def _open(books: Books, told: Told, name: str) -> Mapping[str, int]:
    customer = books.customer
    order = ModelOrder(
        id=name,
        owner=customer.name,
        type=told.type,
        reference=told.reference,
        program=books.program,
        opened_at=told.occurred_at,
        content=make_content(told.properties, told.occurred_at),
        tier_multiplier=books.program.multiplier(customer.tier),
        customer_values=customer_values(books),
    )
    _set_acceptance(order, told)
    for waiting in customer.waiting.get(name, []):
        _add_fact(order, waiting)
    if order.is_over:
        order.decides_at = None
    measure_rooms(books, order)
    customer.orders[name] = order
    try:
        fold(books, order, opens=True)
    except Refused:
        del customer.orders[name]
        raise
    customer.waiting.pop(name, None)
    return {str(due.rule["id"]): due.points for due in deserved_by_order(order)}


def _set_acceptance(order: ModelOrder, told: Told) -> None:
    """`auto_accept` decides, else the program's way."""
    way, wish = order.program.section("orders").get("acceptance", "immediate"), told.properties.get("auto_accept")
    if wish is True or (wish is None and way == "immediate"):
        order.accept(told.occurred_at)
    elif wish is None and isinstance(way, Mapping):
        length = duration(str(way["after"]))
        assert isinstance(length, timedelta)
        order.decides_at, order.then = told.occurred_at + length, str(way.get("then", "accept"))


def wait(books: Books, told: Told, name: str) -> None:
    made = WaitingEvent(
        type=told.type, reference=told.reference, occurred_at=told.occurred_at, properties=dict(told.properties)
    )
    books.customer.waiting.setdefault(name, []).append(made)


def decide(books: Books, order: ModelOrder) -> str:
    """The automatic decision, as of now; the type of its event."""
    if order.then == "accept":
        order.accept(books.now)
        return "checkout_accept"
    order.end(is_rejected=True)
    return "checkout_reject"


def without_order_type(told: Told) -> Told:
    """`order_type` says how an update is read; it is no part of the content."""
    return replace(told, properties={key: value for key, value in told.properties.items() if key != "order_type"})
