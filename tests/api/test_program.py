"""The program whole over HTTP: document, checks, draft, revisions, and that a refused one changes nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx

from tests.serving import Served
from troth.core.program.items import plain_document
from troth.core.program.text import parse_document

EXAMPLE = (Path(__file__).parents[2] / "examples" / "programs" / "shop.yaml").read_text(encoding="utf-8")
YAML = {"content-type": "application/yaml"}
WRONG = """\
settings: {time_zone: Mars}
event_types:
  - id: purchase
    properties: {amount: {type: number, places: 2, required: true}}
rules:
  - {id: good, event_type: purchase, award: properties.amount}
  - {id: bad, event_type: purchase, award: properties.amout}
"""


async def put_yaml(served: Served, text: str, path: str = "/v1/program", **headers: str) -> httpx.Response:
    return await served.request("PUT", path, content=text.encode(), headers=YAML | headers)


async def test_the_document_reads_back_as_it_was_put(served: Served) -> None:
    answer = await put_yaml(served, EXAMPLE)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["revision"], answer.json()["changed"]) == (2, True)
    assert answer.headers["etag"] == '"2"'
    read = await served.get("/v1/program")
    assert read.headers["etag"] == '"2"'
    document = read.json()
    assert document.pop("revision") == 2
    assert document == plain_document(parse_document(EXAMPLE).raw)
    again = await served.request("PUT", "/v1/program", json={"revision": 2, **document})
    assert (again.json()["revision"], again.json()["changed"], again.json()["changes"]) == (2, False, [])


async def test_yaml_reads_back_too(served: Served) -> None:
    await put_yaml(served, EXAMPLE)
    read = await served.get("/v1/program", headers={"accept": "application/yaml"})
    assert read.headers["content-type"].startswith("application/yaml")
    assert plain_document(parse_document(read.text).raw) == plain_document(parse_document(EXAMPLE).raw)
    assert (await put_yaml(served, read.text)).json()["changed"] is False


async def test_one_wrong_rule_refuses_the_program_and_the_live_one_stays(served: Served) -> None:
    before = (await served.get("/v1/program")).json()
    answer = await put_yaml(served, WRONG)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "invalid_program"
    found = [(error["pointer"], error["code"], error["line"], error["column"]) for error in problem["errors"]]
    assert found == [("/settings/time_zone", "time_zone", 1, 23), ("/rules/1/award", "unknown_property", 7, 55)]
    assert problem["errors"][1]["hint"] == "did you mean 'amount'?"
    assert problem["errors"][1]["expression"] == {"start": 11, "end": 16, "line": 1, "column": 12}
    assert (await served.get("/v1/program")).json() == before


async def test_a_flaw_of_the_text_comes_with_the_problems_of_the_document(served: Served) -> None:
    answer = await put_yaml(served, "settings: {name: A, name: B}\nwallets: [{id: points, hold: 1 day}]")
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == ["duplicate_key", "duration"]


async def test_what_is_no_text_is_unreadable(served: Served) -> None:
    cases = [
        (b"a: [", YAML),
        (b"\xff", YAML),
        (b"{", {"content-type": "application/json"}),
        (b"settings: {}", {"content-type": "application/json"}),
    ]
    for body, headers in cases:
        answer = await served.request("PUT", "/v1/program", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "unreadable"), body
    for body in ("[]", "5", '"x"'):
        answer = await served.request("PUT", "/v1/program", content=body.encode(), headers={})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "type"), body


async def test_if_match_is_the_live_revision(served: Served) -> None:
    stale = await put_yaml(served, EXAMPLE, **{"if-match": '"7"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert (await put_yaml(served, EXAMPLE, **{"if-match": '"1"'})).status_code == 200
    garbled = await put_yaml(served, EXAMPLE, **{"if-match": "x"})
    assert (garbled.status_code, garbled.json()["errors"][0]["pointer"]) == (422, "/header/if-match")


async def test_a_check_stores_nothing(served: Served) -> None:
    before = (await served.get("/v1/program")).json()
    wrong = await served.post("/v1/program/check", WRONG.encode(), headers=YAML)
    assert wrong.status_code == 200
    assert wrong.json()["valid"] is False
    assert [error["code"] for error in wrong.json()["errors"]] == ["time_zone", "unknown_property"]
    document = {name: value for name, value in before.items() if name != "revision"}
    right = await served.post("/v1/program/check", {**document, "settings": {"name": "Other"}})
    assert right.json()["valid"] is True
    assert [(change["item"], change["change"]) for change in right.json()["changes"]] == [("settings", "changed")]
    fields = {field["pointer"]: (field["old"], field["new"]) for field in right.json()["changes"][0]["fields"]}
    assert fields["/name"] == ("Starter program", "Other")
    assert (await served.get("/v1/program")).json() == before


async def test_warnings_come_with_the_answer(served: Served) -> None:
    text = "event_types: [{id: share, client_allowed: true}]\nrules: [{id: r, event_type: share, award: 1}]"
    answer = await put_yaml(served, text)
    assert answer.status_code == 200
    [warning] = answer.json()["warnings"]
    assert (warning["code"], warning["pointer"], warning["line"]) == ("client_award_unlimited", "/rules/0", 2)


async def test_revisions_are_listed_compared_and_rolled_back(served: Served) -> None:
    await put_yaml(served, EXAMPLE, path="/v1/program?note=the+example")
    await put_yaml(served, EXAMPLE.replace("properties.amount × 2", "properties.amount × 3"))
    first = (await served.get("/v1/program/revisions?limit=2")).json()
    assert [(item["revision"], item["note"]) for item in first["items"]] == [(3, ""), (2, "the example")]
    assert {item["author"] for item in first["items"]} == {"test"}
    second = (await served.get(f"/v1/program/revisions?limit=2&cursor={first['next']}")).json()
    assert ([item["revision"] for item in second["items"]], second["next"]) == ([1], None)

    diff = (await served.get("/v1/program/revisions/2/diff/3")).json()
    assert diff["changes"] == [
        {
            "item": "rules/electronics-2x",
            "change": "changed",
            "old": diff["changes"][0]["old"],
            "new": diff["changes"][0]["new"],
            "fields": [{"pointer": "/award", "old": "properties.amount × 2", "new": "properties.amount × 3"}],
        }
    ]
    back = await served.post("/v1/program/revisions/2/rollback", {})
    assert (back.status_code, back.json()["revision"]) == (200, 4)
    documents = [(await served.get(f"/v1/program/revisions/{n}")).json()["document"] for n in (2, 4)]
    assert documents[0] == documents[1]
    assert (await served.get("/v1/program/revisions/9")).status_code == 404
    assert (await served.get("/v1/program/revisions/99999999999")).status_code == 404
    assert (await served.get("/v1/program/revisions?cursor=%21")).status_code == 422


async def test_a_draft_is_merged_with_what_others_published(served: Served) -> None:
    assert (await served.get("/v1/program/draft")).json()["code"] == "no_draft"
    document = (await served.get("/v1/program")).json()
    document["settings"]["name"] = "Drafted"
    draft = await served.request("PUT", "/v1/program/draft", json=document)
    assert (draft.status_code, draft.headers["etag"]) == (200, '"1"')
    assert (draft.json()["base"], draft.json()["check"]["valid"]) == (1, True)
    assert [change["item"] for change in draft.json()["check"]["changes"]] == ["settings"]
    await served.request("PATCH", "/v1/rules/welcome", json={"award": "150"})

    published = await served.post("/v1/program/publish", {"note": "from the draft"})
    assert (published.status_code, published.json()["revision"]) == (200, 3), published.text
    live = (await served.get("/v1/program")).json()
    assert live["settings"]["name"] == "Drafted"
    assert next(rule["award"] for rule in live["rules"] if rule["id"] == "welcome") == "150"
    assert (await served.get("/v1/program/draft")).status_code == 404
    assert (await served.post("/v1/program/publish", {})).status_code == 404


async def test_a_draft_over_the_same_item_is_stale(served: Served) -> None:
    document = (await served.get("/v1/program")).json()
    document["settings"]["name"] = "Drafted"
    await served.request("PUT", "/v1/program/draft", json=document)
    await served.request("PUT", "/v1/program", json={**document, "settings": {"name": "Meanwhile"}})
    answer = await served.post("/v1/program/publish", {})
    assert (answer.status_code, answer.json()["code"]) == (412, "stale")
    assert [error["item"] for error in answer.json()["errors"]] == ["settings"]
    assert (await served.get("/v1/program")).json()["settings"]["name"] == "Meanwhile"
    assert (await served.get("/v1/program/draft")).status_code == 200, "the work is not lost"


async def test_a_draft_may_be_wrong_until_it_is_published(served: Served) -> None:
    draft = await put_yaml(served, WRONG, path="/v1/program/draft")
    assert draft.status_code == 200
    assert [error["code"] for error in draft.json()["check"]["errors"]] == ["time_zone", "unknown_property"]
    refused = await served.post("/v1/program/publish", {})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_program")
    assert (await served.get("/v1/program")).json()["revision"] == 1
    old = await served.request("DELETE", "/v1/program/draft", headers={"if-match": '"9"'})
    assert old.status_code == 412
    assert (await served.request("DELETE", "/v1/program/draft")).status_code == 204
    assert (await served.request("DELETE", "/v1/program/draft")).status_code == 404


async def test_editors_of_one_draft_see_each_other(served: Served) -> None:
    for expected, status in (("", 200), ('"1"', 200), ('"1"', 412)):
        headers = {"if-match": expected} if expected else {}
        answer = await served.request("PUT", "/v1/program/draft", json={"settings": {}}, headers=headers)
        assert answer.status_code == status


async def test_a_published_rule_holds_for_the_next_event(served: Served) -> None:
    async def points(customer: str) -> int:
        answer = await served.post("/v1/events", {"customer": customer, "type": "signup"})
        assert answer.status_code == 201, answer.text
        return answer.json()["points"]

    assert await points("ada") == 100
    await served.request("PATCH", "/v1/rules/welcome", json={"award": "150"})
    assert await points("ben") == 150
    await served.request("DELETE", "/v1/rules/welcome")
    assert await points("cleo") == 0


async def test_two_publishers_at_once_lose_nothing(served: Served) -> None:
    async def add(n: int) -> int:
        rule = {"id": f"extra-{n}", "event_type": "login", "award": "1", "limits": [{"times": 1, "window": "day"}]}
        return (await served.post("/v1/rules", rule)).status_code

    assert await asyncio.gather(*(add(n) for n in range(8))) == [201] * 8
    live = (await served.get("/v1/program")).json()
    assert live["revision"] == 9
    assert {rule["id"] for rule in live["rules"]} >= {f"extra-{n}" for n in range(8)}


async def test_scopes_are_asked_for(served: Served) -> None:
    reader, _ = await served.make_key(name="reader", scopes=("program:read",))
    assert (await served.get("/v1/program", key=reader)).status_code == 200
    assert (await served.post("/v1/program/check", {}, key=reader)).status_code == 200
    for method, path in (
        ("PUT", "/v1/program"),
        ("PUT", "/v1/program/draft"),
        ("DELETE", "/v1/program/draft"),
        ("POST", "/v1/program/publish"),
        ("POST", "/v1/program/revisions/1/rollback"),
        ("POST", "/v1/rules"),
        ("PUT", "/v1/tiers"),
    ):
        assert (await served.request(method, path, json={}, key=reader)).status_code == 403, path
    assert (await served.get("/v1/program", key=None)).status_code == 401


async def test_a_large_body_is_refused(served: Served) -> None:
    body = json.dumps({"settings": {"name": "x" * (5 << 20)}}).encode()
    answer = await served.request("PUT", "/v1/program", content=body)
    assert answer.status_code in (400, 413)
