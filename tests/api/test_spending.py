"""Reservations and redemptions: made, ended, listed; what is refused, and how often a code is given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.serving import Served

ADA = "/v1/customers/ada"
Found = dict[str, object]


async def post(server: Served, path: str, status: int = 201, **body: object) -> Found:
    answer = await server.post(f"{ADA}/{path}", body)
    assert answer.status_code == status, answer.text
    found: Found = answer.json()
    return found


async def wallet(server: Served, *names: str) -> list[int]:
    found: Mapping[str, int] = (await server.get(ADA)).json()["wallets"]["points"]
    return [found[name] for name in names]


@pytest.fixture
async def rich(served: Served) -> Served:
    """Ada has 1,000 points that lift no tier; the catalogue has two mugs and a voucher with a pool of codes."""
    await post(served, "adjustments", points=1_000, qualifying=False)
    for reward in (
        {"id": "mug", "cost": 300, "stock": 2, "per_customer": 2},
        {"id": "code", "cost": 100, "codes": True},
    ):
        answer = await served.post("/v1/rewards", {"label": reward["id"], **reward})
        assert answer.status_code == 201, answer.text
    return served


# Reservations


async def test_a_reservation_is_captured_in_part(rich: Served) -> None:
    made = await post(rich, "reservations", points=500, reference="pay", timeout="PT10M")
    held: Found = made["reservation"]  # type: ignore[assignment]
    assert held["id"] == str(made["id"]).replace("evt_", "res_")
    assert (held["wallet"], held["points"], held["status"]) == ("points", 500, "held")
    assert await wallet(rich, "balance", "reserved", "lifetime") == [500, 500, 1_000]
    spent = await post(rich, f"reservations/{held['id']}/capture", points=200)
    assert (spent["type"], spent["reservation"]) == ("reservation_captured", {**held, "status": "captured"})
    assert await wallet(rich, "balance", "reserved", "spent", "lifetime") == [800, 0, 200, 1_000]
    again = await post(rich, "reservations", 200, points=500, reference="pay", timeout="PT10M")
    assert (again["duplicate"], again["id"], again["reservation"]["status"]) == (True, made["id"], "captured")
    ended = await post(rich, f"reservations/{held['id']}/release", 422)
    assert ended["code"] == "reservation_ended"


async def test_a_reservation_is_released(rich: Served) -> None:
    made = await post(rich, "reservations", points=1_000)
    held: Found = made["reservation"]  # type: ignore[assignment]
    refused = await post(rich, "reservations", 422, points=1)
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("insufficient_points", "/points")
    empty = await rich.post(f"{ADA}/reservations/{held['id']}/release", b"")
    assert (empty.status_code, empty.json()["reservation"]["status"]) == (201, "released")
    assert await wallet(rich, "balance", "reserved") == [1_000, 0]


async def test_time_releases_it_though_nobody_wrote_it_down(rich: Served) -> None:
    assert (await rich.post("/v1/clock", {"now": "2027-01-01T00:00:00Z"})).status_code == 200
    await post(rich, "adjustments", points=1)
    held: Found = (await post(rich, "reservations", points=700))["reservation"]  # type: ignore[assignment]
    assert held["expires_at"] == "2027-01-01T00:30:00Z"
    for now, status, balance in (("2027-01-01T00:29:59Z", "held", 301), ("2027-01-01T00:30:00Z", "released", 1_001)):
        assert (await rich.post("/v1/clock", {"now": now})).status_code == 200
        (listed,) = (await rich.get(f"{ADA}/reservations")).json()["items"]
        assert (listed["status"], await wallet(rich, "balance")) == (status, [balance])
    late = await post(rich, f"reservations/{held['id']}/capture", 422)
    assert late["code"] == "reservation_ended"


UNKNOWN = [
    ("reservations/res_0/capture", "unknown_reservation"),
    ("reservations/res_00000000000000000000000000000000/capture", "unknown_reservation"),
    ("reservations/%00/release", "unknown_reservation"),
    ("redemptions/rdm_00000000000000000000000000000000/fulfil", "unknown_redemption"),
    ("redemptions/res_00000000000000000000000000000000/cancel", "unknown_redemption"),
]


@pytest.mark.parametrize(("path", "code"), UNKNOWN)
async def test_what_the_address_does_not_name_is_not_there(rich: Served, path: str, code: str) -> None:
    assert (await post(rich, path, 404))["code"] == code


async def test_others_cannot_end_it(rich: Served) -> None:
    held: Found = (await post(rich, "reservations", points=1))["reservation"]  # type: ignore[assignment]
    await rich.post("/v1/customers/bob/adjustments", {"points": 1})
    answer = await rich.post(f"/v1/customers/bob/reservations/{held['id']}/capture", {})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_reservation")


BAD = [
    ("reservations", {}, [("/points", "missing")]),
    ("reservations", {"points": 0}, [("/points", "below_minimum")]),
    ("reservations", {"points": -5, "hold": 1}, [("/hold", "unknown_field"), ("/points", "below_minimum")]),
    ("reservations", {"points": 5, "timeout": "soon"}, [("/timeout", "invalid_duration")]),
    ("reservations", {"points": 5, "timeout": "P367D"}, [("/timeout", "out_of_range")]),
    ("reservations", {"points": 5, "wallet": "other"}, [("/wallet", "unknown_wallet")]),
    ("redemptions", {}, [("/reward", "missing")]),
    ("redemptions", {"reward": "car"}, [("/reward", "unknown_reward")]),
    ("redemptions", {"reward": "mug", "wallet": "points"}, [("/wallet", "unknown_field")]),
]


@pytest.mark.parametrize(("path", "body", "problems"), BAD)
async def test_bad_bodies_are_problems_with_pointers(
    rich: Served, path: str, body: Found, problems: list[tuple[str, str]]
) -> None:
    refused = await post(rich, path, 422, **body)
    assert [(item["pointer"], item["code"]) for item in refused["errors"]] == problems  # type: ignore[attr-defined]


# Rewards


async def test_a_claim_is_fulfilled_or_cancelled(rich: Served) -> None:
    made = await post(rich, "redemptions", reward="mug", reference="claim-1")
    claimed: Found = made["redemption"]  # type: ignore[assignment]
    assert claimed["id"] == str(made["id"]).replace("evt_", "rdm_")
    assert [claimed[name] for name in ("reward", "points", "status", "code")] == ["mug", 300, "created", None]
    again = await post(rich, "redemptions", 200, reward="mug", reference="claim-1")
    assert again == {**made, "duplicate": True}, "what the engine added to the event is no mismatch"
    assert await wallet(rich, "balance", "spent") == [700, 300]
    done = await post(rich, f"redemptions/{claimed['id']}/fulfil")
    assert (done["redemption"]["status"], done["type"]) == ("fulfilled", "reward_fulfilled")  # type: ignore[index]
    assert (await post(rich, f"redemptions/{claimed['id']}/cancel", 422))["code"] == "redemption_ended"
    other: Found = (await post(rich, "redemptions", reward="mug"))["redemption"]  # type: ignore[assignment]
    assert (await post(rich, "redemptions", 422, reward="mug"))["code"] == "limit_reached"
    back = await post(rich, f"redemptions/{other['id']}/cancel", reason="broken")
    assert back["redemption"]["status"] == "cancelled"  # type: ignore[index]
    assert await wallet(rich, "balance", "spent") == [700, 300]
    assert (await post(rich, "redemptions", reward="mug"))["duplicate"] is False


async def test_each_code_is_given_once(rich: Served) -> None:
    refused = await post(rich, "redemptions", 422, reward="code")
    assert refused["code"] == "out_of_stock"
    await rich.post("/v1/rewards/code/codes", {"codes": ["A-1", "B-2"]})
    first = await post(rich, "redemptions", reward="code", reference="c1")
    assert first["redemption"]["code"] == "A-1"  # type: ignore[index]
    again = await post(rich, "redemptions", 200, reward="code", reference="c1")
    assert again["redemption"]["code"] == "A-1"  # type: ignore[index]
    await post(rich, f"redemptions/{first['redemption']['id']}/cancel")  # type: ignore[index]
    second = await post(rich, "redemptions", reward="code")
    assert second["redemption"]["code"] == "B-2", "a code of a cancelled claim stays used"  # type: ignore[index]
    assert (await post(rich, "redemptions", 422, reward="code"))["code"] == "out_of_stock"
    listed = (await rich.get(f"{ADA}/redemptions")).json()["items"]
    assert [(item["code"], item["status"]) for item in listed] == [("B-2", "created"), ("A-1", "cancelled")]
    assert (await rich.get("/v1/rewards/code/codes")).json() == {"reward": "code", "free": 0, "given": 2}
    async with rich.database.owner() as owner:
        rows = await owner.fetch("select properties::text from events where type = 'reward_claimed'")
    assert all("A-1" not in row[0] and "B-2" not in row[0] for row in rows), "codes are sealed"


async def test_the_stock_is_never_oversold(rich: Served) -> None:
    async def claim(customer: str) -> str:
        await rich.post(f"/v1/customers/{customer}/adjustments", {"points": 300})
        answer = await rich.post(f"/v1/customers/{customer}/redemptions", {"reward": "mug"})
        return "ok" if answer.status_code == 201 else str(answer.json()["code"])

    found = await asyncio.gather(*(claim(f"c{number}") for number in range(20)))
    assert sorted(found) == ["ok"] * 2 + ["out_of_stock"] * 18


async def test_lists_are_pages_and_need_a_permission(rich: Served) -> None:
    for number in range(5):
        await post(rich, "reservations", points=number + 1)
    for _ in range(2):
        await post(rich, "redemptions", reward="mug")
    seen, cursor = [], ""
    while True:
        page = (await rich.get(f"{ADA}/reservations?limit=2{cursor}")).json()
        seen += [item["points"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [5, 4, 3, 2, 1]
    assert len((await rich.get(f"{ADA}/redemptions?limit=1")).json()["items"]) == 1
    weak, _ = await rich.make_key(scopes=("events:read", "points:write"))
    for path in ("reservations", "redemptions", "orders"):
        assert (await rich.get(f"{ADA}/{path}", key=weak)).status_code == 403
        assert (await rich.get(f"/v1/customers/nobody/{path}")).status_code == 404
        assert (await rich.get(f"{ADA}/{path}?cursor=e30")).status_code == 422
