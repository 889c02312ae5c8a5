"""What commands refuse is kept with its request. What says how things are to be can be replayed, a payment cannot."""

from __future__ import annotations

from typing import Any

import pytest

from tests.serving import Served

ADA = "/v1/customers/ada"
Answer = dict[str, Any]


async def kept(server: Served, query: str = "") -> list[Answer]:
    """Rejections, oldest first, with what was sent."""
    items = (await server.get(f"/v1/rejections{query}")).json()["items"]
    return [(await server.get(f"/v1/rejections/{item['id']}")).json() for item in reversed(items)]


async def add(server: Served, points: int, customer: str = ADA) -> None:
    assert (await server.post(f"{customer}/adjustments", {"points": points})).status_code == 201


async def balance(server: Served) -> int:
    return int((await server.get(ADA)).json()["wallets"]["points"]["balance"])


async def test_a_refused_adjustment_is_kept_and_replayed(served: Served) -> None:
    body = {"points": -40, "reason": "wrong parcel", "reference": "t-1"}
    refused = await served.post(f"{ADA}/adjustments", body)
    assert (refused.status_code, refused.json()["code"]) == (422, "insufficient_points")
    (found,) = await kept(served)
    assert (found["command"], found["type"], found["source"]) == ("adjust_points", "point_sub", "api")
    assert found["payload"] == {"method": "POST", "path": f"{ADA}/adjustments", "body": body}
    assert found["problems"] == refused.json()["errors"]
    assert found["sent"] == {
        "customer": "ada", "type": "point_sub", "reference": "t-1", "occurred_at": None,
        "properties": {"points": 40, "reason": "wrong parcel"},
    }  # fmt: skip
    await add(served, 100)
    path = f"/v1/rejections/{found['id']}/replay"
    first, again = await served.post(path), await served.post(path)
    assert (first.status_code, first.json()["reference"], again.status_code) == (201, "t-1", 200)
    assert await balance(served) == 60
    sent_anew = await served.post(f"{ADA}/adjustments", body)
    assert (sent_anew.status_code, sent_anew.json()["id"]) == (200, first.json()["id"])


async def test_what_was_wrong_in_the_request_stands_in_it(served: Served) -> None:
    refused = await served.post(f"{ADA}/adjustments", {"points": 5, "reverse": True, "colour": "red"})
    assert refused.status_code == 422
    (found,) = await kept(served)
    assert [(item["pointer"], item["code"]) for item in found["problems"]] == [
        ("/colour", "unknown_field"), ("/reverse", "unknown_field"),
    ]  # fmt: skip
    assert (found["sent"]["colour"], found["sent"]["reverse"]) == ("red", True)
    again = await served.post(f"/v1/rejections/{found['id']}/replay")
    assert (again.status_code, {item["code"] for item in again.json()["errors"]}) == (422, {"unknown_field"})


async def test_a_profile_is_changed_once_the_schema_is_mended(served: Served) -> None:
    await add(served, 1)
    change = {"attributes": {"shoe_size": "large"}}
    profile = {"id": "profile", "label": "Profile", "properties": {"shoe_size": {"type": "number"}}}
    assert (await served.request("PUT", "/v1/event-types/profile", json=profile)).status_code in (200, 201)
    refused = await served.request("PATCH", ADA, json=change)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/attributes/shoe_size")
    (found,) = await kept(served, "?command=change_customer")
    assert (found["payload"]["body"], found["replayable"]) == (change, True)
    profile["properties"] = {"shoe_size": {"type": "text"}}
    await served.request("PUT", "/v1/event-types/profile", json=profile)
    assert (await served.post(f"/v1/rejections/{found['id']}/replay")).status_code == 201
    assert (await served.get(ADA)).json()["attributes"]["shoe_size"] == "large"


async def test_what_exists_already_is_told_and_not_replayed(served: Served) -> None:
    await add(served, 1)
    assert (await served.post("/v1/customers", {"customer": "ada"})).json()["code"] == "exists"
    (found,) = await kept(served)
    assert (found["codes"], found["sent"], found["replayable"]) == (["exists"], None, False)
    assert found["payload"]["body"] == {"customer": "ada"}
    refused = await served.post(f"/v1/rejections/{found['id']}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_replayable")


async def test_what_a_door_refuses_before_any_event_is_kept_too(served: Served) -> None:
    await add(served, 1)
    for body in ({"colour": "red"}, {"attributes": 5}, {"attributes": {"tags": []}}):
        assert (await served.request("PATCH", ADA, json=body)).status_code == 422
    found = await kept(served)
    assert [item["problems"][0]["pointer"] for item in found] == ["/colour", "/attributes", "/attributes/tags"]
    assert {item["payload"]["path"] for item in found} == {ADA}
    assert [item["sent"] for item in found] == [None] * 3


async def test_a_tier_is_set_later(served: Served) -> None:
    await add(served, 1)
    refused = await served.post(f"{ADA}/tier", {"tier": "diamond"})
    assert refused.status_code == 422, refused.text
    (found,) = await kept(served)
    assert (found["command"], found["type"]) == ("set_tier", "tier_set")
    levels = (await served.get("/v1/program")).json()["tiers"]["levels"]
    diamond = {**levels[-1], "id": "diamond", "label": "Diamond", "from": 10**6}
    made = await served.post("/v1/tiers", diamond)
    assert made.status_code == 201, made.text
    assert (await served.post(f"/v1/rejections/{found['id']}/replay")).status_code == 201
    assert (await served.get(ADA)).json()["tier"]["id"] == "diamond"


async def test_what_its_answer_settled_is_kept_and_never_replayed(served: Served) -> None:
    await add(served, 10)
    await served.post("/v1/rewards", {"id": "coffee", "label": "Coffee", "cost": 500})
    held = (await served.post(f"{ADA}/reservations", {"points": 5})).json()["reservation"]["id"]
    calls = [
        ("reservations", {"points": 500}, "reserve_points"),
        (f"reservations/{held}/capture", {"points": 50}, "capture_reservation"),
        ("redemptions", {"reward": "coffee"}, "claim_reward"),
    ]
    for path, body, _ in calls:
        assert (await served.post(f"{ADA}/{path}", body)).status_code == 422
    found = await kept(served)
    assert [item["command"] for item in found] == [name for *_, name in calls]
    assert all(item["sent"] is not None and not item["replayable"] for item in found)
    await add(served, 1_000)
    before = await balance(served)
    for item in found:
        refused = await served.post(f"/v1/rejections/{item['id']}/replay")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_replayable")
    named = await served.post("/v1/rejections/replay", {"command": "claim_reward"})
    assert (named.status_code, named.json()["code"]) == (422, "not_replayable")
    assert await balance(served) == before


async def test_what_is_not_there_or_not_allowed_leaves_nothing(served: Served) -> None:
    await add(served, 1)
    weak, _ = await served.make_key(scopes=("events:write",))
    missing = "res_" + "0" * 32
    assert (await served.post(f"{ADA}/adjustments", {"points": 1}, key=weak)).status_code == 403
    assert (await served.post(f"{ADA}/adjustments", {"points": 1}, key="unknown")).status_code == 401
    assert (await served.post(f"{ADA}/adjustments", b"{")).status_code == 400
    assert (await served.post(f"{ADA}/reservations/{missing}/release")).status_code == 404
    assert (await served.request("PATCH", "/v1/customers/nobody", json={})).status_code == 404
    assert await kept(served) == []


async def test_many_commands_are_replayed_only_by_name(served: Served) -> None:
    for number in range(3):
        await served.post(f"{ADA}/adjustments", {"points": -10, "reference": f"t-{number}"})
    await served.post("/v1/events", {"customer": "ada", "type": "quiz"})
    assert len(await kept(served)) == 4
    await add(served, 25)
    unnamed = (await served.post("/v1/rejections/replay", {})).json()
    assert (unnamed["replayed"], unnamed["rejected"]) == (1, 1)
    assert await balance(served) == 25
    weak, _ = await served.make_key(scopes=("sources:write", "events:write"))
    assert (await served.post("/v1/rejections/replay", {"command": "adjust_points"}, key=weak)).status_code == 403
    one = (await kept(served))[0]["id"]
    assert (await served.post(f"/v1/rejections/{one}/replay", key=weak)).status_code == 403
    named = (await served.post("/v1/rejections/replay", {"command": "adjust_points"})).json()
    assert (named["replayed"], named["created"], named["rejected"]) == (3, 2, 1)
    assert await balance(served) == 5


async def test_many_customers_are_created_but_none_over_another(served: Served) -> None:
    rule = {"id": "profile", "label": "Profile", "properties": {"size": {"type": "number"}}}
    await served.request("PUT", "/v1/event-types/profile", json=rule)
    for name in ("ada", "eve", "eve"):
        body = {"customer": name, "attributes": {"size": "large"}}
        assert (await served.post("/v1/customers", body)).status_code == 422
    assert (await served.post("/v1/customers", {"customer": 5, "attributes": {}})).status_code == 422
    await served.request("PUT", "/v1/event-types/profile", json={**rule, "properties": {"size": {"type": "text"}}})
    await add(served, 1)
    await kept(served)
    answer = (await served.post("/v1/rejections/replay", {"command": "create_customer"})).json()
    assert (answer["replayed"], answer["created"], answer["rejected"]) == (4, 2, 2)  # ada is there, 5 is no name
    one = (await kept(served, "?type=profile"))[0]["id"]
    over = await served.post(f"/v1/rejections/{one}/replay")
    assert (over.status_code, over.json()["code"], over.json()["errors"][0]["pointer"]) == (409, "exists", "/customer")
    assert "size" not in (await served.get(ADA)).json()["attributes"]
    assert (await served.get("/v1/customers/eve")).json()["attributes"]["size"] == "large"


@pytest.mark.parametrize("name", ["ada lovelace", "ádá"])
async def test_names_of_any_kind_stand_in_the_path(served: Served, name: str) -> None:
    await served.post(f"/v1/customers/{name}/adjustments", {"points": 0})
    (found,) = await kept(served)
    assert found["payload"]["path"] == f"/v1/customers/{name}/adjustments"
