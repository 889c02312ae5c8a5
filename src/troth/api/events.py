"""GET /v1/events: the activity log, single events, and why they gave what they gave.

In: filters and keys. Out: recorded events, never changed by a read. An explanation is judged anew under the revision
and the inputs recorded with the event, by the code that awarded the points.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import EventItem, EventPage, ExplanationAnswer, encode, event_item
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, moment, page_size, plain_text, read_place, show_place
from troth.api.problems import not_found
from troth.api.reading import Reading, ReadRequest, may, reading_of
from troth.core.event import Event
from troth.core.explain import ExplainedRule, explain, explain_order
from troth.core.ids import ReferenceKind, bucket_in, read_id, reference_hash
from troth.core.inputs import from_json
from troth.core.order_course import Told, course
from troth.core.replay import PastEvent, event_of
from troth.core.rules import RuleBook, Shelf
from troth.store.batch import claimed, resolve
from troth.store.events import StoredEvent, fetch_events
from troth.store.pool import Connection
from troth.store.reads import NEWEST, NEWEST_SEQ, CustomerKey, Filters, chosen_events, history_page, log_page
from troth.store.spending_reads import order_events

READ = [requires("events:read")]
_TAGS = ["Events"]
Ids = list[UUID]

_LIST = documented(answers={200: EventPage})
_EVENT = documented(answers={200: EventItem})
_EXPLANATION = documented(answers={200: ExplanationAnswer})


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A list of events as it was asked for."""

    filters: Filters
    limit: int
    cursor: str | None
    customer: str | None = None
    claims: tuple[bytes, ...] = ()  # hashes of a reference and an order id; every one must lead to the event


@get("/v1/events", tags=_TAGS, summary="List events", guards=READ, opt=_LIST)
async def list_events(  # one parameter per filter
    request: ReadRequest,
    *,
    type_id: Annotated[str | None, QueryParameter(name="type", description="Event type.")] = None,
    customer: Annotated[str | None, QueryParameter(description="The integrator's id.")] = None,
    source: Annotated[str | None, QueryParameter(description="api, import, client, system, …")] = None,
    occurred_from: Annotated[str | None, QueryParameter(name="from", description="occurred_at, inclusive.")] = None,
    occurred_to: Annotated[str | None, QueryParameter(name="to", description="occurred_at, exclusive.")] = None,
    reference: Annotated[str | None, QueryParameter(description="The event's own.")] = None,
    order_id: Annotated[str | None, QueryParameter(description="The event that opened this order.")] = None,
    has_points: Annotated[bool | None, QueryParameter(description="Whether its own points differ from 0.")] = None,
    limit: Limit = limits.PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> ASGIResponse:
    """The activity log, newest first."""
    claims: tuple[tuple[ReferenceKind, str | None], ...] = (("reference", reference), ("order", order_id))
    query = EventQuery(
        filters=Filters(
            type=plain_text(type_id, "type") if type_id is not None else None,
            source=plain_text(source, "source") if source is not None else None,
            occurred_from=moment(occurred_from, "from"),
            occurred_to=moment(occurred_to, "to"),
            has_points=has_points,
        ),
        limit=page_size(limit),
        cursor=cursor,
        customer=plain_text(customer, "customer") if customer is not None else None,
        claims=tuple(reference_hash(kind, plain_text(text, kind)) for kind, text in claims if text is not None),
    )
    return Answer(200, encode(await event_page(request, query)))


@get("/v1/events/{event_id:str}", tags=_TAGS, summary="Read an event", guards=READ, opt=_EVENT)
async def read_event(request: ReadRequest, event_id: FromPath[str]) -> ASGIResponse:
    """One recorded event."""
    reading = reading_of(request)
    book = await reading.live_book()
    stored = await load_event(reading, event_id)
    return Answer(200, encode(event_item(stored, book, with_personal=may(request, "customers:read"))))


@get("/v1/events/{event_id:str}/explanation", tags=_TAGS, summary="Explain an event", guards=READ, opt=_EXPLANATION)
async def explain_event(request: ReadRequest, event_id: FromPath[str]) -> ASGIResponse:
    """Every rule of the event's type: what it gave, or why it did not apply, with the values it saw."""
    reading = reading_of(request)
    return Answer(200, encode(await explanation(reading, await load_event(reading, event_id))))


async def event_page(request: ReadRequest, query: EventQuery) -> EventPage:
    """A page of the log, or of one customer's history."""
    reading = reading_of(request)
    book = await reading.live_book()
    async with reading.database.pool.acquire() as connection:
        ids, following = await _find(connection, query)
        stored = await fetch_events(connection, reading.vault, ids)
    with_personal = may(request, "customers:read")
    items = tuple(event_item(stored[key], book, with_personal=with_personal) for key in ids if key in stored)
    return EventPage(items=items, next=following)


async def load_event(reading: Reading, event_id: str) -> StoredEvent:
    """The event of this id. Raises ProblemError 404."""
    key = read_id("evt", event_id)
    if key is not None:
        async with reading.database.pool.acquire() as connection:
            found = (await fetch_events(connection, reading.vault, [key])).get(key)
        if found is not None:
            return found
    raise not_found("event", event_id)


async def explanation(reading: Reading, stored: StoredEvent) -> ExplanationAnswer:
    """Why the event gave what it gave, under the revision that judged it; of an order's event, under the order's."""
    record = stored.record
    if stored.order_key is not None:
        revision, rules = await _explain_order(reading, stored)
    else:
        book = await reading.book_at(record.revision)
        revision, rules = record.revision, explain(_event(stored, book), from_json(stored.inputs), book)
    return ExplanationAnswer(
        event=record.id, type=record.type, revision=revision, inputs=stored.inputs or {}, rules=tuple(rules)
    )


async def _explain_order(reading: Reading, stored: StoredEvent) -> tuple[int, list[ExplainedRule]]:
    """The revision of the order, and its rules; none while it is not open."""
    assert stored.order_key is not None
    async with reading.database.pool.acquire() as connection:
        place = (bucket_in(stored.id), stored.customer_id, stored.order_key)
        ids = await order_events(connection, *place, size=limits.PAGE_ITEMS_MAX)
        found = await fetch_events(connection, reading.vault, ids)
    events = [found[key] for key in ids if key in found and found[key].record.seq <= stored.record.seq]
    books = {event.record.revision: await reading.book_at(event.record.revision) for event in events}
    told = [
        Told(
            event=_event(event, books[event.record.revision]),
            inputs=from_json(event.inputs),
            revision=event.record.revision,
        )
        for event in events
    ]
    before, order = course(told, Shelf(books[stored.record.revision], books))
    if order is None:
        return stored.record.revision, []
    return order.revision, explain_order(before, order, books[order.revision])


def _event(stored: StoredEvent, book: RuleBook) -> Event:
    return event_of(past_event(stored), book)


def past_event(stored: StoredEvent) -> PastEvent:
    """The event as the fold reads it; what the fold compares is left empty."""
    record = stored.record
    occurred_at = moment(record.occurred_at, "occurred_at")
    assert occurred_at is not None
    return PastEvent(
        id=stored.id,
        seq=record.seq,
        type=record.type,
        occurred_at=occurred_at,
        source=stored.source,
        outcome=record.outcome,
        order_key=stored.order_key,
        clock=stored.clock,
        properties=stored.properties,
        inputs=stored.inputs,
        after={},
        parent=read_id("evt", stored.parent) if stored.parent is not None else None,
        depth=stored.depth,
        caused=len(record.caused),
        revision=record.revision,
        postings=stored.postings,
    )


async def _find(connection: Connection, query: EventQuery) -> tuple[Ids, str | None]:
    """The ids of a page, and the cursor of the next one."""
    customer = await find_customer(connection, query.customer) if query.customer is not None else None
    if query.customer is not None and customer is None:
        return [], None
    if query.claims:
        named = await claimed(connection, query.claims)
        same = set(named.values()) if len(named) == len(set(query.claims)) else set()
        ids = same if len(same) == 1 else set()
        return await chosen_events(connection, ids, query.filters, customer.id if customer else None), None
    if customer is not None:
        return await _history(connection, customer, query)
    before = read_place(query.cursor, UUID) if query.cursor is not None else NEWEST
    found, last = cut(await log_page(connection, query.filters, before, query.limit + 1), query.limit)
    return list(found), show_place(last) if last is not None else None


async def _history(connection: Connection, customer: CustomerKey, query: EventQuery) -> tuple[Ids, str | None]:
    before = read_place(query.cursor, int) if query.cursor is not None else NEWEST_SEQ
    rows = await history_page(connection, customer, query.filters, before=before, size=query.limit + 1)
    found, last = cut(rows, query.limit)
    return [event_id for event_id, _ in found], show_place(last[1]) if last is not None else None


async def find_customer(connection: Connection, external_id: str) -> CustomerKey | None:
    """The customer whom the integrator calls so; None when there is none."""
    if not 1 <= len(external_id) <= limits.IDENTIFIER_LENGTH:
        return None
    known = (await resolve(connection, [external_id])).customers.get(external_id)
    return CustomerKey(external_id, *known) if known is not None else None


HANDLERS = [list_events, read_event, explain_event]
