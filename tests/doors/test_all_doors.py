"""Law 9: all doors agree. The same 200 events through every door give the same postings.

A door is a function that sends events to a server; one more door is one more function in DOORS.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from tests.conftest import _TEMPLATE, Servers, fresh_database
from tests.doors.comparing import Postings, postings
from tests.doors.two_hundred import CUSTOMERS, NUMBER, Event, events
from tests.entry.antavo.calling import Shop, open_shop
from tests.entry.segmenting import call
from tests.entry.sourcing import counters, make_source
from tests.serving import Served, serving
from troth.engine import running_engine
from troth.entry.csv_import import CsvRows
from troth.entry.import_file import ImportFile
from troth.entry.import_rows import Reading, structured_properties
from troth.entry.import_run import ImportRun

Door = Callable[[Served, Path], Awaitable[None]]  # sends the 200 events; the folder is its own


async def one_by_one(server: Served, _: Path) -> None:
    for event in events():
        answer = await server.post("/v1/events", event)
        assert answer.status_code == 201, (event, answer.text)


async def in_bulk(server: Served, _: Path) -> None:
    answer = (await server.post("/v1/events/bulk", {"events": events()})).json()
    assert (answer["created"], answer["total"]) == (NUMBER, NUMBER)


async def in_lines(server: Served, _: Path) -> None:
    lines = "\n".join(json.dumps(event) for event in events()).encode()
    answer = await server.post("/v1/events/bulk", lines, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json()["created"] == NUMBER


async def imported(server: Served, folder: Path) -> None:
    """As `troth import` does it."""
    path = folder / "events.csv"
    path.write_bytes(as_csv(events()))
    with ImportFile(path) as file:
        rows = CsvRows(file, Reading(source_detail=path.name))
        async with server.database.open_database() as database, running_engine(database, server.vault) as engine:
            structured = structured_properties((await engine.books.live()).rules.program)
            refused: list[object] = []
            run = ImportRun(rows.read(structured), engine.batcher, lambda row, problems: refused.append(problems))
            await run.run()
    assert (run.tally.created, refused) == (NUMBER, [])


async def antavo(server: Served, _: Path) -> None:
    shop = await open_shop(server)
    for event in events():
        answer = await shop.server.post(f"/events?api_key={shop.key}", as_action(event), key=None)
        assert answer.status_code == 200, (event, answer.text)


async def antavo_in_bulk(server: Served, _: Path) -> None:
    shop = await open_shop(server)
    answer = await _signed_bulk(shop, [as_action(event) for event in events()])
    assert (answer["total"], answer["errors"]) == (NUMBER, 0)


async def as_forms(server: Served, _: Path) -> None:
    """Properties as JSON text, as a form has them."""
    for event in events():
        answer = await server.client.post(
            "/v1/events", data=as_form(event), headers={"Authorization": f"Bearer {server.key}"}
        )
        assert answer.status_code == 201, (event, answer.text)


async def uploaded(server: Served, _: Path) -> None:
    """A CSV file over HTTP, imported by a job."""
    files = {"file": ("events.csv", as_csv(events()), "text/csv")}
    answer = await server.request("POST", "/v1/imports", files=files)
    assert answer.status_code == 202, answer.text
    while (shown := (await server.get(f"/v1/imports/{answer.json()['id']}")).json())["status"] in (
        "waiting",
        "running",
    ):
        await asyncio.sleep(0.05)
    assert (shown["status"], shown["created"], shown["rejected"]) == ("finished", NUMBER, 0)


async def segment(server: Served, _: Path) -> None:
    """Calls to track under the names of our types; what gives points directly is allowed by name."""
    types = sorted({str(event["type"]) for event in events()})
    settings = {"unmapped": "same_name", "default_events": False, "types": types}
    source = await make_source(server, "segment", settings=settings)
    told = [as_track(event) for event in events()]
    for first in range(0, NUMBER, 50):
        answer = await call(server, source, "batch", {"batch": told[first : first + 50]})
        assert (answer.status_code, answer.text) == (200, '{"success": true}')
    assert await counters(server, source.id) == {"received": NUMBER, "accepted": NUMBER}


async def webhook(server: Served, _: Path) -> None:
    """A system that sends JSON of its own form, mapped by paths."""
    types = sorted({str(event["type"]) for event in events()})
    settings = {
        "customer": "who.id", "type": "what", "reference": "message", "occurred_at": "when", "properties": None,
        "types": types,
    }  # fmt: skip
    source = await make_source(server, "webhook", settings=settings)
    secret = {"X-Webhook-Secret": source.secrets["secret"]}
    for event in events():
        body = {
            "who": {"id": event["customer"]}, "what": event["type"], "message": event["reference"],
            "when": event["occurred_at"], "properties": event["properties"],
        }  # fmt: skip
        answer = await server.post(f"/v1/hooks/{source.id}", body, key=None, headers=secret)
        assert answer.status_code == 200, (event, answer.text)
    assert await counters(server, source.id) == {"received": NUMBER, "accepted": NUMBER}


DOORS: dict[str, Door] = {
    "form": as_forms,
    "bulk": in_bulk,
    "ndjson": in_lines,
    "csv": imported,
    "import": uploaded,
    "segment": segment,
    "webhook": webhook,
    "antavo": antavo,
    "antavo-bulk": antavo_in_bulk,
}


@pytest.fixture(scope="module")
async def expected(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Postings:
    """What POST /v1/events gives."""
    return await _postings_through(one_by_one, servers, tmp_path_factory.mktemp("expected"))


@pytest.mark.slow
@pytest.mark.parametrize("name", DOORS)
async def test_every_door_gives_the_same_postings(
    name: str, expected: Postings, servers: Servers, tmp_path: Path
) -> None:
    found = await _postings_through(DOORS[name], servers, tmp_path)
    assert found.keys() == expected.keys()
    for customer, rows in expected.items():
        assert found[customer] == rows, customer


@pytest.mark.slow
async def test_the_events_move_points_in_every_way(expected: Postings) -> None:
    """What the doors are compared by is worth comparing."""
    rows = [row for found in expected.values() for row in found]
    reasons = {row[5] for row in rows}
    assert {"award", "adjustment", "release", "reversal", "burn"} <= reasons
    assert {row[6] for row in rows} >= {"welcome", "purchase-points", "checkout-points", "review", "silver-reached"}
    assert {row[8] for row in rows} >= {"1", "1.25"}
    assert len(expected) == CUSTOMERS
    assert len(rows) > NUMBER


def test_the_events_are_the_same_on_every_call() -> None:
    told = events()
    assert told == events()
    assert len({event["reference"] for event in told}) == len(told) == NUMBER


async def _postings_through(door: Door, servers: Servers, folder: Path) -> Postings:
    async with (
        fresh_database(await servers.get("embedded"), template=_TEMPLATE) as database,
        serving(database) as server,
    ):
        await door(server, folder)
        return await postings(server)


async def _signed_bulk(shop: Shop, actions: list[Event]) -> dict[str, int]:
    answer = await shop.signed("POST", "/events/bulk", json={"events": actions})
    assert answer.status_code == 200, answer.text
    return cast("dict[str, int]", answer.json())


def as_action(event: Event) -> Event:
    """The event as an integration written for that product sends it."""
    moment = datetime.fromisoformat(str(event["occurred_at"]))
    properties = cast("dict[str, object]", event["properties"])
    data = {**properties, "effective_timestamp": int(moment.timestamp())}
    return {"customer": event["customer"], "action": event["type"], "data": data}


def as_form(event: Event) -> dict[str, str]:
    plain = {name: str(value) for name, value in event.items() if name != "properties"}
    return {**plain, "properties": json.dumps(event["properties"])}


def as_track(event: Event) -> Event:
    """The event as a Segment-compatible library sends it."""
    return {
        "type": "track", "userId": event["customer"], "event": event["type"], "messageId": event["reference"],
        "timestamp": event["occurred_at"], "properties": event["properties"],
    }  # fmt: skip


def as_csv(told: list[Event]) -> bytes:
    """The events as a spreadsheet has them: a column for each property, lists as JSON."""
    heads = ["customer", "type", "reference", "occurred_at"]
    rows = [{**{name: event[name] for name in heads}, **cast("Event", event["properties"])} for event in told]
    names = dict.fromkeys([*heads, *(name for row in rows for name in row)])
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), restval="")
    writer.writeheader()
    writer.writerows(
        {name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()} for row in rows
    )
    return text.getvalue().encode()
