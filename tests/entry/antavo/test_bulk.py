"""Bulks: a result for each event in order, whatever becomes of its neighbours."""

from __future__ import annotations

from typing import Any

from tests.entry.antavo.calling import Shop, error_in, open_shop
from tests.entry.sourcing import counters, points_of
from tests.serving import Served
from troth import limits


async def bulk(shop: Shop, *events: object) -> dict[str, Any]:
    answer = await shop.server.post(f"/events/bulk?api_key={shop.key}", {"events": list(events)}, key=None)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    assert shown["total"] == len(shown["results"]) == len(events)
    assert shown["errors"] == sum("error" in result for result in shown["results"])
    return shown


def event(action: str, data: object = None, customer: object = "ada") -> dict[str, object]:
    return {"customer": customer, "action": action, "data": data}


def told(shown: dict[str, Any]) -> list[object]:
    """The number of an error, else what moved."""
    return [
        result["error"]["code"] if "error" in result else [entry["points"] for entry in result["events"]]
        for result in shown["results"]
    ]


async def test_errors_in_the_middle_spoil_no_neighbour(shop: Shop) -> None:
    bought = {"transaction_id": "T-1", "total": 10}
    shown = await bulk(
        shop,
        event("checkout", bought),
        event("checkout", bought),
        event("no_such"),
        "no event",
        event("point_add", {"points": 5}),
        event("point_sub", {"points": 500}),
        {"action": "login"},
        event("checkout", {**bought, "transaction_id": "T-2", "auto_accept": False}),
    )
    assert told(shown) == [[10], 5003, 0, 0, [5], 110003, 113401, []]
    assert await points_of(shop.server, "ada") == 15
    expected = {"received": 8, "accepted": 3, "duplicates": 1, "refused": 4}
    assert await counters(shop.server, "my-antavo") == expected


async def test_a_flaw_inside_an_event_is_its_own(shop: Shop) -> None:
    body = b'{"events":[{"customer":"ada","action":"login","action":"review"},{"customer":"ada","action":"login"}]}'
    answer = await shop.server.post(f"/events/bulk?api_key={shop.key}", body, key=None)
    assert told(answer.json()) == [0, [1]]


async def test_joining_within_a_bulk_goes_before_what_follows(served: Served) -> None:
    shop = await open_shop(served, {"requires_opt_in": True})
    shown = await bulk(
        shop,
        event("point_add", {"points": 1}),
        event("opt_in", {"email": "ada@example.com"}),
        event("opt_in"),
        event("point_add", {"points": 2}),
        event("opt_in", customer="bob"),
        event("point_add", {"points": 4}, customer="eve"),
        event("point_add", {"points": 8}, customer="bob"),
    )
    assert told(shown) == [160212, [], 112101, [2], [], 160212, [8]]
    profile = (await served.get("/v1/customers/ada")).json()
    assert (profile["attributes"], profile["events"]) == (
        {"email": "ada@example.com"},
        {"profile": 1, "opt_in": 1, "point_add": 1},
    )
    assert (await served.get("/v1/customers/eve")).status_code == 404


async def test_forms_may_hold_several_events(shop: Shop) -> None:
    body = (
        b"events[0][customer]=ada&events[0][action]=point_add&events[0][data][points]=5"
        b"&events[1][customer]=ada&events[1][action]=nothing&events[2]=x"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await shop.server.post(f"/events/bulk?api_key={shop.key}", body, key=None, headers=headers)
    assert told(answer.json()) == [[5], 0, 0]
    answer = await shop.server.post(f"/events/bulk?api_key={shop.key}", b"a=b", key=None, headers=headers)
    assert error_in(answer) == (400, "BadRequestException", 113401)


async def test_a_bulk_is_refused_as_a_whole_before_anything_runs(shop: Shop) -> None:
    async def refused(body: object) -> tuple[int, str, int]:
        return error_in(await shop.server.post(f"/events/bulk?api_key={shop.key}", body, key=None))

    many = [event("point_add", {"points": 1})] * (limits.BULK_EVENTS + 1)
    assert await refused({"events": many}) == (413, "BadRequestException", 0)
    assert await refused({}) == (400, "BadRequestException", 113401)
    assert await refused(b"{") == (400, "BadRequestException", 0)
    assert (await served_customers(shop)) == []
    assert (await bulk(shop, *many[:-1]))["errors"] == 0
    told_of_ada = (await shop.server.get("/v1/customers/ada")).json()["events"]
    assert told_of_ada["point_add"] == limits.BULK_EVENTS


async def served_customers(shop: Shop) -> list[object]:
    items: list[object] = (await shop.server.get("/v1/customers")).json()["items"]
    return items
