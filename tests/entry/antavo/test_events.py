"""Single events: what is answered, by which codes things are refused, and in which forms a body may come."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime

from tests.api.test_rejections import rejections
from tests.entry.antavo.calling import Shop, error_in, open_shop
from tests.entry.sourcing import counters, points_of
from tests.serving import Served, serving
from troth import limits
from troth.config import Config
from troth.embedded.access import DatabaseAccess

BALANCES = ("score", "spent", "pending", "reserved", "expired", "spendable")


def balances(shown: dict[str, object]) -> tuple[object, ...]:
    return tuple(shown[name] for name in BALANCES)


async def test_an_event_is_answered_with_the_customer(shop: Shop) -> None:
    shown = await shop.done("ada", "checkout", {"transaction_id": "T-1", "total": 125})
    (event,) = shown["events"]
    assert set(event) == {"id", "action", "points"}
    assert event["id"].startswith("evt_")
    assert (event["action"], event["points"]) == ("checkout", 125)
    assert (shown["id"], shown["status"], shown["level"], shown["currency"]) == ("ada", "active", "bronze", "EUR")
    assert balances(shown) == (125, 0, 0, 0, 0, 125)
    recorded = (await shop.server.get(f"/v1/events/{event['id']}")).json()
    assert (recorded["source"], recorded["source_detail"], recorded["signed"]) == ("platform", "my-antavo", False)
    assert (recorded["reference"], recorded["type"]) == ("checkout:T-1", "checkout")


async def test_pending_points_move_nothing_that_can_be_spent(shop: Shop) -> None:
    opened = {"transaction_id": "T-1", "total": "80.00", "auto_accept": False}
    shown = await shop.done("ada", "checkout", opened)
    assert (shown["events"], balances(shown)) == ([], (0, 0, 80, 0, 0, 0))
    shown = await shop.done("ada", "checkout_accept", {"transaction_id": "T-1"})
    assert [(event["action"], event["points"]) for event in shown["events"]] == [("checkout_accept", 80)]
    assert balances(shown) == (80, 0, 0, 0, 0, 80)
    shown = await shop.done("ada", "partial_refund", {"transaction_id": "T-1", "amount": 30})
    assert [event["points"] for event in shown["events"]] == [-30]
    shown = await shop.done("ada", "refund", {"transaction_id": "T-1"})
    assert (shown["events"][0]["points"], balances(shown)) == (-50, (0, 0, 0, 0, 0, 0))


async def test_points_are_spent_and_reserved(shop: Shop) -> None:
    await shop.done("ada", "point_add", {"points": 100})
    shown = await shop.done("ada", "point_sub", {"points": 30})
    assert (shown["events"][0]["points"], balances(shown)) == (-30, (100, 30, 0, 0, 0, 70))
    burning = {"transaction_id": "T-1", "total": 10, "points_burned": 50, "auto_accept": False}
    shown = await shop.done("ada", "checkout", burning)
    assert ([event["points"] for event in shown["events"]], balances(shown)) == ([-50], (100, 30, 10, 50, 0, 20))


async def test_what_an_event_causes_is_told(shop: Shop) -> None:
    shown = await shop.done("ada", "checkout", {"transaction_id": "T-1", "total": 1_000})
    told = [(event["action"], event["points"]) for event in shown["events"]]
    assert told == [("checkout", 1_000), ("tier_upgraded", 100)]
    assert (shown["level"], shown["spendable"]) == ("silver", 1_100)


async def test_a_transaction_happens_once(shop: Shop) -> None:
    opened = {"transaction_id": "T-1", "total": 10, "auto_accept": False}
    await shop.done("ada", "checkout", opened)
    for again in (opened, {**opened, "total": 20}):
        assert error_in(await shop.send("ada", "checkout", again)) == (400, "BadRequestException", 5003)
    assert error_in(await shop.send("bob", "checkout", opened)) == (400, "BadRequestException", 5003)
    await shop.done("ada", "checkout_update", {**opened, "total": 30})
    await shop.done("ada", "checkout_update", {**opened, "total": 40})
    assert error_in(await shop.send("bob", "checkout_accept", {"transaction_id": "T-1"}))[2] == 103902
    await shop.done("ada", "checkout_accept", {"transaction_id": "T-1"})
    assert error_in(await shop.send("ada", "checkout_accept", {"transaction_id": "T-1"}))[2] == 5003
    assert await points_of(shop.server, "ada") == 40


async def test_a_race_for_a_transaction_is_won_once(shop: Shop) -> None:
    bought = {"transaction_id": "T-1", "total": 10}
    answers = await asyncio.gather(*(shop.send("ada", "checkout", bought) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert {error_in(answer)[2] for answer in answers if answer.status_code == 400} == {5003}
    assert await points_of(shop.server, "ada") == 10


async def test_a_transaction_known_from_another_door_is_known(shop: Shop) -> None:
    bought = {"transaction_id": "T-1", "total": "10.00"}
    event = {"customer": "ada", "type": "checkout", "reference": "mine", "properties": bought}
    assert (await shop.server.post("/v1/events", event)).status_code == 201
    assert error_in(await shop.send("ada", "checkout", bought))[2] == 5003


async def test_parts_of_a_transaction_come_back_one_by_one(shop: Shop) -> None:
    items = [{"product_id": "mug", "quantity": 3, "price": 10}]
    await shop.done("ada", "checkout", {"transaction_id": "T-1", "total": 30, "items": items})
    part = {"transaction_id": "T-1", "items": [{"product_id": "mug", "quantity": 1}]}
    spendable = [(await shop.done("ada", "partial_refund", part))["spendable"] for _ in range(2)]
    assert spendable == [20, 10]
    named = {**part, "refund_id": "R-1"}
    await shop.done("ada", "partial_refund", named)
    assert (await shop.done("ada", "partial_refund", named))["spendable"] == 0


async def test_ids_are_exact_and_may_be_long(shop: Shop) -> None:
    number = 2**60 + 1
    shown = await shop.done(number, "checkout", {"transaction_id": number, "total": 5})  # type: ignore[arg-type]
    assert shown["id"] == str(number)
    order = (await shop.server.get(f"/v1/orders/{number}")).json()
    assert order["order_id"] == str(number)
    long = "x" * limits.IDENTIFIER_LENGTH
    await shop.done("ada", "checkout", {"transaction_id": long, "total": 5})
    await shop.done("ada", "checkout_accept", {"transaction_id": long})
    assert error_in(await shop.send("ada", "checkout_accept", {"transaction_id": long}))[2] == 5003


async def test_joining_is_told_once_and_seals_what_is_personal(shop: Shop) -> None:
    data = {"email": "ada@example.com", "mobile_phone": "+1", "channel": "web", "shoe_size": "38"}
    shown = await shop.done("ada", "opt_in", data)
    assert "ada@example.com" not in json.dumps(shown)
    assert error_in(await shop.send("ada", "opt_in", data)) == (400, "BadRequestException", 112101)
    assert error_in(await shop.send("ada", "opt_in"))[2] == 112101
    profile = (await shop.server.get("/v1/customers/ada")).json()
    assert profile["attributes"] == {"email": "ada@example.com", "phone": "+1", "shoe_size": "38"}
    assert profile["events"] == {"opt_in": 1, "profile": 1}
    async with shop.server.database.owner() as owner:
        rows = await owner.fetch("select properties::text from events")
    assert not any("ada@" in row["properties"] for row in rows)
    await shop.done("ada", "profile", {"email": "new@example.com", "tags": ["vip"]})
    assert (await shop.server.get("/v1/customers/ada")).json()["tags"] == ["vip"]


BAD, NUMBERLESS = "BadRequestException", (400, "BadRequestException", 0)
WRONG: list[tuple[dict[str, object], tuple[int, str, int]]] = [
    ({"action": "login"}, (400, BAD, 113401)),
    ({"customer": "ada"}, (400, BAD, 113401)),
    ({"customer": "", "action": "login"}, (400, BAD, 113401)),
    ({"customer": "ada", "action": "checkout", "data": {"total": 1}}, (400, BAD, 113401)),
    ({"customer": "ada", "action": "checkout_accept", "data": []}, (400, BAD, 113401)),
    ({"customer": "ada", "action": "point_add"}, (400, BAD, 113401)),
    ({"customer": "ada", "action": "point_sub", "data": {"points": 9}}, (400, BAD, 110003)),
    ({"customer": "ada", "action": "no_such"}, NUMBERLESS),
    ({"customer": "ada", "action": "points_expired"}, NUMBERLESS),
    ({"customer": "ada", "action": ["login"]}, NUMBERLESS),
    ({"customer": {}, "action": "login"}, NUMBERLESS),
    ({"customer": "ada", "action": "login", "data": "x"}, NUMBERLESS),
    ({"customer": "ada", "action": "login", "account": "stamps"}, (404, "NotFoundException", 0)),
    ({"customer": "ada", "action": "login", "data": {"effective_timestamp": "x"}}, NUMBERLESS),
    (
        {"customer": "ada", "action": "login", "data": {"effective_timestamp": "1e99"}},
        NUMBERLESS,
    ),
]


async def test_what_is_wrong_is_said_by_number_and_counted(shop: Shop) -> None:
    for event, expected in WRONG:
        answer = await shop.server.post(f"/events?api_key={shop.key}", event, key=None)
        assert error_in(answer) == expected, (event, answer.text)
    assert await counters(shop.server, "my-antavo") == {"received": len(WRONG), "refused": len(WRONG)}


async def test_what_is_refused_can_be_read_and_sent_again(shop: Shop) -> None:
    await shop.send("ada", "no_such", {"a": 1})
    await shop.send("ada", "login", account="stamps")
    await shop.done("ada", "opt_in")
    await shop.send("ada", "opt_in")
    items = await rejections(shop.server, "?source=my-antavo", least=3)
    assert [item["codes"] for item in reversed(items)] == [["unknown_type"], ["unknown_account"], ["already_opted_in"]]
    assert {item["source_detail"] for item in items} == {"my-antavo"}
    shown = (await shop.server.get(f"/v1/rejections/{items[-1]['id']}")).json()
    assert [shown["sent"][name] for name in ("customer", "type", "properties")] == ["ada", "no_such", {"a": 1}]
    made = await shop.server.post("/v1/event-types", {"id": "no_such", "label": "Such"})
    assert made.status_code == 201
    replayed = await shop.server.post(f"/v1/rejections/{items[-1]['id']}/replay")
    assert replayed.status_code == 201, replayed.text
    assert (await shop.server.get("/v1/customers/ada")).json()["events"]["no_such"] == 1


async def test_what_happens_once_is_not_repeated(shop: Shop) -> None:
    await shop.done("ada", "signup")
    assert error_in(await shop.send("ada", "signup")) == (400, "BadRequestException", 10001)
    assert await counters(shop.server, "my-antavo") == {"received": 2, "accepted": 1, "refused": 1}


async def test_unreadable_bodies_are_refused_and_kept(shop: Shop) -> None:
    for body in (b"{", b'{"customer":"ada","customer":"bob","action":"login"}', b"[]"):
        answer = await shop.server.post(f"/events?api_key={shop.key}", body, key=None)
        assert error_in(answer)[0::2] == (400, 0), body
    assert (await counters(shop.server, "my-antavo"))["refused"] == 3
    answer = await shop.server.post(f"/events?api_key={shop.key}", b" " * (limits.BODY_BYTES_SINGLE + 1), key=None)
    assert error_in(answer)[0::2] == (413, 0)


async def test_events_keep_the_time_they_had(shop: Shop) -> None:
    when = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    for stamp in (int(when.timestamp()), f"{when.timestamp():.3f}", when.isoformat()):
        shown = await shop.done("ada", "point_add", {"points": 1, "effective_timestamp": stamp})
        recorded = (await shop.server.get(f"/v1/events/{shown['events'][0]['id']}")).json()
        assert recorded["occurred_at"] == "2026-03-01T12:30:00Z"
        assert "effective_timestamp" not in recorded["properties"]


FORM = "application/x-www-form-urlencoded"
FORMS = [
    ("customer=ada&action=checkout&data%5Btransaction_id%5D=7&data%5Btotal%5D=12.50&data%5Bitems%5D%5B0%5D%5B"
     "product_id%5D=mug&data%5Bitems%5D%5B0%5D%5Bquantity%5D=1&data%5Bitems%5D%5B0%5D%5Bprice%5D=12.50", FORM),
    ('customer=ada&action=checkout&data={"transaction_id":"7","total":12.5}', FORM),
    ('{"customer":"ada","action":"checkout","data":{"transaction_id":"7","total":12.5}}', FORM),
    ('{"customer":"ada","action":"checkout","data":{"transaction_id":"7","total":12.5}}', "text/plain"),
]  # fmt: skip


async def test_bodies_come_in_several_forms(shop: Shop) -> None:
    for number, (body, media_type) in enumerate(FORMS):
        headers = {"Content-Type": media_type}
        body = body.replace("7", f"T{number}")
        answer = await shop.server.post(f"/events?api_key={shop.key}", body.encode(), key=None, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["spendable"] == 12 * (number + 1)
        assert (await shop.server.get(f"/v1/orders/T{number}")).status_code == 200


async def test_a_customer_is_shown_as_of_now(shop: Shop) -> None:
    await shop.done("ada & co", "point_add", {"points": 5})
    answer = await shop.get("/customers/ada%20%26%20co")
    assert answer.status_code == 200
    assert balances(answer.json()) == (5, 0, 0, 0, 0, 5)
    assert "events" not in answer.json()
    assert error_in(await shop.get("/customers/nobody")) == (404, "NotFoundException", 160212)
    assert error_in(await shop.get("/customers/nobody/events")) == (404, "NotFoundException", 160212)
    assert error_in(await shop.get("/customers/ada", account="stamps"))[0] == 404


async def test_the_door_is_not_there_unless_it_is_configured(served: Served) -> None:
    paths = ("/events", "/events/", "//events", "/events/bulk", "/customers/a", "/customers/a/events", "/events/a/b")
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE")

    async def told(method: str, path: str) -> tuple[object, ...]:
        answer = await served.client.request(method, f"{path}?api_key=x", headers={"origin": "https://shop.example"})
        names = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
        return answer.status_code, names, re.sub('req_[^"]*', "", answer.text)

    unknown = {method: await told(method, "/nothing/here") for method in methods}
    assert {answer[0] for answer in unknown.values()} == {404}
    shop = await open_shop(served)
    await shop.done("a", "login")
    assert (await told("DELETE", "/events"))[0] == 405
    await served.request("PATCH", "/v1/sources/my-antavo", json={"enabled": False})
    for method in methods:
        for path in paths:
            assert await told(method, path) == unknown[method], (method, path)


async def test_sensitive_types_are_never_unsigned_in_production(database: DatabaseAccess) -> None:
    async with serving(database, Config(mode="production")) as server:
        changed = await server.request("PATCH", "/v1/event-types/purchase", json={"sensitive": True})
        assert changed.status_code == 200, changed.text
        shop = await open_shop(server, {"unsigned": True})
        await shop.done("ada", "login")
        bought = {"amount": 5, "order_id": "P-1"}
        assert error_in(await shop.send("ada", "purchase", bought)) == (401, "UnauthorizedException", 101021)
        body = {"customer": "ada", "action": "purchase", "data": bought}
        assert (await shop.signed("POST", "/events", json=body)).status_code == 200
