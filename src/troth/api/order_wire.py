"""Orders as reads show them: the facts that decide, and what was posted because of them.

In: the opening event, and what has happened since (None: nothing, so the event tells all of it). Out: wire forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from troth.api.customers import PostingItem
from troth.api.event_wire import EventItem
from troth.core.calendar import show_time
from troth.core.ids import show_id
from troth.core.order_state import Fact, Order
from troth.core.rules import RuleBook
from troth.store.events import StoredEvent


class OrderAward(msgspec.Struct, frozen=True, kw_only=True):
    """What an order holds by one rule as it now stands."""

    rule: str
    wallet: str
    points: int
    qualifying: bool


class RefundLine(msgspec.Struct, frozen=True, kw_only=True):
    line: str  # the line's id, else its product
    quantity: str | None  # null: the whole line
    amount: str | None  # null: its share


class RefundFact(msgspec.Struct, frozen=True, kw_only=True):
    """A partial refund; of one id the newest counts."""

    id: str
    event: str
    occurred_at: str
    amount: str | None
    points: int  # burned points given back
    items: tuple[RefundLine, ...]


class OrderItem(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it now stands."""

    order_id: str | None  # null: it was opened without one, or the person was erased
    customer: str | None  # the integrator's id
    event: str | None  # that opened it; null: it is waited for
    type: str | None  # of that event
    opened_at: str | None  # its occurred_at
    status: str  # pending, accepted, rejected, refunded; waiting: nobody has opened it yet
    accepted_at: str | None
    decides_at: str | None  # when it is accepted or rejected by itself
    content: Mapping[str, object]  # the newest, whole and gross; declared numbers as decimal text
    content_at: str | None  # what the newest content is told by: its updated_at, else occurred_at
    awards: tuple[OrderAward, ...]  # pending ones too
    burned: int  # points it was paid with and holds


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[OrderItem, ...]  # newest first, by receipt
    next: str | None


class WaitingEvent(EventItem, frozen=True, kw_only=True):
    """An event of the order that came before the order."""

    not_your_order: bool  # another customer has opened the order


class OrderAnswer(OrderItem, frozen=True, kw_only=True):
    """One order with everything that belongs to it."""

    refunds: tuple[RefundFact, ...]  # partial ones
    forgiven: Mapping[str, int]  # wallet → points forgiven for it
    postings: tuple[PostingItem, ...]  # in order; of more than 1,000 the newest
    events: tuple[EventItem, ...]  # in order; of more than 1,000 the newest
    waiting: tuple[WaitingEvent, ...]  # of any customer, oldest first


def order_item(opening: StoredEvent, order: Order | None, order_id: str | None) -> OrderItem:
    """An order that is open. `order`: what has happened to it; None: nothing since it was opened and accepted."""
    record = opening.record
    if order is None:
        return OrderItem(
            order_id=order_id,
            customer=record.customer,
            event=record.id,
            type=record.type,
            opened_at=record.occurred_at,
            status="accepted",
            accepted_at=record.occurred_at,
            decides_at=None,
            content=opening.properties,
            content_at=record.occurred_at,
            awards=tuple(_first_awards(opening)),
            burned=0,
        )
    awards = (
        OrderAward(rule=rule, wallet=held.wallet, points=held.points, qualifying=held.qualifying)
        for rule, held in order.held.items()
    )
    return OrderItem(
        order_id=order_id,
        customer=record.customer,
        event=record.id,
        type=record.type,
        opened_at=record.occurred_at,
        status=order.status,
        accepted_at=_shown(order.accepted_at),
        decides_at=_shown(order.decides_at),
        content=order.content.properties,
        content_at=show_time(order.content.stamp),
        awards=tuple(awards),
        burned=sum(part.points for part in order.burned),
    )


def awaited_order(order_id: str) -> OrderItem:
    """An order of which only later events are known."""
    return OrderItem(
        order_id=order_id,
        customer=None,
        event=None,
        type=None,
        opened_at=None,
        status="waiting",
        accepted_at=None,
        decides_at=None,
        content={},
        content_at=None,
        awards=(),
        burned=0,
    )


def order_id_of(opening: StoredEvent, book: RuleBook) -> str | None:
    """The id under which an event opened an order. `book`: of the revision that judged it."""
    event_type = book.program.event_types.get(opening.record.type)
    mapping = event_type.order if event_type is not None else None
    name = mapping.id if mapping is not None else None
    given = {**opening.properties, **opening.personal.properties}.get(name) if name is not None else None
    return str(given) if given is not None else opening.personal.reference


def refund_facts(order: Order | None) -> tuple[RefundFact, ...]:
    return tuple(_refund(fact) for fact in order.refunds) if order is not None else ()


def _refund(fact: Fact) -> RefundFact:
    return RefundFact(
        id=fact.identity,
        event=show_id("evt", fact.event_id),
        occurred_at=show_time(fact.occurred_at),
        amount=fact.amount,
        points=fact.points,
        items=tuple(RefundLine(line=item.line, quantity=item.quantity, amount=item.amount) for item in fact.items),
    )


def _first_awards(opening: StoredEvent) -> Iterator[OrderAward]:
    """What the opening event itself was awarded; it still holds all of it."""
    for posting in opening.postings:
        if posting.reason == "award" and posting.rule is not None:
            yield OrderAward(
                rule=posting.rule, wallet=posting.wallet, points=posting.points, qualifying=posting.qualifying
            )


def _shown(moment: datetime | None) -> str | None:
    return show_time(moment) if moment is not None else None
