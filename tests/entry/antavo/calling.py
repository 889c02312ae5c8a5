"""Calls of the Antavo-compatible door: plain ones with the api_key, and ones signed by the library of that family."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import requests
from escherauth import EscherRequestsAuth

from tests.entry.sourcing import Made, make_source
from tests.serving import Served

SCOPE = "demo/api/antavo_request"
OPTIONS = {
    "algo_prefix": "ANTAVO",
    "vendor_key": "Antavo",
    "auth_header_name": "Authorization",
    "date_header_name": "Date",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """An integration: its server, and its keys."""

    server: Served
    source: Made

    @property
    def key(self) -> str:
        return self.source.secrets["api_key"]

    async def send(self, customer: str, action: str, data: object = None, **more: object) -> httpx.Response:
        """One event, unsigned."""
        body = {"customer": customer, "action": action, "data": {} if data is None else data, **more}
        return await self.server.post(f"/events?api_key={self.key}", body, key=None)

    async def done(self, customer: str, action: str, data: object = None, **more: object) -> dict[str, Any]:
        """The same, which must be taken."""
        answer = await self.send(customer, action, data, **more)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def get(self, path: str, **params: str) -> httpx.Response:
        return await self.server.client.get(path, params={"api_key": self.key, **params})

    async def signed(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request signed by escherauth, in a thread of its own."""
        return await asyncio.to_thread(self._signed, method, path, options)

    def _signed(self, method: str, path: str, options: dict[str, Any]) -> requests.Response:
        return requests.request(
            method, self.server.address + path, auth=self.auth(**options.pop("signing", {})), timeout=30, **options
        )

    def auth(
        self, key: str = "", secret: str = "", scope: str = SCOPE, now: datetime | None = None
    ) -> EscherRequestsAuth:
        named = (key or self.key, secret or self.source.secrets["api_secret"])
        return EscherRequestsAuth(*named, scope, {**OPTIONS, "current_time": now})


async def open_shop(server: Served, settings: Mapping[str, object] | None = None) -> Shop:
    return Shop(server=server, source=await make_source(server, "antavo", settings=settings or {}))


def error_in(answer: httpx.Response | requests.Response) -> tuple[int, str, int]:
    """(status, type, code); the message is there."""
    error = answer.json()["error"]
    assert set(error) == {"type", "code", "message"}
    assert error["message"]
    return answer.status_code, error["type"], error["code"]
