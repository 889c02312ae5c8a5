"""An integration written for Antavo, with another host: requests signed by the library that its own SDKs build on.

    TROTH_KEY=$(cat .troth/first.key) python3 examples/20-antavo/integration.py

In: TROTH_KEY, TROTH_URL (default http://127.0.0.1:8000). Out: each call and its answer. It needs `requests` and
`escherauth` from PyPI.
"""

from __future__ import annotations

import json
import os
from typing import Any

import requests
from escherauth import EscherRequestsAuth

HOST = os.environ.get("TROTH_URL", "http://127.0.0.1:8000")
OPTIONS = {
    "algo_prefix": "ANTAVO",
    "vendor_key": "Antavo",
    "auth_header_name": "Authorization",
    "date_header_name": "Date",
}


def configure() -> dict[str, str]:
    """Opens the door: once, by whoever runs Troth. Out: the api_key and the api_secret for the integration."""
    source = {"id": "web-shop", "kind": "antavo", "name": "Web shop", "settings": {"unsigned": False}}
    headers = {"Authorization": f"Bearer {os.environ['TROTH_KEY']}"}
    answer = requests.post(f"{HOST}/v1/sources", json=source, headers=headers, timeout=30)
    answer.raise_for_status()
    secrets: dict[str, str] = answer.json()["secrets"]
    return secrets


class Integration:
    """What a shop calls."""

    def __init__(self, api_key: str, api_secret: str, region: str) -> None:
        self._auth = EscherRequestsAuth(api_key, api_secret, f"{region}/api/antavo_request", OPTIONS)

    def send(self, customer: str, action: str, data: dict[str, Any]) -> None:
        body = {"customer": customer, "action": action, "data": data}
        answer = requests.post(f"{HOST}/events", json=body, auth=self._auth, timeout=30)
        show(f"POST /events {action} {json.dumps(data)}", answer)

    def send_all(self, *events: tuple[str, str, dict[str, Any]]) -> None:
        body = {"events": [{"customer": who, "action": action, "data": data} for who, action, data in events]}
        show("POST /events/bulk", requests.post(f"{HOST}/events/bulk", json=body, auth=self._auth, timeout=30))

    def get(self, path: str) -> dict[str, Any]:
        answer = requests.get(HOST + path, auth=self._auth, timeout=30)
        show(f"GET {path}", answer)
        shown: dict[str, Any] = answer.json()
        return shown


def show(call: str, answer: requests.Response) -> None:
    print(f"$ {call}\n→ {answer.status_code} {json.dumps(answer.json())}\n")


def main() -> None:
    secrets = configure()
    shop = Integration(secrets["api_key"], secrets["api_secret"], "demo")
    shop.send("ada", "opt_in", {"email": "ada@example.com", "channel": "web"})
    shop.send("ada", "opt_in", {})
    mug = {"product_id": "mug", "quantity": 2, "price": "62.50"}
    order = {"transaction_id": "T-1", "total": "125.00", "items": [mug], "auto_accept": False}
    shop.send("ada", "checkout", {**order, "effective_timestamp": 1772368200})
    shop.send("ada", "checkout", order)
    shop.send("ada", "checkout_accept", {"transaction_id": "T-1"})
    shop.send("ada", "partial_refund", {"transaction_id": "T-1", "items": [{"product_id": "mug", "quantity": 1}]})
    shop.send_all(("ada", "point_add", {"points": 10}), ("ada", "point_sub", {"points": 500}), ("bob", "login", {}))
    shop.get("/customers/ada")
    page = shop.get("/customers/ada/events?limit=1&action=checkout,point_add")
    shop.get(page["next"])


if __name__ == "__main__":
    main()
