"""Calls of a Segment-compatible library, made by hand."""

from __future__ import annotations

import base64
import json

import httpx

from tests.entry.sourcing import Made
from tests.serving import Served

REVIEW = {"event": "Product Reviewed", "userId": "ada", "messageId": "m-1", "properties": {"rating": 5}}
ORDER = {
    "type": "track",
    "event": "Order Completed",
    "userId": "ada",
    "messageId": "m-order",
    "properties": {
        "order_id": "o-1",
        "total": 27.5,
        "revenue": 25,
        "currency": "EUR",
        "coupon": "hasbros",
        "products": [
            {
                "product_id": "p1",
                "sku": "45790-32",
                "name": "Monopoly",
                "price": 19,
                "quantity": 1,
                "category": "Games",
            },
            {"product_id": 9007199254740993, "name": "Uno", "price": 8.5},
        ],
    },
}


def basic(key: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}


async def call(server: Served, made: Made, path: str, body: object, **headers: str) -> httpx.Response:
    """A call with the source's write key."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {**basic(made.secrets["write_key"]), **headers}
    return await server.client.post(f"/v1/{path}", content=content, headers=sent)


async def batch(server: Served, made: Made, *messages: object, **fields: object) -> None:
    answer = await call(server, made, "batch", {"batch": messages, **fields})
    assert (answer.status_code, answer.text) == (200, '{"success": true}')


async def events(server: Served, query: str = "") -> list[dict[str, object]]:
    """In the order in which a customer's were judged."""
    items: list[dict[str, object]] = (await server.get(f"/v1/events{query}")).json()["items"]
    return sorted(items, key=lambda event: int(str(event["seq"])))
