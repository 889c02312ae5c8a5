"""Whatever is sent, the answer is a problem with a status under 500, a stable code and a pointer."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from tests.serving import Served
from troth import limits

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()

TYPES = (
    {
        "id": "parcel",
        "label": "Parcel",
        "strict": True,
        "properties": {
            "weight": {"type": "number", "places": 2, "min": 0, "max": 1000, "required": True},
            "note": {"type": "text", "max_length": 20},
            "fragile": {"type": "boolean"},
            "sent_on": {"type": "date"},
        },
    },
    {"id": "chat", "label": "Chat", "properties": {}},
)


def parcel(**properties: object) -> dict[str, object]:
    return {"customer": "ada", "type": "parcel", "properties": {"weight": "1.00", **properties}}


def chat(**fields: object) -> dict[str, object]:
    return {"customer": "ada", "type": "chat", **fields}


def raw(text: str) -> bytes:
    """An event of a lax type with one property written just so."""
    return b'{"customer": "ada", "type": "chat", "properties": {"x": ' + text.encode() + b"}}"


VALID_BUT_FOR = [
    ("undefined type", {"customer": "ada", "type": "nothing"}, 422, "unknown_type", "/type"),
    ("type missing", {"customer": "ada"}, 422, "missing", "/type"),
    ("type of another kind", {"customer": "ada", "type": 5}, 422, "type", "/type"),
    ("customer missing", {"type": "chat"}, 422, "missing", "/customer"),
    ("customer empty", {"customer": "", "type": "chat"}, 422, "missing", "/customer"),
    ("customer a number", {"customer": 5, "type": "chat"}, 422, "type", "/customer"),
    (
        "customer too long",
        {"customer": "c" * (limits.IDENTIFIER_LENGTH + 1), "type": "chat"},
        422,
        "too_long",
        "/customer",
    ),
    ("unknown property of a strict type", parcel(colour="red"), 422, "unknown_property", "/properties/colour"),
    ("required property missing", {**parcel(), "properties": {}}, 422, "missing", "/properties/weight"),
    ("text for a number", parcel(weight="heavy"), 422, None, "/properties/weight"),
    ("too many places", parcel(weight="1.005"), 422, "too_many_places", "/properties/weight"),
    ("above the maximum", parcel(weight="1000.01"), 422, None, "/properties/weight"),
    ("number for text", parcel(note=5), 422, None, "/properties/note"),
    ("text too long", parcel(note="n" * 21), 422, "too_long", "/properties/note"),
    ("number for a boolean", parcel(fragile=3), 422, None, "/properties/fragile"),
    ("no date", parcel(sent_on="yesterday"), 422, None, "/properties/sent_on"),
    ("list for a scalar", parcel(weight=[1]), 422, None, "/properties/weight"),
    ("properties a list", {**chat(), "properties": [1]}, 422, "type", "/properties"),
    ("unknown field", chat(colour="red"), 422, "unknown_field", "/colour"),
    ("type given twice", chat(action="chat"), 422, "unknown_field", "/action"),
    ("reference of 10,000 characters", chat(reference="r" * 10_000), 422, "too_long", "/reference"),
    ("reference empty", chat(reference=""), 422, "missing", "/reference"),
    ("reference of the engine", chat(reference="sys:x"), 422, "reserved_reference", "/reference"),
    ("time in the future", chat(occurred_at=LATER), 422, "in_future", "/occurred_at"),
    ("time too early", chat(occurred_at="1989-12-31T23:59:59Z"), 422, "too_early", "/occurred_at"),
    ("time without an offset", chat(occurred_at="2026-01-01T10:00:00"), 422, "invalid_datetime", "/occurred_at"),
    ("time a number", chat(occurred_at=1), 422, "invalid_datetime", "/occurred_at"),
    ("year 10000", chat(occurred_at="10000-01-01T10:00:00Z"), 422, "invalid_datetime", "/occurred_at"),
    ("system type", {"customer": "ada", "type": "tier_upgraded"}, 422, "system_type", "/type"),
    ("not of this version", {"customer": "ada", "type": "opt_out"}, 422, "not_available", "/type"),
    ("a list", [chat()], 422, "not_an_object", ""),
    ("a text", "chat", 422, "not_an_object", ""),
    ("null", None, 422, "not_an_object", ""),
]

AS_SENT = [
    ("empty", b"", 400, "empty_body", ""),
    ("cut short", b'{"customer": "ada"', 400, "invalid_json", ""),
    ("byte order mark", b"\xef\xbb\xbf" + raw("1"), 400, "byte_order_mark", ""),
    ("broken UTF-8", raw('"a"').replace(b"a", b"\xff"), 400, "invalid_utf8", ""),
    ("UTF-16", raw("1").decode().encode("utf-16"), 400, "invalid_utf8", ""),
    ("NUL written out", raw('"\0"'), 400, "invalid_json", ""),
    ("NUL escaped", raw('"\\u0000"'), 422, "nul_character", "/properties/x"),
    ("NUL in the customer", b'{"customer": "\\u0000", "type": "chat"}', 422, "nul_character", "/customer"),
    ("half a surrogate pair", raw('"\\ud800"'), 422, "invalid_character", "/properties/x"),
    ("NaN", raw("NaN"), 422, "not_a_number", "/properties/x"),
    ("Infinity", raw("-Infinity"), 422, "not_a_number", "/properties/x"),
    ("1e1000000", raw("1e1000000"), 422, "too_large", "/properties/x"),
    ("1e-1000000", raw("1e-1000000"), 422, "too_large", "/properties/x"),
    ("1e99999999999999999999", raw("1e99999999999999999999"), 422, "too_large", "/properties/x"),
    ("37 digits", raw("1" * 37), 422, "too_large", "/properties/x"),
    ("a number of 900,000 digits", raw("7" * 900_000), 422, "too_large", "/properties/x"),
    ("duplicate keys", b'{"customer": "ada", "customer": "bob", "type": "chat"}', 422, "duplicate_key", "/customer"),
    ("duplicate keys within", raw('{"y": 1, "y": 2}'), 422, "duplicate_key", "/properties/x/y"),
    ("nesting of eleven", raw("[" * 9 + "]" * 9), 422, "too_deep", "/properties/x" + "/0" * 8),
    ("nesting bomb", raw("[" * 100_000 + "]" * 100_000), 400, "too_deep", ""),
    ("2 MiB", raw('"' + "x" * (2 << 20) + '"'), 413, "too_large", ""),
]


@pytest.fixture
async def shop(served: Served) -> Served:
    for event_type in TYPES:
        assert (await served.post("/v1/event-types", event_type)).status_code == 201
    return served


async def check(server: Served, body: object, expected: tuple[int, str | None, str], **options: object) -> None:
    """Each case: status, code and pointer of a problem document, answered at once and stored nowhere."""
    started = time.process_time()
    answer = await server.post("/v1/events", body, **options)
    assert time.process_time() - started < 2
    status, code, pointer = expected
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert [item["pointer"] for item in problem["errors"]] == [pointer], answer.text
    assert code is None or (problem["code"], problem["errors"][0]["code"]) == (code, code)
    assert problem["type"] == f"urn:troth:problem:{problem['code']}"


async def test_every_bad_event_is_a_problem(shop: Served) -> None:
    for _, body, *expected in VALID_BUT_FOR:
        await check(shop, json.dumps(body).encode(), tuple(expected), headers={"content-type": JSON})
    for _, body, *expected in AS_SENT:
        await check(shop, body, tuple(expected), headers={"content-type": JSON})
    assert (await shop.get("/v1/events")).json()["items"] == []


async def test_the_same_holds_in_a_bulk_and_good_neighbours_are_stored(shop: Served) -> None:
    bad = [json.dumps(body) for _, body, *_ in VALID_BUT_FOR] + [
        body.decode() for _, body, status, *_ in AS_SENT if status == 422
    ]
    good = json.dumps(parcel())
    events = ",".join(f"{good},{text}" for text in bad)
    answer = await shop.post("/v1/events/bulk", f'{{"events":[{events}]}}'.encode())
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["total"], result["created"], result["rejected"]) == (2 * len(bad), len(bad), len(bad))
    assert [item["status"] for item in result["results"]] == ["created", "rejected"] * len(bad)
    assert all(item["error"]["errors"] for item in result["results"][1::2])
    assert len((await shop.get("/v1/events?limit=1000")).json()["items"]) == len(bad)


async def test_a_flaw_in_a_bulk_is_named_within_its_event(shop: Served) -> None:
    answer = await shop.post("/v1/events/bulk", b'{"events":[' + raw('{"y":1,"y":2}') + b"]}")
    (result,) = answer.json()["results"]
    assert result["error"]["errors"][0]["pointer"] == "/properties/x/y"


BULKS = [
    (b"[]", 422, "required", "/events"),
    (b"{}", 422, "required", "/events"),
    (b'{"events": 5}', 422, "required", "/events"),
    (b'{"events": [], "events": []}', 422, "duplicate_key", "/events"),
    (b'{"events": [], "more": 1}', 422, "unknown_field", "/more"),
    (b'{"events": [' + b"{}," * limits.BULK_EVENTS + b"{}]}", 413, "too_many_events", "/events"),
    (b'{"events": ["' + b"x" * limits.BODY_BYTES_BULK + b'"]}', 413, "too_large", ""),
    (b"", 400, "empty_body", ""),
]


async def test_bad_bulks_run_nothing(shop: Served) -> None:
    for body, *expected in BULKS:
        answer = await shop.post("/v1/events/bulk", body, headers={"content-type": JSON})
        problem = answer.json()
        found = [answer.status_code, problem["code"], problem["errors"][0]["pointer"]]
        assert found == expected, body[:40]
    assert (await shop.get("/v1/events")).json()["items"] == []


async def test_lines_are_read_one_by_one(shop: Served) -> None:
    lines = b"\n".join([json.dumps(parcel()).encode(), b"", b"{broken", b'{"a":1,"a":2}', json.dumps(chat()).encode()])
    answer = await shop.post("/v1/events/bulk", lines + b"\r\n", headers={"content-type": "application/x-ndjson"})
    result = answer.json()
    assert [item["status"] for item in result["results"]] == ["created", "rejected", "rejected", "created"]
    assert [item["error"]["code"] for item in result["results"][1:3]] == ["invalid_json", "duplicate_key"]
    too_many = await shop.post("/v1/events/bulk", b"{}\n" * 1_001, headers={"content-type": "application/x-ndjson"})
    assert (too_many.status_code, too_many.json()["code"]) == (413, "too_many_events")


COMPRESSED = [
    ("gzip", gzip.compress(raw("1")), 201, None),
    ("deflate", zlib.compress(raw("1")), 201, None),
    ("gzip", gzip.compress(raw('"' + "x" * 50_000_000 + '"')), 413, "too_large"),
    ("gzip", gzip.compress(raw("1"))[:-9], 400, "broken_encoding"),
    ("gzip", raw("1"), 400, "broken_encoding"),
    ("br", raw("1"), 415, "unsupported_encoding"),
]


async def test_compressed_bodies(shop: Served) -> None:
    for encoding, body, status, code in COMPRESSED:
        headers = {"content-encoding": encoding, "content-type": JSON}
        answer = await shop.post("/v1/events", body, headers=headers)
        assert (answer.status_code, answer.json().get("code")) == (status, code), encoding


async def test_all_problems_come_at_once(shop: Served) -> None:
    body = {"customer": 5, "type": "parcel", "colour": 1, "properties": {"weight": "1.005", "note": 5, "x": 1}}
    found = {item["pointer"] for item in (await shop.post("/v1/events", body)).json()["errors"]}
    assert found == {"/customer", "/colour", "/properties/weight", "/properties/note", "/properties/x"}


async def test_pointers_name_the_fields_as_sent(shop: Served) -> None:
    body = {"customer": "ada", "action": "parcel", "data": {"weight": "heavy"}}
    assert (await shop.post("/v1/events", body)).json()["errors"][0]["pointer"] == "/data/weight"
    unknown = {"customer": "ada", "action": "nothing"}
    assert (await shop.post("/v1/events", unknown)).json()["errors"][0]["pointer"] == "/action"
    headers = {"Idempotency-Key": "k" * 300}
    answer = await shop.post("/v1/events", chat(), headers=headers)
    assert answer.json()["errors"][0]["pointer"] == "/header/idempotency-key"


async def test_bad_forms_are_problems_too(shop: Served) -> None:
    for body, status, code in (
        (b"customer=ada&type=nothing", 422, "unknown_type"),
        (b"customer=ada&customer=bob&type=chat", 422, "duplicate_key"),
        (b"customer", 400, "invalid_form"),
        (b"customer=%ff&type=chat", 400, "invalid_utf8"),
    ):
        answer = await shop.post("/v1/events", body, headers={"content-type": FORM})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
