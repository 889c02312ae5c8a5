"""What one answer shows belongs to one moment, whatever is recorded while it is read.

Each test lets an event of the same customer be recorded between two statements of a read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest

from tests.serving import Served, serving
from troth.api import customers, orders, profiles
from troth.config import Config
from troth.embedded.access import DatabaseAccess
from troth.pipeline import preview

DUE = "2030-01-15T00:00:00Z"


@pytest.fixture
async def served(database: DatabaseAccess) -> AsyncIterator[Served]:
    """Orders are accepted after 14 days, a purchase pays once; nothing is settled but by events of the customer."""
    async with serving(database, Config(settles=False)) as server:
        program = (await server.get("/v1/program")).json()
        program["orders"] = {"acceptance": {"after": "P14D", "then": "accept"}}
        for rule in program["rules"]:
            if rule["event_type"] == "purchase":
                rule["limits"] = [{"times": 1, "window": "ever"}]
        assert (await server.request("PUT", "/v1/program", json=program)).status_code == 200
        await server.post("/v1/clock", {"now": "2030-01-01T00:00:00Z"})
        await record(server, "checkout", transaction_id="o1", total="125.00")
        yield server


async def record(server: Served, type_id: str, **properties: object) -> None:
    answer = await server.post("/v1/events", {"customer": "ada", "type": type_id, "properties": properties})
    assert answer.status_code == 201, answer.text


def recorded_before(patch: pytest.MonkeyPatch, place: tuple[ModuleType, str], server: Served, type_id: str) -> None:
    """Let such an event be recorded just before this function is called for the first time."""
    module, name = place
    called, events = getattr(module, name), [type_id]

    async def instead(*arguments: Any, **named: Any) -> Any:
        if events:
            await record(server, events.pop(), order_id="o2", amount="10.00")
        return await called(*arguments, **named)

    patch.setattr(module, name, instead)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v1/customers/ada/orders", (orders, "fetch_events")),
        ("/v1/orders/o1", (orders, "read")),
        ("/v1/orders/o1", (orders, "order_postings")),
        ("/v1/customers/ada", (profiles, "load")),
        ("/v1/customers", (profiles, "load")),
        ("/v1/customers/ada/lots", (customers, "lot_page")),
    ],
)
async def test_reads(path: str, place: tuple[ModuleType, str], served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that was begun before the event shows what it would have shown without it."""
    await served.post("/v1/clock", {"now": DUE})
    alone = (await served.get(path)).json()
    recorded_before(monkeypatch, place, served, "purchase")
    assert (await served.get(path)).json() == alone
    assert (await served.get(path)).json() != alone, "the event was recorded"


@pytest.mark.parametrize("name", ["prefetch", "decide_loaded"])
async def test_previews(name: str, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    purchase = {"customer": "ada", "type": "purchase", "properties": {"amount": "10.00"}}
    alone = (await served.post("/v1/events/preview", purchase)).json()
    recorded_before(monkeypatch, (preview, name), served, "purchase")
    between = (await served.post("/v1/events/preview", purchase)).json()
    own = {name: alone[name] for name in ("id", "reference", "recorded_at")}
    assert {**between, **own} == alone
    assert (await served.post("/v1/events/preview", purchase)).json()["points"] == 0, "its limit is used up"
