"""Profiles: attributes and tags change by events alone, and nothing personal stands in clear in any table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.conftest import TestDatabase
from tests.pipeline.shop import PURCHASE, VAULT, Shop, code, document, open_shop, purchase, record
from troth.core.decide import decide
from troth.core.rules import Shelf
from troth.pipeline.ingest import present
from troth.pipeline.outcome import RawEvent
from troth.pipeline.validate import ValidEvent
from troth.pipeline.work import Work
from troth.pipeline.write import Ledger, Party
from troth.store.batch import read
from troth.store.events import CustomerPersonal, fetch_events
from troth.store.row_ids import new_id

PROFILE = {
    "id": "profile",
    "properties": {
        "city": {"type": "text"},
        "children": {"type": "number", "places": "0"},
        "vip": {"type": "boolean", "default": False},
        "email": {"type": "text", "pii": True},
        "phone": {"type": "text", "pii": True},
    },
}
RULES = [
    {"id": "vip", "event_type": "purchase", "when": "customer.attributes.vip ?? false", "award": "100"},
    {"id": "home", "event_type": "purchase", "when": 'customer.attributes.city == "Pécs"', "award": "10"},
    {"id": "fan", "event_type": "purchase", "when": '"fan" in customer.tags', "award": "1"},
]


@pytest.fixture
async def shop(database: TestDatabase) -> AsyncIterator[Shop]:
    async with open_shop(database, document(*RULES, event_types=[PURCHASE, PROFILE])) as opened:
        yield opened


async def profile(shop: Shop, **properties: object) -> None:
    outcome = await shop.one(RawEvent(customer="anna", type="profile", properties=properties))
    assert code(outcome) == "applied", outcome


async def attributes(shop: Shop) -> dict[str, object]:
    ((found,),) = await shop.rows("select attributes from customers")
    return dict(json.loads(found))


async def personal(shop: Shop) -> dict[str, object]:
    ((customer_id, key_id, sealed, text),) = await shop.rows(
        "select c.id, k.id, k.sealed, c.personal from customers c join personal_keys k on k.id = c.personal_key"
    )
    opened = VAULT.open_key(key_id, sealed).open(text, customer_id)
    found = msgspec.json.decode(opened, type=CustomerPersonal)
    assert found.external_id == "anna"
    return found.attributes


async def test_what_is_named_changes_and_null_removes(shop: Shop) -> None:
    await profile(shop, city="Pécs", children="2", email="a@example.org", phone="123")
    await profile(shop, city="Győr", phone=None)
    assert await attributes(shop) == {"city": "Győr", "children": "2"}
    assert await personal(shop) == {"email": "a@example.org"}
    await profile(shop, city=None, children=3, unknown_yet="kept")
    assert await attributes(shop) == {"children": "3", "unknown_yet": "kept"}


async def test_a_default_is_no_change(shop: Shop) -> None:
    """A profile event that does not name an attribute leaves it, whatever its default."""
    await profile(shop, vip=True)
    await profile(shop, city="Pécs")
    assert await attributes(shop) == {"vip": True, "city": "Pécs"}
    assert record(await shop.one(purchase("anna"))).points == 110
    await profile(shop, vip=None)
    assert await attributes(shop) == {"city": "Pécs"}


async def test_tags_are_replaced_whole(shop: Shop) -> None:
    async def tags() -> object:
        ((found,),) = await shop.rows("select tags from customers")
        return json.loads(found)

    await profile(shop, tags=["fan", "new"])
    await profile(shop, city="Győr")
    assert await tags() == ["fan", "new"]
    assert record(await shop.one(purchase("anna"))).points == 1
    await profile(shop, tags=[])
    assert await tags() == []
    assert record(await shop.one(purchase("anna"))).points == 0


async def test_rules_read_the_profile_as_it_was_before(shop: Shop) -> None:
    found = await shop.send(
        purchase("anna", "1"),
        RawEvent(customer="anna", type="profile", properties={"city": "Pécs"}),
        purchase("anna", "1"),
    )
    assert [record(outcome).points for outcome in found] == [0, 0, 10]


SECRETS = {
    "email": "anna.secret@example.org",
    "phone": "+36-70-SECRET",
    "reference": "reference-SECRET",
    "ip": "203.0.113.99",
    "user_agent": "SecretBrowser/1.0",
}


async def test_nothing_personal_stands_in_clear_anywhere(shop: Shop) -> None:
    properties = {"email": SECRETS["email"], "phone": SECRETS["phone"], "city": "Pécs"}
    sent = await shop.send(
        RawEvent(
            customer="anna",
            type="profile",
            reference=SECRETS["reference"],
            properties=properties,
            ip=SECRETS["ip"],
            user_agent=SECRETS["user_agent"],
        ),
        purchase("anna", "1", SECRETS["reference"] + "2", properties={"email": SECRETS["email"]}),
    )
    clear = [await texts_of(shop, table) for table in await tables(shop)]
    assert any("Pécs" in text for text in clear), "the search reads what is in the tables"
    for secret in SECRETS.values():
        assert not any(secret in text or secret.encode().hex() in text for text in clear), secret
    assert [record(outcome).reference for outcome in sent] == [SECRETS["reference"], SECRETS["reference"] + "2"]


async def test_the_external_id_stands_in_one_table(shop: Shop) -> None:
    await shop.send(
        RawEvent(customer="anna-SECRET", type="profile", properties={"city": "Pécs"}), purchase("anna-SECRET")
    )
    holders = [table for table in await tables(shop) if "anna-SECRET" in await texts_of(shop, table)]
    assert holders == ["identities"]


async def tables(shop: Shop) -> list[str]:
    found = await shop.rows(
        "select relname from pg_class where relnamespace = 'troth'::regnamespace and relkind in ('r', 'p')"
        " and not relispartition and relname <> 'migrations' order by 1"
    )
    names = [row["relname"] for row in found]
    assert {"events", "customers", "identities", "event_refs", "postings"} <= set(names)
    return names


async def texts_of(shop: Shop, table: str) -> str:
    """Every row as text; bytes as hexadecimal digits."""
    return "\n".join(row["text"] for row in await shop.rows(f"select t::text as text from {table} t"))


async def test_what_is_sealed_is_read_back_and_only_with_the_key(shop: Shop) -> None:
    sent = record(await shop.one(purchase("anna", "1", "r", properties={"email": "a@example.org"}, ip="203.0.113.9")))
    async with shop.database.pool.acquire() as connection:
        ((event_id,),) = await connection.fetch("select id from events")
        stored = (await fetch_events(connection, VAULT, [event_id]))[event_id]
        assert (stored.record, stored.personal.properties) == (sent, {"email": "a@example.org"})
        assert (stored.personal.ip, stored.properties) == ("203.0.113.9", {"amount": "1.00"})
        await connection.execute("delete from personal_keys")
        erased = (await fetch_events(connection, VAULT, [event_id]))[event_id]
    assert (erased.record.customer, erased.record.reference, erased.personal.properties) == (None, None, {})
    assert erased.record.points == sent.points


async def test_what_is_judged_again_begins_with_what_was_read(shop: Shop) -> None:
    """A batch is judged again when something has to be loaded: until it is written, nothing of a try may remain."""
    await profile(shop, email="old@example.org")
    book = await shop.engine.books.live()
    async with shop.database.pool.acquire() as connection:
        row = (await read(connection, ["anna"])).rows["anna"]
    assert row.personal_key is not None
    assert row.sealed_key is not None
    known, party = row.personal, Party(row=row, key=VAULT.open_key(row.personal_key, row.sealed_key), before=row.state)
    raw = RawEvent(customer="anna", type="profile", properties={"email": "new@example.org"})
    valid = book.validator.validate(raw, present())
    assert isinstance(valid, ValidEvent)
    work = Work(valid=valid, revision=book.revision)
    work.name(new_id(row.bucket))
    assert Ledger(book.rules).add(work, party, decide(row.state, work.event(), Shelf(book.rules, {}))) is not None
    assert (row.personal, party.before.seq) == (known, 1)
