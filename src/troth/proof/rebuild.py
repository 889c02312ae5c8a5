"""Rebuild: store again what events and postings say, wherever a cache differs. Events and postings stay as they are."""

from __future__ import annotations

from uuid import UUID

import msgspec

from troth import limits
from troth.core.replay import due_moment
from troth.proof.compare import caches_of, compare
from troth.proof.verify import RuleBooks, fold_customer, last_shelf
from troth.store import proof
from troth.store.pool import Connection, snapshot


async def rebuild(connection: Connection, books: RuleBooks) -> int:
    """Mend the caches of every customer that differ. Out: how many customers were mended."""
    mended = 0
    for bucket in range(limits.BUCKETS):
        for customer_id in await _differing(connection, books, bucket):
            async with connection.transaction():
                await _mend(connection, books, (bucket, customer_id))
            mended += 1
    await proof.mend_stock(connection)
    return mended


async def _differing(connection: Connection, books: RuleBooks, bucket: int) -> list[UUID]:
    async with snapshot(connection):
        past = await proof.read_bucket(connection, bucket)
        caches = await proof.read_caches(connection, bucket)
    found = []
    for customer_id, cached in caches.items():
        events = past.get(customer_id, [])
        revisions = await books.all_of(events)
        fold = fold_customer(cached.state, events, revisions)
        if any(True for _ in compare(customer_id, fold, cached, last_shelf(events, revisions))):
            found.append(customer_id)
    return found


async def _mend(connection: Connection, books: RuleBooks, key: tuple[int, UUID]) -> None:
    """Fold one customer again, under its lock, and store the fold."""
    bucket, customer_id = key
    await proof.lock_customer(connection, bucket, customer_id)
    events = await proof.read_customer(connection, bucket, customer_id)
    cached = (await proof.read_caches(connection, bucket))[customer_id]
    revisions = await books.all_of(events)
    fold = fold_customer(cached.state, events, revisions)
    shelf = last_shelf(events, revisions)
    caches = caches_of(fold)
    kept = cached.state.calendar
    calendar = msgspec.structs.replace(
        fold.state.calendar, birthday=kept.birthday, birthday_passed=kept.birthday_passed
    )
    caches.state = msgspec.structs.replace(fold.state, created_at=cached.state.created_at, calendar=calendar)
    due_at = due_moment(fold, shelf) if shelf is not None else None
    caches.due_at = min((moment for moment in (due_at, cached.due_at) if moment is not None), default=None)
    await proof.store_caches(connection, key, caches)
