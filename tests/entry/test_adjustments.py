"""POST …/adjustments and …/tier: what hands may do to points and tiers, and what they are told when they may not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.serving import Served

ADA = "/v1/customers/ada"


async def adjust(server: Served, status: int = 201, **body: object) -> dict[str, object]:
    answer = await server.post(f"{ADA}/adjustments", body)
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.json()
    return found


async def wallet(server: Served) -> Mapping[str, int]:
    found: Mapping[str, int] = (await server.get(ADA)).json()["wallets"]["points"]
    return found


async def test_the_sign_decides(served: Served) -> None:
    added = await adjust(served, points=150, reason="a late parcel", reference="t1")
    assert (added["type"], added["points"], added["duplicate"], added["reference"]) == ("point_add", 150, False, "t1")
    taken = await adjust(served, points=-40)
    assert (taken["type"], taken["points"]) == ("point_sub", -40)
    assert taken["wallets"] == {"points": {"balance": 110, "lifetime": 150, "pending": 0, "reserved": 0}}
    event = (await served.get(f"/v1/events/{added['id']}")).json()
    assert (event["properties"]["reason"], event["source"]) == ("a late parcel", "api")


async def test_a_reference_counts_once(served: Served) -> None:
    first = await adjust(served, points=10, reference="once")
    again = await adjust(served, 200, points=10, reference="once")
    assert again == {**first, "duplicate": True}
    other = await adjust(served, 200, points=11, reference="once")
    assert other["payload_mismatch"] is True
    conflict = await adjust(served, 409, points=-10, reference="once")
    assert (conflict["code"], conflict["errors"][0]["pointer"]) == ("reference_conflict", "/reference")
    for status in (201, 200):
        answer = await served.post(f"{ADA}/adjustments", {"points": 1}, headers={"Idempotency-Key": "key"})
        assert answer.status_code == status
    assert (await wallet(served))["balance"] == 11


# 100 points are there. What is taken, how, and what is then in each state.
DEDUCTIONS = [
    ({"points": -30}, {"balance": 70, "lifetime": 100, "spent": 30, "debt": 0, "qualifying": 100}),
    ({"points": -30, "reverse": True}, {"balance": 70, "lifetime": 70, "spent": 0, "debt": 0, "qualifying": 70}),
    ({"points": -130, "allow_debt": True}, {"balance": -30, "lifetime": 100, "spent": 130, "debt": -30}),
    ({"points": -130, "allow_debt": True, "reverse": True}, {"balance": -30, "lifetime": -30, "spent": 0, "debt": -30}),
    ({"points": "-30"}, {"balance": 70, "spent": 30}),
]


@pytest.mark.parametrize(("body", "states"), DEDUCTIONS)
async def test_deductions(served: Served, body: dict[str, object], states: dict[str, int]) -> None:
    await adjust(served, points=100)
    await adjust(served, **body)
    found = await wallet(served)
    assert {name: found[name] for name in states} == states


async def test_points_that_are_not_there_cannot_be_taken(served: Served) -> None:
    await adjust(served, points=100)
    refused = await adjust(served, 422, points=-101, reference="again")
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("insufficient_points", "/points")
    assert (await wallet(served))["balance"] == 100
    assert (await adjust(served, points=-100, reference="again"))["duplicate"] is False


async def test_a_hold_and_an_end_of_its_own(served: Served) -> None:
    await adjust(served, points=50, hold="P14D", qualifying=False)
    assert {name: (await wallet(served))[name] for name in ("balance", "pending", "qualifying")} == {
        "balance": 0,
        "pending": 50,
        "qualifying": 0,
    }
    await adjust(served, points=5, expires_at="2999-06-30T10:00:00Z", earned_at="2020-01-01T00:00:00Z")
    lots = {lot["points"]: lot for lot in (await served.get(f"{ADA}/lots")).json()["items"]}
    assert (lots[50]["pending"], lots[50]["remaining"], lots[50]["hold_until"]) == (50, 0, lots[50]["release_at"])
    assert (lots[5]["expires_at"], lots[5]["earned_at"]) == ("2999-07-01T00:00:00Z", "2020-01-01T00:00:00Z")


BAD = [
    ({}, [("/points", "missing")]),
    ({"points": 0}, [("/points", "below_minimum")]),
    ({"points": "many"}, [("/points", "type")]),
    ({"points": True}, [("/points", "type")]),
    ({"points": 1.5}, [("/points", "too_many_places")]),
    ({"points": -1.5}, [("/points", "too_many_places")]),
    ({"points": 10**13}, [("/points", "above_maximum")]),
    ({"points": -1, "hold": "P1D"}, [("/hold", "unknown_field")]),
    (
        {"points": 1, "reverse": True, "allow_debt": False},
        [("/reverse", "unknown_field"), ("/allow_debt", "unknown_field")],
    ),
    ({"points": 1, "amount": 5}, [("/amount", "unknown_field")]),
    ({"points": 1, "wallet": "other"}, [("/wallet", "unknown_wallet")]),
    ({"points": 1, "wallet": 5}, [("/wallet", "type")]),
    ({"points": 1, "hold": "tomorrow"}, [("/hold", "invalid_duration")]),
    ({"points": 1, "expires_at": "tomorrow"}, [("/expires_at", "invalid_datetime")]),
    ({"points": 1, "earned_at": "2999-01-01T00:00:00Z"}, [("/earned_at", "in_future")]),
    ({"points": 1, "reference": "sys:x"}, [("/reference", "reserved_reference")]),
    ({"points": "x", "a/b": 1, "reason": []}, [("/a~1b", "unknown_field"), ("/points", "type"), ("/reason", "type")]),
]


@pytest.mark.parametrize(("body", "problems"), BAD)
async def test_bad_bodies_are_problems_with_pointers(
    served: Served, body: dict[str, object], problems: list[tuple[str, str]]
) -> None:
    refused = await adjust(served, 422, **body)
    found = [(item["pointer"], item["code"]) for item in refused["errors"]]  # type: ignore[index, attr-defined]
    assert found == problems
    assert (await served.get(ADA)).status_code == 404, "nobody was made by a refused adjustment"


async def test_what_cannot_be_read_is_refused_before(served: Served) -> None:
    for body, status in ((b"", 400), (b"{", 400), (b"[]", 422)):
        assert (await served.post(f"{ADA}/adjustments", body)).status_code == status
    nul = await served.post("/v1/customers/%00/adjustments", {"points": 1})
    assert (nul.status_code, nul.json()["errors"][0]["pointer"]) == (422, "/path/customer")


async def test_unknown_customers_follow_the_program(served: Served) -> None:
    assert (await adjust(served, points=1))["customer"] == "ada"
    settings = await served.request("PUT", "/v1/program", json=await rejecting(served))
    assert settings.status_code == 200, settings.text
    refused = await served.post("/v1/customers/bob/adjustments", {"points": 1})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_customer")
    assert refused.json()["errors"][0]["pointer"] == "/path/customer"


async def rejecting(server: Served) -> dict[str, object]:
    program: dict[str, object] = (await server.get("/v1/program")).json()
    program["settings"] = {**program["settings"], "unknown_customer": "reject"}  # type: ignore[dict-item]
    return program


COMMANDS = [
    ("adjustments", {"points": 1}, "points:write"),
    ("reservations", {"points": 1}, "points:write"),
    ("reservations/res_00/capture", {}, "points:write"),
    ("reservations/res_00/release", {}, "points:write"),
    ("redemptions", {"reward": "voucher-5"}, "points:write"),
    ("redemptions/rdm_00/fulfil", {}, "points:write"),
    ("redemptions/rdm_00/cancel", {}, "points:write"),
    ("tier", {"tier": None}, "customers:write"),
]


@pytest.mark.parametrize(("path", "body", "permission"), COMMANDS)
async def test_each_needs_its_permission(served: Served, path: str, body: object, permission: str) -> None:
    others = ("events:write", "customers:read", *({"points:write", "customers:write"} - {permission}))
    weak, _ = await served.make_key(scopes=others)
    public, _ = await served.make_key(kind="publishable", scopes=("events:write",))
    for key in (weak, public):
        answer = await served.post(f"{ADA}/{path}", body, key=key)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    strong, _ = await served.make_key(scopes=(permission,))
    assert (await served.post(f"{ADA}/{path}", body, key=strong)).status_code in (201, 404, 422)
    assert (await served.post(f"{ADA}/{path}", body, key=None)).status_code == 401


@pytest.mark.parametrize("type_id", ["points_reserved", "reward_claimed", "tier_set", "reservation_released"])
async def test_what_commands_write_no_other_door_accepts(served: Served, type_id: str) -> None:
    answer = await served.post("/v1/events", {"customer": "ada", "type": type_id, "properties": {"points": 1}})
    assert (answer.status_code, "system_type" in {item["code"] for item in answer.json()["errors"]}) == (422, True)


async def test_answers_expand(served: Served) -> None:
    answer = await served.post(f"{ADA}/adjustments?expand=profile,explanation", {"points": 7})
    assert (answer.json()["profile"]["wallets"]["points"]["balance"], answer.json()["explanation"]) == (7, [])
    wrong = await served.post(f"{ADA}/adjustments?expand=all", {"points": 7})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/query/expand")


# Tiers by hand


async def set_tier(server: Served, status: int = 201, **body: object) -> dict[str, object]:
    answer = await server.post(f"{ADA}/tier", body)
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_a_tier_is_set_by_hand_until_somebody_ends_it(served: Served) -> None:
    await adjust(served, points=10)
    found = await set_tier(served, tier="gold", until="2999-12-31T23:00:00Z", reason="ambassador")
    assert found["type"] == "tier_set"
    assert found["tier"]["id"] == "gold"  # type: ignore[index]
    tier = (await served.get(ADA)).json()["tier"]
    assert (tier["id"], tier["manual"], tier["until"], tier["kept"]) == ("gold", True, "2999-12-31T23:00:00Z", None)
    assert (await set_tier(served, tier=None))["tier"]["id"] == "bronze"  # type: ignore[index]
    tier = (await served.get(ADA)).json()["tier"]
    assert (tier["id"], tier["manual"], tier["until"]) == ("bronze", False, None)


async def test_a_tier_that_cannot_be_set(served: Served) -> None:
    for body, pointer, code in (
        ({"tier": "platinum"}, "/tier", "unknown_level"),
        ({"tier": "gold", "until": "2001-01-01T00:00:00Z"}, "/until", "out_of_range"),
        ({"tier": 5}, "/tier", "type"),
        ({"level": "gold"}, "/level", "unknown_field"),
    ):
        refused = await set_tier(served, 422, **body)
        (item,) = refused["errors"]  # type: ignore[misc]
        assert (item["pointer"], item["code"]) == (pointer, code)
