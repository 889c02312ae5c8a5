"""The short way to the doors for events: what it answers is what the application answers at the same addresses."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from tests.serving import Served
from troth import limits

UNUSUAL = {"host": "a~b"}  # sound, and left to the application
EVENT = {"customer": "ada", "type": "purchase", "reference": "r1", "properties": {"amount": "10.00"}}
JSON = json.dumps(EVENT).encode()
BULK = json.dumps({"events": [EVENT, {"customer": "ada"}]}).encode()
GZIP = {"content-encoding": "gzip"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
_OWN = re.compile(r"req_[0-9a-f]+")  # a request's own id

CASES = [
    ("POST", "/v1/events", JSON, {}, 200),
    ("POST", "/v1/events", JSON, FORM, 200),
    ("POST", "/v1/events?expand=profile", JSON, {}, 200),
    ("POST", "/v1/events?expand=nothing", JSON, {}, 422),
    ("POST", "/v1/events", b"{", {}, 400),
    ("POST", "/v1/events", b"[]", {}, 422),
    ("POST", "/v1/events", b'{"customer": 1, "unknown": 2}', {}, 422),
    ("POST", "/v1/events", JSON, {"Authorization": "Bearer sk_test_none"}, 401),
    ("POST", "/v1/events", JSON, {"Authorization": ""}, 401),
    ("POST", "/v1/events", JSON, GZIP, 400),
    ("POST", "/v1/events", JSON, {"content-encoding": "br"}, 415),
    ("POST", "/v1/events", b" " * (limits.BODY_BYTES_SINGLE + 1), {}, 413),
    ("POST", "/v1/events", JSON, {"origin": "https://shop.example"}, 200),
    ("POST", "/v1/events/bulk", BULK, {}, 200),
    ("POST", "/v1/events/bulk", b'{"events": 1}', {}, 422),
    ("POST", "/v1/events/", JSON, {}, 200),
    ("PUT", "/v1/events", JSON, {}, 405),
    ("OPTIONS", "/v1/events", b"", {}, 204),
    ("GET", "/v1/events/bulk", b"", {}, 405),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status"), CASES)
async def test_both_ways_answer_alike(
    served: Served, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    await served.post("/v1/events", EVENT)
    short = await served.request(method, path, content=body, headers=headers)
    long = await served.request(method, path, content=body, headers={**headers, **UNUSUAL})
    assert short.status_code == status, short.text
    assert shown(short) == shown(long)


def shown(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], str]:
    """The answer without what differs between two equal requests."""
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in {"date", "x-request-id"}]
    return answer.status_code, headers, _OWN.sub("req", answer.text)


async def test_a_host_that_is_none_is_refused(served: Served) -> None:
    answer = await served.post("/v1/events", EVENT, headers={"host": "a{b}"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable")


async def test_a_new_event_is_measured_by_its_address(served: Served) -> None:
    assert (await served.post("/v1/events", EVENT)).status_code == 201
    assert (await served.post("/v1/events/bulk", {"events": [EVENT]})).status_code == 200
    measured = (await served.get("/metrics")).text
    assert 'troth_request_seconds_count{method="POST",route="/v1/events",status="2xx"} 1.0' in measured
    assert 'troth_request_seconds_count{method="POST",route="/v1/events/bulk",status="2xx"} 1.0' in measured
