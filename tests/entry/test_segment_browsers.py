"""The Segment-compatible door: what browsers may send, and visitors without a name."""

from __future__ import annotations

import asyncio

import pytest

from tests.entry.segmenting import ORDER, REVIEW, basic, batch, call, events
from tests.entry.sourcing import Made, counters, make_source
from tests.serving import Served
from troth import limits


@pytest.fixture
async def source(served: Served) -> Made:
    """A server's."""
    return await make_source(served, "segment")


@pytest.fixture
async def pages(served: Served) -> Made:
    return await make_source(served, "segment", id="pages", settings={"browsers": "only"})


BROWSER = {"origin": "https://shop.example"}
ASKED = {**BROWSER, "access-control-request-method": "POST"}
ADDRESSES = ("t", "track", "b", "batch", "i", "p", "s", "g", "a")


@pytest.mark.parametrize(("path", "headers"), [("b", {}), ("batch", BROWSER), ("b", BROWSER), ("batch", {})])
async def test_a_browsers_key_sends_what_clients_may(
    served: Served, pages: Made, path: str, headers: dict[str, str]
) -> None:
    """From a page, and from wherever somebody took it who copied it out of one."""
    messages = [
        ORDER,
        {**REVIEW, "type": "track"},
        {"type": "track", "event": "point_add", "userId": "ada", "messageId": "p", "properties": {"points": 5}},
        {"type": "identify", "userId": "ada", "messageId": "i", "traits": {"firstName": "Eve"}},
    ]
    await served.request("PATCH", f"/v1/sources/{pages.id}", json={"settings": {
        "unmapped": "same_name", "types": ["purchase", "review", "point_add", "profile"],
    }})  # fmt: skip
    answer = await call(served, pages, path, {"batch": messages}, **headers)
    assert answer.text == '{"success": true}'
    assert [event["type"] for event in await events(served)] == ["review"]
    assert await counters(served, pages.id) == {"received": 4, "accepted": 1, "refused": 3}
    for address in ("/v1/customers/ada", "/v1/events", "/v1/orders/o-1", f"/v1/sources/{pages.id}"):
        assert (await served.client.get(address, headers=basic(pages.secrets["write_key"]))).status_code == 401
        assert (await served.get(address, key=pages.secrets["write_key"])).status_code == 401


async def test_a_servers_key_is_of_no_use_to_browsers(served: Served, source: Made) -> None:
    for path, headers in (("batch", BROWSER), ("track", {"origin": "null"}), ("b", {}), ("t", BROWSER)):
        answer = await call(served, source, path, {**REVIEW, "batch": [{**REVIEW, "type": "track"}]}, **headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "browsers_refused")
        assert answer.json()["message"]
    assert await events(served) == []
    shown = (await served.get(f"/v1/sources/{source.id}")).json()
    assert (shown["received"], {error["code"] for error in shown["errors"]}) == (0, {"browsers_refused"})
    await batch(served, source, ORDER)
    assert [event["type"] for event in await events(served)] == ["purchase"]


async def test_a_preflight_is_refused_where_no_key_is_for_browsers(served: Served, source: Made) -> None:
    for path in ADDRESSES:
        preflight = await served.client.options(f"/v1/{path}", headers=ASKED)
        assert (preflight.status_code, preflight.json()["code"]) == (403, "browsers_refused")
        assert "access-control-allow-origin" not in preflight.headers
    own = await served.client.options("/v1/events", headers=ASKED)  # where publishable keys send
    assert own.headers["access-control-allow-origin"] == BROWSER["origin"]
    pages = await make_source(served, "segment", id="pages", settings={"browsers": "only"})
    assert (await served.client.options("/v1/t", headers=ASKED)).status_code == 204
    await served.request("PATCH", f"/v1/sources/{pages.id}", json={"enabled": False})
    assert (await served.client.options("/v1/t", headers=ASKED)).status_code == 403


async def test_browsers_may_read_the_answer(served: Served, pages: Made) -> None:
    for path in ADDRESSES:
        preflight = await served.client.options(f"/v1/{path}", headers=ASKED)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, BROWSER["origin"])
        allowed = preflight.headers["access-control-allow-headers"].split(", ")
        assert {"authorization", "content-type", "x-retry-count"} <= set(allowed)
    answer = await call(served, pages, "t", REVIEW, **BROWSER)
    assert answer.headers["access-control-allow-origin"] == BROWSER["origin"]
    refused = await served.client.post("/v1/t", content=b"{}", headers=BROWSER)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, BROWSER["origin"])


async def test_a_source_names_its_pages(served: Served) -> None:
    settings = {"browsers": "only", "origins": ["https://shop.example/"]}
    some = await make_source(served, "segment", id="some", settings=settings)
    assert (await call(served, some, "t", REVIEW, **BROWSER)).status_code == 200
    for headers in ({"origin": "https://evil.example"}, {}):
        answer = await call(served, some, "t", REVIEW, **headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")


async def test_a_public_key_stays_public(served: Served, pages: Made, source: Made) -> None:
    for browsers in ("refused", None):
        answer = await served.request("PATCH", f"/v1/sources/{pages.id}", json={"settings": {"browsers": browsers}})
        assert (answer.status_code, answer.json()["code"]) == (422, "key_is_public")
        assert answer.json()["errors"][0]["pointer"] == "/settings/browsers"
    for known in (pages, source):  # a server's key may be given to pages, for good
        answer = await served.request("PATCH", f"/v1/sources/{known.id}", json={"settings": {"browsers": "only"}})
        assert (answer.status_code, answer.json()["settings"]["browsers"]) == (200, "only")
    await batch(served, source, ORDER)
    assert await events(served) == []


async def test_a_disabled_source_takes_nothing(served: Served, source: Made) -> None:
    await served.request("PATCH", f"/v1/sources/{source.id}", json={"enabled": False})
    assert (await call(served, source, "track", REVIEW)).json()["code"] == "unknown_key"


VISIT = {"type": "track", "event": "Product Reviewed", "anonymousId": "v-1", "properties": {"rating": 3}}


async def test_a_visitors_events_wait_for_a_name(served: Served, source: Made) -> None:
    stamp = "2026-11-20T10:00:00Z"
    await batch(served, source, {**VISIT, "messageId": "1", "timestamp": stamp}, {**VISIT, "messageId": "2"})
    await batch(served, source, {**VISIT, "messageId": "1"}, {**VISIT, "anonymousId": "v-2", "messageId": "3"})
    assert await events(served) == []
    assert await counters(served, source.id) == {"received": 4, "waiting": 3, "duplicates": 1}
    inbox = (await served.get(f"/v1/sources/{source.id}/inbox")).json()["items"]
    assert [item["key"] for item in inbox] == ["anonymous:v-2", "anonymous:v-1", "anonymous:v-1"]
    assert inbox[2]["payload"]["message"]["messageId"] == "1"
    await batch(
        served,
        source,
        {**VISIT, "messageId": "4"},
        {"type": "identify", "userId": "ada", "anonymousId": "v-1", "messageId": "i", "traits": {"firstName": "Ada"}},
    )
    found = await events(served)
    assert [event["reference"] for event in found] == ["1", "2", "i", "4"]
    assert {event["customer"] for event in found} == {"ada"}
    assert found[0]["occurred_at"] == stamp
    await batch(served, source, {**VISIT, "messageId": "5"}, {**VISIT, "messageId": "1"})  # the name is known by now
    assert (await events(served))[-1]["reference"] == "5"
    assert await counters(served, source.id) == {"received": 8, "accepted": 5, "waiting": 1, "duplicates": 2}


async def test_an_alias_names_too(served: Served, source: Made) -> None:
    await batch(served, source, {**VISIT, "messageId": "1"})
    answer = await call(served, source, "alias", {"userId": "ada", "previousId": "v-1", "messageId": "a"})
    assert answer.status_code == 200
    assert [event["customer"] for event in await events(served)] == ["ada"]
    assert await counters(served, source.id) == {"received": 2, "accepted": 2}


async def test_visitors_are_dropped_where_a_source_says_so(served: Served) -> None:
    source = await make_source(served, "segment", settings={"anonymous": "drop"})
    await batch(served, source, {**VISIT, "messageId": "1"})
    await batch(served, source, {"type": "identify", "userId": "ada", "anonymousId": "v-1", "messageId": "i"})
    assert [event["type"] for event in await events(served)] == ["profile"]
    assert await counters(served, source.id) == {"received": 2, "accepted": 1, "dropped": 1}


async def test_what_waited_has_the_rights_of_its_key(served: Served, pages: Made, source: Made) -> None:
    order = {name: value for name, value in ORDER.items() if name != "userId"}
    body = {"batch": [{**order, "anonymousId": "v-1"}, {**VISIT, "messageId": "1"}]}
    identify = {"type": "identify", "userId": "ada", "anonymousId": "v-1", "messageId": "i"}
    assert (await call(served, pages, "b", body)).status_code == 200
    await batch(served, pages, identify)
    assert [event["type"] for event in await events(served)] == ["review"]
    assert await counters(served, pages.id) == {"received": 3, "accepted": 1, "refused": 2}
    await batch(served, source, *body["batch"])
    await served.request("PATCH", f"/v1/sources/{source.id}", json={"settings": {"browsers": "only"}})
    await batch(served, source, {**identify, "messageId": "j"})
    assert [event["type"] for event in await events(served)] == ["review"]
    assert await counters(served, source.id) == {"received": 3, "duplicates": 1, "refused": 2}


async def test_a_full_inbox_refuses(served: Served, source: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SOURCE_INBOX_ITEMS", 2)
    await batch(served, source, *({**VISIT, "messageId": str(number)} for number in range(3)))
    assert await counters(served, source.id) == {"received": 3, "waiting": 2, "refused": 1}
    shown = (await served.get(f"/v1/sources/{source.id}")).json()
    assert shown["errors"][0]["code"] == "inbox_full"


async def test_what_waits_is_bounded(served: Served, source: Made) -> None:
    note = {"rating": 3, "note": "x" * limits.SOURCE_INBOX_BYTES}
    long = {**VISIT, "messageId": "2", "anonymousId": "v" * (limits.IDENTIFIER_LENGTH + 1)}
    await batch(served, source, {**VISIT, "messageId": "1", "properties": note}, long, {**VISIT, "messageId": "3"})
    assert await counters(served, source.id) == {"received": 3, "waiting": 1, "refused": 2}
    errors = (await served.get(f"/v1/sources/{source.id}")).json()["errors"]
    assert {error["code"] for error in errors} == {"too_large", "missing"}


async def test_names_and_visits_at_once_lose_and_double_nothing(served: Served, source: Made) -> None:
    named = {"type": "identify", "userId": "ada", "anonymousId": "v-1", "messageId": "i"}
    visits = [batch(served, source, {**VISIT, "messageId": str(number)}) for number in range(20)]
    await asyncio.gather(*visits[:10], batch(served, source, named), *visits[10:])
    assert len({event["reference"] for event in await events(served, "?limit=100")}) == 21
    told = await counters(served, source.id)
    assert told.pop("waiting", 0) == 0
    assert (await served.get(f"/v1/sources/{source.id}/inbox")).json()["items"] == []
    assert told["received"] == sum(number for name, number in told.items() if name != "received")


async def test_where_the_person_was(served: Served, source: Made, pages: Made) -> None:
    context = {"ip": "203.0.113.7", "userAgent": "Firefox"}
    await batch(served, source, {**REVIEW, "type": "track", "context": context})
    await call(served, pages, "t", {**REVIEW, "messageId": "m-2", "context": context}, **{"user-agent": "Safari"})
    found = await events(served)
    assert [(event["ip"], event["user_agent"]) for event in found] == [
        ("203.0.113.7", "Firefox"), ("127.0.0.1", "Safari"),
    ]  # fmt: skip
