"""A server that may send to loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.outbox.receiver import Receiver, receiving
from tests.serving import Served, serving
from troth.config import Config
from troth.embedded.access import DatabaseAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooked:
    """A server, and short ways to its webhooks."""

    served: Served

    async def add(self, url: str, **settings: object) -> dict[str, Any]:
        answer = await self.served.post("/v1/webhooks", {"url": url, **settings})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def send(self, customer: str, amount: str = "10", reference: str | None = None) -> dict[str, Any]:
        body = {"customer": customer, "type": "purchase", "properties": {"amount": amount, "category": "books"}}
        answer = await self.served.post("/v1/events", body | ({"reference": reference} if reference else {}))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def deliveries(self, webhook: dict[str, Any], **filters: str) -> list[dict[str, Any]]:
        answer = await self.served.get(f"/v1/webhooks/{webhook['id']}/deliveries", params={"limit": 1000, **filters})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


@pytest.fixture
async def hooked(database: DatabaseAccess) -> AsyncIterator[Hooked]:
    async with serving(database, Config(webhooks_private=True)) as served:
        yield Hooked(served=served)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found
