"""Single items of the program over HTTP: create, read, replace, change, delete; whose revision is whose."""

from __future__ import annotations

import pytest

from tests.serving import Served

LIMIT = [{"times": 1, "window": "day"}]
RULE = {"id": "extra", "event_type": "login", "award": "5", "limits": LIMIT}
REWARD = {"id": "bag", "label": "Bag", "cost": 800, "stock": 50, "tiers": ["gold"], "active": {"from": "2026-12-01"}}
TYPE = {"id": "visit", "properties": {"minutes": {"type": "number", "places": 0}, "note": {"type": "text"}}}


async def test_a_rule_is_created_read_changed_replaced_and_deleted(served: Served) -> None:
    made = await served.post("/v1/rules", RULE)
    assert (made.status_code, made.headers["etag"]) == (201, '"2"')
    assert made.json() == {**RULE, "revision": 2, "warnings": []}
    assert (await served.get("/v1/rules/extra")).json() == {**RULE, "revision": 2}

    again = await served.post("/v1/rules", RULE)
    assert (again.status_code, again.json()["code"]) == (409, "exists")

    changed = await served.request("PATCH", "/v1/rules/extra", json={"award": "6", "limits": None, "group": "g"})
    assert changed.status_code == 200
    assert changed.json()["award"] == "6"
    assert "limits" not in changed.json()
    [warning] = changed.json()["warnings"]
    assert (warning["code"], warning["item"], warning["pointer"]) == ("client_award_unlimited", "rules/extra", "")

    replaced = await served.request("PUT", "/v1/rules/extra", json={**RULE, "award": "7"})
    assert (replaced.status_code, replaced.json()["revision"]) == (200, 4)
    assert "group" not in replaced.json()

    assert (await served.request("DELETE", "/v1/rules/extra")).status_code == 204
    for method in ("GET", "DELETE", "PATCH"):
        answer = await served.request(method, "/v1/rules/extra", **({"json": {}} if method == "PATCH" else {}))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), method


async def test_put_creates_what_is_not_there(served: Served) -> None:
    body = {name: value for name, value in RULE.items() if name != "id"}
    made = await served.request("PUT", "/v1/rules/extra", json=body)
    assert (made.status_code, made.json()["id"]) == (201, "extra")
    same = await served.request("PUT", "/v1/rules/extra", json=body)
    assert (same.status_code, same.json()["revision"]) == (200, 2), "nothing changed, no revision"


async def test_what_was_read_can_be_sent_back(served: Served) -> None:
    for path in (
        *("/v1/rules/welcome", "/v1/event-types/purchase", "/v1/wallets/points", "/v1/tiers/gold"),
        "/v1/rewards/coffee-mug",
    ):
        read = await served.get(path)
        sent = await served.request("PUT", path, json=read.json(), headers={"if-match": read.headers["etag"]})
        assert (sent.status_code, sent.json()["revision"]) == (200, 1), path


async def test_if_match_is_the_item_s_own_revision(served: Served) -> None:
    assert (await served.request("PATCH", "/v1/rules/login", json={"award": "2"})).json()["revision"] == 2
    other = await served.request("PATCH", "/v1/rules/welcome", json={"award": "9"}, headers={"if-match": '"1"'})
    assert (other.status_code, other.json()["revision"]) == (200, 3)
    for method, body in (("PATCH", {"award": "3"}), ("PUT", {**RULE, "id": "login"}), ("DELETE", None)):
        late = await served.request(method, "/v1/rules/login", json=body, headers={"if-match": '"1"'})
        assert (late.status_code, late.json()["code"]) == (412, "stale"), method
        assert late.json()["errors"][0]["item"] == "rules/login"
    assert (await served.request("PATCH", "/v1/rules/login", json={"award": "3"})).status_code == 200
    right = await served.request("PATCH", "/v1/rules/login", json={"award": "4"}, headers={"if-match": 'W/"4"'})
    assert right.status_code == 200
    anyhow = await served.request("DELETE", "/v1/rules/login", headers={"if-match": "*"})
    assert anyhow.status_code == 204


BAD = [  # method, path, body, (item, pointer, code)
    ("POST", "/v1/rules", {**RULE, "award": "properties.amout"}, ("rules/extra", "/award", "unknown_property")),
    ("POST", "/v1/rules", {**RULE, "event_type": "logn"}, ("rules/extra", "/event_type", "unknown_reference")),
    ("POST", "/v1/rules", {**RULE, "wen": "true"}, ("rules/extra", "/wen", "unknown_field")),
    ("POST", "/v1/rules", {"event_type": "login"}, (None, "/id", "required")),
    ("POST", "/v1/rules", {**RULE, "id": 5}, (None, "/id", "type")),
    ("POST", "/v1/rules", {**RULE, "id": "a/b"}, ("rules/a/b", "/id", "invalid_id")),
    ("POST", "/v1/rules", [], (None, "", "type")),
    ("PUT", "/v1/rules/extra", {**RULE, "id": "other"}, (None, "/id", "id_mismatch")),
    ("PATCH", "/v1/rules/welcome", {"hold": "1 day"}, ("rules/welcome", "/hold", "duration")),
    ("PATCH", "/v1/rules/welcome", {"event_type": "refund"}, ("rules/welcome", "/event_type", "order_family_rule")),
    ("DELETE", "/v1/event-types/purchase", None, ("rules/purchase-points", "/event_type", "unknown_reference")),
    ("PATCH", "/v1/event-types/refund", {"once": True}, ("event_types/refund", "/once", "builtin_type")),
    ("POST", "/v1/wallets", {"id": "gems", "hold": "soon"}, ("wallets/gems", "/hold", "duration")),
    ("POST", "/v1/tiers", {"id": "platinum", "from": 5000}, ("tiers/platinum", "/from", "not_ascending")),
    ("PATCH", "/v1/tiers", {"downgrade": "immediately"}, (None, "/tiers/downgrade", "tier_policy")),
    ("PATCH", "/v1/tiers", {"grace_days": 5}, (None, "/tiers/grace_days", "tier_policy")),
    ("POST", "/v1/segments", {"id": "vip"}, (None, "/segments", "not_available")),
    ("POST", "/v1/automations", {"id": "x"}, (None, "/automations", "not_available")),
    ("POST", "/v1/rewards", {"id": "bag"}, ("rewards/bag", "", "required")),
    ("POST", "/v1/rewards", {**REWARD, "wallet": "gems"}, ("rewards/bag", "/wallet", "unknown_reference")),
    ("POST", "/v1/rewards", {**REWARD, "tiers": ["gold", "golden"]}, ("rewards/bag", "/tiers/1", "unknown_reference")),
    ("POST", "/v1/rewards", {**REWARD, "segments": ["vip"]}, ("rewards/bag", "/segments", "not_available")),
    ("PATCH", "/v1/rewards/coffee-mug", {"cost": 0}, ("rewards/coffee-mug", "/cost", "out_of_range")),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"), BAD, ids=[f"{row[0]} {row[1]} {row[3][2]}" for row in BAD]
)
async def test_what_is_wrong_is_refused_with_item_and_pointer(served: Served, method, path, body, expected) -> None:
    before = (await served.get("/v1/program")).json()
    answer = await served.request(method, path, **({"json": body} if body is not None else {}))
    item, pointer, code = expected
    assert answer.status_code == 422, answer.text
    found = [(error.get("item"), error["pointer"], error["code"]) for error in answer.json()["errors"]]
    assert (item, pointer, code) in found
    assert (await served.get("/v1/program")).json() == before


async def test_event_types_extend_what_is_built_in(served: Served) -> None:
    await served.request("DELETE", "/v1/event-types/profile")
    built_in = await served.get("/v1/event-types/profile")
    assert built_in.status_code == 200
    assert built_in.json()["built_in"] is True
    assert set(built_in.json()["properties"]) == {"tags", "birth_date"}
    listed = (await served.get("/v1/event-types?limit=1000")).json()["items"]
    assert "profile" not in {item["id"] for item in listed}
    everything = (await served.get("/v1/event-types?limit=1000&built_in=true")).json()["items"]
    assert "profile" in {item["id"] for item in everything}
    extended = {"id": "profile", "properties": {"vip": {"type": "boolean"}}}
    assert (await served.post("/v1/event-types", extended)).status_code == 201
    assert "built_in" not in (await served.get("/v1/event-types/profile")).json()


async def test_event_types_keep_the_order_of_their_properties(served: Served) -> None:
    await served.post("/v1/event-types", TYPE)
    assert list((await served.get("/v1/event-types/visit")).json()["properties"]) == ["minutes", "note"]
    turned = {"properties": {"note": {"type": "text"}, "minutes": {"type": "number", "places": 0}}}
    await served.request("PUT", "/v1/event-types/visit", json=turned)
    assert list((await served.get("/v1/event-types/visit")).json()["properties"]) == ["note", "minutes"]


async def test_numbers_are_exact(served: Served) -> None:
    body = b'{"id": "t", "properties": {"p": {"type": "number", "places": 3, "max": 0.123}}}'
    made = await served.post("/v1/event-types", body)
    assert made.json()["properties"]["p"]["max"] == "0.123"
    twice = await served.post("/v1/event-types", b'{"id": "u", "id": "v"}')
    assert (twice.status_code, twice.json()["errors"][0]["code"]) == (422, "duplicate_key")


async def test_lists_are_paged(served: Served) -> None:
    ids, path = [], "/v1/rules?limit=4"
    while path:
        page = (await served.get(path)).json()
        assert len(page["items"]) <= 4
        ids += [item["id"] for item in page["items"]]
        path = f"/v1/rules?limit=4&cursor={page['next']}" if page["next"] else ""
    live = (await served.get("/v1/program")).json()
    assert ids == [rule["id"] for rule in live["rules"]]
    assert (await served.get("/v1/rules?limit=0")).status_code == 422
    assert (await served.get("/v1/rules?cursor=%21%21")).status_code == 422


async def test_a_page_goes_on_though_its_last_item_is_gone(served: Served) -> None:
    first = (await served.get("/v1/rules?limit=2")).json()
    everything = [item["id"] for item in (await served.get("/v1/rules")).json()["items"]]
    await served.request("DELETE", f"/v1/rules/{first['items'][1]['id']}")
    second = (await served.get(f"/v1/rules?limit=2&cursor={first['next']}")).json()
    assert [item["id"] for item in second["items"]] == everything[2:4]


async def test_levels_are_tiers_and_what_surrounds_them_is_their_frame(served: Served) -> None:
    made = await served.post("/v1/tiers", {"id": "platinum", "from": 2000, "multiplier": "1.4"})
    assert made.status_code == 201
    listed = (await served.get("/v1/tiers")).json()
    assert [item["id"] for item in listed["items"]] == ["bronze", "silver", "platinum", "gold"]
    assert (listed["downgrade"], listed["revision"]) == ("never", 1)
    frame = await served.request("PUT", "/v1/tiers", json={"basis": {"wallet": "points", "window": "lifetime"}})
    assert (frame.status_code, frame.json()["revision"]) == (200, 3)
    assert "downgrade" not in frame.json()
    late = await served.request("PATCH", "/v1/tiers", json={"downgrade": "never"}, headers={"if-match": '"1"'})
    assert late.status_code == 412
    assert len((await served.get("/v1/tiers")).json()["items"]) == 4


async def test_sections_of_later_versions_are_empty(served: Served) -> None:
    for path in ("segments", "automations"):
        assert (await served.get(f"/v1/{path}")).json() == {"items": [], "next": None}
        assert (await served.get(f"/v1/{path}/x")).status_code == 404


async def test_a_reward_is_created_read_changed_replaced_and_deleted(served: Served) -> None:
    made = await served.post("/v1/rewards", REWARD)
    assert (made.status_code, made.headers["etag"]) == (201, '"2"')
    assert made.json() == {**REWARD, "revision": 2, "warnings": []}
    assert (await served.get("/v1/rewards/bag")).json() == {**REWARD, "revision": 2}
    assert (await served.post("/v1/rewards", REWARD)).status_code == 409
    assert [item["id"] for item in (await served.get("/v1/rewards")).json()["items"]] == [
        *("voucher-5", "coffee-mug", "bag"),
    ]
    changed = await served.request("PATCH", "/v1/rewards/bag", json={"stock": None, "per_customer": 1})
    assert (changed.status_code, changed.json()["revision"]) == (200, 3)
    assert "stock" not in changed.json()
    for path in ("/v1/rewards/bag", "/v1/rewards/hat"):
        replaced = await served.request("PUT", path, json={"cost": 900})
        assert replaced.status_code == (200 if path.endswith("bag") else 201)
        assert replaced.json().keys() == {"id", "cost", "revision", "warnings"}
    other = await served.request("PATCH", "/v1/rewards/coffee-mug", json={"cost": 1}, headers={"if-match": '"1"'})
    assert other.status_code == 200, "editors of different rewards do not collide"
    late = await served.request("DELETE", "/v1/rewards/bag", headers={"if-match": '"3"'})
    assert (late.status_code, late.json()["errors"][0]["item"]) == (412, "rewards/bag")
    assert (await served.request("DELETE", "/v1/rewards/bag")).status_code == 204
    assert (await served.get("/v1/rewards/bag")).status_code == 404


async def test_wallets_are_several(served: Served) -> None:
    gems = {"id": "gems", "hold": "P14D", "negative_balance": "forgive", "expiry": "never"}
    assert (await served.post("/v1/wallets", gems)).status_code == 201
    assert (await served.post("/v1/rewards", {**REWARD, "wallet": "gems"})).status_code == 201
    refused = await served.request("DELETE", "/v1/wallets/gems")
    assert [(error["item"], error["pointer"]) for error in refused.json()["errors"]] == [("rewards/bag", "/wallet")]
    assert [item["id"] for item in (await served.get("/v1/wallets")).json()["items"]] == ["points", "gems"]


async def test_tiers_may_be_lost_to_time(served: Served) -> None:
    rolling = {"basis": {"window": "rolling", "months": 6}, "downgrade": "immediately", "grace_days": 14}
    changed = await served.request("PATCH", "/v1/tiers", json=rolling)
    assert changed.status_code == 200, changed.text
    assert changed.json()["basis"] == {"wallet": "points", "window": "rolling", "months": 6}
    yearly = await served.request("PATCH", "/v1/tiers", json={"basis": {"window": "calendar_year", "months": None}})
    assert [error["pointer"] for error in yearly.json()["errors"]] == ["/tiers/downgrade"]
