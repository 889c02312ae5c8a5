"""A run: what is due for one webhook, claimed and delivered a bounded number at a time, until nothing is left.

In: a webhook's id. Out: why it ended. Each outcome is stored before the next request of the same hand begins, so a
kill repeats at most what is under way. Must never: begin what its lease might not cover, or more while one hangs.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from troth import limits
from troth.outbox.outcomes import Pace, Response, judge, reason_to_disable
from troth.outbox.packing import Address, Parcel, address_of, pack
from troth.outbox.sending import Sender
from troth.store import deliveries, webhooks
from troth.store.deliveries import Claimed, Health, Recorded
from troth.store.pool import Connection, Database
from troth.store.vault import Vault
from troth.store.webhooks import Webhook

_CONNECTIONS = 2  # of the pool, at most: the others are for reads
_LOST = "its event cannot be found"


def real_time() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Office:
    """What all runs of a process share."""

    database: Database
    vault: Vault
    sender: Sender
    pace: Pace = field(default_factory=Pace)
    now: Callable[[], datetime] = real_time
    is_stopping: bool = False
    connections: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CONNECTIONS))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for a moment, as one of a few."""
        async with self.connections, self.database.pool.acquire() as connection:
            yield connection


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Why a run ended."""

    is_over: bool = True  # nothing is left, or the process stops
    rests: bool = False  # the receiver still fails: leave it alone for a while
    reason: str | None = None  # why the webhook is to be disabled


@dataclass(slots=True, kw_only=True)
class Run:
    """One webhook's run."""

    office: Office
    webhook_id: UUID

    async def go(self) -> End:
        """Deliver until nothing is due, the receiver needs a rest, or the webhook is to be disabled."""
        while not self.office.is_stopping:
            round_ = await self._claim()
            if round_ is None:
                break
            end = await round_.deliver()
            if not end.is_over:
                return end
        return End()

    async def _claim(self) -> Round | None:
        """What is tried next; a receiver that has failed for a while is asked with one message at a time."""
        office, now = self.office, self.office.now()
        begin_until = time.monotonic() + min(limits.WEBHOOK_BEGIN_SECONDS, office.pace.lease_seconds / 2)
        async with office.connection() as connection:
            webhook = await webhooks.find(connection, self.webhook_id)
            if webhook is None or not webhook.enabled:
                return None
            is_probe = webhook.failures >= limits.WEBHOOK_PROBE_FAILURES
            most = 1 if is_probe else limits.WEBHOOK_CLAIMED
            lease_until = now + timedelta(seconds=office.pace.lease_seconds)
            claimed = await deliveries.claim(connection, webhook.id, most, now=now, lease_until=lease_until)
            if not claimed:
                return None
            parcels, lost = await pack(connection, office.vault, webhook, claimed)
        found = Round(
            office=office,
            webhook=webhook,
            address=address_of(office.vault, webhook, now),
            queue=deque(parcels),
            begin_until=begin_until,
            is_probe=is_probe,
        )
        if lost:
            await found.record(lost, Response(at=now, milliseconds=0, error=_LOST), is_final=True)
        return found


@dataclass(slots=True, kw_only=True)
class Round:
    """What was claimed at once."""

    office: Office
    webhook: Webhook
    address: Address
    queue: deque[Parcel]
    begin_until: float  # by the monotonic clock
    is_probe: bool
    under_way: list[Parcel] = field(default_factory=list)
    found: list[Recorded] = field(default_factory=list)  # not stored yet
    recording: asyncio.Lock = field(default_factory=asyncio.Lock)
    hangs: bool = False  # somebody waited for an answer in vain
    has_failed: bool = False
    health: Health | None = None  # of the webhook, as of the last outcome stored
    reason: str | None = None

    async def deliver(self) -> End:
        """Send it all, a few at a time; what is not begun, or cut off, is given back."""
        try:
            async with asyncio.TaskGroup() as hands:
                for _ in range(min(limits.WEBHOOK_CONCURRENCY, len(self.queue))):
                    hands.create_task(self._work())
        finally:
            await self._give_back()
        rests = self.is_probe and self.has_failed
        return End(is_over=not rests and self.reason is None, rests=rests, reason=self.reason)

    async def _work(self) -> None:
        while self.queue and not self._is_enough():
            parcel = self.queue.popleft()
            self.under_way.append(parcel)
            response = await self.office.sender.post(self.address.request(parcel))
            await self.record(parcel.deliveries, response)
            self.under_way.remove(parcel)

    def _is_enough(self) -> bool:
        is_late = time.monotonic() >= self.begin_until
        return self.office.is_stopping or self.hangs or is_late or self.reason is not None

    async def record(self, carried: Sequence[Claimed], response: Response, *, is_final: bool = False) -> None:
        """Store what came of these deliveries, together with what others wait to store at this moment."""
        now = self.office.now()
        for item in carried:
            jitter = random.uniform(-1, 1)  # noqa: S311 - no secret
            outcome = judge(item, response, now, pace=self.office.pace, jitter=jitter)
            self.found.append(outcome._replace(status="failed", next_at=None) if is_final else outcome)
        self.hangs = self.hangs or (response.status is None and not response.is_delivered and not is_final)
        self.has_failed = self.has_failed or not response.is_delivered
        async with self.recording:  # whoever waits here may find that the one before has stored its outcome too
            found, self.found = self.found, []
            if found:
                async with self.office.connection() as connection:
                    self.health = await deliveries.record(connection, self.webhook.id, found, now=now)
        if self.health is not None and not response.is_delivered:
            self.reason = self.reason or reason_to_disable(response, self.health, now)

    async def _give_back(self) -> None:
        rest = [item for parcel in (*self.queue, *self.under_way) for item in parcel.deliveries]
        if rest:
            async with self.office.connection() as connection:
                await deliveries.give_back(connection, self.webhook.id, rest, self.office.now())
