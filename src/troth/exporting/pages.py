"""Pages of an export: bucket after bucket, each by key, so that memory holds one page however much there is.

In: a place. Out: rows by column name, and the place behind them; None at the end. A place says where reading goes on
after a crash: a bucket, and the key of the last row of it as texts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec

from troth import limits
from troth.api.events import find_customer
from troth.api.export_asked import Asked
from troth.api.export_progress import Place
from troth.api.reading import Reading
from troth.core.ids import first_id_at
from troth.store.export_reads import Cut
from troth.store.pool import Connection
from troth.store.reads import CustomerKey

T = TypeVar("T")
Row = Mapping[str, object]  # column → value; a column that is absent is empty
Key = tuple[str, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    rows: list[Row]
    following: Place | None


class Source(Protocol):
    """The rows of one export."""

    async def first(self) -> Place | None:
        """Where it begins; None: there is nothing."""
        ...

    async def page(self, place: Place) -> Page: ...

    def percent(self, place: Place) -> int:
        """How much of it lies before `place`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What sources read from."""

    connection: Connection
    reading: Reading
    asked: Asked

    @property
    def before(self) -> UUID:
        """The first id that is too new."""
        return first_id_at(self.asked.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The way through the buckets, or through one of them."""

    ground: Ground
    buckets: range = range(limits.BUCKETS)

    async def step(
        self, place: Place, read: Callable[[Cut, Key], Awaitable[list[T]]], key: Callable[[T], Key]
    ) -> tuple[list[T], Place | None]:
        """A page from `place` on: what `read` finds behind a key of a bucket, until it is full or all is read."""
        found: list[T] = []
        bucket, after = place.bucket, place.after
        while len(found) < limits.EXPORT_PAGE_ROWS:
            cut = Cut(bucket, limits.EXPORT_PAGE_ROWS - len(found), self.ground.before)
            rows = await read(cut, after)
            found += rows
            if len(rows) == cut.size:
                return found, Place(bucket=bucket, after=key(rows[-1]))
            bucket, after = bucket + 1, ()
            if bucket not in self.buckets:
                return found, None
        raise AssertionError("a full page has returned")

    def percent(self, place: Place) -> int:
        return 100 * (place.bucket - self.buckets.start) // len(self.buckets)


async def way(ground: Ground) -> tuple[Walk, CustomerKey | None] | None:
    """Through all buckets, or through that of the customer who is asked for; None: nobody is called so."""
    name = ground.asked.filter.customer
    if name is None:
        return Walk(ground=ground), None
    customer = await find_customer(ground.connection, name)
    if customer is None:
        return None
    return Walk(ground=ground, buckets=range(customer.bucket, customer.bucket + 1)), customer
