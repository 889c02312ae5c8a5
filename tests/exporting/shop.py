"""A shop with every kind of property, and short ways to export from it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.serving import Served

BEYOND = 2**53 + 1  # no float holds it
TYPE: dict[str, object] = {
    "id": "purchase",
    "order": {"id": "order_id", "amount": "amount"},
    "properties": {
        "amount": {"type": "number", "places": 2, "required": True},
        "weight": {"type": "number", "places": 16},
        "order_id": {"type": "text"},
        "note": {"type": "text"},
        "gift": {"type": "boolean"},
        "day": {"type": "date"},
        "ready_at": {"type": "datetime"},
        "items": {"type": "list", "of": {"type": "text"}},
        "email": {"type": "text", "pii": True},
    },
}
PROGRAM = {
    "settings": {"name": "Shop"},
    "wallets": [{"id": "points"}, {"id": "miles"}],
    "event_types": [TYPE, {"id": "chat"}, {"id": "profile", "properties": {"phone": {"type": "text", "pii": True}}}],
    "rules": [
        {"id": "base", "event_type": "purchase", "award": "properties.amount"},
        {"id": "miles", "event_type": "purchase", "award": "properties.amount * 0.3333", "wallet": "miles"},
    ],
    "tiers": {"levels": [{"id": "bronze", "from": 0}, {"id": "silver", "from": 500}]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    answer: dict[str, object]
    headers: dict[str, str]
    content: bytes


async def fill(server: Served) -> None:
    """Purchases of five customers with every kind of property, a big one, a refund, a chat, a profile, a claim."""
    answer = await server.request("PUT", "/v1/program", json=PROGRAM)
    assert answer.status_code == 200, answer.text
    plain = {"order_id": "o-plain", "amount": "10.50", "note": "a plain one", "email": "ada@example.org"}
    odd = {
        "amount": "999.90",
        "weight": "0.1000000000000001",
        "order_id": str(BEYOND),
        "note": '=1+1; "quoted", and\r\na new line',
        "gift": True,
        "day": "2026-02-28",
        "ready_at": "2026-03-01T10:00:00.123456Z",
        "items": ["a", "b,c"],
        "email": "=cmd",
        "big": BEYOND,
        "price": 0.1,
    }
    events = [
        ("ada", "purchase", "r-1", "2026-01-01T10:00:00Z", plain),
        ("-ada", "purchase", str(BEYOND), "2026-01-02T10:00:00.000001Z", odd),
        ("grace", "purchase", "r-3", "2026-01-03T10:00:00Z", {"order_id": "o-3", "amount": "-0.00"}),
        ("zoë", "purchase", "r-4", "2026-01-04T10:00:00Z", {"order_id": "o-4", "amount": "20", "note": ""}),
        ("zoë", "refund", "r-5", "2026-01-05T10:00:00Z", {"order_id": "o-4"}),
        ("ada", "chat", "r-6", "2026-01-06T10:00:00Z", {"words": 12345678901234567890}),
        ("ada", "profile", "r-7", "2026-01-07T10:00:00Z", {"tags": ["vip"], "city": "Linz", "phone": "+43 1 234"}),
        ("late", "purchase", None, "2026-01-08T10:00:00Z", {"order_id": "o-8", "amount": "5.00"}),
    ]
    for customer, type_id, reference, occurred_at, properties in events:
        event = {"customer": customer, "type": type_id, "occurred_at": occurred_at, "properties": properties}
        answer = await server.post("/v1/events", event | ({"reference": reference} if reference else {}))
        assert answer.status_code == 201, answer.text


async def ask(server: Served, kind: str, **asked: object) -> dict[str, object]:
    """Ask for an export. Out: the answer, which must be 202."""
    answer = await server.post("/v1/exports", {"kind": kind, **asked})
    assert answer.status_code == 202, answer.text
    found: dict[str, object] = answer.json()
    assert answer.headers["location"] == f"/v1/exports/{found['id']}"
    return found


async def until(server: Served, export_id: object, *statuses: str) -> dict[str, object]:
    """The export, once it stands so."""
    while True:
        found: dict[str, object] = (await server.get(f"/v1/exports/{export_id}")).json()
        if found["status"] in statuses:
            return found
        assert found["status"] not in {"failed", "finished"}, found
        await asyncio.sleep(0.02)


async def export(server: Served, kind: str, **asked: object) -> Exported:
    """Ask for an export, wait for it, fetch it."""
    export_id = (await ask(server, kind, **asked))["id"]
    answer = await until(server, export_id, "finished")
    file = await server.get(f"/v1/exports/{export_id}/file")
    assert file.status_code == 200, file.text
    return Exported(answer=answer, headers=dict(file.headers), content=file.content)
