"""Reads of customers: list and search, profile, history, postings, lots. What changes a customer is a door's work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.event_wire import EventPage, encode
from troth.api.events import EventQuery, event_page, find_customer
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, moment, page_size, plain_text, read_cursor, read_place, show_cursor
from troth.api.pages import show_place as show_place_of
from troth.api.problems import not_found
from troth.api.profiles import CustomerPage, Now, Profile, as_of, customer_items, load_profile, now_of
from troth.api.reading import Reading, ReadRequest, reading_of
from troth.core.account import end_of
from troth.core.calendar import show_time
from troth.core.ids import show_id
from troth.core.rules import Shelf
from troth.core.state import CustomerState, Lot
from troth.store.batch import read
from troth.store.pool import Connection
from troth.store.reads import FIRST_LOT, NEWEST_SEQ, CustomerKey, Filters, LotPlace, PostingRow, customer_page
from troth.store.spending_reads import lot_page, posting_page

READ = [requires("customers:read")]
_TAGS = ["Customers"]


class PostingItem(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of points between two states of a wallet."""

    id: str
    event: str
    seq: int  # of its event
    wallet: str
    from_state: str
    to_state: str
    points: int
    qualifying: bool
    lot: str | None  # null: debt and forgiven points lie in none
    order: str | None  # the event that opened the order it belongs to
    occurred_at: str
    reason: str
    rule: str | None
    base: str | None  # what the rule's formula gave
    multiplier: str | None
    cap: str | None  # the limit that cut it
    earned_at: str  # when it counts for tiers
    expires_at: str | None  # of an award: when its lot ends, as known then


class PostingPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[PostingItem, ...]  # newest first
    next: str | None


class LotItem(msgspec.Struct, frozen=True, kw_only=True):
    """Points that were earned together and end together."""

    id: str
    event: str  # that earned it
    wallet: str
    order: str | None  # the event that opened the order which earned it
    earned_at: str
    hold_until: str | None  # end of its hold
    release_at: str | None  # when what is pending becomes usable; null: nothing is, or its order is not accepted yet
    expires_at: str | None  # the first instant at which they are gone; null: never, or not known while pending
    points: int  # that ever came into it
    pending: int
    remaining: int  # usable now
    expired: int


class LotPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[LotItem, ...]  # the first to end first
    next: str | None


_LIST = documented(answers={200: CustomerPage})
_PROFILE = documented(answers={200: Profile})
_HISTORY = documented(answers={200: EventPage})
_POSTINGS = documented(answers={200: PostingPage})
_LOTS = documented(answers={200: LotPage})


@get("/v1/customers", tags=_TAGS, summary="List and search customers", guards=READ, opt=_LIST)
async def list_customers(
    request: ReadRequest,
    search: Annotated[str, QueryParameter(description="The beginning of the integrator's id.")] = "",
    limit: Limit = limits.PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> ASGIResponse:
    """Customers by the integrator's id."""
    reading, size = reading_of(request), page_size(limit)
    prefix = plain_text(search, "search")
    after = read_cursor(cursor) if cursor is not None else ""
    book = await reading.live_book()
    async with reading.at_one_moment() as connection:
        found, last = cut(await customer_page(connection, prefix, after=after, size=size + 1), size)
        items = await customer_items(connection, list(found), await now_of(reading, connection, book))
    following = show_cursor(last.external_id) if last is not None else None
    return Answer(200, encode(CustomerPage(items=tuple(items), next=following)))


@get("/v1/customers/{customer:str}", tags=_TAGS, summary="Read a customer", guards=READ, opt=_PROFILE)
async def read_customer(request: ReadRequest, customer: FromPath[str]) -> ASGIResponse:
    """The profile as of now: attributes, tags, tier and progress, wallets."""
    return Answer(200, encode(await profile_of(reading_of(request), customer)))


@get("/v1/customers/{customer:str}/events", tags=_TAGS, summary="List a customer's events", guards=READ, opt=_HISTORY)
async def list_customer_events(
    request: ReadRequest,
    customer: FromPath[str],
    type_id: Annotated[str | None, QueryParameter(name="type", description="Event type.")] = None,
    *,
    occurred_from: Annotated[str | None, QueryParameter(name="from", description="occurred_at, inclusive.")] = None,
    occurred_to: Annotated[str | None, QueryParameter(name="to", description="occurred_at, exclusive.")] = None,
    limit: Limit = limits.PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> ASGIResponse:
    """The customer's history, newest first, in the order in which the events were judged."""
    reading = reading_of(request)
    async with reading.database.pool.acquire() as connection:
        key = await customer_key(connection, customer)
    filters = Filters(
        type=plain_text(type_id, "type") if type_id is not None else None,
        occurred_from=moment(occurred_from, "from"),
        occurred_to=moment(occurred_to, "to"),
    )
    query = EventQuery(filters=filters, limit=page_size(limit), cursor=cursor, customer=key.external_id)
    return Answer(200, encode(await event_page(request, query)))


@get("/v1/customers/{customer:str}/postings", tags=_TAGS, summary="List postings", guards=READ, opt=_POSTINGS)
async def list_postings(
    request: ReadRequest, customer: FromPath[str], limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """Every movement of the customer's points, newest first."""
    size = page_size(limit)
    before = read_place(cursor, tuple[int, int]) if cursor is not None else (NEWEST_SEQ, 0)
    async with reading_of(request).database.pool.acquire() as connection:
        key = await customer_key(connection, customer)
        found, last = cut(await posting_page(connection, key, before=before, size=size + 1), size)
    following = show_place_of((last.seq, last.posting.n)) if last is not None else None
    return Answer(200, encode(PostingPage(items=tuple(map(posting_item, found)), next=following)))


@get("/v1/customers/{customer:str}/lots", tags=_TAGS, summary="List lots", guards=READ, opt=_LOTS)
async def list_lots(
    request: ReadRequest, customer: FromPath[str], limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """The lots that hold usable or pending points now, the first to end first."""
    reading, size = reading_of(request), page_size(limit)
    after = read_place(cursor, LotPlace) if cursor is not None else FIRST_LOT
    book = await reading.live_book()
    async with reading.at_one_moment() as connection:
        key = await customer_key(connection, customer)
        row = (await read(connection, [customer])).rows.get(customer)
        if row is None:
            raise not_found("customer", customer)
        now = await now_of(reading, connection, book)
        state = await as_of(connection, row, now)
        lots = await lot_page(connection, key, now=now.moment, after=after, size=size + 1)
    found, last = cut(lots, size)
    following = show_place_of(LotPlace(last.expires_at, last.earned_at, last.event_id, last.n)) if last else None
    return Answer(200, encode(LotPage(items=tuple(_lot_items(found, state, now)), next=following)))


async def profile_of(reading: Reading, customer: str, *, with_personal: bool = True) -> Profile:
    """The profile as of now, without personal attributes if so asked. Raises ProblemError 404."""
    book = await reading.live_book()
    async with reading.at_one_moment() as connection:
        key = await customer_key(connection, customer)
        profile = await load_profile(
            connection, key, await now_of(reading, connection, book), with_personal=with_personal
        )
    if profile is None:
        raise not_found("customer", customer)
    return profile


async def customer_key(connection: Connection, customer: str) -> CustomerKey:
    """Who is called so. Raises ProblemError 404."""
    key = await find_customer(connection, customer) if "\0" not in customer else None
    if key is None:
        raise not_found("customer", customer)
    return key


def posting_item(row: PostingRow) -> PostingItem:
    """A posting as lists show it."""
    posting = row.posting
    earned_at = posting.earned_at if posting.earned_at is not None else posting.occurred_at
    return PostingItem(
        id=f"pst_{row.event_id.hex}_{posting.n}",
        event=show_id("evt", row.event_id),
        seq=row.seq,
        wallet=posting.wallet,
        from_state=posting.from_state,
        to_state=posting.to_state,
        points=posting.points,
        qualifying=posting.qualifying,
        lot=f"lot_{posting.lot_event.hex}_{posting.lot_n}" if posting.lot_event is not None else None,
        order=show_id("evt", posting.order_id) if posting.order_id is not None else None,
        occurred_at=show_time(posting.occurred_at),
        reason=posting.reason,
        rule=posting.rule,
        base=f"{posting.base:f}" if posting.base is not None else None,
        multiplier=f"{posting.multiplier:f}" if posting.multiplier is not None else None,
        cap=posting.cap,
        earned_at=show_time(earned_at),
        expires_at=_shown(posting.expires_at),
    )


def _lot_items(lots: Sequence[Lot], state: CustomerState, now: Now) -> Iterator[LotItem]:
    """What is left of these lots when everything due is applied."""
    shelf = Shelf(now.book, {})
    for stored in lots:
        lot = state.lots.get(stored.key, stored)
        ends = end_of(lot, state.last_activity_at, shelf)
        is_gone = ends is not None and ends <= now.moment and not lot.pending
        if (lot.remaining or lot.pending) and not is_gone:
            yield _lot_item(lot, ends)


def _lot_item(lot: Lot, ends: datetime | None) -> LotItem:
    return LotItem(
        id=f"lot_{lot.event_id.hex}_{lot.n}",
        event=show_id("evt", lot.event_id),
        wallet=lot.wallet,
        order=show_id("evt", lot.order) if lot.order is not None else None,
        earned_at=show_time(lot.earned_at),
        hold_until=_shown(lot.hold_until),
        release_at=_shown(lot.release_at),
        expires_at=_shown(ends),
        points=lot.points,
        pending=lot.pending,
        remaining=lot.remaining,
        expired=lot.expired,
    )


def _shown(moment: datetime | None) -> str | None:
    return show_time(moment) if moment is not None else None


HANDLERS = [list_customers, read_customer, list_customer_events, list_postings, list_lots]
