"""POST /v1/events: what is recorded, what is a duplicate, and everything that may be asked of the answer."""

from __future__ import annotations

import json

import pytest

from tests.serving import Served, serving
from troth import limits
from troth.config import Config
from troth.embedded.access import DatabaseAccess

PURCHASE = {
    "customer": "374397439743",
    "type": "purchase",
    "reference": "order_123",
    "occurred_at": "2026-11-20T10:00:00Z",
    "properties": {"amount": "125.00", "category": "electronics", "order_id": "order_123"},
}
FORM = {"content-type": "application/x-www-form-urlencoded"}

SAME_EVENT = [
    ("as declared", json.dumps(PURCHASE).encode(), {}),
    ("synonyms", json.dumps({**PURCHASE, "action": "purchase", "data": PURCHASE["properties"]}).encode(), {}),
    ("number for amount", json.dumps(PURCHASE).replace('"125.00"', "125").encode(), {}),
    ("JSON called a form", json.dumps(PURCHASE).encode(), FORM),
    (
        "form with brackets",
        b"customer=374397439743&type=purchase&reference=order_123&occurred_at=2026-11-20T10%3A00%3A00Z"
        b"&data[amount]=125.00&data[category]=electronics&data[order_id]=order_123",
        FORM,
    ),
    (
        "form with JSON",
        b"customer=374397439743&action=purchase&reference=order_123&occurred_at=2026-11-20T10%3A00%3A00Z"
        b"&properties=%7B%22amount%22%3A125.0%2C%22category%22%3A%22electronics%22"
        b"%2C%22order_id%22%3A%22order_123%22%7D",
        FORM,
    ),
]


def without_own_names(raw: bytes) -> bytes:
    """The synonyms alone: both at once are a contradiction."""
    if b'"action"' not in raw:
        return raw
    event = json.loads(raw)
    del event["type"], event["properties"]
    return json.dumps(event).encode()


async def test_every_way_of_writing_it_is_the_same_event(served: Served) -> None:
    ids = set()
    for index, (name, raw, headers) in enumerate(SAME_EVENT):
        answer = await served.post("/v1/events", without_own_names(raw), headers=headers)
        assert answer.status_code == (200 if index else 201), (name, answer.text)
        assert answer.json()["duplicate"] is bool(index)
        assert "payload_mismatch" not in answer.json(), name
        ids.add(answer.json()["id"])
    assert len(ids) == 1


async def test_the_answer_to_a_duplicate_is_the_first_one(served: Served) -> None:
    first = await served.post("/v1/events", PURCHASE)
    again = await served.post("/v1/events", PURCHASE)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "duplicate": True}
    assert first.json()["points"] == 125


async def test_another_customer_is_a_conflict(served: Served) -> None:
    await served.post("/v1/events", PURCHASE)
    answer = await served.post("/v1/events", {**PURCHASE, "customer": "other"})
    assert (answer.status_code, answer.json()["code"]) == (409, "reference_conflict")
    assert answer.json()["errors"][0]["pointer"] == "/reference"


async def test_the_idempotency_key_serves_where_the_body_has_no_reference(served: Served) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await served.post("/v1/events", {"customer": "ada", "type": "signup"}, headers=headers)
    again = await served.post("/v1/events", {"customer": "ada", "type": "signup"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["reference"] == "k1"
    named = await served.post("/v1/events", {**PURCHASE, "customer": "ada"}, headers=headers)
    assert named.json()["reference"] == "order_123"


async def test_a_bulk_sent_again_under_its_key_records_nothing(served: Served) -> None:
    events = {"events": [{"customer": "ada", "type": "review"}, {"customer": "ada", "type": "review"}]}
    headers = {"Idempotency-Key": "bulk-1"}
    first = (await served.post("/v1/events/bulk", events, headers=headers)).json()
    again = (await served.post("/v1/events/bulk", events, headers=headers)).json()
    assert (first["created"], again["created"], again["duplicates"]) == (2, 0, 2)


async def test_a_preview_says_why(served: Served) -> None:
    shown = await served.post("/v1/events/preview?expand=explanation", PURCHASE)
    assert shown.status_code == 200
    applied = [rule for rule in shown.json()["explanation"] if rule["applied"]]
    assert sum(rule["points"] for rule in applied) == shown.json()["points"] > 0
    refused = await served.post("/v1/events/preview?expand=profile", PURCHASE)
    assert refused.status_code == 422


async def test_a_preview_stores_nothing(served: Served) -> None:
    shown = await served.post("/v1/events/preview", PURCHASE)
    assert (shown.status_code, shown.json()["points"]) == (200, 125)
    assert (await served.get("/v1/events")).json()["items"] == []
    assert (await served.get("/v1/customers/374397439743")).status_code == 404
    refused = await served.post("/v1/events/preview", {"customer": "ada", "type": "nothing"})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_type")


async def test_answers_expand(served: Served) -> None:
    await served.post("/v1/customers", {"customer": "374397439743", "attributes": {"first_name": "Ada"}})
    answer = await served.post("/v1/events?expand=explanation,profile", PURCHASE)
    body = answer.json()
    assert answer.status_code == 201
    assert {rule["rule"] for rule in body["explanation"] if rule["applied"]} == {
        award["rule"] for award in body["awards"]
    }
    for wallet, states in body["wallets"].items():
        assert {name: body["profile"]["wallets"][wallet][name] for name in states} == states
    assert "first_name" not in body["profile"]["attributes"]
    again = await served.post("/v1/events?expand=explanation", PURCHASE)
    assert again.json()["explanation"] == body["explanation"]
    wrong = await served.post("/v1/events?expand=everything", PURCHASE)
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/query/expand")


async def test_a_long_user_agent_is_cut(served: Served) -> None:
    headers = {"user-agent": "a" * (limits.USER_AGENT_LENGTH + 1)}
    sent = (await served.post("/v1/events", PURCHASE, headers=headers)).json()
    shown = (await served.get(f"/v1/events/{sent['id']}")).json()
    assert shown["user_agent"] == "a" * limits.USER_AGENT_LENGTH


async def test_a_full_bulk_answers_in_order(served: Served) -> None:
    events = [{"customer": f"c{n % 7}", "type": "review", "reference": f"r{n}"} for n in range(1_000)]
    result = (await served.post("/v1/events/bulk", {"events": events})).json()
    assert (result["total"], result["created"]) == (1_000, 1_000)
    assert [item["event"]["reference"] for item in result["results"]] == [event["reference"] for event in events]
    assert [item["index"] for item in result["results"]] == list(range(1_000))


async def test_an_empty_bulk_is_no_mistake(served: Served) -> None:
    result = (await served.post("/v1/events/bulk", {"events": []})).json()
    assert result == {"results": [], "total": 0, "created": 0, "duplicates": 0, "rejected": 0}


PROFILES = [
    ({"attributes": {"city": "Szeged"}}, {"city": "Szeged"}, []),
    ({"tags": ["vip", "early"]}, {"city": "Szeged"}, ["vip", "early"]),
    ({"attributes": {"city": None}, "tags": []}, {}, []),
]


async def test_profiles_change_by_events_only(served: Served) -> None:
    created = await served.post("/v1/customers", {"customer": "ada"})
    assert (created.status_code, created.json()["attributes"]) == (201, {})
    assert (await served.post("/v1/customers", {"customer": "ada"})).json()["code"] == "exists"
    for change, attributes, tags in PROFILES:
        answer = await served.request("PATCH", "/v1/customers/ada", json=change)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["attributes"], answer.json()["tags"]) == (attributes, tags)
    history = (await served.get("/v1/customers/ada/events")).json()["items"]
    assert [event["type"] for event in history] == ["profile"] * 4


BAD_PROFILES = [
    ({"attributes": []}, "/attributes"),
    ({"attributes": {"tags": ["x"]}}, "/attributes/tags"),
    ({"attributes": {"birth_date": "yesterday"}}, "/attributes/birth_date"),
    ({"tags": "vip"}, "/tags"),
    ({"tags": [5]}, "/tags/0"),
    ({"city": "x"}, "/city"),
]


async def test_bad_profiles_are_problems_with_pointers(served: Served) -> None:
    await served.post("/v1/customers", {"customer": "ada"})
    for body, pointer in BAD_PROFILES:
        answer = await served.request("PATCH", "/v1/customers/ada", json=body)
        assert answer.status_code == 422, (body, answer.text)
        assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]
    for customer in ("", None, 5, "x" * 256, "\0"):
        answer = await served.post("/v1/customers", {"customer": customer})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/customer")


@pytest.mark.parametrize("customer", ["nobody", "x" * 300, "%00", "a%2Fb"])
async def test_who_is_not_there_cannot_change(served: Served, customer: str) -> None:
    assert (await served.request("PATCH", f"/v1/customers/{customer}", json={"tags": []})).status_code == 404


async def test_a_full_queue_asks_to_come_back(database: DatabaseAccess) -> None:
    async with serving(database, Config(queue_events=1)) as server:
        event = {"customer": "ada", "type": "review"}
        refused = await server.post("/v1/events/bulk", {"events": [event, event]})
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await server.get("/v1/events")).json()["items"] == []
        assert (await server.post("/v1/events", event)).status_code == 201
