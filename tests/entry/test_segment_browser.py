"""The browser library in a real browser, on a page of another origin: a thousand events, and nothing else gets in."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.entry.sourcing import Made, counters, make_source, points_of
from tests.entry.test_segment_clients import CLIENTS
from tests.serving import Served

CHROMIUM = Path("/usr/bin/chromium")
EVENTS = 1_000
SECONDS = 120
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]


class Page:
    """A shop's web server: its page, the library, and what the library asks its own server for."""

    def __init__(self, library: Path, settings: object) -> None:
        self.told: list[dict[str, object]] = []
        files = {path.name: path.read_bytes() for path in library.glob("*.js")}
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path.lstrip("/")
                if path.endswith("settings"):
                    self.answer(json.dumps(settings).encode(), "application/json")
                elif path in files:
                    self.answer(files[path], "text/javascript")
                else:
                    self.answer((CLIENTS / "browser.html").read_bytes(), "text/html")

            def do_POST(self) -> None:
                page.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.answer(b"{}", "application/json")

            def answer(self, body: bytes, media_type: str) -> None:
                self.send_response(200)
                self.send_header("content-type", media_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://localhost:{self.server.server_address[1]}"


@asynccontextmanager
async def browser_at(address: str) -> AsyncIterator[None]:
    """A browser that shows this page until the context ends."""
    with tempfile.TemporaryDirectory(prefix="troth-browser-") as profile:
        process = await asyncio.create_subprocess_exec(
            str(CHROMIUM),
            *FLAGS,
            f"--user-data-dir={profile}",
            "--remote-debugging-port=0",
            address,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()
            await asyncio.sleep(0.2)  # its helpers let go of the profile


async def visit(server: Served, source: Made, library: Path) -> dict[str, object]:
    """What the page told at its end."""
    key = source.secrets["write_key"]
    host = urlsplit(server.address).netloc
    settings = {"integrations": {"Segment.io": {"apiKey": key, "apiHost": f"{host}/v1", "protocol": "http"}}}
    page = Page(library, settings)
    thread = threading.Thread(target=page.server.serve_forever, daemon=True)
    thread.start()
    query = urlencode({"writeKey": key, "address": server.address, "events": EVENTS})
    try:
        async with browser_at(f"{page.address}/?{query}"), asyncio.timeout(SECONDS):
            while not page.told:
                await asyncio.sleep(0.1)
    finally:
        page.server.shutdown()
        page.server.server_close()
    return page.told[0]


async def test_a_browser_sends_a_thousand_events(served: Served, request: pytest.FixtureRequest) -> None:
    library = request.getfixturevalue("node_modules") / "@segment" / "analytics-next" / "dist" / "umd"
    scan = {"id": "scan", "label": "Scan", "client_allowed": True}
    worth = {"worth": {"type": "number", "places": 0}}
    assert (await served.post("/v1/event-types", {**scan, "properties": worth})).status_code == 201
    rule = {"id": "scan", "event_type": "scan", "award": "properties.worth ?? 0"}
    published = await served.post("/v1/rules", rule)
    assert published.status_code == 201, published.text
    assert "client_award_unlimited" in published.text
    settings = {"events": {"Scanned": {"type": "scan"}}, "unmapped": "same_name", "types": ["scan", "point_add"]}
    source = await make_source(served, "segment", settings={**settings, "browsers": "only"})
    told = await visit(served, source, library)
    assert told == {"failed": 0, "read": ["TypeError", "TypeError"]}  # no answer that a page may read
    events = (await served.get("/v1/events?limit=1000")).json()["items"]
    assert Counter(event["type"] for event in events) == {"scan": EVENTS}
    assert len({event["reference"] for event in events}) == EVENTS
    assert {event["customer"] for event in events} == {"ada"}
    assert await points_of(served, "ada") == EVENTS // 2
    assert await counters(served, source.id) == {
        "received": EVENTS + 4, "accepted": EVENTS, "dropped": 1, "refused": 3,
    }  # fmt: skip
