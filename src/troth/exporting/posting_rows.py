"""Postings as rows: every movement of points, with the customer's name; the oldest first in each bucket.

In: a posting filter. Out: pages of rows. Where a customer's key is gone, the name is empty and the ledger still whole.
"""

from __future__ import annotations

from uuid import UUID

from troth.api.export_progress import Place
from troth.core.ids import recorded_at, show_id
from troth.exporting.pages import Ground, Key, Page, Row, Walk, way
from troth.store.export_reads import (
    FIRST,
    Cut,
    OwnedPosting,
    PostingFilters,
    customer_posting_page,
    names_of,
    posting_page,
)
from troth.store.reads import CustomerKey, PostingRow


class PostingRows:
    """The postings of one export."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        wanted = ground.asked.filter
        self._filters = PostingFilters(
            wallet=wanted.wallet,
            occurred_from=wanted.moment_from,
            occurred_to=wanted.moment_to,
            reason=wanted.reason,
        )
        self._customer: CustomerKey | None = None
        self._walk = Walk(ground=ground)

    async def first(self) -> Place | None:
        found = await way(self._ground)
        if found is None:
            return None
        self._walk, self._customer = found
        return Place(bucket=self._walk.buckets.start)

    async def page(self, place: Place) -> Page:
        if self._customer is not None:
            found, following = await self._walk.step(place, self._of_customer, _place_of_customer)
        else:
            found, following = await self._walk.step(place, self._of_bucket, _place)
        owned = ((posting.customer_id, posting.row.event_id) for posting in found)
        names = await names_of(self._ground.connection, self._ground.reading.vault, owned)
        rows = [posting_row(posting.row, names.get(posting.customer_id)) for posting in found]
        return Page(rows=rows, following=following)

    def percent(self, place: Place) -> int:
        return self._walk.percent(place)

    async def _of_bucket(self, cut: Cut, after: Key) -> list[OwnedPosting]:
        place = (UUID(after[0]), int(after[1])) if after else (FIRST, -1)
        return await posting_page(self._ground.connection, cut, place, self._filters)

    async def _of_customer(self, cut: Cut, after: Key) -> list[OwnedPosting]:
        assert self._customer is not None
        seq, n = (int(after[0]), int(after[1])) if after else (0, -1)
        return await customer_posting_page(self._ground.connection, cut, (self._customer.id, seq, n), self._filters)


def _place(found: OwnedPosting) -> Key:
    return (found.row.event_id.hex, str(found.row.posting.n))


def _place_of_customer(found: OwnedPosting) -> Key:
    return (str(found.row.seq), str(found.row.posting.n))


def posting_row(row: PostingRow, customer: str | None) -> Row:
    posting = row.posting
    return {
        "id": f"pst_{row.event_id.hex}_{posting.n}",
        "event": show_id("evt", row.event_id),
        "customer": customer,
        "seq": row.seq,
        "occurred_at": posting.occurred_at,
        "recorded_at": recorded_at(row.event_id),
        "wallet": posting.wallet,
        "from_state": posting.from_state,
        "to_state": posting.to_state,
        "points": posting.points,
        "qualifying": posting.qualifying,
        "reason": posting.reason,
        "rule": posting.rule,
        "base": posting.base,
        "multiplier": posting.multiplier,
        "cap": posting.cap,
        "lot": f"lot_{posting.lot_event.hex}_{posting.lot_n}" if posting.lot_event is not None else None,
        "order": show_id("evt", posting.order_id) if posting.order_id is not None else None,
        "earned_at": posting.earned_at if posting.earned_at is not None else posting.occurred_at,
        "expires_at": posting.expires_at,
    }
