"""What doors are compared by: the postings of every customer, without ids."""

from __future__ import annotations

from typing import Any

from tests.serving import Served

Postings = dict[str, list[tuple[object, ...]]]  # customer → postings, oldest first
COMPARED = (
    "wallet",
    "from_state",
    "to_state",
    "points",
    "qualifying",
    "reason",
    "rule",
    "base",
    "multiplier",
    "cap",
    "occurred_at",
    "earned_at",
    "expires_at",
)


async def postings(server: Served) -> Postings:
    """The postings of all customers."""
    names = [item["customer"] for item in await _items(server, "/v1/customers")]
    found = {name: await _items(server, f"/v1/customers/{name}/postings") for name in names}
    return {
        name: [tuple(item[field] for field in COMPARED) for item in reversed(items)] for name, items in found.items()
    }


async def _items(server: Served, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await server.get(path, params={"limit": "1000", **cursor})).json()
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}
