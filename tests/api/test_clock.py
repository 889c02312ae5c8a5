"""/v1/clock: the test clock of development mode, and what it replaces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.serving import Served, serving
from troth.config import Config
from troth.embedded.access import DatabaseAccess


async def set_clock(server: Served, now: str | None) -> dict[str, object]:
    answer = await server.post("/v1/clock", {"now": now})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_it_stands_until_it_is_set_again(served: Served) -> None:
    free = (await served.get("/v1/clock")).json()
    assert free["is_set"] is False
    assert abs(datetime.fromisoformat(free["now"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert await set_clock(served, "2030-01-01T01:00:00+01:00") == {"now": "2030-01-01T00:00:00Z", "is_set": True}
    assert (await served.get("/v1/clock")).json() == {"now": "2030-01-01T00:00:00Z", "is_set": True}
    assert (await set_clock(served, "2029-01-01T00:00:00Z"))["now"] == "2029-01-01T00:00:00Z", "nothing was judged"
    assert (await set_clock(served, None))["is_set"] is False


BAD = [
    ({}, "/now", "missing"),
    ({"now": "tomorrow"}, "/now", "invalid_datetime"),
    ({"now": 5}, "/now", "invalid_datetime"),
    ({"now": "2030-01-01"}, "/now", "invalid_datetime"),
    ({"now": "1989-12-31T00:00:00Z"}, "/now", "out_of_range"),
    ({"now": "3000-01-01T00:00:00Z"}, "/now", "out_of_range"),
    ({"now": None, "later": "P1D"}, "/later", "unknown_field"),
]


@pytest.mark.parametrize(("body", "pointer", "code"), BAD)
async def test_what_is_no_moment(served: Served, body: object, pointer: str, code: str) -> None:
    answer = await served.post("/v1/clock", body)
    assert answer.status_code == 422, answer.text
    assert [(item["pointer"], item["code"]) for item in answer.json()["errors"]] == [(pointer, code)]


async def test_it_is_no_clock_of_production(database: DatabaseAccess) -> None:
    async with serving(database, Config(mode="production")) as server:
        for key in ("", None):
            assert (await server.get("/v1/clock", key=key)).json()["code"] == "not_found"
            assert (await server.post("/v1/clock", {"now": None}, key=key)).status_code == 404


async def test_keys_need_the_program(served: Served) -> None:
    reader, _ = await served.make_key(scopes=("program:read",))
    assert (await served.get("/v1/clock", key=reader)).status_code == 200
    assert (await served.post("/v1/clock", {"now": None}, key=reader)).status_code == 403
    assert (await served.get("/v1/clock", key=None)).status_code == 401


async def test_events_are_judged_at_its_moment(served: Served) -> None:
    await set_clock(served, "2030-01-31T12:00:00Z")
    sent = (
        await served.post("/v1/events", {"customer": "ada", "type": "purchase", "properties": {"amount": 10}})
    ).json()
    assert sent["occurred_at"] == "2030-01-31T12:00:00Z"
    assert not sent["recorded_at"].startswith("2030")
    assert sent["awards"][0]["expires_at"] == "2032-02-01T00:00:00Z"
    early = await served.post("/v1/clock", {"now": "2030-01-31T11:59:59Z"})
    assert (early.status_code, early.json()["code"]) == (409, "clock_used")
    assert "2030-01-31T12:00:00Z" in early.json()["detail"]
    assert (await served.post("/v1/clock", {"now": None})).json()["code"] == "clock_used"


async def test_reads_are_as_of_its_moment(served: Served) -> None:
    """Points end at the end of January 2032; the read one second before shows them, the one at that instant not."""
    await set_clock(served, "2030-01-31T12:00:00Z")
    await served.post("/v1/events", {"customer": "ada", "type": "purchase", "properties": {"amount": 10}})
    for now, balance, lots in (("2032-01-31T23:59:59Z", 10, 1), ("2032-02-01T00:00:00Z", 0, 0)):
        await set_clock(served, now)
        profile = (await served.get("/v1/customers/ada")).json()
        assert profile["wallets"]["points"]["balance"] == balance, now
        assert len((await served.get("/v1/customers/ada/lots")).json()["items"]) == lots
    event = {"customer": "ada", "type": "review", "occurred_at": "2032-02-01T00:05:01Z"}
    assert (await served.post("/v1/events", event)).json()["code"] == "in_future"
