"""Reads of orders: one by its id with all that belongs to it, and a customer's orders.

In: an order id, or a customer. Out: facts, status and awards as of now; what is due is applied in memory. An order that
nobody has opened is shown when events wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.customers import customer_key, posting_item
from troth.api.event_wire import encode, event_item
from troth.api.openapi import documented
from troth.api.order_wire import (
    OrderAnswer,
    OrderItem,
    OrderPage,
    WaitingEvent,
    awaited_order,
    order_id_of,
    order_item,
    refund_facts,
)
from troth.api.pages import Cursor, Limit, cut, following, page_size, read_place
from troth.api.problems import not_found
from troth.api.profiles import as_of, now_of
from troth.api.reading import Reading, ReadRequest, may, reading_of
from troth.core.ids import bucket_in, order_key, reference_hash
from troth.core.order_state import Order
from troth.core.rules import RuleBook
from troth.store.batch import claimed, read
from troth.store.events import StoredEvent, fetch_events
from troth.store.pool import Connection
from troth.store.reads import NEWEST, PostingRow
from troth.store.spending_reads import (
    OrderRow,
    order_events,
    order_page,
    order_postings,
    order_state,
    waiting_events,
)

_TAGS = ["Orders"]
_ORDER = documented(answers={200: OrderAnswer})
_ORDERS = documented(answers={200: OrderPage})


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the tables hold of one order."""

    opening: StoredEvent | None  # None: nobody has opened it
    order: Order | None = None
    events: Sequence[StoredEvent] = ()
    waiting: Sequence[StoredEvent] = ()
    postings: Sequence[PostingRow] = ()  # newest first


@get("/v1/orders/{order_id:str}", tags=_TAGS, summary="Read an order", guards=[requires("events:read")], opt=_ORDER)
async def read_order(request: ReadRequest, order_id: FromPath[str]) -> ASGIResponse:
    """The order as it now stands: its facts, what each rule gives for it, its postings, its events and who waits."""
    reading = reading_of(request)
    book = await reading.live_book()
    async with reading.at_one_moment() as connection:
        known = await _load(connection, reading, order_id, book)
    with_personal = may(request, "customers:read")
    opening = known.opening
    item = awaited_order(order_id) if opening is None else order_item(opening, known.order, order_id)
    found = OrderAnswer(
        **msgspec.structs.asdict(item),
        refunds=refund_facts(known.order),
        forgiven=known.order.forgiven if known.order is not None else {},
        postings=tuple(posting_item(row) for row in reversed(known.postings)),
        events=tuple(event_item(event, book, with_personal=with_personal) for event in known.events),
        waiting=tuple(_waiting(event, opening, book, with_personal=with_personal) for event in known.waiting),
    )
    return Answer(200, encode(found))


@get(
    "/v1/customers/{customer:str}/orders",
    tags=_TAGS,
    summary="List a customer's orders",
    guards=[requires("customers:read")],
    opt=_ORDERS,
)
async def list_orders(
    request: ReadRequest, customer: FromPath[str], limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """The orders that the customer has opened, newest first by receipt."""
    reading, size = reading_of(request), page_size(limit)
    before = read_place(cursor, UUID) if cursor is not None else NEWEST
    book = await reading.live_book()
    async with reading.at_one_moment() as connection:
        key = await customer_key(connection, customer)
        rows, last = cut(await order_page(connection, key, before=before, size=size + 1), size)
        stored = await fetch_events(connection, reading.vault, [row.id for row in rows])
        moved = await _moved_orders(reading, connection, customer, book)
    items = [await _item(reading, row, stored[row.id], moved) for row in rows if row.id in stored]
    return Answer(200, encode(OrderPage(items=tuple(items), next=following(last))))


async def _load(connection: Connection, reading: Reading, order_id: str, book: RuleBook) -> _Known:
    """Everything of this order. Raises ProblemError 404 when it was neither opened nor waited for."""
    claim, key = reference_hash("order", order_id), order_key(order_id)
    opening = (await claimed(connection, [claim])).get(claim)
    waiting = await waiting_events(connection, key, size=limits.PAGE_ITEMS_MAX)
    if opening is None and not waiting:
        raise not_found("order", order_id)
    stored = await fetch_events(connection, reading.vault, waiting if opening is None else [opening, *waiting])
    waits = [stored[event_id] for event_id in waiting if event_id in stored]
    event = stored.get(opening) if opening is not None else None
    if event is None:
        return _Known(opening=None, waiting=waits)
    bucket = bucket_in(event.id)
    ids = await order_events(connection, bucket, event.customer_id, key, size=limits.PAGE_ITEMS_MAX)
    place = (event.id, event.record.seq)
    postings = await order_postings(connection, (bucket, event.customer_id), place, size=limits.PAGE_ITEMS_MAX)
    stored |= await fetch_events(connection, reading.vault, [event_id for event_id in ids if event_id not in stored])
    name = event.record.customer
    moved = await _moved_orders(reading, connection, name, book) if name is not None else {}
    return _Known(
        opening=event,
        order=moved.get(event.id) or await order_state(connection, bucket, event.customer_id, event.id),
        events=[stored[event_id] for event_id in ids if event_id in stored] or [event],
        waiting=[item for item in waits if item.id not in ids],
        postings=postings,
    )


async def _moved_orders(
    reading: Reading, connection: Connection, customer: str, book: RuleBook
) -> Mapping[UUID, Order]:
    """Orders of this customer that have been decided by themselves, though nobody may have applied it yet."""
    row = (await read(connection, [customer])).rows.get(customer)
    if row is None:
        return {}
    return (await as_of(connection, row, await now_of(reading, connection, book))).order_states


async def _item(reading: Reading, row: OrderRow, opening: StoredEvent, moved: Mapping[UUID, Order]) -> OrderItem:
    order_id = order_id_of(opening, await reading.book_at(opening.record.revision))
    return order_item(opening, moved.get(row.id, row.state), order_id)


def _waiting(event: StoredEvent, opening: StoredEvent | None, book: RuleBook, *, with_personal: bool) -> WaitingEvent:
    item = event_item(event, book, with_personal=with_personal)
    return WaitingEvent(
        **msgspec.structs.asdict(item),
        not_your_order=opening is not None and opening.customer_id != event.customer_id,
    )


HANDLERS = [read_order, list_orders]
