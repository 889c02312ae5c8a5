"""The Segment-compatible door: paths and packings, what calls become, who may send what, visitors without a name."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from tests.entry.segmenting import ORDER, REVIEW, basic, batch, call, events
from tests.entry.sourcing import Made, counters, make_source, points_of
from tests.serving import Served, serving
from troth import limits
from troth.config import Config
from troth.embedded.access import DatabaseAccess


@pytest.fixture
async def source(served: Served) -> Made:
    return await make_source(served, "segment")


PACKINGS = [
    ("as it is", lambda raw: raw, {}),
    ("text", lambda raw: raw, {"content-type": "text/plain"}),
    ("gzip", gzip.compress, {"content-encoding": "gzip"}),
    ("gzip called a form", gzip.compress, {"content-type": "application/x-www-form-urlencoded"}),
    ("gzip, twice labelled", gzip.compress, {"content-encoding": "gzip", "content-type": "text/plain"}),
    ("called gzip", lambda raw: raw, {"content-encoding": "gzip"}),
    ("deflate", zlib.compress, {"content-encoding": "deflate"}),
]


async def test_every_packing_is_the_same_event(served: Served, source: Made) -> None:
    for name, pack, headers in PACKINGS:
        answer = await call(served, source, "track", pack(json.dumps(REVIEW).encode()), **headers)
        assert (answer.status_code, answer.text) == (200, '{"success": true}'), name
        assert answer.headers["content-type"] == "application/json"
    (event,) = await events(served)
    assert (event["reference"], event["source"], event["source_detail"]) == ("m-1", "segment", "my-segment")
    assert (event["type"], event["points"]) == ("review", 25)
    assert await counters(served, source.id) == {"received": 7, "accepted": 1, "duplicates": 6}


async def test_the_key_may_stand_in_the_body(served: Served, source: Made) -> None:
    key = source.secrets["write_key"]
    for body, path in (
        ({**REVIEW, "writeKey": key}, "track"),
        ({"batch": [{**REVIEW, "type": "track"}], "writeKey": key}, "batch"),
        ({"batch": [{**REVIEW, "type": "track", "writeKey": key}]}, "batch"),
    ):
        assert (await served.post(f"/v1/{path}", body, key=None)).text == '{"success": true}'
    assert len(await events(served)) == 1


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        ("batch", b'{"batch": []}', {}, 401, "missing_key"),
        ("t", b'{"writeKey": "nobody"}', {}, 401, "unknown_key"),
        ("track", b"{}", basic("nobody"), 401, "unknown_key"),
        ("track", b"{}", {"Authorization": "Basic x"}, 401, "missing_key"),
        ("batch", b"{", {}, 400, "invalid_json"),
        ("batch", b"", {}, 400, "empty_body"),
        ("batch", b"[]", {}, 400, "not_an_object"),
        ("batch", b'{"batch": 1, "batch": []}', {}, 400, "not_an_object"),
        ("batch", b'{"batch": {}}', {}, 400, "invalid_batch"),
        ("batch", gzip.compress(b"x", mtime=0)[:-4], {}, 400, "broken_encoding"),
        ("batch", gzip.compress(b" " * (limits.BODY_BYTES_BULK + 1)), {}, 413, "too_large"),
    ],
)
async def test_errors_have_code_and_message(
    served: Served, path: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await served.client.post(f"/v1/{path}", content=body, headers=headers)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code)
    assert told["message"] == told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"]


async def test_a_batch_is_bounded(served: Served, source: Made) -> None:
    answer = await call(served, source, "batch", {"batch": [{}] * (limits.BULK_EVENTS + 1)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_events")


async def test_a_full_queue_asks_to_come_back(database: DatabaseAccess) -> None:
    async with serving(database, Config(queue_events=1)) as server:
        source = await make_source(server, "segment")
        messages = [{**REVIEW, "type": "track", "messageId": f"m{n}"} for n in range(3)]
        answer = await call(server, source, "batch", {"batch": messages})
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["message"]
        assert await counters(server, source.id) == {}


async def test_a_bad_message_spoils_no_others(served: Served, source: Made) -> None:
    good = {**REVIEW, "type": "track"}
    raw = json.dumps({"batch": [
        {**good, "messageId": "a", "properties": {"rating": 9}},
        5,
        {**good, "messageId": "b"},
        {"userId": "ada"},
        {**good, "messageId": "c", "properties": {"rating": "NaN!"}},
        {**good, "messageId": "d", "properties": []},
        {**good, "messageId": "e", "context": {"deep": {"er": {"and": {"even": {"more": {"so": {"x": [[[[1]]]]}}}}}}}},
        {**good, "messageId": 7},
    ]}).replace('"NaN!"', "NaN")  # fmt: skip
    assert (await call(served, source, "batch", raw.encode())).text == '{"success": true}'
    assert [event["reference"] for event in await events(served)] == ["b", "e"]
    assert await counters(served, source.id) == {"received": 8, "accepted": 2, "refused": 6}
    for _ in range(100):
        items = (await served.get("/v1/rejections?source=my-segment")).json()["items"]
        if len(items) == 6:
            break
        await asyncio.sleep(0.05)
    assert sorted(item["codes"][0] for item in items) == [
        "above_maximum", "missing", "not_a_number", "not_an_object", "type", "type",
    ]  # fmt: skip
    shown = (await served.get("/v1/sources/my-segment")).json()
    assert {error["rejection"] for error in shown["errors"]} == {item["id"] for item in items}


async def test_an_order_of_the_vocabulary(served: Served, source: Made) -> None:
    await batch(served, source, ORDER)
    (event,) = await events(served)
    assert (event["type"], event["points"]) == ("purchase", 27)
    properties = event["properties"]
    assert isinstance(properties, dict)
    assert properties["items"][0] == {
        "product_id": "p1", "sku": "45790-32", "product_name": "Monopoly", "price": "19.00", "quantity": "1.000",
        "product_category": "Games",
    }  # fmt: skip
    assert (properties["amount"], properties["coupon"], properties["order_id"]) == ("27.50", "hasbros", "o-1")
    assert "products" not in properties
    order = (await served.get("/v1/orders/o-1")).json()
    assert order["customer"] == "ada"


LATER = [
    ("Order Updated", {"order_id": "o-1", "total": 50}, "checkout_update", 50),
    ("Order Refunded", {"order_id": "o-1", "total": 20}, "partial_refund", 30),
    ("Order Cancelled", {"order_id": "o-1"}, "checkout_reject", 0),
]


async def test_an_order_lives_on(served: Served, source: Made) -> None:
    await batch(served, source, {**ORDER, "properties": {"order_id": "o-1", "total": 100}})
    for number, (name, properties, type_id, balance) in enumerate(LATER):
        await batch(served, source, {**ORDER, "event": name, "messageId": f"l{number}", "properties": properties})
        assert (await events(served))[-1]["type"] == type_id
        assert await points_of(served, "ada") == balance


@pytest.mark.parametrize(
    ("properties", "type_id", "left"),
    [
        ({}, "refund", 0),
        ({"products": []}, "refund", 0),
        ({"products": [{"product_id": "a"}]}, "partial_refund", 60),
        ({"products": [{"product_id": "b", "quantity": 2}]}, "partial_refund", 40),
        ({"value": "30.00"}, "partial_refund", 70),
    ],
)
async def test_refunds(served: Served, source: Made, properties: dict[str, object], type_id: str, left: int) -> None:
    products = [{"product_id": "a", "price": 40}, {"product_id": "b", "price": 30, "quantity": 2}]
    refund = {**ORDER, "event": "order refunded", "messageId": "r", "properties": {"order_id": "o-1", **properties}}
    await batch(served, source, {**ORDER, "properties": {"order_id": "o-1", "total": 100, "products": products}})
    await batch(served, source, refund)
    assert (await events(served))[-1]["type"] == type_id
    assert await points_of(served, "ada") == left


async def test_what_people_do(served: Served, source: Made) -> None:
    await batch(
        served,
        source,
        {"type": "track", "event": "Signed Up", "userId": 42, "messageId": "s", "properties": {"channel": "web"}},
        {
            "type": "track", "event": "Product Reviewed", "userId": "42", "messageId": "r",
            "properties": {"product_id": "p", "rating": 4, "review_body": "I am Bob", "has_photo": True},
        },
        {"type": "track", "event": "Email Opened", "userId": "42", "messageId": "e"},
        {"type": "page", "name": "Home", "userId": "42", "messageId": "p"},
        {"type": "screen", "name": "Home", "userId": "42", "messageId": "x"},
        {"type": "group", "groupId": "g", "userId": "42", "messageId": "g"},
        {"type": "delete", "userId": "42", "messageId": "d"},
    )  # fmt: skip
    assert [event["type"] for event in await events(served)] == ["signup", "review"]
    assert "review_body" not in str(await events(served))
    assert await points_of(served, "42") == 150
    assert await counters(served, source.id) == {"received": 7, "accepted": 2, "dropped": 5}


async def test_identify_changes_the_profile(served: Served, source: Made) -> None:
    traits = {
        "firstName": "Ada", "email": "ada@example.com", "birthday": "1990-12-10T00:00:00.000Z", "plan": "gold",
        "address": {"city": "London", "country": "United Kingdom"}, "phone": None,
    }  # fmt: skip
    await batch(served, source, {"type": "identify", "userId": "ada", "messageId": "i", "traits": traits})
    shown = (await served.get("/v1/customers/ada")).json()
    assert shown["attributes"] == {
        "first_name": "Ada", "email": "ada@example.com", "birth_date": "1990-12-10", "city": "London",
    }  # fmt: skip
    old = {"type": "identify", "userId": "bob", "messageId": "j", "context": {"traits": {"lastName": "Byron"}}}
    await batch(served, source, old)
    assert (await served.get("/v1/customers/bob")).json()["attributes"] == {"last_name": "Byron"}


async def test_a_source_maps_as_it_is_told(served: Served) -> None:
    settings = {
        "events": {
            "Order Completed": None,
            "Sale": {"type": "purchase", "properties": {
                "amount": "cart.sum", "order_id": "no", "items": "products", "category": "cart.tags.name",
            }},
            "Shared": {"type": "social_share"},
        },
        "unmapped": "same_name",
        "page": {"type": "app_engagement", "properties": {"feature": "name"}},
        "group": {"type": "checkin", "properties": {"location": "groupId"}},
        "traits": {"city": "home.town"},
    }  # fmt: skip
    source = await make_source(served, "segment", settings=settings)
    sale = {"no": "7", "cart": {"sum": 12, "tags": [{"name": "a"}]}, "products": [{"id": "x"}]}
    told = {"userId": "ada", "timestamp": "2026-11-20T10:00:00Z"}
    await batch(
        served,
        source,
        {**ORDER, "messageId": "0"},
        {**told, "type": "track", "event": "Sale", "messageId": "1", "properties": {**sale, "cart": {"sum": 12}}},
        {**told, "type": "track", "event": "Shared", "messageId": "2", "properties": {"network": "x"}},
        {**told, "type": "track", "event": "login", "messageId": "3"},
        {**told, "type": "track", "event": "Unheard", "messageId": "4"},
        {**told, "type": "page", "name": "Home", "messageId": "5"},
        {**told, "type": "group", "groupId": "Oslo", "messageId": "6"},
        {**told, "type": "identify", "messageId": "7", "traits": {"home": {"town": "Bath"}, "email": "a@b.c"}},
        {**told, "type": "track", "event": "Sale", "messageId": "8", "properties": sale},
    )
    assert [(event["type"], event["properties"]) for event in await events(served)] == [
        ("purchase", {"amount": "12.00", "order_id": "7", "items": [{"product_id": "x", "quantity": "1.000"}]}),
        ("social_share", {"network": "x"}),
        ("login", {}),
        ("app_engagement", {"feature": "Home"}),
        ("checkin", {"location": "Oslo"}),
        ("profile", {"city": "Bath"}),
    ]
    assert await counters(served, source.id) == {"received": 9, "accepted": 6, "dropped": 1, "refused": 2}


async def test_times_are_put_right_by_the_senders_clock(served: Served, source: Made) -> None:
    told = {"type": "track", "event": "Product Reviewed", "userId": "ada", "properties": {}}
    wrong = timedelta(days=400)  # the sender's clock is so much ahead
    sent_at = (datetime.now(UTC) + wrong).isoformat()
    stamp = (datetime.now(UTC) + wrong - timedelta(hours=5)).isoformat()
    await batch(served, source, {**told, "messageId": "a", "timestamp": stamp}, sentAt=sent_at)
    await batch(served, source, {**told, "messageId": "b", "originalTimestamp": stamp, "sentAt": sent_at})
    await batch(served, source, {**told, "messageId": "c", "timestamp": "2026-11-20T10:00:00.000+02:00"})
    await batch(served, source, {**told, "messageId": "d", "timestamp": stamp})  # still to come: now
    await batch(served, source, {**told, "messageId": "e"})
    await batch(served, source, {**told, "messageId": "f", "timestamp": "yesterday"})
    await batch(served, source, {**told, "messageId": "g", "timestamp": "2026-11-20T10:00:00Z"}, sentAt="never")
    now = datetime.now(UTC)
    moments = {event["reference"]: datetime.fromisoformat(str(event["occurred_at"])) for event in await events(served)}
    assert abs(moments["a"] - (now - timedelta(hours=5))) < timedelta(minutes=1)
    assert abs(moments["b"] - (now - timedelta(hours=5))) < timedelta(minutes=1)
    assert moments["c"] == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert moments["g"] == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert all(now - timedelta(minutes=1) < moments[name] <= now for name in ("d", "e"))
    assert await counters(served, source.id) == {"received": 7, "accepted": 6, "refused": 1}
