"""The generic webhook: paths, constants, headers, lists, names and filters → events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.entry.sourcing import Made, counters, make_source, points_of
from tests.serving import Served
from troth import limits
from troth.api.source_registry import Source
from troth.core.sources.paths import at
from troth.core.sources.settings import read_settings
from troth.core.sources.webhook import WebhookSettings
from troth.entry.hook_reading import Understood, understand

Json = dict[str, Any]

RECEIPT: Json = {
    "event": "receipt.closed",
    "store": {"id": 12},
    "receipt": {
        "id": 9007199254740993,
        "closed_at": 1_790_000_000,
        "loyalty": "  ADA  ",
        "total_cents": 12550,
        "lines": [
            {"ean": "4006381333931", "qty": 2, "unit": "50.00"},
            {"ean": "4006381333948", "qty": 1, "unit": "25.50"},
        ],
    },
}
POINT_OF_SALE: Json = {
    "customer": {"path": "receipt.loyalty", "read": "lower"},
    "type": "event",
    "type_names": {"receipt.closed": "purchase", "receipt.opened": None},
    "unmapped": "drop",
    "reference": {"path": "receipt.id", "prefix": "till-"},
    "occurred_at": {"path": "/receipt/closed_at", "read": "unix_seconds"},
    "properties": {
        "amount": {"path": "receipt.total_cents", "read": "cents"},
        "order_id": {"path": "receipt.id", "read": "text"},
        "category": {"constant": "shop"},
        "items": {
            "path": "receipt.lines",
            "properties": {"product_id": "ean", "quantity": "qty", "price": "unit"},
        },
    },
}


def settings_of(document: Json) -> WebhookSettings:
    read = read_settings(WebhookSettings, document)
    assert isinstance(read, WebhookSettings), read
    return read


def told(body: object, headers: dict[bytes, bytes] | None = None, /, **settings: Any) -> Understood:
    source = Source(
        id="pos",
        kind="webhook",
        settings=settings_of(settings),
        enabled=True,
        secrets={},
        previous={},
        previous_until=0.0,
    )
    return understand(source, headers or {}, json.dumps(body).encode())


def test_a_receipt_becomes_a_purchase() -> None:
    (event,) = told(RECEIPT, **POINT_OF_SALE).events
    assert (event.customer, event.type, event.reference) == ("ada", "purchase", "till-9007199254740993")
    assert event.occurred_at == "2026-09-21T14:13:20+00:00"
    assert event.properties == {
        "amount": "125.50",
        "order_id": "9007199254740993",
        "category": "shop",
        "items": [
            {"product_id": "4006381333931", "quantity": 2, "price": "50.00"},
            {"product_id": "4006381333948", "quantity": 1, "price": "25.50"},
        ],
    }


PLACES = [
    ("", {"a": 1}),
    ("a", 1),
    ("/a", 1),
    ("b", None),
    ("a.b", None),
    ("/", None),
]


@pytest.mark.parametrize(("path", "value"), PLACES)
def test_paths(path: str, value: object) -> None:
    assert at({"a": 1}, path) == value


def test_paths_into_lists_and_odd_names() -> None:
    body = {"a": [{"b": 1}, {"b": 2}], "x.y": 3, "p/q~r": 4, "7": 5}
    wanted = {"a.1.b": 2, "/a/0/b": 1, "/x.y": 3, "/p~1q~0r": 4, "7": 5, "a.2.b": None, "a.-1.b": None, "a.b": None}
    assert {path: at(body, path) for path in wanted} == wanted


VALUES: list[tuple[object, object, object]] = [
    ("v", 5, 5),
    ({"path": "v", "read": "text"}, 5, "5"),
    ({"path": "v", "read": "text"}, True, True),
    ({"path": "v", "read": "lower"}, " A@B.C ", "a@b.c"),
    ({"path": "v", "read": "cents"}, 1, "0.01"),
    ({"path": "v", "read": "cents"}, "123456789012345678901234567890123456", "1234567890123456789012345678901234.56"),
    ({"path": "v", "read": "cents"}, "x", "x"),
    ({"path": "v", "read": "unix_milliseconds"}, 1_500, "1970-01-01T00:00:01.500000+00:00"),
    ({"path": "v", "read": "unix_seconds"}, "1e30", "1e30"),
    ({"path": "v", "read": "unix_seconds"}, -1, -1),
    ({"path": "v", "default": "none"}, None, "none"),
    ({"path": "v", "prefix": "p-"}, 7, "p-7"),
    ({"constant": False}, None, False),
    ({"header": "X-Store"}, None, "berlin"),
    ({"path": "v", "properties": {"id": "i"}}, [{"i": 1}, {"i": 2, "j": 3}, 4], [{"id": 1}, {"id": 2}, 4]),
    ({"path": "v", "properties": {"id": "i"}}, {"i": 1}, {"id": 1}),
    ({"path": "v", "properties": {"id": "i"}}, "x", "x"),
]


@pytest.mark.parametrize(("taken", "given", "value"), VALUES)
def test_values(taken: object, given: object, value: object) -> None:
    read = told({"v": given, "type": "login"}, {b"x-store": b"berlin"}, properties={"found": taken})
    assert read.events[0].properties == {"found": value}


def test_what_is_not_there_is_missing() -> None:
    (event,) = told({"type": "login"}, properties={"amount": "nowhere", "note": {"path": "not.there"}}).events
    assert (event.customer, event.properties) == (None, {})


def test_without_a_mapping_the_body_is_an_event() -> None:
    (event,) = told({"customer": 5, "type": "login", "properties": {"channel": "app"}}).events
    assert (event.customer, event.type, event.properties) == ("5", "login", {"channel": "app"})


def test_names_are_told_apart() -> None:
    names = {"Subscribed": "opt_in", "Bounced": None}
    body = [{"type": each} for each in ("Subscribed", "Bounced", "login")]
    same = told(body, events="", type_names=names)
    assert ([event.type for event in same.events], same.dropped) == (["opt_in", "login"], 1)
    dropped = told(body, events="", type_names=names, unmapped="drop")
    assert ([event.type for event in dropped.events], dropped.dropped) == (["opt_in"], 2)


def test_a_list_of_events_is_bounded() -> None:
    body = {"data": {"list": [{"type": "login"}] * limits.BULK_EVENTS}}
    assert len(told(body, events="data.list").events) == limits.BULK_EVENTS
    body["data"]["list"].append({"type": "login"})
    (problem,) = told(body, events="data.list").problems
    assert (problem.pointer, problem.code) == ("/data/list", "too_many_events")
    (missing,) = told({"data": 1}, events="/data").problems
    assert (missing.pointer, missing.code) == ("/data", "type")


FILTER: Json = {
    "fields": {
        "status": {"path": "status"},
        "total": {"path": "total", "kind": "number"},
        "is_test": {"path": "test", "kind": "boolean"},
        "at": {"path": "at", "kind": "datetime"},
    },
    "when": 'properties.status == "done" && (properties.total ?? 0) >= 10 && !(properties.is_test ?? false)',
}
FILTERED = [
    ({"status": "done", "total": 10}, True),
    ({"status": "done", "total": "10.00"}, True),
    ({"status": "done", "total": "9.99999999"}, False),
    ({"status": "open", "total": 10}, False),
    ({"status": "done", "total": 10, "test": True}, False),
    ({"status": "done", "total": 10, "test": {"no": "boolean"}}, True),  # of another kind: missing
    ({"status": "done", "total": "much"}, False),
    ({"status": ["done"], "total": 10}, False),
    ({}, False),
    ("no object", False),
]


@pytest.mark.parametrize(("body", "is_counted"), FILTERED)
def test_a_filter_speaks_the_language_of_rules(body: object, is_counted: bool) -> None:
    read = told(body, type={"constant": "login"}, filter=FILTER)
    assert (len(read.events), read.dropped) == (int(is_counted), int(not is_counted))


WRONG = [
    (
        {"filter": {"fields": {"a": {"path": "a"}}, "when": "properties.a > 1"}},
        "/settings/filter/when",
        "invalid_expression",
    ),
    (
        {"filter": {"fields": {"a": {"path": "a"}}, "when": "customer.tier == null"}},
        "/settings/filter/when",
        "invalid_expression",
    ),
    (
        {"filter": {"fields": {"a": {"path": "a"}}, "when": "properties.b == null"}},
        "/settings/filter/when",
        "invalid_expression",
    ),
    ({"filter": {"fields": {}, "when": "true"}}, "/settings/filter/fields", "invalid_setting"),
    ({"auth": {"scheme": "basic"}}, "/settings/auth/scheme", "invalid_setting"),
    ({"auth": {"scheme": "hmac", "algorithm": "md5"}}, "/settings/auth/algorithm", "invalid_setting"),
    ({"auth": {"scheme": "header", "header": "a b"}}, "/settings/auth/header", "invalid_setting"),
    ({"customer": 5}, "/settings/customer", "invalid_setting"),
    ({"type_names": {"a": 5}}, "/settings/type_names/...", "invalid_setting"),
    ({"mapping": {}}, "/settings/mapping", "unknown_field"),
]


def nested(levels: int) -> Json:
    return {"a": {"path": "a", "properties": nested(levels - 1)}} if levels > 1 else {"a": "a"}


async def test_settings_are_checked_when_they_are_made(served: Served) -> None:
    odd = await served.post("/v1/sources", {"id": "x", "kind": {}, "name": "x"})
    assert (odd.status_code, odd.json()["code"]) == (422, "invalid_kind")
    for settings, pointer, code in [
        *WRONG,
        ({"properties": nested(limits.PROPERTY_DEPTH + 1)}, "/settings/properties", "too_deep"),
    ]:
        answer = await served.post("/v1/sources", {"id": "x", "kind": "webhook", "name": "x", "settings": settings})
        assert answer.status_code == 422, settings
        problem = answer.json()["errors"][0]
        assert (problem["pointer"], problem["code"]) == (pointer, code), problem
    await make_source(served, "webhook", settings={"properties": nested(limits.PROPERTY_DEPTH), "filter": FILTER})
    changed = await served.request(
        "PATCH", "/v1/sources/my-webhook", json={"settings": {"filter": WRONG[0][0]["filter"]}}
    )
    assert changed.status_code == 422


async def tell(served: Served, source: Made, body: object) -> Json:
    headers = {"X-Webhook-Secret": source.secrets["secret"]}
    answer = await served.post(f"/v1/hooks/{source.id}", body, key=None, headers=headers)
    assert answer.status_code == 200, answer.text
    shown: Json = answer.json()
    return {name: number for name, number in shown.items() if number}


async def test_a_till_pays_once(served: Served) -> None:
    source = await make_source(served, "webhook", settings=POINT_OF_SALE)
    assert await tell(served, source, RECEIPT) == {"received": 1, "accepted": 1}
    assert await tell(served, source, RECEIPT) == {"received": 1, "duplicates": 1}
    assert await tell(served, source, {**RECEIPT, "event": "receipt.opened"}) == {"received": 1, "dropped": 1}
    assert await points_of(served, "ada") == 125
    assert await counters(served, source.id) == {"received": 3, "accepted": 1, "duplicates": 1, "dropped": 1}


async def test_without_a_reference_what_is_said_is_the_name(served: Served) -> None:
    source = await make_source(served, "webhook", settings={"properties": {"feature": "what"}})
    read = {"customer": "ada", "type": "app_engagement", "what": "opened", "campaign": 1}
    assert await tell(served, source, read) == {"received": 1, "accepted": 1}
    assert await tell(served, source, dict(reversed(read.items()))) == {"received": 1, "duplicates": 1}
    assert await tell(served, source, {**read, "campaign": 2}) == {"received": 1, "accepted": 1}


async def test_rights_are_those_of_the_list_and_profiles(served: Served) -> None:
    source = await make_source(served, "webhook", settings={"properties": {"email": "mail", "points": "points"}})
    assert await tell(served, source, {"customer": "ada", "type": "profile", "mail": "ada@example.com"}) == {
        "received": 1,
        "accepted": 1,
    }
    assert (await served.get("/v1/customers/ada")).json()["attributes"]["email"] == "ada@example.com"
    for type_id in ("point_add", "opt_in", "points_expired"):
        body = {"customer": "ada", "type": type_id, "points": 5}
        assert await tell(served, source, body) == {"received": 1, "refused": 1}
    await served.request("PATCH", f"/v1/sources/{source.id}", json={"settings": {"types": ["point_add"]}})
    assert await tell(served, source, {"customer": "ada", "type": "point_add", "points": 5}) == {
        "received": 1,
        "accepted": 1,
    }
    assert await tell(served, source, {"customer": "ada", "type": "login"}) == {"received": 1, "refused": 1}
    assert await points_of(served, "ada") == 5


async def test_one_bad_event_of_many_is_refused_alone(served: Served) -> None:
    source = await make_source(served, "webhook", settings={"events": "", "properties": {"rating": "stars"}})
    body = [{"customer": "ada", "type": "review", "stars": stars} for stars in (5, "many", 4)]
    assert await tell(served, source, body) == {"received": 3, "accepted": 2, "refused": 1}


async def test_a_refund_of_another_system_waits_for_its_order_too(served: Served) -> None:
    source = await make_source(served, "webhook", settings={"reference": "id"})
    refund = {"type": "partial_refund", "id": "r1", "properties": {"order_id": "o1", "amount": "20"}}
    order = {"type": "purchase", "id": "p1", "customer": "ada", "properties": {"order_id": "o1", "amount": "100"}}
    assert await tell(served, source, refund) == {"received": 1, "waiting": 1}
    large = {**refund, "id": "r2", "properties": {**refund["properties"], "note": "x" * limits.SOURCE_INBOX_BYTES}}
    assert await tell(served, source, large) == {"received": 1, "refused": 1}
    assert await tell(served, source, order) == {"received": 1, "accepted": 1}
    assert await points_of(served, "ada") == 80
