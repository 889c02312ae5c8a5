"""Orders as reads show them: facts, status, what each rule gives, who waits; as of now."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.serving import Served, serving
from troth.config import Config
from troth.embedded.access import DatabaseAccess

Found = dict[str, object]


async def send(server: Served, type_id: str, reference: str, *, customer: str = "ada", **properties: object) -> Found:
    event = {"customer": customer, "type": type_id, "reference": reference, "properties": properties}
    answer = await server.post("/v1/events", event)
    assert answer.status_code == 201, answer.text
    found: Found = answer.json()
    return found


async def order(server: Served, order_id: str, **options: object) -> Found:
    answer = await server.get(f"/v1/orders/{order_id}", **options)
    assert answer.status_code == 200, answer.text
    found: Found = answer.json()
    return found


async def test_an_order_as_it_was_opened(served: Served) -> None:
    sent = await send(served, "checkout", "r1", transaction_id="o1", total="125.00")
    found = await order(served, "o1")
    assert found["event"] == sent["id"]
    assert (found["order_id"], found["customer"], found["type"]) == ("o1", "ada", "checkout")
    assert (found["status"], found["accepted_at"], found["decides_at"]) == ("accepted", sent["occurred_at"], None)
    assert found["content"] == {"transaction_id": "o1", "total": "125.00"}
    assert found["awards"] == [{"rule": "checkout-points", "wallet": "points", "points": 125, "qualifying": True}]
    assert [event["id"] for event in found["events"]] == [sent["id"]]  # type: ignore[attr-defined]
    (posting,) = found["postings"]  # type: ignore[misc]
    assert (posting["points"], posting["to_state"], posting["order"]) == (125, "available", sent["id"])
    assert (found["refunds"], found["burned"], found["forgiven"], found["waiting"]) == ([], 0, {}, [])


async def test_an_order_after_changes_and_refunds(served: Served) -> None:
    """125 → 200; 50 refunded: 150 are deserved, 75 more than the opening gave less 50."""
    opened = await send(served, "checkout", "r1", transaction_id="o1", total="125.00")
    await send(served, "checkout_update", "r2", transaction_id="o1", total="200.00")
    refund = await send(served, "partial_refund", "r3", order_id="o1", refund_id="f1", amount="50")
    found = await order(served, "o1")
    assert found["content"]["total"] == "200.00"  # type: ignore[index]
    assert [(award["rule"], award["points"]) for award in found["awards"]] == [("checkout-points", 150)]
    (fact,) = found["refunds"]  # type: ignore[misc]
    assert (fact["id"], fact["event"], fact["points"], fact["items"]) == ("f1", refund["id"], 0, [])
    events = [event["type"] for event in found["events"]]  # type: ignore[attr-defined]
    assert events == ["checkout", "checkout_update", "partial_refund"]
    assert sum(_sign(posting) * posting["points"] for posting in found["postings"]) == 150  # type: ignore[attr-defined]
    assert all(posting["order"] == opened["id"] for posting in found["postings"])  # type: ignore[attr-defined]
    await send(served, "refund", "r4", order_id="o1")
    whole = await order(served, "o1")
    assert (whole["status"], whole["awards"]) == ("refunded", [])
    assert (await served.get("/v1/customers/ada")).json()["orders"] == 0


def _sign(posting: dict[str, object]) -> int:
    return (posting["from_state"] == "program") - (posting["to_state"] == "program")


async def test_burned_points_and_acceptance(served: Served) -> None:
    await served.post("/v1/customers/ada/adjustments", {"points": 100})
    await send(served, "checkout", "r1", transaction_id="o1", total="20.00", points_burned=60, auto_accept=False)
    found = await order(served, "o1")
    assert (found["status"], found["accepted_at"], found["burned"]) == ("pending", None, 60)
    assert [award["points"] for award in found["awards"]] == [20], "pending points too"  # type: ignore[attr-defined]
    (lot,) = [lot for lot in (await served.get("/v1/customers/ada/lots")).json()["items"] if lot["pending"]]
    assert (lot["order"], lot["release_at"], lot["expires_at"], lot["remaining"]) == (found["event"], None, None, 0)
    accepted = await send(served, "checkout_accept", "r2", order_id="o1")
    found = await order(served, "o1")
    assert (found["status"], found["accepted_at"], found["burned"]) == ("accepted", accepted["occurred_at"], 60)


async def test_who_waits_for_an_order(served: Served) -> None:
    early = await send(served, "refund", "r1", order_id="o1")
    other = await send(served, "refund", "r2", customer="bob", order_id="o1")
    assert early["outcome"] == "waiting_for_order"
    found = await order(served, "o1")
    assert (found["event"], found["status"], found["awards"], found["content"]) == (None, "waiting", [], {})
    waiting = [(event["id"], event["not_your_order"]) for event in found["waiting"]]  # type: ignore[attr-defined]
    assert waiting == [(early["id"], False), (other["id"], False)]
    await send(served, "checkout", "r3", transaction_id="o1", total="10.00")
    found = await order(served, "o1")
    assert (found["status"], found["customer"]) == ("refunded", "ada")
    waiting = [(event["id"], event["not_your_order"]) for event in found["waiting"]]  # type: ignore[attr-defined]
    assert waiting == [(other["id"], True)]


@pytest.fixture
async def unsettled(database: DatabaseAccess) -> AsyncIterator[Served]:
    """A server that settles nothing by itself."""
    async with serving(database, Config(settles=False)) as server:
        yield server


async def test_an_order_is_decided_by_time_though_nobody_wrote_it_down(unsettled: Served) -> None:
    served = unsettled
    program = (await served.get("/v1/program")).json()
    program["orders"] = {"acceptance": {"after": "P14D", "then": "accept"}}
    assert (await served.request("PUT", "/v1/program", json=program)).status_code == 200
    await served.post("/v1/clock", {"now": "2030-01-01T00:00:00Z"})
    await send(served, "checkout", "r1", transaction_id="o1", total="10.00")
    for now, status, accepted_at in (
        ("2030-01-14T23:59:59Z", "pending", None),
        ("2030-01-15T00:00:00Z", "accepted", "2030-01-15T00:00:00Z"),
    ):
        assert (await served.post("/v1/clock", {"now": now})).status_code == 200
        found = await order(served, "o1")
        assert (found["status"], found["accepted_at"]) == (status, accepted_at)
        (listed,) = (await served.get("/v1/customers/ada/orders")).json()["items"]
        assert {name: found[name] for name in listed} == listed
    async with served.database.owner() as owner:
        assert await owner.fetchval("select count(*) from events") == 1, "a read writes nothing"


async def test_a_customers_orders_are_pages(served: Served) -> None:
    for number in range(5):
        await send(served, "purchase", f"r{number}", order_id=f"o{number}", amount="10")
    await send(served, "purchase", "named-by-its-reference", amount="10")
    await send(served, "purchase", "x", customer="bob", order_id="other", amount="10")
    seen, cursor = [], ""
    while True:
        page = (await served.get(f"/v1/customers/ada/orders?limit=2{cursor}")).json()
        assert len(page["items"]) <= 2
        seen += [item["order_id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ["named-by-its-reference", "o4", "o3", "o2", "o1", "o0"]
    assert (await order(served, "named-by-its-reference"))["customer"] == "ada"


@pytest.mark.parametrize("order_id", ["nothing", "%00", "x" * 300])
async def test_what_nobody_has_named_is_not_there(served: Served, order_id: str) -> None:
    await send(served, "purchase", "r1", order_id="o1", amount="10")
    answer = await served.get(f"/v1/orders/{order_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_who_may_read_an_order(served: Served) -> None:
    await send(served, "purchase", "r1", order_id="o1", amount="10")
    none, _ = await served.make_key(scopes=("customers:read",))
    assert (await served.get("/v1/orders/o1", key=none)).status_code == 403
    weak, _ = await served.make_key(scopes=("events:read",))
    hidden, shown = await order(served, "o1", key=weak), await order(served, "o1")
    assert (hidden["events"][0]["ip"], shown["events"][0]["ip"]) == (None, "127.0.0.1")  # type: ignore[index]


async def why(server: Served, event: Found) -> dict[str, tuple[int | None, int, str]]:
    """Rule → what it gave before and after the event, and why."""
    answer = await server.get(f"/v1/events/{event['id']}/explanation")
    assert answer.status_code == 200, answer.text
    return {rule["rule"]: (rule["before"], rule["points"], rule["reason"]) for rule in answer.json()["rules"]}


async def test_every_event_of_an_order_is_explained(served: Served) -> None:
    """A refund of 30 waits; 100 − 30 = 70; 200 − 30 = 170; nothing is left of a whole return."""
    early = await send(served, "partial_refund", "r1", order_id="o1", refund_id="f1", amount="30")
    opened = await send(served, "checkout", "r2", transaction_id="o1", total="100.00")
    updated = await send(served, "checkout_update", "r3", transaction_id="o1", total="200.00")
    accepted = await send(served, "checkout_accept", "r4", order_id="o1")
    returned = await send(served, "refund", "r5", order_id="o1")
    assert await why(served, early) == {}
    assert (await why(served, opened))["checkout-points"] == (None, 70, "applied")
    assert (await why(served, updated))["checkout-points"] == (70, 170, "applied")
    assert (await why(served, accepted))["checkout-points"] == (170, 170, "applied")
    assert (await why(served, returned))["checkout-points"] == (170, 0, "order_over")
    assert [found["points"] for found in (opened, updated, accepted, returned)] == [70, 100, 0, -170]


async def test_an_order_is_explained_by_the_rules_it_was_opened_under(served: Served) -> None:
    await send(served, "checkout", "r1", transaction_id="o1", total="100.00")
    await served.request("PATCH", "/v1/rules/checkout-points", json={"award": "properties.total × 3"})
    updated = await send(served, "checkout_update", "r2", transaction_id="o1", total="150.00")
    assert (await why(served, updated))["checkout-points"] == (100, 150, "applied")
    emptied = await send(served, "partial_refund", "r3", order_id="o1", refund_id="f1", amount="500")
    assert (await why(served, emptied))["checkout-points"] == (150, 0, "order_empty")


async def test_a_preview_of_a_change_explains_the_order_as_it_would_stand(served: Served) -> None:
    await send(served, "checkout", "r1", transaction_id="o1", total="100.00")
    event = {
        "customer": "ada",
        "type": "partial_refund",
        "properties": {"order_id": "o1", "refund_id": "f", "amount": "40"},
    }
    answer = await served.post("/v1/events/preview?expand=explanation", event)
    assert answer.status_code == 200, answer.text
    (rule,) = [rule for rule in answer.json()["explanation"] if rule["rule"] == "checkout-points"]
    assert (rule["before"], rule["points"], rule["award"]["value"]) == (100, 60, "60.00")
    assert answer.json()["points"] == -40
