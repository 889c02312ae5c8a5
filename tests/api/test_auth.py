"""Who may do what: keys, their life, their scopes, and what a browser's key may not."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.serving import EVERYTHING, Served, serving
from troth import limits
from troth.api.auth import Access, Caller
from troth.api.keys import make_key, make_signing_secret, open_secret, seal_secret
from troth.api.problems import ProblemError
from troth.api.signatures import sign
from troth.config import Config
from troth.embedded.access import DatabaseAccess
from troth.store.keys import KeyRecord, find_key, revoke_key, shorten_key

CHAT = {"id": "chat", "label": "Chat", "client_allowed": True}
DEED = {"id": "deed", "label": "Deed", "sensitive": True}
EVENT = {"customer": "ada", "type": "chat"}


@pytest.fixture
async def shop(served: Served) -> Served:
    assert (await served.post("/v1/event-types", CHAT)).status_code == 201
    return served


@pytest.fixture
async def live(database: DatabaseAccess) -> AsyncIterator[Served]:
    """A server in production."""
    async with serving(database, Config(mode="production", is_mode_explicit=True)) as server:
        for event_type in (CHAT, DEED):
            assert (await server.post("/v1/event-types", event_type)).status_code == 201
        yield server


UNKNOWN: list[tuple[dict[str, str], str]] = [
    ({}, "missing_key"),
    ({"Authorization": "Basic eDp5"}, "missing_key"),
    ({"Authorization": "Bearer"}, "missing_key"),
    ({"X-API-Key": "nonsense"}, "unknown_key"),
    ({"Authorization": "Bearer sk_test_" + "A" * 43}, "unknown_key"),
    ({"Authorization": "Bearer sk_live_" + "A" * 43}, "wrong_mode"),
    ({"X-API-Key": "k" * 10_000}, "unknown_key"),
]


async def test_who_is_not_known_is_told_so(served: Served) -> None:
    for headers, code in UNKNOWN:
        for method, path in (("POST", "/v1/events"), ("POST", "/v1/events/bulk"), ("GET", "/v1/events")):
            answer = await served.request(method, path, key=None, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, code)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_both_headers_carry_a_key(shop: Served) -> None:
    for headers in ({"Authorization": f"bearer {shop.key}"}, {"X-API-Key": shop.key}):
        assert (await shop.post("/v1/events", EVENT, key=None, headers=headers)).status_code == 201


ADDRESSES = [
    ("POST", "/v1/events", "events:write"),
    ("POST", "/v1/events/bulk", "events:write"),
    ("POST", "/v1/events/preview", "events:write"),
    ("GET", "/v1/events", "events:read"),
    ("GET", "/v1/events/evt_1", "events:read"),
    ("GET", "/v1/events/evt_1/explanation", "events:read"),
    ("GET", "/v1/customers", "customers:read"),
    ("GET", "/v1/customers/ada", "customers:read"),
    ("GET", "/v1/customers/ada/events", "customers:read"),
    ("GET", "/v1/customers/ada/postings", "customers:read"),
    ("GET", "/v1/customers/ada/lots", "customers:read"),
    ("POST", "/v1/customers", "customers:write"),
    ("PATCH", "/v1/customers/ada", "customers:write"),
    ("GET", "/v1/program", "program:read"),
    ("PUT", "/v1/program", "program:write"),
    ("POST", "/v1/rules", "program:write"),
]


async def test_every_address_asks_for_its_scope(served: Served) -> None:
    keys = {scope: (await served.make_key(scopes=(scope,)))[0] for scope in {scope for _, _, scope in ADDRESSES}}
    for method, path, needed in ADDRESSES:
        for scope, key in keys.items():
            answer = await served.request(method, path, key=key, content=b"")
            assert (answer.status_code == 403) == (scope != needed), (method, path, scope, answer.text)
            assert answer.status_code != 401


async def test_an_expired_key_is_refused(served: Served) -> None:
    key, _ = await served.make_key(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    answer = await served.get("/v1/events", key=key)
    assert (answer.status_code, answer.json()["code"]) == (401, "expired_key")


class Shelf:
    """Where `Access` finds a key under any text, and how often it looked."""

    def __init__(self, record: KeyRecord) -> None:
        self.record = record
        self.reads = 0

    async def find(self, key_hash: bytes) -> KeyRecord:
        self.reads += 1
        return replace(self.record, hash=key_hash)


SCOPE = {"client": ("127.0.0.1", 1), "scheme": "http"}


async def ask(access: Access, text: bytes = b"sk_test_x") -> Caller:
    return await access.caller(SCOPE, {b"x-api-key": text}, "events:write")  # type: ignore[arg-type]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(make_key(EVERYTHING, datetime.now(UTC), os.urandom)[1])


async def test_a_key_is_read_once_in_a_while(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    access, now = Access(shelf.find, "development", lambda *_: ""), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for later, reads in ((0, 1), (limits.KEY_CACHE_SECONDS, 1), (limits.KEY_CACHE_SECONDS + 0.001, 2)):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        await ask(access)
        assert shelf.reads == reads
    access.forget()
    await ask(access)
    assert shelf.reads == 3


async def test_a_key_expires_while_it_is_cached(shelf: Shelf) -> None:
    shelf.record = replace(shelf.record, expires_at=datetime.now(UTC) + timedelta(seconds=0.05))
    access = Access(shelf.find, "development", lambda *_: "")
    await ask(access)
    await asyncio.sleep(0.06)
    with pytest.raises(ProblemError) as refusal:
        await ask(access)
    assert (refusal.value.code, shelf.reads) == ("expired_key", 1)


async def test_the_cache_is_bounded(shelf: Shelf) -> None:
    access = Access(shelf.find, "development", lambda *_: "")
    for number in range(limits.KEY_CACHE_ENTRIES + 1):
        await ask(access, b"sk_test_%d" % number)
    assert len(access._cache) == 1
    await ask(access, b"sk_test_%d" % limits.KEY_CACHE_ENTRIES)
    assert shelf.reads == limits.KEY_CACHE_ENTRIES + 1


async def test_revoked_keys_and_rotation(served: Served) -> None:
    key, record = await served.make_key()
    other, rotated = await served.make_key()
    async with served.database.open_database(connections=1) as database, database.pool.acquire() as connection:
        assert await revoke_key(connection, record.id, datetime.now(UTC))
        assert not await revoke_key(connection, another_id(record), datetime.now(UTC))
        soon = datetime.now(UTC) + timedelta(hours=1)
        shortened = await shorten_key(connection, rotated.id, soon)
        assert shortened is not None
        assert shortened.expires_at == soon
        longer = await shorten_key(connection, rotated.id, soon + timedelta(days=1))
        assert longer is not None
        assert longer.expires_at == soon
        assert (await find_key(connection, record.hash)).revoked_at is not None  # type: ignore[union-attr]
    answer = await served.get("/v1/events", key=key)
    assert (answer.status_code, answer.json()["code"]) == (401, "revoked_key")
    assert (await served.get("/v1/events", key=other)).status_code == 200


def another_id(record: KeyRecord) -> UUID:
    """An id that no key has."""
    return UUID(int=record.id.int ^ 1)


async def test_addresses_limit_a_key(served: Served) -> None:
    for addresses, status in ((("127.0.0.0/8",), 200), (("10.0.0.1", "2001:db8::/32"), 403)):
        key, _ = await served.make_key(addresses=addresses)
        assert (await served.get("/v1/events", key=key)).status_code == status


async def test_a_publishable_key_sends_allowed_events_and_reads_nothing(shop: Served) -> None:
    key, _ = await shop.make_key(kind="publishable", scopes=("events:write",))
    answer = await shop.post("/v1/events", EVENT, key=key)
    assert answer.status_code == 201
    assert set(answer.json()) == {
        *("id", "duplicate", "customer", "type", "reference", "occurred_at", "recorded_at", "outcome")
    }
    bulk = (await shop.post("/v1/events/bulk", {"events": [EVENT]}, key=key)).json()
    assert "wallets" not in bulk["results"][0]["event"]
    refused = await shop.post("/v1/events", {"customer": "ada", "type": "purchase"}, key=key)
    assert refused.json()["errors"][0]["code"] == "not_client_allowed"
    for method, path in (("GET", "/v1/events"), ("GET", "/v1/customers/ada"), ("POST", "/v1/events?expand=profile")):
        assert (await shop.request(method, path, key=key, json=EVENT)).status_code == 403
    assert (await shop.post("/v1/events/preview", EVENT, key=key)).status_code == 403
    shown = (await shop.get("/v1/events")).json()["items"]
    assert {item["source"] for item in shown} == {"client"}


async def test_origins_limit_a_publishable_key(shop: Served) -> None:
    key, _ = await shop.make_key(kind="publishable", scopes=("events:write",), origins=("https://Shop.example/",))
    for origin, status in (("https://shop.example", 201), ("https://evil.example", 403), (None, 403)):
        headers = {"Origin": origin} if origin else {}
        answer = await shop.post("/v1/events", EVENT, key=key, headers=headers)
        assert answer.status_code == status
        assert answer.headers.get("access-control-allow-origin") == (origin if status == 201 else None)


async def test_a_browser_may_ask_first(served: Served) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = await served.request("OPTIONS", "/v1/events", key=None, headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "https://shop.example")
    assert "authorization" in answer.headers["access-control-allow-headers"]


async def test_a_secret_key_is_never_for_browsers(shop: Served) -> None:
    answer = await shop.post("/v1/events", EVENT, headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in answer.headers


async def test_scoped_types_need_their_permission(shop: Served) -> None:
    weak, _ = await shop.make_key(scopes=("events:write",))
    strong, _ = await shop.make_key(scopes=("events:write", "customers:write"))
    event = {"customer": "ada", "type": "profile", "properties": {}}
    answer = await shop.post("/v1/events", event, key=weak)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await shop.post("/v1/events", event, key=strong)).status_code == 201


async def test_production_takes_live_keys_only(live: Served) -> None:
    assert live.key.startswith("sk_live_")
    assert (await live.get("/v1/events")).status_code == 200
    answer = await live.get("/v1/events", key="sk_test_" + "A" * 43)
    assert answer.json()["code"] == "wrong_mode"
    test_key, _ = await live.make_key(mode="development")
    assert (await live.get("/v1/events", key=test_key)).json()["code"] == "wrong_mode"


async def test_production_demands_signatures_of_sensitive_types(live: Served) -> None:
    secret = make_signing_secret(lambda size: b"s" * size)
    key, record = await live.make_key(seal_signing_secret=lambda key_id: seal_secret(live.vault, key_id, secret))
    assert open_secret(live.vault, record.id, record.signing_secret or b"") == secret
    body = b'{"customer": "ada", "type": "deed"}'
    unsigned = await live.post("/v1/events", body, key=key)
    assert (unsigned.status_code, unsigned.json()["code"]) == (422, "signature_required")
    signed = await live.post("/v1/events", body, key=key, headers=signature(secret, "msg_1", body))
    assert signed.status_code == 201, signed.text
    assert (await live.get(f"/v1/events/{signed.json()['id']}")).json()["signed"] is True
    forged = await live.post("/v1/events", body + b" ", key=key, headers=signature(secret, "msg_2", body))
    assert (forged.status_code, forged.json()["code"]) == (401, "invalid_signature")


async def test_a_replay_has_no_second_effect_even_where_it_is_not_noticed(live: Served) -> None:
    """A retry signed anew, or a replay to another process, finds the event under the signed id."""
    secret = make_signing_secret(lambda size: b"s" * size)
    key, _ = await live.make_key(seal_signing_secret=lambda key_id: seal_secret(live.vault, key_id, secret))
    body = b'{"customer": "ada", "type": "deed"}'
    headers = signature(secret, "msg_1", body)
    first = await live.post("/v1/events", body, key=key, headers=headers)
    replayed = await live.post("/v1/events", body, key=key, headers=headers)
    assert (replayed.status_code, replayed.json()["code"]) == (401, "signature_replayed")
    retried = await live.post("/v1/events", body, key=key, headers=signature(secret, "msg_1", body, later=1))
    assert (first.status_code, retried.status_code) == (201, 200)
    assert retried.json() == {**first.json(), "duplicate": True}


async def test_publishable_keys_in_production_need_https_but_on_loopback(live: Served) -> None:
    key, record = await live.make_key(kind="publishable", scopes=("events:write",))
    assert (await live.post("/v1/events", EVENT, key=key)).status_code == 201

    async def find(_: bytes) -> KeyRecord:
        return replace(record, hash=_)

    access = Access(find, "production", lambda *_: "")
    headers = {b"x-api-key": b"pk_live_x"}
    for address, scheme, allowed in (
        ("127.0.0.1", "http", True),
        ("9.9.9.9", "https", True),
        ("9.9.9.9", "http", False),
    ):
        scope = {"client": (address, 1), "scheme": scheme}
        if allowed:
            assert isinstance(await access.caller(scope, headers, "events:write"), Caller)  # type: ignore[arg-type]
        else:
            with pytest.raises(ProblemError) as refusal:
                await access.caller(scope, headers, "events:write")  # type: ignore[arg-type]
            assert refusal.value.code == "https_required"


def signature(secret: str, message_id: str, body: bytes, later: int = 0) -> dict[str, str]:
    now = int(datetime.now(UTC).timestamp()) + later
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, message_id, now, body),
    }
