"""Customers as rows: each as it is when its page is read, with what fell due; by external id in each bucket.

In: a customer filter. Out: pages of rows. Who was erased has no name any more and is not among them.
"""

from __future__ import annotations

from datetime import datetime

from troth.api.export_progress import Place
from troth.api.profiles import Profile, load_profiles, now_of
from troth.core.coercion import parse_moment
from troth.core.rules import RuleBook
from troth.exporting.pages import Ground, Key, Page, Row, Walk
from troth.store.export_reads import Cut, name_page
from troth.store.reads import CustomerKey


class CustomerRows:
    """The customers of one export, under the program that is live when it begins."""

    def __init__(self, ground: Ground, book: RuleBook) -> None:
        self._ground = ground
        self._book = book
        self._walk = Walk(ground=ground)

    async def first(self) -> Place | None:
        return Place(bucket=0)

    async def page(self, place: Place) -> Page:
        ground = self._ground
        keys, following = await self._walk.step(place, self._names, lambda key: (key.external_id,))
        now = await now_of(ground.reading, ground.connection, self._book)
        profiles = await load_profiles(ground.connection, keys, now, with_personal=ground.asked.personal)
        return Page(rows=[customer_row(found) for found in profiles if self._is_wanted(found)], following=following)

    def percent(self, place: Place) -> int:
        return self._walk.percent(place)

    async def _names(self, cut: Cut, after: Key) -> list[CustomerKey]:
        prefix = self._ground.asked.filter.search or ""
        return await name_page(self._ground.connection, cut, after[0] if after else "", prefix)

    def _is_wanted(self, profile: Profile) -> bool:
        wanted = self._ground.asked.filter
        tier = profile.tier.id if profile.tier is not None else None
        return (
            (wanted.tag is None or wanted.tag in profile.tags)
            and (wanted.tier is None or wanted.tier == tier)
            and is_within(parse_moment(profile.created_at), wanted.moment_from, wanted.moment_to)
            and is_within(parse_moment(profile.last_activity_at), wanted.active_from, wanted.active_to)
        )


def is_within(moment: datetime | None, begins: datetime | None, ends: datetime | None) -> bool:
    """Whether it lies in [begins, ends); what has no moment lies in no bounded time."""
    if moment is None:
        return begins is None and ends is None
    return (begins is None or moment >= begins) and (ends is None or moment < ends)


def customer_row(profile: Profile) -> Row:
    return {
        "customer": profile.customer,
        "id": profile.id,
        "created_at": parse_moment(profile.created_at),
        "last_activity_at": parse_moment(profile.last_activity_at),
        "tier": profile.tier.id if profile.tier is not None else None,
        "tier_since": parse_moment(profile.tier.since) if profile.tier is not None else None,
        "tags": profile.tags,
        "attributes": profile.attributes,
        "wallets": profile.wallets,
        "events": profile.events,
        "orders": profile.orders,
        "seq": profile.seq,
    }
