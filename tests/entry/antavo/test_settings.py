"""What a source may be told: other names for actions and accounts, and the types it may send."""

from __future__ import annotations

from tests.entry.antavo.calling import error_in, open_shop
from tests.serving import Served

PAID = {"type": "purchase", "properties": {"amount": "sum", "category": "department"}}


async def test_actions_become_the_types_they_are_mapped_to(served: Served) -> None:
    shop = await open_shop(served, {"actions": {"order_paid": PAID, "login": None}})
    shown = await shop.done("ada", "order_paid", {"transaction_id": "T-1", "sum": "80.00", "department": "books"})
    assert [(event["action"], event["points"]) for event in shown["events"]] == [("order_paid", 80)]
    order = (await served.get("/v1/orders/T-1")).json()
    assert order["order_id"] == "T-1"
    (row,) = (await shop.get("/customers/ada/events", action="order_paid")).json()["data"]
    assert row["action"] == "order_paid"
    names = {entry["name"]: entry["value"] for entry in row["properties"]}
    assert names == {"order_id": "T-1", "amount": "80.00", "category": "books"}
    assert error_in(await shop.send("ada", "order_paid", {"transaction_id": "T-1", "sum": 80}))[2] == 5003
    assert error_in(await shop.send("ada", "login"))[0::2] == (400, 0)
    shown = await shop.done("ada", "refund", {"transaction_id": "T-1"})
    assert shown["spendable"] == 0


async def test_an_opt_in_may_be_a_type_of_ours(served: Served) -> None:
    shop = await open_shop(served, {"actions": {"opt_in": {"type": "signup"}}})
    shown = await shop.done("ada", "opt_in", {"first_name": "Ada"})
    assert [(event["action"], event["points"]) for event in shown["events"]] == [("opt_in", 100)]
    assert error_in(await shop.send("ada", "opt_in")) == (400, "BadRequestException", 112101)
    assert (await served.get("/v1/customers/ada")).json()["attributes"] == {"first_name": "Ada"}


async def test_accounts_are_wallets(served: Served) -> None:
    await served.post("/v1/wallets", {"id": "stamps", "label": "Stamps"})
    shop = await open_shop(served, {"accounts": {"main_account": "points"}})
    shown = await shop.done("ada", "point_add", {"points": 3}, account="stamps")
    assert ([event["points"] for event in shown["events"]], shown["spendable"]) == ([3], 3)
    shown = await shop.done("ada", "point_add", {"points": 5}, account="main_account")
    assert ([event["points"] for event in shown["events"]], shown["spendable"]) == ([5], 5)
    assert (await shop.get("/customers/ada", account="stamps")).json()["spendable"] == 3
    assert error_in(await shop.send("ada", "login", account="miles"))[0] == 404


async def test_a_list_of_types_is_all_it_may_send(served: Served) -> None:
    shop = await open_shop(served, {"types": ["checkout"]})
    await shop.done("ada", "checkout", {"transaction_id": "T-1", "total": 1})
    assert error_in(await shop.send("ada", "point_add", {"points": 1}))[0::2] == (400, 0)


async def test_customers_follow_the_program(served: Served) -> None:
    shop = await open_shop(served)
    await shop.done("ada", "login")
    document = (await served.get("/v1/program")).json()
    document["settings"]["unknown_customer"] = "reject"
    changed = await served.request("PUT", "/v1/program", json=document)
    assert changed.status_code == 200, changed.text
    assert error_in(await shop.send("bob", "login")) == (404, "NotFoundException", 160212)
    await shop.done("ada", "login")


async def test_wrong_settings_are_refused(served: Served) -> None:
    wrong = {"actions": {"x": {"type": ""}}, "unsigned": "no", "region": 5, "elsewhere": 1}
    answer = await served.post("/v1/sources", {"id": "a", "kind": "antavo", "name": "A", "settings": wrong})
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert answer.status_code == 422
    assert {"/settings/unsigned", "/settings/region", "/settings/elsewhere"} <= pointers
