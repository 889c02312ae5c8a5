"""/v1/sources: made, shown, changed, rotated and deleted; secrets shown once, counters as they were flushed."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from tests.serving import Served
from troth import limits
from troth.api.source_registry import Sources
from troth.core.sources.settings import SourceSettings, read_settings
from troth.store.sources import SourceError

SHOP = {"id": "web-shop", "kind": "segment", "name": "Web shop"}
COUNTERS = {"received": 0, "accepted": 0, "duplicates": 0, "refused": 0, "dropped": 0, "waiting": 0, "unsigned": 0}


async def make(server: Served, **asked: object) -> dict[str, object]:
    answer = await server.post("/v1/sources", {**SHOP, **asked})
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_a_secret_is_shown_once_and_stored_sealed(served: Served) -> None:
    made = await make(served)
    secret = made.pop("secrets")
    assert isinstance(secret, dict)
    assert [*secret] == ["write_key"]
    shown = (await served.get("/v1/sources/web-shop")).json()
    assert shown == made
    assert {name: shown[name] for name in COUNTERS} == COUNTERS
    assert shown["settings"]["anonymous"] == "wait"
    async with served.database.owner() as owner:
        row = await owner.fetchrow("select secrets, found_by from sources")
    assert row is not None
    assert str(secret["write_key"]).encode() not in row["secrets"] + row["found_by"]
    assert (await served.get("/v1/sources")).json() == {"items": [shown], "next": None}


async def test_secrets_chosen_elsewhere_are_taken(served: Served) -> None:
    made = await make(served, id="shop", kind="shopify", secrets={"secret": "shpss_1"})
    assert made["secrets"] == {"secret": "shpss_1"}
    both = await make(served, id="old", kind="antavo", secrets={"api_key": "key"})
    assert isinstance(both["secrets"], dict)
    assert both["secrets"]["api_key"] == "key"
    assert len(both["secrets"]["api_secret"]) == 40


async def test_ids_and_naming_secrets_are_taken_once(served: Served) -> None:
    await make(served, secrets={"write_key": "k"})
    for again in (SHOP, {**SHOP, "id": "other", "secrets": {"write_key": "k"}}):
        answer = await served.post("/v1/sources", again)
        assert (answer.status_code, answer.json()["code"]) == (409, "exists")
    await make(served, id="other")
    rotated = await served.post("/v1/sources/other/rotate", {"secrets": {"write_key": "k"}})
    assert (rotated.status_code, rotated.json()["code"]) == (409, "exists")


BAD = [
    ({"id": "Web shop"}, [("/id", "invalid_id")]),
    ({"kind": "braze"}, [("/kind", "invalid_kind")]),
    ({"kind": {}}, [("/kind", "invalid_kind")]),
    ({"settings": {"types": ["a\0"]}}, [("", "nul_character")]),
    ({"name": "", "enabled": "yes"}, [("/name", "invalid_name"), ("/enabled", "type")]),
    ({"name": "x" * (limits.SOURCE_NAME_LENGTH + 1)}, [("/name", "invalid_name")]),
    ({"colour": 1}, [("/colour", "unknown_field")]),
    ({"settings": []}, [("/settings", "type")]),
    ({"settings": {"types": "x", "colour": 1}}, [
        ("/settings/types", "invalid_setting"), ("/settings/colour", "unknown_field"),
    ]),
    ({"settings": {"types": ["x"] * (limits.SOURCE_TYPES + 1)}}, [("/settings/types", "invalid_setting")]),
    ({"settings": {"events": {"Order Completed": {"type": ""}}}}, [("/settings/events/.../type", "invalid_setting")]),
    ({"settings": {"events": {str(n): None for n in range(limits.SOURCE_MAPPINGS + 1)}}}, [
        ("/settings/events", "invalid_setting"),
    ]),
    ({"settings": {"anonymous_days": limits.SOURCE_INBOX_DAYS + 1}}, [("/settings/anonymous_days", "invalid_setting")]),
    ({"settings": {"browsers": "limited"}}, [("/settings/browsers", "invalid_setting")]),
    ({"settings": {"origins": ["https://shop.example"]}}, [("/settings/origins", "not_for_browsers")]),
    ({"secrets": {"key": "x", "write_key": "é"}}, [
        ("/secrets/key", "unknown_field"), ("/secrets/write_key", "invalid_secret"),
    ]),
    ({"secrets": {"write_key": "x" * (limits.SOURCE_SECRET_LENGTH + 1)}}, [("/secrets/write_key", "invalid_secret")]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "problems"), BAD)
async def test_bad_sources_are_problems_with_pointers(
    served: Served, asked: dict[str, object], problems: list[tuple[str, str]]
) -> None:
    answer = await served.post("/v1/sources", {**SHOP, **asked})
    assert answer.status_code == 422, answer.text
    assert [(item["pointer"], item["code"]) for item in answer.json()["errors"]] == problems
    assert (await served.get("/v1/sources")).json()["items"] == []


async def test_changes_merge(served: Served) -> None:
    await make(served, settings={"types": ["review"], "anonymous": "drop"})
    changed = await served.request(
        "PATCH", "/v1/sources/web-shop", json={"settings": {"anonymous": None, "unmapped": "same_name"}, "name": "Shop"}
    )
    assert changed.status_code == 200, changed.text
    shown = changed.json()
    assert (shown["name"], shown["settings"]["types"]) == ("Shop", ["review"])
    assert (shown["settings"]["anonymous"], shown["settings"]["unmapped"]) == ("wait", "same_name")
    wrong = await served.request("PATCH", "/v1/sources/web-shop", json={"settings": {"anonymous": "perhaps"}})
    assert [item["pointer"] for item in wrong.json()["errors"]] == ["/settings/anonymous"]
    assert (await served.request("PATCH", "/v1/sources/none", json={})).status_code == 404
    assert (await served.request("DELETE", "/v1/sources/web-shop")).status_code == 204
    for gone in ("web-shop", "%00", "a%2Fb"):
        assert (await served.request("DELETE", f"/v1/sources/{gone}")).status_code == 404
        assert (await served.get(f"/v1/sources/{gone}/inbox")).status_code == 404


async def test_who_may(served: Served) -> None:
    reader, _ = await served.make_key(scopes=("sources:read",))
    other, _ = await served.make_key(scopes=("program:*", "events:*"))
    await make(served)
    assert (await served.get("/v1/sources", key=reader)).status_code == 200
    assert (await served.post("/v1/sources", {**SHOP, "id": "b"}, key=reader)).status_code == 403
    assert (await served.get("/v1/sources", key=other)).status_code == 403
    assert (await served.get("/v1/rejections", key=other)).status_code == 403


async def test_rotation_overlaps(served: Served) -> None:
    old = (await make(served))["secrets"]
    assert isinstance(old, dict)
    rotated = (await served.post("/v1/sources/web-shop/rotate", {"overlap_seconds": 60})).json()
    new = rotated["secrets"]["write_key"]
    async with served.database.open_database() as database:
        sources = Sources(database, served.vault)
        for text in (old["write_key"], new):
            found = await sources.by_secret(text, "segment")
            assert found is not None
            assert found.accepted("write_key") == (new, old["write_key"])
        assert await sources.by_secret("another", "segment") is None
        assert await sources.by_secret(new, "antavo") is None
        await served.post("/v1/sources/web-shop/rotate", {"overlap_seconds": 0})
        sources.forget()
        assert await sources.by_secret(new, "segment") is None
    for seconds in (limits.SOURCE_OVERLAP_SECONDS + 1, -1, True, "1"):
        refused = await served.post("/v1/sources/web-shop/rotate", {"overlap_seconds": seconds})
        assert refused.json()["errors"][0]["pointer"] == "/overlap_seconds"


async def test_another_process_learns_of_a_change_in_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(served)
    async with served.database.open_database() as database:
        sources = Sources(database, served.vault)
        assert await sources.by_id("web-shop", "segment") is not None
        await served.request("PATCH", "/v1/sources/web-shop", json={"enabled": False})
        assert await sources.by_id("web-shop", "segment") is not None  # as it was read
        later = time.monotonic() + limits.SOURCE_CACHE_SECONDS + 0.1
        monkeypatch.setattr("troth.api.source_registry.time.monotonic", lambda: later)
        assert await sources.by_id("web-shop", "segment") is None
        assert await sources.of_kind("segment") == []


async def test_counters_add_up_over_processes_and_errors_are_bounded(served: Served) -> None:
    await make(served)
    async with served.database.open_database() as database:
        processes = [Sources(database, served.vault) for _ in range(3)]
        for number, process in enumerate(processes):
            errors = [SourceError(at=f"2026-01-0{number + 1}", code=str(n)) for n in range(limits.SOURCE_ERRORS)]
            process.count("web-shop", errors, received=3, accepted=2, refused=1)
            process.count("web-shop", unsigned=1)
            process.count("gone", received=1)
            await process.flush()
            await process.flush()  # nothing is counted twice
    shown = (await served.get("/v1/sources/web-shop")).json()
    assert {name: shown[name] for name in COUNTERS} == {
        **COUNTERS, "received": 9, "accepted": 6, "refused": 3, "unsigned": 3,
    }  # fmt: skip
    newest = limits.SOURCE_ERRORS - 1
    assert [error["code"] for error in shown["errors"]] == [str(n) for n in range(newest, -1, -1)]
    assert {error["at"] for error in shown["errors"]} == {"2026-01-03"}
    assert datetime.fromisoformat(shown["last_received_at"]) <= datetime.now(UTC)


async def test_what_cannot_be_written_is_counted_on(served: Served) -> None:
    await make(served)
    async with served.database.open_database() as database:
        sources = Sources(database, served.vault)
        sources.count("web-shop", [SourceError(at="2026", code="x")], received=1, refused=1)
        async with served.database.owner() as owner:
            await owner.execute("alter table source_counts rename to away")
        with pytest.raises(Exception, match="source_counts"):
            await sources.flush()
        async with served.database.owner() as owner:
            await owner.execute("alter table away rename to source_counts")
        sources.count("web-shop", received=1, accepted=1)
        found = (await sources.counts())["web-shop"]
    assert (found.received, found.accepted, found.refused, len(found.errors)) == (2, 1, 1, 1)
    assert found.last_received_at is not None


async def test_there_are_so_many_sources(served: Served) -> None:
    await make(served)
    async with served.database.owner() as owner:
        await owner.execute(
            "insert into sources select 's' || n, kind, name, enabled, settings, seal, secrets, null, null, null, "
            "null, made_at, changed_at from sources, generate_series(2, $1) n",
            limits.SOURCES,
        )
    answer = await served.post("/v1/sources", {**SHOP, "id": "more"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_sources")
    first = (await served.get("/v1/sources?limit=150")).json()
    rest = (await served.get(f"/v1/sources?limit=150&cursor={first['next']}")).json()
    assert len({item["id"] for item in first["items"] + rest["items"]}) == limits.SOURCES
    assert rest["next"] is None


def test_settings_read_back() -> None:
    found = read_settings(SourceSettings, {"types": ["a"]})
    assert isinstance(found, SourceSettings)
    assert (found.may_send("a"), found.may_send("b"), found.names("a")) == (True, False, True)
    assert SourceSettings().may_send("b")
    assert not SourceSettings().names("b")
