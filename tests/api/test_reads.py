"""Reads: pages that lose and repeat nothing, filters, explanations of the past, balances as of now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.serving import Served
from troth import limits


async def send(server: Served, customer: str, reference: str, **fields: object) -> dict[str, object]:
    event = {"customer": customer, "type": "purchase", "reference": reference, "properties": {"amount": "10"}, **fields}
    answer = await server.post("/v1/events", event)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def pages(server: Served, path: str, limit: int) -> list[list[dict[str, object]]]:
    """Every page of a list."""
    found, cursor = [], ""
    while True:
        joint = "&" if "?" in path else "?"
        page = (await server.get(f"{path}{joint}limit={limit}{cursor}")).json()
        found.append(page["items"])
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.fixture
async def shop(served: Served) -> Served:
    """Seven purchases of three customers, and a chat without points."""
    assert (await served.post("/v1/event-types", {"id": "chat", "label": "Chat"})).status_code == 201
    for n in range(7):
        await send(served, f"c{n % 3}", f"r{n}", occurred_at=f"2026-01-0{n + 1}T12:00:00Z")
    await send(served, "c0", "last", type="chat", properties={})
    return served


LISTS = [
    ("/v1/events", 8, "id"),
    ("/v1/events?customer=c0", 4, "seq"),
    ("/v1/customers/c0/events", 4, "seq"),
    ("/v1/customers/c0/postings", 3, "id"),
    ("/v1/customers/c0/lots", 3, "id"),
    ("/v1/customers", 3, "customer"),
]


async def test_pages_lose_and_repeat_nothing(shop: Served) -> None:
    for path, number, key in LISTS:
        (whole,) = await pages(shop, path, 100)
        assert len(whole) == number, path
        for limit in (1, 2, 3, number):
            parts = await pages(shop, path, limit)
            assert [len(part) <= limit for part in parts] == [True] * len(parts)
            assert [item for part in parts for item in part] == whole, (path, limit)
            assert len({str(item[key]) for part in parts for item in part}) == number


async def test_pages_have_a_size_unless_asked_otherwise(served: Served) -> None:
    events = [{"customer": f"c{n}", "type": "review"} for n in range(limits.PAGE_ITEMS_DEFAULT + 1)]
    await served.post("/v1/events/bulk", {"events": events})
    for path in ("/v1/events", "/v1/customers"):
        assert len((await served.get(path)).json()["items"]) == limits.PAGE_ITEMS_DEFAULT
        whole = (await served.get(f"{path}?limit={limits.PAGE_ITEMS_MAX}")).json()
        assert (len(whole["items"]), whole["next"]) == (len(events), None)


FILTERS = [
    ("type=chat", ["last"]),
    ("type=nothing", []),
    ("source=api&type=chat", ["last"]),
    ("source=import", []),
    ("has_points=false", ["last"]),
    ("has_points=true&customer=c1", ["r4", "r1"]),
    ("customer=nobody", []),
    ("from=2026-01-06T12:00:00Z&to=2026-01-07T12:00:00Z", ["r5"]),
    ("customer=c0&to=2026-01-04T12:00:00Z", ["r0"]),
    ("reference=r3", ["r3"]),
    ("reference=r3&customer=c0", ["r3"]),
    ("reference=r3&customer=c1", []),
    ("reference=r3&type=chat", []),
    ("reference=none", []),
    ("order_id=r3", ["r3"]),
    ("order_id=r3&reference=r3", ["r3"]),
    ("order_id=r3&reference=r2", []),
    ("order_id=last", []),
]


async def test_filters(shop: Served) -> None:
    for query, references in FILTERS:
        answer = await shop.get(f"/v1/events?{query}")
        assert answer.status_code == 200, (query, answer.text)
        assert [item["reference"] for item in answer.json()["items"]] == references, query


BAD_QUERIES = [
    ("/v1/events?limit=0", "/query/limit"),
    (f"/v1/events?limit={limits.PAGE_ITEMS_MAX + 1}", "/query/limit"),
    ("/v1/events?limit=many", "/query/limit"),
    ("/v1/events?cursor=nonsense", "/query/cursor"),
    ("/v1/events?cursor=%25", "/query/cursor"),
    ("/v1/events?cursor=AAAA", "/query/cursor"),
    ("/v1/events?from=yesterday", "/query/from"),
    ("/v1/events?to=2026-01-01", "/query/to"),
    ("/v1/events?has_points=perhaps", "/query/has_points"),
    ("/v1/events?type=%00", "/query/type"),
    ("/v1/events?customer=%00", "/query/customer"),
    ("/v1/events?reference=%00", "/query/reference"),
    ("/v1/events?customer=c0&cursor=IngiCg", "/query/cursor"),
    ("/v1/customers?search=%00", "/query/search"),
    ("/v1/customers/c0/lots?cursor=e30", "/query/cursor"),
    ("/v1/customers/c0/postings?cursor=WzFd", "/query/cursor"),
]


async def test_bad_queries_are_problems(shop: Served) -> None:
    for path, pointer in BAD_QUERIES:
        answer = await shop.get(path)
        assert answer.status_code == 422, (path, answer.text)
        assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]


NOWHERE = [
    "/v1/events/evt_0",
    "/v1/events/evt_" + "0" * 32,
    "/v1/events/x/explanation",
    "/v1/customers/nobody",
    "/v1/customers/%00",
    "/v1/customers/" + "x" * 300,
    "/v1/customers/nobody/events",
    "/v1/customers/nobody/postings",
    "/v1/customers/nobody/lots",
    "/v1/nothing",
    "/nothing",
]


async def test_what_is_not_there(served: Served) -> None:
    for path in NOWHERE:
        answer = await served.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    wrong = await served.request("DELETE", "/v1/events")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]


async def test_search_is_by_the_beginning_of_the_id(served: Served) -> None:
    for customer in ("ada", "adam", "bob", "Ada", "ad\U0010ffff", "ad\ud7ff"):
        await send(served, customer, f"r-{customer}")
    for search, found in (
        ("ad", ["ada", "adam", "ad\ud7ff", "ad\U0010ffff"]),
        ("ada", ["ada", "adam"]),
        ("ad\U0010ffff", ["ad\U0010ffff"]),
        ("ad\ud7ff", ["ad\ud7ff"]),
        ("x", []),
        ("", ["Ada", "ada", "adam", "ad\ud7ff", "ad\U0010ffff", "bob"]),
    ):
        answer = await served.request("GET", "/v1/customers", params={"search": search, "limit": 100})
        assert [item["customer"] for item in answer.json()["items"]] == found, search


async def test_an_explanation_stays_when_the_rules_change(served: Served) -> None:
    event = await send(served, "ada", "r1")
    before = (await served.get(f"/v1/events/{event['id']}/explanation")).json()
    (applied,) = [rule for rule in before["rules"] if rule["applied"]]
    changed = await served.request("PATCH", f"/v1/rules/{applied['rule']}", json={"award": "properties.amount × 3"})
    assert changed.status_code == 200, changed.text
    assert (await served.get(f"/v1/events/{event['id']}/explanation")).json() == before
    other = await send(served, "ada", "r2")
    after = (await served.get(f"/v1/events/{other['id']}/explanation")).json()
    (tripled,) = [rule for rule in after["rules"] if rule["applied"]]
    assert (applied["points"], tripled["points"]) == (10, 30)
    assert after["revision"] == before["revision"] + 1


async def test_balances_are_as_of_now(served: Served) -> None:
    """Points whose date has passed are not shown, although no event has taken them yet."""
    await send(served, "ada", "r1")
    past = datetime.now(UTC) - timedelta(days=1)
    async with served.database.owner() as owner:
        await owner.execute("update lots set expires_at = $1, earned_at = $1", past)
        await owner.execute("update customers set due_at = $1", past)
    profile = (await served.get("/v1/customers/ada")).json()
    shown = {name: points for name, points in profile["wallets"]["points"].items() if points}
    assert shown == {"lifetime": 10, "expired": 10, "qualifying": 10}
    (listed,) = (await served.get("/v1/customers")).json()["items"]
    assert listed["wallets"] == profile["wallets"]
    assert (await served.get("/v1/customers/ada/lots")).json()["items"] == []
    async with served.database.owner() as owner:
        assert await owner.fetchval("select count(*) from events") == 1, "a read writes nothing"


async def test_personal_values_need_the_permission_to_read_customers(served: Served) -> None:
    event = {"customer": "ada", "type": "referral", "properties": {"referred_email": "bob@example.org"}}
    sent = (await served.post("/v1/events", event)).json()
    weak, _ = await served.make_key(scopes=("events:read",))
    strong, _ = await served.make_key(scopes=("events:read", "customers:read"))
    hidden = (await served.get(f"/v1/events/{sent['id']}", key=weak)).json()
    shown = (await served.get(f"/v1/events/{sent['id']}", key=strong)).json()
    assert ("referred_email" in hidden["properties"], hidden["ip"], hidden["user_agent"]) == (False, None, None)
    assert shown["properties"]["referred_email"] == "bob@example.org"
    assert shown["ip"] == "127.0.0.1"
    assert shown["user_agent"].startswith("python-httpx")


async def test_an_event_shows_where_it_came_from(served: Served) -> None:
    sent = await send(served, "ada", "r1", occurred_at="2026-01-01T23:30:00Z")
    shown = (await served.get(f"/v1/events/{sent['id']}")).json()
    expected = {"label": "Purchase", "date": "2026-01-01", "unix_time": 1767310200, "source": "api", "signed": False}
    assert {name: shown[name] for name in expected} == expected
    assert {name: shown[name] for name in sent if name != "duplicate"} == {
        name: value for name, value in sent.items() if name != "duplicate"
    }
