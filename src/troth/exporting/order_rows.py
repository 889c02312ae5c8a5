"""Orders as rows: each as it stands when its page is read, with what fell due; customer by customer.

In: an order filter. Out: pages of rows. Orders that nobody has opened are none yet, whoever waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from troth.api.export_progress import Place
from troth.api.order_wire import OrderItem, order_id_of, order_item
from troth.api.profiles import as_of, now_of
from troth.core.coercion import parse_moment
from troth.core.order_state import Order
from troth.core.rules import RuleBook
from troth.exporting.customer_rows import is_within
from troth.exporting.pages import Ground, Key, Page, Row, Walk, way
from troth.store.batch import read
from troth.store.events import StoredEvent, fetch_events
from troth.store.export_reads import FIRST, LAST, Cut, OwnedOrder, order_page
from troth.store.reads import CustomerKey


class OrderRows:
    """The orders of one export, under the program that is live when it begins."""

    def __init__(self, ground: Ground, book: RuleBook) -> None:
        self._ground = ground
        self._book = book
        self._customer: CustomerKey | None = None
        self._walk = Walk(ground=ground)

    async def first(self) -> Place | None:
        found = await way(self._ground)
        if found is None:
            return None
        self._walk, self._customer = found
        return Place(bucket=self._walk.buckets.start)

    async def page(self, place: Place) -> Page:
        ground = self._ground
        found, following = await self._walk.step(place, self._of_bucket, _place)
        stored = await fetch_events(ground.connection, ground.reading.vault, [owned.row.id for owned in found])
        moved = await self._moved(stored.values())
        items = [
            await self._item(stored[owned.row.id], moved.get(owned.row.id, owned.row.state))
            for owned in found
            if owned.row.id in stored
        ]
        main = self._book.program.wallets[0].id
        return Page(rows=[order_row(item, main) for item in items if self._is_wanted(item)], following=following)

    def percent(self, place: Place) -> int:
        return self._walk.percent(place)

    async def _of_bucket(self, cut: Cut, after: Key) -> list[OwnedOrder]:
        begins, last = (self._customer.id, self._customer.id) if self._customer is not None else (FIRST, LAST)
        place = (UUID(after[0]), UUID(after[1])) if after else (begins, FIRST)
        return await order_page(self._ground.connection, cut, place, last)

    async def _moved(self, openings: Iterable[StoredEvent]) -> Mapping[UUID, Order]:
        """Orders that have been decided by themselves, though nobody has applied it yet."""
        ground = self._ground
        names = list({event.record.customer for event in openings if event.record.customer is not None})
        now = await now_of(ground.reading, ground.connection, self._book)
        moved: dict[UUID, Order] = {}
        for row in (await read(ground.connection, names)).rows.values() if names else ():
            due_at = row.state.due_at
            if due_at is not None and due_at <= now.moment:
                moved |= (await as_of(ground.connection, row, now)).order_states
        return moved

    async def _item(self, opening: StoredEvent, state: Order | None) -> OrderItem:
        book = await self._ground.reading.book_at(opening.record.revision)
        return order_item(opening, state, order_id_of(opening, book))

    def _is_wanted(self, item: OrderItem) -> bool:
        wanted = self._ground.asked.filter
        is_timely = is_within(parse_moment(item.opened_at), wanted.moment_from, wanted.moment_to)
        return is_timely and wanted.status in (None, item.status)


def _place(found: OwnedOrder) -> Key:
    return (found.customer_id.hex, found.row.id.hex)


def order_row(item: OrderItem, main_wallet: str) -> Row:
    """`points`: what it holds in the main wallet, pending ones too."""
    return {
        "order_id": item.order_id,
        "customer": item.customer,
        "event": item.event,
        "type": item.type,
        "opened_at": parse_moment(item.opened_at),
        "status": item.status,
        "accepted_at": parse_moment(item.accepted_at),
        "decides_at": parse_moment(item.decides_at),
        "content_at": parse_moment(item.content_at),
        "points": sum(award.points for award in item.awards if award.wallet == main_wallet),
        "burned": item.burned,
        "content": item.content,
        "awards": item.awards,
    }
