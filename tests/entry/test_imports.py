"""POST /v1/imports and what belongs to it, through a real server whose worker runs the imports."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.serving import Served, serving
from troth import limits
from troth.config import Config
from troth.embedded.access import DatabaseAccess

HEAD = "customer,type,reference,occurred_at,amount\n"
GOOD = "{name},purchase,{name}-{n},2026-01-0{n}T10:00:00Z,10\n"
Answer = dict[str, Any]


def orders(name: str, count: int = 3) -> str:
    return HEAD + "".join(GOOD.format(name=name, n=number) for number in range(1, count + 1))


async def send(served: Served, content: str | bytes, *, name: str = "orders.csv", **options: object) -> httpx.Response:
    data = {"options": json.dumps(options)} if options else {}
    body = content if isinstance(content, bytes) else content.encode()
    headers = {"Authorization": f"Bearer {served.key}"}
    return await served.client.post("/v1/imports", files={"file": (name, body, "text/csv")}, data=data, headers=headers)


async def ended(served: Served, import_id: str) -> Answer:
    while True:
        answer = (await served.get(f"/v1/imports/{import_id}")).json()
        if answer["status"] not in ("waiting", "running"):
            return answer  # type: ignore[no-any-return]
        await asyncio.sleep(0.05)


async def imported(served: Served, content: str | bytes, **options: Any) -> Answer:
    answer = await send(served, content, **options)
    assert answer.status_code == 202, answer.text
    return await ended(served, answer.json()["id"])


def counts(answer: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(answer[name] for name in ("status", "read", "created", "duplicates", "rejected", "points"))


async def test_a_file_is_imported_and_kept(served: Served) -> None:
    content = orders("ada").encode()
    answer = await send(served, content)
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/imports/{answer.json()['id']}")
    found = await ended(served, answer.json()["id"])
    assert counts(found) == ("finished", 3, 3, 0, 0, 30)
    assert found["bytes_read"] == found["bytes_total"] == len(content)
    assert (found["seconds_left"], found["problem"], found["warnings"], found["created_by"]) == (None, None, [], "test")
    assert found["detected"] == {"format": "csv", "encoding": "utf-8", "delimiter": ",", "quote": '"'}
    file = await served.get(f"/v1/imports/{found['id']}/file")
    assert (file.content, file.headers["x-content-sha256"]) == (content, sha256(content).hexdigest())
    assert found["file"]["sha256"] == sha256(content).hexdigest()
    assert "orders.csv" in file.headers["content-disposition"]
    kept = datetime.fromisoformat(found["file"]["kept_until"]) - datetime.now(UTC)
    assert kept > timedelta(days=limits.FILE_DAYS - 1) == timedelta(days=Config().file_days - 1)
    events = (await served.get("/v1/events?customer=ada")).json()["items"]
    assert {(event["source"], event["source_detail"]) for event in events} == {("import", "orders.csv")}
    again = await imported(served, gzip.compress(content), name="again.csv.gz")
    assert counts(again) == ("finished", 3, 0, 3, 0, 0)
    assert (await served.get(f"/v1/imports/{again['id']}/errors")).status_code == 404


async def test_rejected_rows_come_back_mended(served: Served) -> None:
    content = HEAD + 'eve,purchase,eve-1,,5\neve,purchase,eve-2,,"x\ny"\neve,purchas,eve-3,,1\neve,purchase\n'
    found = await imported(served, content)
    assert counts(found) == ("finished_with_errors", 4, 1, 0, 3, 5)
    rejected = await served.get(f"/v1/imports/{found['id']}/errors")
    lines = rejected.text.splitlines()
    assert lines[0] == "rejected_line,rejected_code,rejected_reason,rejected_reference," + HEAD.strip()
    assert [line.split(",")[:2] for line in (lines[1], lines[3], lines[4])] == [
        ["3", "type"], ["5", "unknown_type"], ["6", "ragged_row"],
    ]  # fmt: skip
    assert "orders.rejected.csv" in rejected.headers["content-disposition"]
    mended = rejected.text.replace('"x\ny"', "7").replace(",purchas,", ",purchase,")
    assert counts(await imported(served, mended)) == ("finished_with_errors", 3, 2, 0, 1, 8)


CODED = "Kunde;Typ;Betrag;Ort\r\n1;purchase;3;Zürich\r\n2;purchase;4;Málaga\r\n"
ENCODINGS = [
    ("utf-8", "utf-8"),
    ("utf-8-sig", "utf-8"),
    ("utf-16", "utf-16"),
    ("latin-1", "cp1252"),
    ("cp1252", "cp1252"),
]


@pytest.mark.parametrize(("written", "told"), ENCODINGS, ids=[case[0] for case in ENCODINGS])
async def test_encodings_and_delimiters_are_detected(served: Served, written: str, told: str) -> None:
    mapping = {"Kunde": "customer", "Typ": "type", "Betrag": "properties.amount", "Ort": "properties.city"}
    found = await imported(served, CODED.encode(written), mapping=mapping)
    assert counts(found) == ("finished", 2, 2, 0, 0, 7), await rejected_text(served, found)
    assert (found["detected"]["encoding"], found["detected"]["delimiter"]) == (told, ";")
    cities = [
        (await served.get(f"/v1/events?customer={number}")).json()["items"][0]["properties"]["city"] for number in "12"
    ]
    assert cities == ["Zürich", "Málaga"]


async def rejected_text(served: Served, found: Answer) -> str:
    return (await served.get(f"/v1/imports/{found['id']}/errors")).text if found["rejected"] else ""


ITEMS = '"[{""product_id"":""p"",""quantity"":1,""price"":1}]"\n'
FLAT = '{"customer":"a","type":"purchase","amount":"1"}\n'
TORTURE = [
    ("quoted newlines", 'customer,type,amount,note\na,purchase,1,"two\r\nlines, ""said"""\n', 1),
    ("tabs", "customer\ttype\tamount\na\tpurchase\t1\n", 1),
    ("pipes", "customer|type|amount\na|purchase|1\n", 1),
    ("CRLF and mark", "\ufeffcustomer,type,amount\r\na,purchase,1\r\n", 1),
    ("apostrophes", "'customer','type','amount','note'\n'a','purchase','1','b, c'\n", 1),
    ("semicolons and decimal commas", "customer;type;amount;note\na;purchase;1;2,5\nb;purchase;1;3,5\n", 2),
    ("header only", "customer,type,amount\n", 0),
    ("blank lines", "\n\ncustomer,type,amount\n\na,purchase,1\n\n", 1),
    ("items as JSON", "customer,type,amount,items\na,purchase,1," + ITEMS, 1),
    ("NDJSON", FLAT + '{"customer":"b","action":"purchase","data":{"amount":1}}\n', 2),
]  # fmt: skip


@pytest.mark.parametrize(("content", "points"), [case[1:] for case in TORTURE], ids=[case[0] for case in TORTURE])
async def test_files_as_people_write_them(served: Served, content: str, points: int) -> None:
    found = await imported(served, content)
    assert counts(found) == ("finished", points, points, 0, 0, points), await rejected_text(served, found)


REFUSED: list[tuple[str | bytes, dict[str, object], str, str]] = [
    ("", {}, "/file", "unreadable_file"),
    (b"PK\x03\x04", {}, "/file", "unreadable_file"),
    ("name,amount\n", {}, "/file", "unreadable_file"),
    (HEAD, {"mapping": {"amount": "points"}}, "/options/mapping", "invalid_option"),
    (HEAD, {"mapping": {"none": "-"}}, "/file", "unreadable_file"),
    (HEAD, {"delimiter": "ab"}, "/options/delimiter", "invalid_option"),
    (HEAD, {"delimiter": "'", "quote": "'"}, "/options/delimiter", "invalid_option"),
    (HEAD, {"encoding": "utf-9"}, "/options/encoding", "invalid_option"),
    (HEAD, {"colour": "red"}, "/options/colour", "unknown_field"),
    (HEAD, {"sort": "yes"}, "/options/sort", "type"),
    (HEAD, {"template": "none"}, "/options/template", "unknown_template"),
    (HEAD, {"kind": "customers", "type": "purchase"}, "/options/type", "invalid_option"),
    (HEAD, {"dry_run": True, "rows": limits.IMPORT_PREVIEW_ROWS + 1}, "/options/rows", "out_of_range"),
    (HEAD, {"mapping": {f"c{n}": "-" for n in range(limits.IMPORT_COLUMNS + 1)}}, "/options/mapping", "invalid_option"),
]


@pytest.mark.parametrize(("content", "options", "pointer", "code"), REFUSED, ids=range(len(REFUSED)))
async def test_what_cannot_be_imported_is_told_at_once_and_not_kept(
    served: Served, content: str | bytes, options: dict[str, object], pointer: str, code: str
) -> None:
    answer = await send(served, content, **options)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, pointer, code)
    async with served.database.open_database() as opened, opened.pool.acquire() as connection:
        assert await connection.fetchval("select count(*) + (select count(*) from file_pieces) from files") == 0


async def test_forms_that_are_none(served: Served) -> None:
    plain = await served.post("/v1/imports", {"file": "a"})
    assert (plain.status_code, plain.json()["code"]) == (415, "unsupported_media_type")
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    cut = await served.post(
        "/v1/imports", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\na', headers=headers
    )
    assert (cut.status_code, cut.json()["code"]) == (400, "unreadable")
    for files, pointer, code in (
        ({"other": b"a"}, "/other", "unknown_field"),
        ({"options": b"{}"}, "/file", "missing"),
        ({"file": b"a", "options": b" " * (limits.IMPORT_OPTIONS_BYTES + 1)}, "/options", "too_large"),
    ):
        form = [(name, (None, content)) for name, content in files.items()]
        headers = {"Authorization": f"Bearer {served.key}"}
        answer = await served.client.post("/v1/imports", files=form, headers=headers)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["pointer"], error["code"]) == (422, pointer, code)
    packed = await served.post("/v1/imports", b"x", headers={**headers, "Content-Encoding": "gzip"})
    assert packed.status_code == 415


SLOW = (
    "POST /v1/imports HTTP/1.1\r\nHost: troth\r\nAuthorization: Bearer {key}\r\nContent-Length: 1000\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc'
)


async def test_a_file_has_a_bound_and_a_silent_sender_too(
    database: DatabaseAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(database, replace(Config(), import_mb=1)) as served:
        assert Config().import_mb == limits.IMPORT_FILE_MB
        fits, over = bytes(1 << 20), bytes((1 << 20) + 1)
        assert [(await send(served, content)).status_code for content in (fits, over)] == [422, 413]
        monkeypatch.setattr(limits, "UPLOAD_IDLE_SECONDS", 0.1)

        reader, writer = await asyncio.open_connection("127.0.0.1", int(served.address.rpartition(":")[2]))
        writer.write(SLOW.format(key=served.key).encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"timeout"' in answer


async def test_a_dry_run_shows_points_and_stores_nothing(served: Served) -> None:
    content = orders("dry", 3) + "dry,purchase,dry-4,,x\n,,,\n" + orders("more", 9).removeprefix(HEAD)
    answer = await send(served, content, dry_run=True, rows=5)
    found = answer.json()
    assert answer.status_code == 200
    names = ("read", "created", "duplicates", "rejected", "points")
    assert [found[name] for name in names] == [5, 3, 0, 2, 30]
    assert found["rows"][0] == {
        "line": 2, "status": "created", "customer": "dry", "type": "purchase", "points": 10, "errors": [],
    }  # fmt: skip
    assert [error["code"] for error in found["rows"][3]["errors"]] == ["type"]
    assert found["rows"][4]["errors"][0]["code"] == "ragged_row"
    async with served.database.open_database() as opened, opened.pool.acquire() as connection:
        for table in ("events", "files", "file_pieces", "jobs"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0


async def test_customers_are_imported_as_profiles(served: Served) -> None:
    content = 'customer,birth_date,tags,city,type\nada,1990-05-01,vip|early,Szeged,gold\nbob,,"[""a""]",,\n'
    found = await imported(served, content, kind="customers")
    assert counts(found) == ("finished", 2, 2, 0, 0, 0), await rejected_text(served, found)
    ada = (await served.get("/v1/customers/ada")).json()
    assert (ada["tags"], ada["attributes"]["city"], ada["attributes"]["type"]) == (["vip", "early"], "Szeged", "gold")
    assert (await served.get("/v1/customers/bob")).json()["tags"] == ["a"]
    lines = '{"customer":"cyd","attributes":{"city":"Pécs"},"tags":["x"]}\n{"customer":"ada","city":"Pécs"}\n'
    assert counts(await imported(served, lines, kind="customers"))[:3] == ("finished", 2, 2)
    changed = (await served.get("/v1/customers/ada")).json()
    assert (changed["tags"], changed["attributes"]["city"]) == (["vip", "early"], "Pécs")
    key, _ = await served.make_key(scopes=("imports:*",))
    headers = {"Authorization": f"Bearer {key}"}
    refused = await served.client.post(
        "/v1/imports", files={"file": ("a", content)}, data={"options": '{"kind":"customers"}'}, headers=headers
    )
    assert refused.status_code == 403


async def test_an_import_may_no_more_than_its_key(served: Served) -> None:
    content = "customer,type,points\nada,point_add,5\n"
    key, _ = await served.make_key(scopes=("imports:write", "events:write"))
    headers = {"Authorization": f"Bearer {key}"}
    answer = await served.client.post("/v1/imports", files={"file": ("a.csv", content)}, headers=headers)
    found = await ended(served, answer.json()["id"])
    assert counts(found) == ("finished_with_errors", 1, 0, 0, 1, 0)
    assert "forbidden" in await rejected_text(served, found)
    assert counts(await imported(served, content)) == ("finished", 1, 1, 0, 0, 5)
    none, _ = await served.make_key(scopes=("events:*",))
    assert (await served.get("/v1/imports", key=none)).status_code == 403


async def test_rows_that_go_back_in_time_are_told_and_sorted_on_wish(served: Served) -> None:
    def rows(name: str) -> str:
        days = [(day, customer) for day in (3, 1, 2) for customer in (f"{name}-a", f"{name}-b")]
        return HEAD + "".join(f"{who},purchase,{who}-{day},2026-01-0{day}T00:00:00Z,{day}\n" for day, who in days)

    found = await imported(served, rows("plain"))
    assert [warning["code"] for warning in found["warnings"]] == ["back_in_time"]
    assert "At least 4 rows" in found["warnings"][0]["detail"]
    in_order = await imported(served, rows("sorted"), sort=True)
    assert (counts(in_order)[:3], in_order["warnings"]) == (("finished", 6, 6), [])
    events = (await served.get("/v1/events?customer=sorted-a")).json()["items"]
    assert [event["properties"]["amount"] for event in events] == ["3.00", "2.00", "1.00"]


async def test_it_is_steered(served: Served) -> None:
    rows = "".join(f"steer-{n % 7},purchase,steer-{n},,1\n" for n in range(30_000))
    started = (await send(served, HEAD + rows)).json()["id"]
    assert (await served.post(f"/v1/imports/{started}/pause")).status_code == 200
    paused = await ended(served, started)
    assert paused["status"] == "paused"
    assert paused["read"] == paused["created"] < 30_000
    listed = (await served.get("/v1/imports?status=paused")).json()
    assert [item["id"] for item in listed["items"]] == [started]
    assert (await served.post(f"/v1/imports/{started}/resume")).json()["status"] in ("waiting", "running")
    assert (await served.post(f"/v1/imports/{started}/cancel")).status_code == 200
    cancelled = await ended(served, started)
    assert cancelled["status"] == "cancelled"
    refused = await served.post(f"/v1/imports/{started}/resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "import_is_over")
    assert (await served.post("/v1/imports/imp_0/pause")).status_code == 404
    assert (await served.get("/v1/imports?status=new")).status_code == 422
    async with served.database.open_database() as opened, opened.pool.acquire() as connection:
        assert await connection.fetchval("select count(*) from events") == cancelled["created"]


async def test_templates_name_options(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"delimiter": ";", "mapping": {"Kunde": "customer", "Betrag": "properties.amount"}, "type": "purchase"}
    made = await served.post("/v1/import-templates", {"name": "till", "options": options})
    assert (made.status_code, made.json()["options"]) == (201, options)
    assert (await served.post("/v1/import-templates", {"name": "till", "options": {}})).status_code == 409
    found = await imported(served, "Kunde;Betrag\nada;5\n", template="till")
    assert counts(found) == ("finished", 1, 1, 0, 0, 5)
    assert found["options"] == options
    over = await imported(
        served, "Kunde;Betrag\nada;6\n", template="till", mapping={"Kunde": "customer", "Betrag": "-"}
    )
    assert counts(over)[:2] == ("finished_with_errors", 1), "what is stated stands over the template"
    path = "/v1/import-templates/till"
    assert (await served.request("PUT", path, json={"sort": True})).json()["options"] == {"sort": True}
    assert (await served.request("PUT", path, json={"dry_run": True})).status_code == 422
    assert (await served.request("PUT", "/v1/import-templates/a%20b", json={})).status_code == 422
    monkeypatch.setattr(limits, "IMPORT_TEMPLATES", 2)
    made = await served.request("PUT", "/v1/import-templates/second", json={})
    assert made.status_code == 201
    assert (await served.request("PUT", "/v1/import-templates/third", json={})).json()["code"] == "too_many_templates"
    page = (await served.get("/v1/import-templates?limit=1")).json()
    rest = (await served.get(f"/v1/import-templates?limit=1&cursor={page['next']}")).json()
    assert [item["name"] for item in (*page["items"], *rest["items"])] == ["second", "till"]
    assert (await served.request("DELETE", path)).status_code == 204
    assert (await served.get(path)).status_code == 404
    assert (await served.request("DELETE", path)).status_code == 404


async def test_history_that_was_paid_elsewhere_earns_nothing(served: Served) -> None:
    refused = await send(served, orders("ada"), awards=False)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/options/awards")
    answer = await imported(served, orders("ada"), mode="historical", awards=False)
    assert (answer["status"], answer["points"], answer["rejected"]) == ("finished", 0, 0)
    (event, *_) = (await served.get("/v1/customers/ada/events")).json()["items"]
    shown = (await served.get(f"/v1/events/{event['id']}/explanation")).json()
    assert {rule["reason"] for rule in shown["rules"]} == {"without_awards"}
