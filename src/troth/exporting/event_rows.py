"""Events as rows: all of a program's, one customer's, or chosen ones; the oldest first in each bucket.

In: an event filter. Out: pages of rows. Personal parts are opened page by page; where a key is gone they are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from troth import limits
from troth.api.export_columns import PROPERTY
from troth.api.export_progress import Place
from troth.core.coercion import parse_moment
from troth.core.ids import ReferenceKind, read_id, recorded_at, reference_hash
from troth.core.program.builtin_types import SYSTEM_TYPES, UNAVAILABLE_TYPES
from troth.exporting.pages import Ground, Key, Page, Row, Walk, way
from troth.exporting.property_columns import part_properties
from troth.store.batch import claimed
from troth.store.events import StoredEvent, fetch_events
from troth.store.export_reads import FIRST, Cut, customer_event_page, event_page
from troth.store.reads import CustomerKey, Filters, chosen_events

NOT_IMPORTED = SYSTEM_TYPES | UNAVAILABLE_TYPES  # types that no door takes in


class EventRows:
    """The events of one export."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        wanted = ground.asked.filter
        self._filters = Filters(
            type=wanted.type,
            source=wanted.source,
            occurred_from=wanted.moment_from,
            occurred_to=wanted.moment_to,
            has_points=wanted.has_points,
        )
        self._flat = [column for column in ground.asked.columns if column.name.startswith(PROPERTY)]
        self._customer: CustomerKey | None = None
        self._chosen: list[UUID] | None = None  # None: not by id
        self._walk = Walk(ground=ground)

    async def first(self) -> Place | None:
        found = await way(self._ground)
        if found is None:
            return None
        self._walk, self._customer = found
        self._chosen = await self._named()
        return Place(bucket=0 if self._chosen is not None else self._walk.buckets.start)

    async def page(self, place: Place) -> Page:
        if self._chosen is not None:
            ids, following = await self._next_chosen(self._chosen, place)
        elif self._customer is not None:
            found, following = await self._walk.step(place, self._of_customer, lambda row: (str(row[1]),))
            ids = [event_id for event_id, _ in found]
        else:
            ids, following = await self._walk.step(place, self._of_bucket, lambda event_id: (event_id.hex,))
        stored = await fetch_events(self._ground.connection, self._ground.reading.vault, ids)
        return Page(rows=[self._row(stored[key]) for key in ids if self._is_wanted(stored[key])], following=following)

    def percent(self, place: Place) -> int:
        if self._chosen is None:
            return self._walk.percent(place)
        return 100 * int(place.after[0] if place.after else 0) // max(len(self._chosen), 1)

    async def _named(self) -> list[UUID] | None:
        """The events that ids, a reference and an order id name together, sorted; None: none is given."""
        wanted = self._ground.asked.filter
        named: tuple[tuple[ReferenceKind, str | None], ...] = (
            ("reference", wanted.reference),
            ("order", wanted.order_id),
        )
        hashes = [reference_hash(kind, text) for kind, text in named if text is not None]
        if wanted.ids is None and not hashes:
            return None
        chosen = {key for text in wanted.ids if (key := read_id("evt", text))} if wanted.ids is not None else None
        if hashes:
            found = await claimed(self._ground.connection, hashes)
            same = set(found.values()) if len(found) == len(set(hashes)) else set()
            same = same if len(same) == 1 else set()
            chosen = same if chosen is None else chosen & same
        return sorted(chosen or set())

    async def _next_chosen(self, chosen: Sequence[UUID], place: Place) -> tuple[list[UUID], Place | None]:
        begins = int(place.after[0]) if place.after else 0
        ends = begins + limits.EXPORT_PAGE_ROWS
        customer_id = self._customer.id if self._customer is not None else None
        ids = await chosen_events(self._ground.connection, chosen[begins:ends], self._filters, customer_id)
        return sorted(ids), Place(bucket=0, after=(str(ends),)) if ends < len(chosen) else None

    async def _of_bucket(self, cut: Cut, after: Key) -> list[UUID]:
        return await event_page(self._ground.connection, cut, UUID(after[0]) if after else FIRST, self._filters)

    async def _of_customer(self, cut: Cut, after: Key) -> list[tuple[UUID, int]]:
        assert self._customer is not None
        place = (self._customer.id, int(after[0]) if after else 0)
        return await customer_event_page(self._ground.connection, cut, place, self._filters)

    def _is_wanted(self, stored: StoredEvent) -> bool:
        is_importable = stored.record.type not in NOT_IMPORTED and stored.record.customer is not None
        return is_importable or not self._ground.asked.filter.importable

    def _row(self, stored: StoredEvent) -> Row:
        properties: dict[str, object] = stored.properties
        if self._ground.asked.personal:
            properties = {**properties, **stored.personal.properties}
        parted = part_properties(properties, self._flat) if self._flat else {"properties": properties}
        return event_row(stored) | parted


def event_row(stored: StoredEvent) -> dict[str, object]:
    """Everything of an event but its properties."""
    record = stored.record
    return {
        "customer": record.customer,
        "type": record.type,
        "reference": record.reference,
        "occurred_at": parse_moment(record.occurred_at),
        "troth_id": record.id,
        "troth_recorded_at": recorded_at(stored.id),
        "troth_seq": record.seq,
        "troth_points": record.points,
        "troth_awards": record.awards,
        "troth_wallets": record.wallets,
        "troth_tier": record.tier["id"] if record.tier is not None else None,
        "troth_outcome": record.outcome,
        "troth_revision": record.revision,
        "troth_source": stored.source,
        "troth_source_detail": stored.source_detail,
        "troth_actor": stored.actor,
        "troth_signed": stored.signed,
        "troth_parent": stored.parent,
        "troth_depth": stored.depth,
        "troth_warnings": record.warnings,
        "troth_ip": stored.personal.ip,
        "troth_user_agent": stored.personal.user_agent,
    }
