"""What every source shares: who may send what, what is counted and kept, and what waits in an inbox."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from tests.entry.sourcing import counters, door_of, make_source, points_of
from tests.serving import Served
from troth import limits
from troth.core.coercion import Problem
from troth.entry.source_door import Delivery
from troth.entry.source_inbox import Item, Waiting
from troth.pipeline.outcome import Applied, Duplicate, RawEvent, Rejected
from troth.worker import drop_old


def review(customer: str, reference: str, **fields: object) -> Delivery:
    raw = RawEvent(customer=customer, type="review", reference=reference, **fields)  # type: ignore[arg-type]
    return Delivery(raw=raw, payload={"who": customer})


async def test_events_name_their_source_and_are_counted(served: Served) -> None:
    await make_source(served, "webhook")
    deliveries = [review("ada", "r1"), review("ada", "r1"), review("ada", "r2", properties=[])]
    async with door_of(served, "my-webhook", "webhook") as (door, source):
        outcomes = await door.record(source, deliveries)
    assert [type(outcome) for outcome in outcomes] == [Applied, Duplicate, Rejected]
    assert await counters(served, "my-webhook") == {"received": 3, "accepted": 1, "duplicates": 1, "refused": 1}
    (event,) = (await served.get("/v1/events")).json()["items"]
    assert (event["source"], event["source_detail"]) == ("webhook", "my-webhook")
    (item,) = (await served.get("/v1/rejections?source=my-webhook")).json()["items"]
    shown = (await served.get(f"/v1/rejections/{item['id']}")).json()
    assert (shown["payload"], shown["codes"]) == ({"who": "ada"}, ["type"])
    (error,) = (await served.get("/v1/sources/my-webhook")).json()["errors"]
    assert (error["code"], error["type"], error["rejection"]) == ("type", "review", item["id"])


async def test_a_source_sends_what_its_list_names(served: Served) -> None:
    await make_source(served, "webhook", settings={"types": ["login", "point_add"]})
    points = RawEvent(customer="ada", type="point_add", reference="p", properties={"points": 5})
    async with door_of(served, "my-webhook", "webhook") as (door, source):
        outcomes = await door.record(source, [review("ada", "r1"), Delivery(raw=points)])
    assert isinstance(outcomes[0], Rejected)
    assert outcomes[0].problems[0].code == "type_not_allowed"
    assert isinstance(outcomes[1], Applied)


async def test_a_right_is_given_by_name_only(served: Served) -> None:
    await make_source(served, "webhook")
    points = RawEvent(customer="ada", type="point_add", reference="p", properties={"points": 5})
    profile = RawEvent(customer="ada", type="profile", reference="q", scopes=frozenset({"customers:write"}))
    async with door_of(served, "my-webhook", "webhook") as (door, source):
        outcomes = await door.record(source, [Delivery(raw=points), Delivery(raw=profile)])
    assert isinstance(outcomes[0], Rejected)
    assert outcomes[0].problems[0].code == "forbidden"
    assert isinstance(outcomes[1], Applied)


async def test_what_cannot_be_read_is_kept(served: Served) -> None:
    await make_source(served, "shopify")
    async with door_of(served, "my-shopify", "shopify") as (door, source):
        door.count_unreadable(source, [Problem("", "invalid_json", "no")], "{")
    assert await counters(served, "my-shopify") == {"received": 1, "refused": 1}
    (item,) = (await served.get("/v1/rejections?source=shopify")).json()["items"]
    assert (await served.get(f"/v1/rejections/{item['id']}")).json()["text"] == "{"


def item(key: str, reference: str) -> Item:
    return Item(key=key, reference=reference, payload=b'{"reference":"%b"}' % reference.encode())


def waited(waiting: Waiting) -> Delivery:
    return review("ada", waiting.payload.decode().split('"')[3])


async def test_what_waits_is_taken_out_once(served: Served) -> None:
    await make_source(served, "segment")
    async with door_of(served, "my-segment", "segment") as (door, source):
        items = [item("visitor", "r1"), item("visitor", "r2"), item("other", "r3"), item("visitor", "r1")]
        assert await door.inbox.put(source.id, items, days=1) == ["put", "put", "put", "held"]
        door.sources.count(source.id, received=3, waiting=3)
        shown = (await served.get("/v1/sources/my-segment/inbox?limit=2")).json()
        more = (await served.get(f"/v1/sources/my-segment/inbox?limit=2&cursor={shown['next']}")).json()
        found = [(entry["key"], entry["payload"]["reference"]) for entry in shown["items"] + more["items"]]
        assert sorted(found) == [("other", "r3"), ("visitor", "r1"), ("visitor", "r2")]
        taken = await asyncio.gather(*(door.record_waiting(source, ["visitor"], waited) for _ in range(4)))
        assert max(taken) == 2
        assert await door.record_waiting(source, ["visitor"], waited) == 0
    assert await counters(served, "my-segment") == {"received": 3, "accepted": 2, "waiting": 1}
    assert len((await served.get("/v1/customers/ada/events")).json()["items"]) == 2
    assert await points_of(served, "ada") == 50
    reader, _ = await served.make_key(scopes=("sources:read",))
    (left,) = (await served.get("/v1/sources/my-segment/inbox", key=reader)).json()["items"]
    assert (left["key"], left["payload"]) == (None, None)


async def test_keys_lie_hashed_and_payloads_sealed(served: Served) -> None:
    await make_source(served, "segment")
    async with door_of(served, "my-segment", "segment") as (door, source):
        await door.inbox.put(source.id, [item("bob@example.com", "r1")], days=1)
        await door.inbox.name(source.id, {"bob@example.com": "ada"}, days=1)
        await door.inbox.name(source.id, {"bob@example.com": "eve"}, days=1)
        assert await door.inbox.names(source.id, ["bob@example.com", "x"]) == {"bob@example.com": "eve"}
        assert await door.inbox.names("another", ["bob@example.com"]) == {}
    async with served.database.owner() as owner:
        rows = [*await owner.fetch("select * from source_inbox"), *await owner.fetch("select * from source_names")]
    told = b"".join(value for row in rows for value in row.values() if isinstance(value, bytes))
    assert len(rows) == 2
    assert b"bob" not in told
    assert b"ada" not in told


async def test_an_inbox_is_bounded(served: Served) -> None:
    await make_source(served, "segment")
    async with served.database.owner() as owner:
        await owner.execute(
            "insert into source_inbox select 'my-segment', gen_random_uuid(), sha256(n::text::bytea), "
            "sha256(n::text::bytea), now(), now() + interval '1 day', '' from generate_series(2, $1) n",
            limits.SOURCE_INBOX_ITEMS,
        )
    async with door_of(served, "my-segment", "segment") as (door, source):
        put = await door.inbox.put(source.id, [item("a", "r1"), item("a", "r2")], days=1)
        assert put == ["put", "full"]
        assert await door.inbox.put(source.id, [item("a", "r1")], days=1) == ["held"]  # it waits already


async def test_what_waits_in_vain_is_dropped_and_counted(served: Served) -> None:
    await make_source(served, "segment")
    async with door_of(served, "my-segment", "segment") as (door, source):
        await door.inbox.put(source.id, [item("a", "r1"), item("a", "r2")], days=limits.SOURCE_INBOX_DAYS)
        await door.inbox.name(source.id, {"b": "ada"}, days=1)
        door.sources.count(source.id, received=2, waiting=2)
    now = datetime.now(UTC)
    async with served.database.open_database() as database:
        assert await drop_old(database, now + timedelta(days=limits.SOURCE_INBOX_DAYS - 1)) == 1
        assert await drop_old(database, now + timedelta(days=limits.SOURCE_INBOX_DAYS + 1)) == 2
    assert await counters(served, "my-segment") == {"received": 2, "dropped": 2}
    assert (await served.get("/v1/sources/my-segment/inbox")).json()["items"] == []
    await make_source(served, "webhook")
    async with door_of(served, "my-webhook", "webhook") as (door, source):
        await door.inbox.put(source.id, [item("a", "r1")], days=1)
    await served.request("DELETE", "/v1/sources/my-webhook")
    async with served.database.owner() as owner:
        assert await owner.fetchval("select count(*) from source_inbox") == 0
