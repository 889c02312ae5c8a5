"""Exports over HTTP: which rows, who may, what is refused, how they end, and that what went out can come in again."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from tests.exporting.shop import BEYOND, ask, export, fill, until
from tests.serving import MASTER_KEY, Served, serving
from troth import limits
from troth.config import Config
from troth.embedded.access import DatabaseAccess
from troth.engine import running_engine
from troth.entry.csv_import import CsvRows
from troth.entry.import_file import ImportFile
from troth.entry.import_rows import Reading, structured_properties
from troth.entry.import_run import ImportRun, Tally
from troth.entry.ndjson_import import NdjsonRows
from troth.store.vault import Vault


async def column(server: Served, kind: str, name: str, **filters: object) -> list[str]:
    """One column of an export, sorted."""
    exported = await export(server, kind, filter=filters, columns=[name], formulas="keep")
    header, *rows = csv.reader(io.StringIO(exported.content.decode(), newline=""))
    assert header == [name]
    return sorted(row[0] if row else "" for row in rows)


async def execute(server: Served, statement: str, *values: object) -> None:
    async with server.database.open_database(connections=1) as database, database.pool.acquire() as connection:
        await connection.execute(statement, *values)


# Which rows

EVENTS: list[tuple[dict[str, object], list[str]]] = [
    ({"type": "refund"}, ["r-5"]),
    ({"customer": "zoë"}, ["r-4", "r-5"]),
    ({"customer": "nobody"}, []),
    ({"customer": "ada", "type": "chat"}, ["r-6"]),
    ({"from": "2026-01-05T11:00:00+01:00", "to": "2026-01-07T10:00:00Z"}, ["r-5", "r-6"]),
    ({"reference": str(BEYOND)}, [str(BEYOND)]),
    ({"reference": "r-1", "type": "refund"}, []),
    ({"order_id": "o-4"}, ["r-4"]),
    ({"order_id": "o-4", "reference": "r-1"}, []),
    ({"has_points": False, "type": "purchase"}, ["r-3"]),
    ({"source": "import"}, []),
    ({"ids": []}, []),
]


async def test_events_by_filter(shop: Served) -> None:
    for filters, references in EVENTS:
        assert await column(shop, "events", "reference", **filters) == references, filters


async def test_events_by_id_and_those_an_import_takes_in(shop: Served) -> None:
    items = (await shop.get("/v1/events")).json()["items"]
    chosen = [item["id"] for item in items[::3]]
    assert await column(shop, "events", "troth_id", ids=[*chosen, "evt_" + "0" * 32]) == sorted(chosen)
    assert await column(shop, "events", "troth_id", ids=chosen, customer="ada") == sorted(
        item["id"] for item in items[::3] if item["customer"] == "ada"
    )
    assert "tier_upgraded" in await column(shop, "events", "type")
    assert "tier_upgraded" not in await column(shop, "events", "type", importable=True)
    assert len(await column(shop, "events", "type", importable=True)) == len(items) - 1


OTHERS: list[tuple[str, str, dict[str, object], list[str]]] = [
    ("customers", "customer", {"tag": "vip"}, ["ada"]),
    ("customers", "customer", {"tier": "silver"}, ["-ada"]),
    ("customers", "customer", {"search": "la"}, ["late"]),
    ("customers", "customer", {"active_from": "2026-01-07T10:00:00Z"}, ["ada", "late"]),
    ("customers", "customer", {"to": "2026-01-01T00:00:00Z"}, []),
    ("postings", "points", {"wallet": "miles", "customer": "zoë"}, ["6", "6"]),
    ("postings", "points", {"reason": "reversal", "wallet": "points"}, ["20"]),
    ("postings", "points", {"from": "2026-01-08T00:00:00Z"}, ["1", "5"]),
    ("postings", "points", {"customer": "nobody"}, []),
    ("orders", "order_id", {"status": "refunded"}, ["o-4"]),
    ("orders", "order_id", {"customer": "ada"}, ["o-plain"]),
    ("orders", "order_id", {"from": "2026-01-03T00:00:00Z", "to": "2026-01-05T00:00:00Z"}, ["o-3", "o-4"]),
]


async def test_others_by_filter(shop: Served) -> None:
    for kind, name, filters, found in OTHERS:
        assert await column(shop, kind, name, **filters) == found, filters


async def test_pages_lose_and_repeat_nothing(shop: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {
        kind: await column(shop, kind, name)
        for kind, name in (("events", "troth_id"), ("postings", "id"), ("orders", "event"), ("customers", "id"))
    }
    monkeypatch.setattr(limits, "EXPORT_PAGE_ROWS", 1)
    for kind, name in (("events", "troth_id"), ("postings", "id"), ("orders", "event"), ("customers", "id")):
        assert await column(shop, kind, name) == whole[kind]
    assert await column(shop, "events", "troth_id", customer="ada") == sorted(
        item["id"] for item in (await shop.get("/v1/events?customer=ada")).json()["items"]
    )
    assert await column(shop, "events", "troth_id", ids=whole["events"]) == whole["events"]
    assert await column(shop, "postings", "points", wallet="miles", customer="zoë") == ["6", "6"]
    assert await column(shop, "orders", "order_id", customer="zoë") == ["o-4"]


async def test_columns_in_the_order_asked_for(shop: Served) -> None:
    names = ["troth_points", "customer", "properties.amount"]
    exported = await export(shop, "events", filter={"reference": "r-1", "type": "purchase"}, columns=names)
    assert exported.content == b"troth_points,customer,properties.amount\r\n10,ada,10.50\r\n"
    assert exported.answer["columns"] == names


# One consistent story


async def test_events_of_the_last_two_minutes_are_left_out(database: DatabaseAccess) -> None:
    async with serving(database, Config()) as server:
        await fill(server)
        exported = await export(server, "events", format="ndjson")
        assert exported.content == b""
        before = datetime.fromisoformat(str(exported.answer["until"]))
        assert timedelta(seconds=120) <= datetime.now(UTC) - before < timedelta(seconds=180)


async def test_what_is_recorded_later_is_not_in_it(shop: Served) -> None:
    asked = await ask(shop, "events", format="ndjson")
    late = {"customer": "ada", "type": "chat", "reference": "later", "properties": {}}
    assert (await shop.post("/v1/events", late)).status_code == 201
    await until(shop, asked["id"], "finished")
    content = (await shop.get(f"/v1/exports/{asked['id']}/file")).text
    assert '"reference":"later"' not in content
    assert content.count("\n") == 9


# Who may


async def test_scopes(shop: Served) -> None:
    reader, _ = await shop.make_key(scopes=("exports:read",))
    writer, _ = await shop.make_key(scopes=("exports:write",))
    both, _ = await shop.make_key(scopes=("exports:*", "customers:read"))
    body = {"kind": "customers", "personal": True}
    assert (await shop.post("/v1/exports", body, key=reader)).status_code == 403
    assert (await shop.get("/v1/exports", key=writer)).status_code == 403
    answer = await shop.post("/v1/exports", body, key=writer)
    assert (answer.status_code, "customers:read" in answer.json()["detail"]) == (403, True)
    answer = await shop.post("/v1/exports", body, key=both)
    assert answer.status_code == 202
    export_id = answer.json()["id"]
    await until(shop, export_id, "finished")
    assert (await shop.get(f"/v1/exports/{export_id}/file", key=reader)).status_code == 403
    assert "+43 1 234" in (await shop.get(f"/v1/exports/{export_id}/file", key=both)).text
    assert (await shop.get("/v1/exports", key=None)).status_code == 401


async def test_personal_data_is_left_out_unless_asked_for(shop: Served) -> None:
    for kind in ("events", "customers", "orders", "postings"):
        text = (await export(shop, kind, format="ndjson")).content.decode()
        assert "+43" not in text, kind
        assert "example.org" not in text, kind
        assert "httpx" not in text, kind
    text = (await export(shop, "events", format="ndjson", personal=True)).content.decode()
    assert all(part in text for part in ("+43 1 234", "ada@example.org", "httpx", "127.0.0.1"))


async def test_a_person_whose_key_is_gone_leaves_the_ledger(shop: Served) -> None:
    await execute(
        shop,
        "delete from personal_keys where id in (select c.personal_key from customers c join identities i"
        " on i.customer_id = c.id and i.customer_bucket = c.bucket where i.external_id = 'ada')",
    )
    found = [
        json.loads(line) for line in (await export(shop, "events", format="ndjson", personal=True)).content.splitlines()
    ]
    nameless = [row for row in found if row["customer"] is None]
    assert [row["troth_points"] for row in nameless] == [10, 0, 0]
    assert all(row["reference"] is None and "email" not in row["properties"] for row in nameless)
    postings = await column(shop, "postings", "customer")
    assert (postings.count(""), postings.count("ada")) == (2, 0)
    assert "ada" not in await column(shop, "orders", "customer")


# What is refused

REFUSED: list[tuple[object, list[tuple[str, str]]]] = [
    ([], [("", "not_an_object")]),
    ({}, [("/kind", "missing")]),
    ({"kind": "people"}, [("/kind", "not_allowed")]),
    ({"kind": "events", "format": "xlsx", "compression": "zip", "formulas": 1, "personal": "yes", "more": 1},
     [("/more", "unknown_field"), ("/format", "not_allowed"), ("/compression", "not_allowed"),
      ("/formulas", "not_allowed"), ("/personal", "type")]),
    ({"kind": "events", "format": "parquet", "compression": "gzip"}, [("/compression", "not_with_parquet")]),
    ({"kind": "events", "filter": []}, [("/filter", "type")]),
    ({"kind": "orders", "filter": {"wallet": "points", "status": "lost", "from": "yesterday"}},
     [("/filter/wallet", "unknown_filter"), ("/filter/status", "not_allowed"), ("/filter/from", "invalid_datetime")]),
    ({"kind": "events", "filter": {"type": "a\0", "customer": 7, "has_points": "no", "ids": ["evt_1"]}},
     [("/filter/type", "invalid_character"), ("/filter/customer", "type"), ("/filter/has_points", "type"),
      ("/filter/ids/0", "not_an_id")]),
    ({"kind": "events", "columns": ["customer", "nothing", "customer"]},
     [("/columns/1", "unknown_column"), ("/columns/2", "duplicate")]),
    ({"kind": "events", "columns": []}, [("/columns", "type")]),
    ({"kind": "events", "filter": {"ids": "evt_1"}}, [("/filter/ids", "type")]),
    ({"kind": "customers", "filter": {"search": "x" * (limits.TEXT_LENGTH + 1)}}, [("/filter/search", "type")]),
    ({"kind": "events", "filter": {"ids": ["evt_" + "0" * 32] * (limits.EXPORT_IDS + 1)}},
     [("/filter/ids", "too_many_ids")]),
]  # fmt: skip


async def test_what_cannot_be_is_refused_whole(empty: Served) -> None:
    for body, problems in REFUSED:
        answer = await empty.post("/v1/exports", body)
        assert answer.status_code == 422
        found = sorted((item["pointer"], item["code"]) for item in answer.json().get("errors", []))
        assert found == sorted(problems)


async def test_bounds_of_what_is_asked(empty: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["evt_" + "0" * 32] * limits.EXPORT_IDS
    assert (await export(empty, "events", filter={"ids": ids})).answer["rows"] == 0
    names = ["customer"] * (limits.EXPORT_COLUMNS + 1)
    answer = await empty.post("/v1/exports", {"kind": "events", "columns": names})
    assert "too_many_columns" in {item["code"] for item in answer.json()["errors"]}
    assert (await empty.post("/v1/exports", b"{")).status_code == 400
    monkeypatch.setattr(limits, "EXPORTS_WAITING", 0)
    answer = await empty.post("/v1/exports", {"kind": "events"})
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_exports")
    assert int(answer.headers["retry-after"]) > 0


async def test_unknown_exports(empty: Served) -> None:
    for path in ("exp_" + "0" * 32, "exp_1", "imp_" + "0" * 32):
        assert (await empty.get(f"/v1/exports/{path}")).status_code == 404
        assert (await empty.get(f"/v1/exports/{path}/file")).status_code == 404
        assert (await empty.post(f"/v1/exports/{path}/cancel")).status_code == 404


# How they end


async def test_pages_of_exports_newest_first(shop: Served) -> None:
    made = [(await export(shop, "customers")).answer["id"] for _ in range(3)]
    first = (await shop.get("/v1/exports?limit=2&status=finished")).json()
    rest = (await shop.get(f"/v1/exports?limit=2&cursor={first['next']}")).json()
    assert [item["id"] for item in (*first["items"], *rest["items"])] == made[::-1]
    assert rest["next"] is None
    assert (await shop.get("/v1/exports?status=ready")).status_code == 422


async def test_a_waiting_one_is_cancelled_at_once(database: DatabaseAccess) -> None:
    async with serving(database, Config(runs_jobs=False)) as server:
        export_id = (await ask(server, "events"))["id"]
        answer = await server.get(f"/v1/exports/{export_id}/file")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_finished")
        for _ in range(2):
            answer = await server.post(f"/v1/exports/{export_id}/cancel")
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


async def test_a_finished_one_is_not_cancelled(shop: Served) -> None:
    export_id = (await export(shop, "customers")).answer["id"]
    answer = await shop.post(f"/v1/exports/{export_id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_finished")
    assert (await shop.get(f"/v1/exports/{export_id}/file")).status_code == 200


async def test_it_expires(shop: Served) -> None:
    exported = await export(shop, "customers")
    export_id = exported.answer["id"]
    days = datetime.fromisoformat(str(exported.answer["expires_at"])) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < days <= timedelta(days=7)
    await execute(shop, "update files set expires_at = now() - interval '1 ms'")
    answer = await shop.get(f"/v1/exports/{export_id}/file")
    assert (answer.status_code, answer.json()["code"]) == (410, "expired")
    await execute(
        shop, "update jobs set progress = jsonb_set(progress, '{expires_at}', to_jsonb('2026-01-01T00:00:00Z'::text))"
    )
    assert (await shop.get(f"/v1/exports/{export_id}")).json()["status"] == "expired"


async def test_an_export_comes_in_again_and_changes_nothing(shop: Served, tmp_path: Path) -> None:
    for form, filters in product(("csv", "ndjson"), ({}, {"type": "purchase"})):
        asked = {"format": form, "filter": {**filters, "importable": True}, "formulas": "keep", "personal": True}
        exported = await export(shop, "events", **asked)
        path = tmp_path / f"again.{form}"
        path.write_bytes(exported.content)
        tally = await import_again(shop, path)
        assert tally.read == exported.answer["rows"] == (5 if filters else 8)
        assert (tally.duplicates, tally.mismatched, tally.rejected) == (tally.read, 0, 0)


async def import_again(server: Served, path: Path) -> Tally:
    async with (
        server.database.open_database(connections=4) as database,
        running_engine(database, Vault(MASTER_KEY)) as engine,
    ):
        reader = NdjsonRows if path.suffix == ".ndjson" else CsvRows
        with ImportFile(path) as file:
            rows = reader(file, Reading(source_detail=path.name))
            structured = structured_properties((await engine.books.live()).rules.program)
            run = ImportRun(rows.read(structured), engine.batcher, lambda row, problems: print(row, problems))
            await run.run()
    return run.tally
