"""Reads of what customers set aside and claimed: reservations and redemptions. Making and ending them is a door's work.

In: a customer. Out: reservations and redemptions as of now, the newest first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from troth import limits
from troth.api.answers import Answer
from troth.api.auth import requires
from troth.api.customers import customer_key
from troth.api.event_wire import encode
from troth.api.openapi import documented
from troth.api.pages import Cursor, Limit, cut, following, page_size, read_place
from troth.api.profiles import program_now
from troth.api.reading import Reading, ReadRequest, reading_of
from troth.core.calendar import show_time
from troth.core.ids import show_id
from troth.core.state import Redemption, Reservation
from troth.store.events import StoredEvent, fetch_events
from troth.store.reads import NEWEST
from troth.store.spending_reads import redemption, redemption_page, reservation, reservation_page

_READ = [requires("customers:read")]
_TAGS = ["Spending"]


class ReservationItem(msgspec.Struct, frozen=True, kw_only=True):
    """Points set aside for a payment under way. Its first digits are those of the event that made it."""

    id: str
    wallet: str
    points: int
    status: str  # held, captured or released
    expires_at: str  # when it is released by itself


class ReservationPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[ReservationItem, ...]  # newest first
    next: str | None


class RedemptionItem(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed reward."""

    id: str
    reward: str
    wallet: str
    points: int
    status: str  # created, fulfilled or cancelled
    claimed_at: str
    code: str | None  # null: the reward has no pool, or the person was erased


class RedemptionPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[RedemptionItem, ...]  # newest first
    next: str | None


_RESERVATIONS = documented(answers={200: ReservationPage})
_REDEMPTIONS = documented(answers={200: RedemptionPage})


@get(
    "/v1/customers/{customer:str}/reservations",
    tags=_TAGS,
    summary="List reservations",
    guards=_READ,
    opt=_RESERVATIONS,
)
async def list_reservations(
    request: ReadRequest, customer: FromPath[str], limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """The customer's reservations, held ones and ended ones, newest first."""
    size, before = page_size(limit), _place(cursor)
    async with reading_of(request).database.pool.acquire() as connection:
        key = await customer_key(connection, customer)
        found, last = cut(await reservation_page(connection, key, before=before, size=size + 1), size)
        now = await program_now(connection)
    items = tuple(reservation_item(item, now) for item in found)
    return Answer(200, encode(ReservationPage(items=items, next=following(last))))


@get(
    "/v1/customers/{customer:str}/redemptions",
    tags=_TAGS,
    summary="List redemptions",
    guards=_READ,
    opt=_REDEMPTIONS,
)
async def list_redemptions(
    request: ReadRequest, customer: FromPath[str], limit: Limit = limits.PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> ASGIResponse:
    """The rewards the customer has claimed, with their codes, newest first."""
    reading, size, before = reading_of(request), page_size(limit), _place(cursor)
    async with reading.database.pool.acquire() as connection:
        key = await customer_key(connection, customer)
        found, last = cut(await redemption_page(connection, key, before=before, size=size + 1), size)
        claims = await fetch_events(connection, reading.vault, [item.id for item in found])
    items = tuple(_redemption_item(item, claims) for item in found)
    return Answer(200, encode(RedemptionPage(items=items, next=following(last))))


async def load_reservation(reading: Reading, customer: str, key: UUID) -> ReservationItem | None:
    """One reservation of this customer as of now; None: there is no such one. Raises ProblemError 404."""
    async with reading.database.pool.acquire() as connection:
        found = await reservation(connection, await customer_key(connection, customer), key)
        return reservation_item(found, await program_now(connection)) if found is not None else None


async def load_redemption(reading: Reading, customer: str, key: UUID) -> RedemptionItem | None:
    """One redemption of this customer; None: there is no such one. Raises ProblemError 404."""
    async with reading.database.pool.acquire() as connection:
        found = await redemption(connection, await customer_key(connection, customer), key)
        claims = await fetch_events(connection, reading.vault, [key])
    return _redemption_item(found, claims) if found is not None else None


def reservation_item(found: Reservation, now: datetime) -> ReservationItem:
    """What has timed out is released, although nobody may have applied it yet."""
    has_timed_out = found.status == "held" and found.due_at <= now
    return ReservationItem(
        id=show_id("res", found.id),
        wallet=found.wallet,
        points=found.points,
        status="released" if has_timed_out else found.status,
        expires_at=show_time(found.due_at),
    )


def _redemption_item(found: Redemption, claims: Mapping[UUID, StoredEvent]) -> RedemptionItem:
    claim = claims.get(found.id)
    code = claim.personal.properties.get("code") if claim is not None else None
    return RedemptionItem(
        id=show_id("rdm", found.id),
        reward=found.reward,
        wallet=found.wallet,
        points=found.points,
        status=found.status,
        claimed_at=show_time(found.claimed_at),
        code=str(code) if code is not None else None,
    )


def _place(cursor: str | None) -> UUID:
    return read_place(cursor, UUID) if cursor is not None else NEWEST


HANDLERS = [list_reservations, list_redemptions]
