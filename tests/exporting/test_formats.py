"""Every kind of export in every format, read back by others' readers, and equal to the database to the last digit."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256

import asyncpg
import pyarrow.parquet as pq

from tests.exporting.shop import BEYOND, Exported, export
from tests.serving import Served
from troth.core.calendar import show_time

Rows = list[dict[str, object]]
KINDS = ("events", "customers", "postings", "orders")


def read_csv(content: bytes) -> Rows:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def read_ndjson(content: bytes) -> Rows:
    return [json.loads(line, parse_float=Decimal) for line in content.splitlines()]


def read_parquet(content: bytes) -> Rows:
    return pq.read_table(io.BytesIO(content)).to_pylist()


READERS = {"csv": read_csv, "ndjson": read_ndjson, "parquet": read_parquet}


async def rows(server: Served, statement: str) -> list[asyncpg.Record]:
    async with server.database.open_database(connections=1) as database, database.pool.acquire() as connection:
        return list(await connection.fetch(statement))


def told(value: object) -> object:
    """A value as CSV and NDJSON tell it, without the form of either: numbers and moments as text, JSON read."""
    if isinstance(value, str):
        try:
            read = json.loads(value, parse_float=Decimal) if value[:1] in ("{", "[") else value
        except ValueError:
            return value
        return plain(read) if read is not value else value
    return plain(value)


def plain(value: object) -> object:
    match value:
        case dict():
            return {name: plain(part) for name, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
        case bool():
            return "true" if value else "false"
        case Decimal() | int():
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
        case datetime():
            return show_time(value)
        case date():
            return value.isoformat()
        case _:
            return "" if value is None else value


def same(found: Rows) -> Rows:
    return [{name: told(value) for name, value in row.items()} for row in found]


# One content in three forms


async def test_the_formats_tell_the_same(shop: Served) -> None:
    for kind in KINDS:
        found = {
            name: same(read((await export(shop, kind, format=name, formulas="keep", personal=True)).content))
            for name, read in READERS.items()
        }
        assert len(found["csv"]) >= 5
        assert found["csv"] == found["ndjson"]
        assert found["csv"] == found["parquet"]


# Against the database, and against what the API shows


async def test_events_are_what_is_recorded(shop: Served) -> None:
    found = {row["troth_id"]: row for row in read_ndjson((await export(shop, "events", format="ndjson")).content)}
    recorded = await rows(shop, "select * from events")
    assert {f"evt_{row['id'].hex}" for row in recorded} == set(found)
    for row in recorded:
        shown = found[f"evt_{row['id'].hex}"]
        assert shown["occurred_at"] == show_time(row["occurred_at"])
        assert shown["properties"] == json.loads(row["properties"], parse_float=Decimal)
        assert (shown["type"], shown["troth_seq"], shown["troth_points"]) == (row["type"], row["seq"], row["points"])
    for item in (await shop.get("/v1/events")).json()["items"]:
        shown = found[item["id"]]
        for name in ("customer", "type", "reference", "occurred_at"):
            assert shown[name] == item[name]
        assert (shown["troth_awards"], shown["troth_wallets"]) == (item["awards"], item["wallets"])
        assert shown["troth_recorded_at"] == item["recorded_at"]


async def test_postings_are_the_ledger(shop: Served) -> None:
    found = read_csv((await export(shop, "postings", formulas="keep")).content)
    recorded = await rows(shop, "select * from postings order by bucket, event_id, n")
    assert len(found) == len(recorded) > 5
    for shown, row in zip(found, recorded, strict=True):
        assert shown["id"] == f"pst_{row['event_id'].hex}_{row['n']}"
        assert (shown["points"], shown["wallet"]) == (str(row["points"]), row["wallet"])
        assert (shown["from_state"], shown["to_state"]) == (row["from_state"], row["to_state"])
        assert shown["base"] == ("" if row["base"] is None else f"{row['base']:f}")
        assert shown["occurred_at"] == show_time(row["occurred_at"])
    assert {row["base"] for row in found} >= {"333.266670", "999.90"}


async def test_customers_are_their_profiles(shop: Served) -> None:
    found = {row["customer"]: row for row in read_ndjson((await export(shop, "customers", format="ndjson")).content)}
    assert sorted(found) == ["-ada", "ada", "grace", "late", "zoë"]
    for name, shown in found.items():
        profile = (await shop.get(f"/v1/customers/{name}")).json()
        for field in ("id", "created_at", "tags", "wallets", "events", "orders", "seq"):
            assert shown[field] == profile[field]
        assert shown["tier"] == profile["tier"]["id"]
    assert found["ada"]["attributes"] == {"city": "Linz"}, "the phone number is personal"


async def test_orders_are_as_they_stand(shop: Served) -> None:
    found = {row["order_id"]: row for row in read_ndjson((await export(shop, "orders", format="ndjson")).content)}
    assert sorted(found) == [str(BEYOND), "o-3", "o-4", "o-8", "o-plain"]
    for name, shown in found.items():
        order = json.loads((await shop.get(f"/v1/orders/{name}")).text, parse_float=Decimal)
        for field in ("customer", "event", "type", "opened_at", "status", "content", "awards", "burned"):
            assert plain(shown[field]) == plain(order[field]), field
    assert (found["o-4"]["status"], found["o-4"]["points"]) == ("refunded", 0)
    assert found[str(BEYOND)]["points"] == 999


# One event type: a column for each of its properties


async def test_properties_have_columns_of_their_own(shop: Served) -> None:
    asked = {"filter": {"type": "purchase"}, "formulas": "keep", "personal": True}
    found = {row["reference"]: row for row in read_csv((await export(shop, "events", **asked)).content)}
    odd = found[str(BEYOND)]
    assert {name: value for name, value in odd.items() if name.startswith("properties.")} == {
        "properties.amount": "999.90",
        "properties.weight": "0.1000000000000001",
        "properties.order_id": str(BEYOND),
        "properties.note": '=1+1; "quoted", and\r\na new line',
        "properties.gift": "true",
        "properties.day": "2026-02-28",
        "properties.ready_at": "2026-03-01T10:00:00.123456Z",
        "properties.items": '["a","b,c"]',
        "properties.email": "=cmd",
    }
    assert odd["properties"] == f'{{"big":{BEYOND},"price":0.1}}', "what the type does not declare"
    assert found["r-4"]["properties"] == '{"note":""}', "an empty cell would read as absent"
    assert found["r-1"]["properties"] == ""


async def test_parquet_columns_are_typed(shop: Served) -> None:
    exported = await export(shop, "events", format="parquet", filter={"type": "purchase"})
    table = pq.read_table(io.BytesIO(exported.content))
    types = {field.name: str(field.type) for field in table.schema}
    assert "properties.email" not in types, "personal"
    assert types["properties.amount"] == "decimal128(38, 2)"
    assert types["properties.weight"] == "decimal128(38, 16)"
    assert (types["properties.gift"], types["properties.day"]) == ("bool", "date32[day]")
    assert (types["troth_points"], types["troth_seq"]) == ("int64", "int64")
    assert types["occurred_at"] == types["properties.ready_at"] == "timestamp[us, tz=UTC]"
    (odd,) = (row for row in table.to_pylist() if row["reference"] == str(BEYOND))
    assert odd["properties.weight"] == Decimal("0.1000000000000001")
    assert odd["occurred_at"].microsecond == 1
    assert json.loads(odd["properties"]) == {"big": BEYOND, "price": 0.1}


async def test_what_an_older_declaration_let_in_is_not_bent(shop: Served) -> None:
    """`amount` loses its places, `day` becomes a number: recorded values stay as they are, beside the columns."""
    declared = (await shop.get("/v1/event-types/purchase")).json()
    declared["properties"]["amount"]["places"] = 1
    declared["properties"]["day"] = {"type": "number", "places": 0}
    declared.pop("revision", None)
    answer = await shop.request("PUT", "/v1/event-types/purchase", json=declared)
    assert answer.status_code == 200, answer.text
    for name, read in (("csv", read_csv), ("parquet", read_parquet)):
        exported = await export(shop, "events", format=name, filter={"type": "purchase"})
        (odd,) = (row for row in read(exported.content) if row["reference"] == str(BEYOND))
        assert not odd["properties.amount"]
        assert json.loads(str(odd["properties"]))["amount"] == "999.90"
        assert json.loads(str(odd["properties"]))["day"] == "2026-02-28"


# Spreadsheets


async def test_formulas_are_neutralised_and_numbers_are_not(shop: Served) -> None:
    asked = {"filter": {"type": "purchase"}, "personal": True}
    exported = await export(shop, "events", **asked)
    assert exported.answer["formulas"] == "neutralise"
    (odd,) = (row for row in read_csv(exported.content) if row["reference"] == str(BEYOND))
    assert (odd["customer"], odd["properties.email"]) == ("'-ada", "'=cmd")
    assert str(odd["properties.note"]).startswith("'=1+1")
    points = [row["troth_points"] for row in read_csv((await export(shop, "events")).content)]
    assert "-20" in points
    (kept,) = (row for row in read_csv((await export(shop, "events", **asked, formulas="keep")).content)
               if row["reference"] == str(BEYOND))  # fmt: skip
    assert (kept["customer"], kept["properties.email"]) == ("-ada", "=cmd")


# The file itself


async def test_gzip_holds_the_same(shop: Served) -> None:
    for name in ("csv", "ndjson"):
        exported = await export(shop, "events", format=name)
        packed = await export(shop, "events", format=name, compression="gzip")
        assert gzip.decompress(packed.content) == exported.content
        assert packed.headers["content-type"] == "application/gzip"
        assert packed.headers["content-disposition"].endswith(f".{name}.gz")


async def test_nothing_is_a_file_too(empty: Served) -> None:
    for name, read in READERS.items():
        exported = await export(empty, "events", format=name)
        assert exported.answer["rows"] == 0
        assert read(exported.content) == []
    packed = await export(empty, "events", format="ndjson", compression="gzip")
    assert gzip.decompress(packed.content) == b""


async def test_the_answer_names_the_file(shop: Served) -> None:
    exported: Exported = await export(shop, "customers")
    digest = sha256(exported.content)
    assert exported.answer["sha256"] == digest.hexdigest()
    assert exported.answer["size"] == len(exported.content) == int(exported.headers["content-length"])
    assert exported.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment; filename*=UTF-8''troth-customers-" in exported.headers["content-disposition"]
    assert (exported.answer["rows"], exported.answer["percent"]) == (5, 100)
