"""The history: rows, links that are walked to either end, and what narrows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.entry.antavo.calling import Shop, error_in
from troth import limits


async def points(shop: Shop, number: int, customer: str = "ada") -> None:
    body = {
        "events": [{"customer": customer, "action": "point_add", "data": {"points": n}} for n in range(1, number + 1)]
    }
    answer = await shop.server.post(f"/events/bulk?api_key={shop.key}", body, key=None)
    assert answer.json()["errors"] == 0


def told(page: dict[str, Any]) -> list[int]:
    return [row["points"] for row in page["data"]]


async def walk(shop: Shop, path: str, link: str, between: int = 0) -> list[list[int]]:
    """The pages behind `path`, one after the other by this link; `between` events are added after the first."""
    pages = []
    while path:
        answer = await shop.server.client.get(path)
        assert answer.status_code == 200, answer.text
        pages.append(told(answer.json()))
        path = answer.json()[link]
        if between:
            await points(shop, between)
            between = 0
    return pages


async def test_a_row_says_what_was_recorded(shop: Shop) -> None:
    data = {"transaction_id": "T-1", "total": "12.50", "effective_timestamp": 1772368200}
    await shop.done("ada", "checkout", data)
    page = (await shop.get("/customers/ada/events")).json()
    (row,) = page["data"]
    assert set(row) == {"id", "action", "label", "points", "timestamp", "properties", "expdate"}
    assert (row["action"], row["label"], row["points"]) == ("checkout", "Checkout", 12)
    assert (row["timestamp"], row["expdate"]) == ("2026-03-01T12:30:00.000Z", "2028-03-31")
    assert row["properties"] == [
        {"name": "transaction_id", "label": "Transaction id", "value": "T-1"},
        {"name": "total", "label": "Total", "value": "12.50"},
    ]
    assert (page["prev"], page["next"]) == (None, None)


async def test_personal_properties_are_not_shown(shop: Shop) -> None:
    await shop.done("ada", "opt_in", {"email": "ada@example.com"})
    await shop.done("ada", "referral", {"referred_email": "bob@example.com"})
    assert "example.com" not in (await shop.get("/customers/ada/events")).text


@pytest.mark.parametrize("number", [5, 6, 7])
async def test_links_lead_to_the_end_and_back(shop: Shop, number: int) -> None:
    await points(shop, number)
    newest_first = [*range(number, 0, -1)]
    path = f"/customers/ada/events?limit=3&api_key={shop.key}"
    pages = await walk(shop, path, "next", between=2)
    assert [point for page in pages for point in page] == newest_first
    assert all(len(page) == 3 for page in pages[:-1])
    last = (await shop.server.client.get(f"{path}&before=1")).json()
    assert (last["data"], last["next"]) == ([], None)
    back = await walk(shop, last["prev"], "prev")
    assert [point for page in reversed(back) for point in page] == [2, 1, *newest_first]
    upwards = await walk(shop, f"{path}&order=asc", "next")
    assert [point for page in upwards for point in page] == [*range(1, number + 1), 1, 2]


async def test_a_page_before_another_leads_on_to_it(shop: Shop) -> None:
    await points(shop, 6)
    first = (await shop.get("/customers/ada/events", limit="2")).json()
    second = (await shop.server.client.get(first["next"])).json()
    again = (await shop.server.client.get(second["prev"])).json()
    assert (told(first), told(second), told(again)) == ([6, 5], [4, 3], [6, 5])
    assert (first["prev"], again["prev"]) == (None, None)
    assert told((await shop.server.client.get(again["next"])).json()) == [4, 3]


async def test_pages_may_be_asked_for_by_offset(shop: Shop) -> None:
    await points(shop, 5)
    page = (await shop.get("/customers/ada/events", limit="2", offset="2")).json()
    assert told(page) == [3, 2]
    assert told((await shop.server.client.get(page["next"])).json()) == [1]
    assert told((await shop.server.client.get(page["prev"])).json()) == [5, 4]
    assert told((await shop.get("/customers/ada/events", offset=str(limits.ANTAVO_OFFSET))).json()) == []


async def test_a_history_is_narrowed(shop: Shop) -> None:
    await points(shop, 2)
    await shop.done("ada", "checkin", {"effective_timestamp": 1772368200})
    await shop.done("ada", "opt_in")

    async def actions(**params: str) -> list[str]:
        return [row["action"] for row in (await shop.get("/customers/ada/events", **params)).json()["data"]]

    assert await actions() == ["opt_in", "checkin", "point_add", "point_add"]
    assert await actions(action="checkin") == ["checkin"]
    assert await actions(actions="checkin,opt_in") == ["opt_in", "checkin"]
    assert await actions(**{"action.in": "no_such"}) == []
    assert await actions(points_only="true") == ["checkin", "point_add", "point_add"]
    assert await actions(**{"date.lt": "2026-03-02", "date.gte": "2026-03-01"}) == ["checkin"]
    assert await actions(**{"date.lt": "2026-03-01T12:30:00Z"}) == []
    page = (await shop.get("/customers/ada/events", action="point_add", limit="1")).json()
    assert told((await shop.server.client.get(page["next"])).json()) == [1]


WRONG: list[dict[str, str]] = [
    {"limit": "0"},
    {"limit": str(limits.PAGE_ITEMS_MAX + 1)},
    {"limit": "ten"},
    {"offset": str(limits.ANTAVO_OFFSET + 1)},
    {"offset": "-1"},
    {"before": "²"},
    {"order": "upwards"},
    {"action": "a\0"},
    {"date.lt": "yesterday"},
]


async def test_bad_parameters_are_refused(shop: Shop) -> None:
    await shop.done("ada", "login")
    for params in WRONG:
        assert error_in(await shop.get("/customers/ada/events", **params))[0::2] == (400, 0), params
