"""Rejected rows of imports are rejections too: with line and reason, replayed as the import would have sent them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.entry.test_imports import counts, ended, imported
from tests.serving import Served, serving
from troth import limits
from troth.config import Config
from troth.core.ids import show_id
from troth.embedded.access import DatabaseAccess

HEAD = "customer,type,reference,occurred_at,amount\n"
WRONG = HEAD + (
    "ada,quiz,q-1,2026-01-02T10:00:00Z,5\n"
    "ada,purchase,p-1,2026-01-02T11:00:00Z,10\n"
    "eve,quiz,,2026-01-03T10:00:00Z,\n"
    "eve,purchase,p-2\n"
    'eve,purchase,p-3,,"much"\n'
)
Answer = dict[str, Any]


async def kept(server: Served, query: str = "") -> list[Answer]:
    """Rejections, oldest first, with what was sent."""
    items = (await server.get(f"/v1/rejections{query}")).json()["items"]
    return [(await server.get(f"/v1/rejections/{item['id']}")).json() for item in reversed(items)]


async def replay(server: Served, found: Answer) -> Answer:
    answer = await server.post(f"/v1/rejections/{found['id']}/replay")
    assert answer.status_code in (200, 201), answer.text
    return answer.json()  # type: ignore[no-any-return]


async def test_rejected_rows_are_rejections(served: Served) -> None:
    done = await imported(served, WRONG)
    assert (counts(done), done["rejections"]) == (("finished_with_errors", 5, 1, 0, 4, 10), 4)
    found = await kept(served, f"?source={done['id']}")
    assert found == await kept(served, "?source=import")
    assert [(item["line"], item["codes"], item["type"], item["replayable"]) for item in found] == [
        (2, ["unknown_type"], "quiz", True), (4, ["unknown_type"], "quiz", True), (5, ["ragged_row"], None, False),
        (6, ["type"], "purchase", True),
    ]  # fmt: skip
    assert {(item["source"], item["source_detail"]) for item in found} == {("import", done["id"])}
    assert {item["command"] for item in found} == {None}
    assert found[0]["sent"] == {
        "customer": "ada", "type": "quiz", "reference": "q-1", "occurred_at": "2026-01-02T10:00:00Z",
        "properties": {"amount": "5"},
    }  # fmt: skip
    assert (found[2]["sent"], found[2]["text"]) == (None, "eve,purchase,p-2")
    assert found[3]["problems"][0]["pointer"] == "/properties/amount"
    refused = await served.post(f"/v1/rejections/{found[2]['id']}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_replayable")


async def test_a_mended_program_lets_them_in_and_the_mended_file_adds_nothing(served: Served) -> None:
    done = await imported(served, WRONG)
    rejected = (await served.get(f"/v1/imports/{done['id']}/errors")).text
    assert (await served.post("/v1/event-types", {"id": "quiz", "label": "Quiz"})).status_code == 201
    many = (await served.post("/v1/rejections/replay", {"source": done["id"], "code": "unknown_type"})).json()
    assert (many["replayed"], many["created"], many["next"]) == (2, 2, None)
    (event,) = (await served.get("/v1/events?customer=eve")).json()["items"]
    assert (event["source"], event["source_detail"], event["occurred_at"]) == (
        "import", "orders.csv", "2026-01-03T10:00:00Z",
    )  # fmt: skip
    assert event["reference"].startswith("file:")
    mended = rejected.replace("much", "7")
    assert counts(await imported(served, mended)) == ("finished_with_errors", 4, 1, 2, 1, 7)
    assert counts(await imported(served, WRONG)) == ("finished_with_errors", 5, 0, 4, 1, 0)


async def test_history_stays_history_and_earns_nothing_where_it_was_paid(database: DatabaseAccess) -> None:
    """As the file would have been recorded: nobody outside is told, and without awards no rule is asked."""
    async with serving(database, replace(Config(), delivers=False)) as served:
        assert (await served.post("/v1/webhooks", {"url": "https://example.com/", "topics": ["*"]})).status_code == 201
        row = HEAD + "{0},sale,{0}-1,2026-01-02T10:00:00Z,10\n"
        await imported(served, row.format("ada"), mode="historical", awards=False)
        await imported(served, row.format("eve"), mode="historical")
        await imported(served, row.format("bob"))
        amount = {"type": "number", "required": True, "max": 1000}
        sale = {"id": "sale", "label": "Sale", "properties": {"amount": amount}}
        assert (await served.post("/v1/event-types", sale)).status_code == 201
        rule = {"id": "sale", "label": "Sale", "event_type": "sale", "award": "properties.amount"}
        assert (await served.post("/v1/rules", rule)).status_code == 201
        found = await kept(served)
        answers = [await replay(served, item) for item in found]
        assert [(answer["customer"], answer["points"]) for answer in answers] == [("ada", 0), ("eve", 10), ("bob", 10)]
        async with served.database.owner() as owner:
            told = [row["id"] for row in await owner.fetch("select id from outbox where revision is null")]
        assert [show_id("evt", event) for event in told] == [answers[2]["id"]]


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
async def test_rows_of_customers_change_profiles_later(served: Served, kind: str) -> None:
    size = {"type": "number"}
    profile = {"id": "profile", "label": "Profile", "properties": {"size": size}}
    await served.request("PUT", "/v1/event-types/profile", json=profile)
    rows = {"csv": "customer,size\nada,large\n", "ndjson": '{"customer": "ada", "size": "large"}\n'}
    done = await imported(served, rows[kind], name=f"people.{kind}", kind="customers")
    assert (done["rejected"], done["rejections"]) == (1, 1)
    size["type"] = "text"
    await served.request("PUT", "/v1/event-types/profile", json=profile)
    (found,) = await kept(served)
    assert (await replay(served, found))["type"] == "profile"
    assert (await served.get("/v1/customers/ada")).json()["attributes"] == {"size": "large"}


async def test_a_replay_may_what_the_import_might(served: Served) -> None:
    weak, _ = await served.make_key(scopes=("imports:write", "imports:read"))
    content = "customer,type,reference,points\nada,point_add,a,5\n"
    data = {"Authorization": f"Bearer {weak}"}
    sent = await served.client.post("/v1/imports", files={"file": ("p.csv", content.encode())}, headers=data)
    assert (await ended(served, sent.json()["id"]))["rejected"] == 1
    (found,) = await kept(served)
    assert found["codes"] == ["forbidden"]
    assert (await served.post(f"/v1/rejections/{found['id']}/replay")).status_code == 403


async def test_what_is_no_event_keeps_its_cells_or_its_text(served: Served) -> None:
    columns = "customer,type,items,note\n"
    text = columns.encode() + b'ada,purchase,"[1,",x\nada,purchase,,\xff\n"ada,purchase\n'
    done = await imported(served, text, encoding="utf-8")
    found = await kept(served, f"?source={done['id']}")
    assert [item["codes"] for item in found][:2] == [["invalid_json"], ["invalid_utf8"]]
    cells = {"customer": "ada", "type": "purchase", "items": "[1,", "note": "x"}
    broken = {**cells, "items": "", "note": "\N{REPLACEMENT CHARACTER}"}
    assert [item["payload"] for item in found[:2]] == [cells, broken]
    assert found[2]["text"].startswith('"ada,purchase')
    lines = b'{"customer": \n{"customer": "a", "customer": "b"}\n[1]\n{"customer": "\xff"}\n'
    done = await imported(served, lines, name="rows.ndjson", encoding="utf-8")
    found = await kept(served, f"?source={done['id']}")
    assert [item["text"] for item in found] == lines.decode("utf-8", "replace").splitlines()
    assert not any(item["replayable"] for item in found)


async def test_so_many_rows_of_one_import_are_kept(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.IMPORT_REJECTIONS == 10_000
    monkeypatch.setattr(limits, "IMPORT_REJECTIONS", 300)
    done = await imported(served, HEAD + "".join(f"ada,quiz,q-{n},,\n" for n in range(500)))
    assert (done["rejected"], done["rejections"]) == (500, 300)
    rejected = (await served.get(f"/v1/imports/{done['id']}/errors")).text
    assert len(rejected.splitlines()) == 501
    found = (await served.get(f"/v1/rejections?source={done['id']}&limit=1000")).json()["items"]
    assert [item["line"] for item in reversed(found)] == list(range(2, 302))


async def test_a_row_too_large_to_be_kept_keeps_its_reasons(served: Served) -> None:
    done = await imported(served, json.dumps({"customer": "ada", "type": "quiz", "properties": {"x": "y" * 200_000}}),
                          name="rows.ndjson")  # fmt: skip
    (found,) = await kept(served, f"?source={done['id']}")
    assert (found["codes"], found["sent"], found["replayable"], found["line"]) == (["unknown_type"], None, False, 1)
