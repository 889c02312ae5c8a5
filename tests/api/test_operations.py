"""Probes, measurements, the docs page without a network, faults of ours, and logs that hold no secret."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from litestar import Litestar, get
from litestar.params import FromPath

from tests.serving import Served, serving
from troth.api import docs
from troth.api.logging import RequestLog, configure_logging, logger, request_log
from troth.api.metrics import Metrics
from troth.api.observed import Observed
from troth.api.problems import exception_handlers
from troth.embedded.access import DatabaseAccess

PAGE = Path(docs.__file__).parent / "docs_page"


@pytest.fixture
def logged() -> Iterator[io.BytesIO]:
    """Everything this process logs from here on."""
    stream = io.BytesIO()
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    configure_logging(stream)
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = handlers, level


@pytest.fixture
async def watched(logged: io.BytesIO, database: DatabaseAccess) -> AsyncIterator[Served]:
    """A server that logs into `logged`."""
    assert logged.getvalue() == b""
    async with serving(database) as server:
        yield server


def lines(stream: io.BytesIO) -> list[dict[str, object]]:
    request_log().flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_probes_need_no_key(served: Served) -> None:
    for path, status in (("/health/live", "live"), ("/health/ready", "ready")):
        answer = await served.get(path, key=None)
        assert (answer.status_code, answer.json()) == (200, {"status": status})


async def test_a_stopping_server_is_not_ready_but_lives(served: Served) -> None:
    served.readiness.is_stopping = True
    answer = await served.get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.headers["retry-after"] == "1"
    assert (await served.get("/health/live")).status_code == 200


async def test_measurements_count_events_by_outcome(served: Served) -> None:
    event = {"customer": "ada", "type": "signup", "reference": "r"}
    for body in (event, event, {**event, "customer": "bob"}, {"customer": "ada", "type": "nothing"}):
        await served.post("/v1/events", body)
    text = (await served.get("/metrics", key=None)).text
    for outcome in ("created", "duplicate", "conflict", "rejected"):
        assert f'troth_events_total{{outcome="{outcome}"}} 1.0' in text
    assert 'troth_request_seconds_count{method="POST",route="/v1/events",status="4xx"} 2.0' in text
    assert "troth_waiting_events 0.0" in text
    assert "# TYPE troth_batches_total counter" in text
    assert "troth_batch_events_total 3.0" in text
    assert "process_resident_memory_bytes" in text


async def test_callers_choose_no_label(served: Served) -> None:
    before = (await served.get("/metrics")).text.count("troth_request_seconds_count")
    for n in range(5):
        await served.request(f"VERB{n}", f"/v1/anything/{n}")
        await served.get(f"/v1/customers/{n}")
    after = (await served.get("/metrics")).text.count("troth_request_seconds_count")
    assert after - before <= 3


EXTERNAL = re.compile(r"""(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}""", re.IGNORECASE)


async def test_the_docs_page_needs_no_network(served: Served) -> None:
    page = await served.get("/docs", key=None)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert set(parts) == {"data:,", "/docs/page.css", "/docs/page.js", "/openapi.json"}
    for path in {"/docs/page.css", "/docs/page.js", "/openapi.json"}:
        assert (await served.get(path, key=None)).status_code == 200
    for file in PAGE.iterdir():
        assert EXTERNAL.findall(file.read_text()) == [], file.name


async def test_the_served_description_is_the_committed_one(served: Served) -> None:
    answer = await served.get("/openapi.json", key=None)
    assert answer.json()["paths"]["/v1/events"]["post"]["summary"] == "Record an event"


SECRETS = {
    "customer": "ada@example.org",
    "type": "referral",
    "reference": "ref-secret-4711",
    "properties": {"referred_email": "bob@example.org"},
}


async def test_logs_hold_no_key_and_no_personal_value(watched: Served, logged: io.BytesIO) -> None:
    headers = {"user-agent": "agent-secret", "idempotency-key": "key-secret"}
    for body in (SECRETS, SECRETS, {**SECRETS, "type": "nothing"}, {**SECRETS, "customer": "eve@example.org"}):
        await watched.post("/v1/events", body, headers=headers)
    await watched.post("/v1/events/bulk", {"events": [SECRETS, 5]})
    await watched.post("/v1/customers", {"customer": "ada@example.org", "attributes": {"first_name": "Ada-secret"}})
    await watched.get("/v1/customers/ada@example.org/events?type=type-secret")
    await watched.get("/v1/events?customer=ada@example.org", key="sk_test_secretsecretsecret")
    await watched.get("/v1/ada@example.org")
    found = lines(logged)
    assert len([line for line in found if line["event"] == "request"]) == 9
    text = logged.getvalue().decode()
    for secret in ("ada@", "bob@", "eve@", "secret", watched.key, watched.key[8:], "127.0.0.1", "Ada-", "4711"):
        assert secret not in text, secret
    assert {line["route"] for line in found} >= {"/v1/events", "/v1/customers/{customer}/events", "unknown"}


async def test_each_request_is_found_in_the_log_by_its_id(watched: Served, logged: io.BytesIO) -> None:
    answer = await watched.get("/v1/customers/nobody")
    (line,) = lines(logged)
    assert line["request_id"] == answer.headers["x-request-id"] == answer.json()["request_id"]
    assert (line["status"], line["method"], line["level"]) == (404, "GET", "info")
    assert str(line["key"]).startswith("key_")


async def test_a_fault_of_ours_tells_the_caller_nothing(logged: io.BytesIO) -> None:
    @get("/faulty/{name:str}")
    async def faulty(name: FromPath[str]) -> None:
        raise ValueError(f"secret of {name}")

    app = Litestar([faulty], exception_handlers=exception_handlers(), openapi_config=None, logging_config=None)
    transport = httpx.ASGITransport(app=Observed(app, Metrics()))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/faulty/ada")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.text
    fault = next(line for line in lines(logged) if line["event"] == "request failed")
    assert (fault["error"], fault["route"]) == ("ValueError", "/faulty/{name}")
    assert fault["request_id"] == answer.json()["request_id"]
    assert b"secret" not in logged.getvalue()


def test_what_libraries_log_comes_without_values(logged: io.BytesIO) -> None:
    try:
        int("secret")
    except ValueError:
        logging.getLogger("asyncio").exception("Task failed\nsecret: %r", "secret")
    (line,) = lines(logged)
    assert (line["event"], line["logger"], line["error"]) == ("Task failed", "asyncio", "ValueError")
    assert b"secret" not in logged.getvalue()


async def test_text_logs_are_logfmt() -> None:
    stream = io.BytesIO()
    configure_logging(stream, form="text")
    try:
        logger().warning("two words", number=5, text='a "b" = c', nothing=None)
        log = RequestLog(stream, form="text")
        log.add("req_1", ("/v1/events/{event:str}", "GET", 200), 0.0125, None)
        log.flush()
    finally:
        structlog.reset_defaults()
    first, second = stream.getvalue().decode().splitlines()
    assert first.endswith(r'level=warning event="two words" number=5 text="a \"b\" = c" nothing=-')
    told = "level=info event=request request_id=req_1 method=GET route=/v1/events/{event:str} status=200"
    assert second.partition(" ")[2] == f"{told} milliseconds=12.50 key=-"
