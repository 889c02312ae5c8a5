"""A server that may send to loopback: with its own relay, or with one that a test moves by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.outbox.receiver import Receiver, receiving
from tests.serving import MASTER_KEY, Served, serving
from troth.config import Config
from troth.embedded.access import DatabaseAccess
from troth.outbox.outcomes import Pace
from troth.outbox.relay import Relay
from troth.outbox.run import Office
from troth.outbox.sending import open_sender
from troth.store.vault import Vault

RETRY_SECONDS = 1_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooked:
    """A server, and short ways to its webhooks."""

    served: Served

    async def add(self, url: str, **settings: object) -> dict[str, Any]:
        answer = await self.served.post("/v1/webhooks", {"url": url, **settings})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def show(self, webhook: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = (await self.served.get(f"/v1/webhooks/{webhook['id']}")).json()
        return found

    async def record(self, customer: str, event_type: str, **properties: object) -> dict[str, Any]:
        body = {"customer": customer, "type": event_type, "properties": properties}
        answer = await self.served.post("/v1/events", body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def send(self, customer: str, amount: str = "10") -> dict[str, Any]:
        return await self.record(customer, "purchase", amount=amount, category="books")

    async def many(self, count: int) -> None:
        """So many purchases of a hundred customers."""
        made = [
            {
                "customer": f"c{number % 100}",
                "type": "purchase",
                "reference": f"p{number}",
                "properties": {"amount": "1"},
            }
            for number in range(count)
        ]
        for begin in range(0, count, 1_000):
            answer = await self.served.post("/v1/events/bulk", {"events": made[begin : begin + 1_000]})
            assert answer.json()["created"] == len(made[begin : begin + 1_000])

    async def deliveries(self, webhook: dict[str, Any], **filters: str) -> list[dict[str, Any]]:
        answer = await self.served.get(f"/v1/webhooks/{webhook['id']}/deliveries", params={"limit": 1000, **filters})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    async def only(self, webhook: dict[str, Any]) -> dict[str, Any]:
        """The one delivery of a webhook, with its attempts."""
        (item,) = await self.deliveries(webhook)
        answer = await self.served.get(f"/v1/webhooks/{webhook['id']}/deliveries/{item['id']}")
        found: dict[str, Any] = answer.json()
        return found

    async def count(self, table: str) -> int:
        async with self.served.database.owner() as owner:
            return int(await owner.fetchval(f"select count(*) from {table}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk(Hooked):
    """A server without a relay, and one that goes on only when it is told to, at any time of day."""

    relay: Relay
    later: list[timedelta] = field(default_factory=lambda: [timedelta()])

    async def turn(self, **later: float) -> None:
        """Everything that is due so much later than now, once."""
        self.later[0] = timedelta(**later)
        await self.relay.look()
        while self.relay.runs:
            await asyncio.gather(*self.relay.runs.values())


@asynccontextmanager
async def relaying(access: DatabaseAccess, later: list[timedelta], **pace: float) -> AsyncIterator[Relay]:
    """A relay of its own, as a worker has; `later` is how far its clock goes ahead.

    Pauses after failures are RETRY_SECONDS and more, give or take a fifth: nothing is due because the machine is slow.
    """
    chosen = Pace(**{"timeout_seconds": 1.0, "rest_seconds": 0.0, "retry_seconds": RETRY_SECONDS, **pace})
    async with (
        access.open_database(connections=3) as database,
        open_sender(allows_private=True, timeout_seconds=chosen.timeout_seconds) as sender,
    ):
        office = Office(
            database=database,
            vault=Vault(MASTER_KEY),
            sender=sender,
            pace=chosen,
            now=lambda: datetime.now(UTC) + later[0],
        )
        relay = Relay(office=office)
        try:
            yield relay
        finally:
            await relay.close()


@pytest.fixture
async def hooked(database: DatabaseAccess) -> AsyncIterator[Hooked]:
    async with serving(database, Config(webhooks_private=True)) as served:
        yield Hooked(served=served)


@pytest.fixture
async def desk(database: DatabaseAccess) -> AsyncIterator[Desk]:
    later = [timedelta()]
    async with (
        serving(database, Config(webhooks_private=True, delivers=False, settles=False)) as served,
        relaying(database, later) as relay,
    ):
        yield Desk(served=served, relay=relay, later=later)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found
