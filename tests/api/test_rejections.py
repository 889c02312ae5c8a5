"""/v1/rejections: what doors refused is there, sealed, and can be replayed once program or customer is mended."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from tests.serving import Served, serving
from troth import limits
from troth.core.coercion import Problem
from troth.embedded.access import DatabaseAccess
from troth.entry.refusals import Refusal, Refusals
from troth.pipeline.outcome import RawEvent
from troth.store.rejections import drop_rejections
from troth.store.vault import Vault
from troth.worker import FLUSH_SECONDS, drop_old

REFERRAL = {
    "customer": "ada",
    "type": "referral",
    "reference": "r-1",
    "occurred_at": "2026-11-20T10:00:00Z",
    "properties": {"referred_email": "bob@example.com", "signup_completed": "perhaps"},
}


async def rejections(server: Served, query: str = "", least: int = 1) -> list[dict[str, object]]:
    """What is kept, once at least so many have been written."""
    for _ in range(200):
        answer: httpx.Response = await server.get(f"/v1/rejections{query}")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, object]] = answer.json()["items"]
        if len(items) >= least:
            return items
        await asyncio.sleep(FLUSH_SECONDS / 20)
    raise AssertionError(items)


async def test_single_events_and_bulks_leave_what_they_refused(served: Served) -> None:
    assert (await served.post("/v1/events", REFERRAL)).status_code == 422
    assert (await served.post("/v1/events", b'{"customer": ')).status_code == 400
    lines = (
        b'{"customer": "ada", "type": "x"}\n{"customer": "a", "customer": "b"}\n{"customer": "ada", "type": "login"}'
    )
    await served.post("/v1/events/bulk", lines, headers={"content-type": "application/x-ndjson"})
    await served.post("/v1/events/bulk", b'{"events": [{"customer": "a", "amount": NaN}]}')
    await served.post("/v1/events/preview", REFERRAL)  # leaves nothing
    await served.post("/v1/events", REFERRAL, key="unknown")  # neither does what has no key
    items = await rejections(served, least=5)
    assert [item["codes"] for item in reversed(items)] == [
        ["type"], ["invalid_json"], ["unknown_type"], ["duplicate_key"], ["not_a_number"],
    ]  # fmt: skip
    assert {item["source"] for item in items} == {"api"}
    assert [item["type"] for item in reversed(items)] == ["referral", None, "x", None, None]
    shown = [(await served.get(f"/v1/rejections/{item['id']}")).json() for item in reversed(items)]
    assert shown[0]["sent"] == REFERRAL
    assert [problem["pointer"] for problem in shown[0]["problems"]] == ["/properties/signup_completed"]
    assert [item["text"] for item in shown] == [
        None, '{"customer": ', None, '{"customer": "a", "customer": "b"}', '{"customer":"a","amount":"not_a_number"}',
    ]  # fmt: skip
    assert [item["replayable"] for item in shown] == [True, False, True, False, False]
    refused = await served.post(f"/v1/rejections/{shown[1]['id']}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_replayable")


async def test_nothing_personal_lies_in_clear(served: Served) -> None:
    await served.post("/v1/events", {**REFERRAL, "type": "bob@example.com"})
    await rejections(served)
    async with served.database.owner() as owner:
        row = await owner.fetchrow("select * from rejections")
    assert row is not None
    told = json.dumps({name: str(value) for name, value in row.items() if name != "sealed"})
    assert "bob" not in told
    assert "ada" not in told
    assert b"bob" not in row["sealed"]
    reader, _ = await served.make_key(scopes=("sources:read",))
    (item,) = (await served.get("/v1/rejections", key=reader)).json()["items"]
    one = (await served.get(f"/v1/rejections/{item['id']}", key=reader)).json()
    assert (item["problems"], one["sent"], one["payload"], one["text"]) == ([], None, None, None)
    assert one["codes"] == ["unknown_type"]


async def test_a_mended_program_lets_it_in(served: Served) -> None:
    event = {"customer": "ada", "type": "quiz", "properties": {"id": 9007199254740993, "score": 0.1}}
    assert (await served.post("/v1/events", event)).status_code == 422
    (item,) = await rejections(served)
    path = f"/v1/rejections/{item['id']}"
    still = await served.post(f"{path}/replay")
    assert (still.status_code, still.json()["code"]) == (422, "unknown_type")
    assert (await served.get(path)).json()["outcome"] == "rejected"
    assert (await served.post("/v1/event-types", {"id": "quiz", "label": "Quiz"})).status_code == 201
    first = await served.post(f"{path}/replay")
    again = await served.post(f"{path}/replay")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    received_at = datetime.fromisoformat(str(item["received_at"]))
    assert abs(datetime.fromisoformat(first.json()["occurred_at"]) - received_at) < timedelta(milliseconds=2)
    shown = (await served.get(path)).json()
    assert (shown["outcome"], shown["event"]) == ("duplicate", first.json()["id"])
    recorded = (await served.get(f"/v1/events/{first.json()['id']}")).text
    assert "9007199254740993" in recorded
    assert '"score":0.1' in recorded


async def test_the_original_reference_is_kept(served: Served) -> None:
    await served.post("/v1/events", {**REFERRAL, "type": "quiz"})
    (item,) = await rejections(served)
    await served.post("/v1/event-types", {"id": "quiz", "label": "Quiz"})
    replayed = (await served.post(f"/v1/rejections/{item['id']}/replay")).json()
    assert (replayed["reference"], replayed["occurred_at"]) == ("r-1", "2026-11-20T10:00:00Z")
    sent = await served.post("/v1/events", {**REFERRAL, "type": "quiz"})
    assert (sent.status_code, sent.json()["duplicate"]) == (200, True)


async def test_a_replay_does_no_more_than_the_sender_could(served: Served) -> None:
    client, _ = await served.make_key(kind="publishable", scopes=("events:write",))
    points = {"customer": "ada", "type": "point_add", "properties": {"points": 1000}}
    await served.post("/v1/events", points, key=client)
    weak, _ = await served.make_key(scopes=("events:write",))
    await served.post("/v1/events", points, key=weak)
    items = await rejections(served, least=2)
    for item in items:
        assert (await served.post(f"/v1/rejections/{item['id']}/replay")).status_code in (403, 422)
    assert (await served.get("/v1/events")).json()["items"] == []
    assert [item["source"] for item in await rejections(served, "?source=client")] == ["client"]
    assert (await served.post(f"/v1/rejections/{items[0]['id']}/replay", key=weak)).status_code == 403


async def test_lists_narrow_and_page(served: Served) -> None:
    events = [{"customer": "ada", "type": f"t{n % 3}", "reference": f"r{n}"} for n in range(30)]
    await served.post("/v1/events/bulk", {"events": events})
    items = await rejections(served, least=30)
    seen: list[object] = []
    cursor = ""
    while cursor is not None:
        page = (await served.get(f"/v1/rejections?limit=7{cursor and f'&cursor={cursor}'}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert seen == [item["id"] for item in items]
    assert len(await rejections(served, "?type=t1", 10)) == 10
    assert (await rejections(served, "?code=type", 0), len(await rejections(served, "?code=unknown_type"))) == ([], 30)
    assert await rejections(served, "?to=2020-01-01T00:00:00Z", 0) == []
    assert len(await rejections(served, "?from=2020-01-01T00:00:00Z&source=test", 30)) == 30
    assert (await served.get("/v1/rejections?from=yesterday")).status_code == 422
    assert (await served.get("/v1/rejections/rej_1")).status_code == 404


async def test_many_are_replayed_oldest_first(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [{"customer": "ada", "type": "quiz", "reference": f"r{n}"} for n in range(7)]
    await served.post("/v1/events/bulk", {"events": [*events, {"customer": "ada", "type": "other"}]})
    await rejections(served, least=8)
    await served.post("/v1/event-types", {"id": "quiz", "label": "Quiz"})
    await served.post("/v1/events", events[3])
    monkeypatch.setattr(limits, "REJECTIONS_REPLAYED", 4)
    first = (await served.post("/v1/rejections/replay", {"type": "quiz"})).json()
    assert {**first, "next": None} == {"replayed": 4, "created": 3, "duplicates": 1, "rejected": 0, "next": None}
    rest = (await served.post("/v1/rejections/replay", {"cursor": first["next"]})).json()
    assert (rest["created"], rest["rejected"]) == (3, 1)
    assert (await served.get("/v1/customers/ada/events?limit=50")).json()["next"] is None
    assert len((await served.get("/v1/customers/ada/events?limit=50")).json()["items"]) == 7
    assert len(await rejections(served, "?replayed=true", 8)) == 8
    wrong = await served.post("/v1/rejections/replay", {"from": 5, "colour": "red"})
    assert [item["pointer"] for item in wrong.json()["errors"]] == ["/from", "/colour"]


def refused(size: int = 0) -> Refusal:
    raw = RawEvent(customer="ada", type="x", properties={"text": "y" * size})
    return Refusal(problems=(Problem("/type", "unknown_type", "no"),), raw=raw)


async def test_too_much_at_once_is_counted_as_lost(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served.database.open_database() as database:
        kept = Refusals(database, served.vault)
        for _ in range(limits.REJECTIONS_WAITING):
            assert kept.keep(refused(), "api", "test") is not None
        assert (kept.keep(refused(), "api", "test"), kept.lost) == (None, 1)
        large = Refusals(database, served.vault)
        room = limits.REJECTIONS_WAITING_BYTES // (60 << 10)
        for _ in range(room):
            large.keep(refused(59 << 10), "api", "test")
        while large.keep(refused(59 << 10), "api", "test") is not None:
            pass
        assert large.lost == 1
        await large.flush()
        assert large.keep(refused(59 << 10), "api", "test") is not None
    assert "troth_rejections_lost_total 0.0" in (await served.get("/metrics")).text


async def test_what_is_too_large_keeps_its_reasons(served: Served) -> None:
    note = {**REFERRAL, "properties": {"note": "x" * (2 * limits.REJECTION_BYTES)}, "type": "y"}
    await served.post("/v1/events", note)
    (item,) = await rejections(served)
    shown = (await served.get(f"/v1/rejections/{item['id']}")).json()
    assert (shown["codes"], shown["sent"], shown["replayable"]) == (["unknown_type"], None, False)
    assert shown["problems"][0]["pointer"] == "/type"


async def test_their_time_ends_and_so_does_their_room(served: Served) -> None:
    for number in range(3):
        await served.post("/v1/events", {**REFERRAL, "reference": str(number)})
    items = await rejections(served, least=3)
    now = datetime.now(UTC)
    async with served.database.open_database() as database:
        assert await drop_old(database, now + timedelta(days=limits.REJECTION_DAYS - 1)) == 0
        async with database.pool.acquire() as connection:
            assert await drop_rejections(connection, now, 10, 2) == 1
        assert [item["id"] for item in await rejections(served, least=2)] == [item["id"] for item in items[:2]]
        assert limits.REJECTIONS_KEPT > 2
        assert await drop_old(database, now + timedelta(days=limits.REJECTION_DAYS, seconds=5)) == 2
    assert await rejections(served, least=0) == []


async def test_what_waits_is_written_at_the_end(database: DatabaseAccess) -> None:
    async with serving(database) as server:
        await server.post("/v1/events", REFERRAL)
    async with serving(database) as server:
        assert len((await server.get("/v1/rejections")).json()["items"]) == 1


def test_the_vault_opens_what_it_sealed_alone() -> None:
    vault, row = Vault(bytes(32)), uuid4()
    sealed = vault.seal_alone(b"x", row)
    assert vault.open_alone(sealed, row) == b"x"
