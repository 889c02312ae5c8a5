"""The address for webhooks: whose proof it takes, which bodies, and what it leaves behind."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from tests.api.test_rejections import rejections
from tests.entry.shopping import CUSTOMER, ORDER, Json, send_shopify, send_woo, shopify_order, signature, woo_order
from tests.entry.sourcing import Made, counters, make_source, points_of
from tests.serving import Served
from troth import limits
from troth.entry import hooks

SIGNUP = {"customer": "ada", "type": "signup", "reference": "s1", "properties": {}}
BODY = json.dumps(SIGNUP).encode()


async def hook(
    served: Served, source: Made, body: object, headers: Mapping[str, str | bytes], *, status: int = 200
) -> dict[str, object]:
    options = {"content": body}
    answer = await served.request("POST", f"/v1/hooks/{source.id}", key=None, headers=headers, **options)
    assert answer.status_code == status, answer.text
    shown: dict[str, object] = answer.json()
    return shown


# Proofs


@pytest.mark.parametrize(
    ("kind", "header"), [("shopify", "X-Shopify-Hmac-Sha256"), ("woocommerce", "X-WC-Webhook-Signature")]
)
async def test_only_the_very_bytes_pass(served: Served, kind: str, header: str) -> None:
    source = await make_source(served, kind)  # type: ignore[arg-type]
    order = shopify_order() if kind == "shopify" else woo_order()
    body = json.dumps(order, indent=1).encode()
    secret = source.secrets["secret"]
    topic = {"X-Shopify-Topic": "orders/paid", "X-WC-Webhook-Topic": "order.created"}
    sound = signature(secret, body)
    wrong = {
        "re-serialised": (json.dumps(json.loads(body)).encode(), sound),
        "altered": (body.replace(b"EUR", b"USD"), sound),
        "a space more": (body + b" ", sound),
        "another secret": (body, signature("guessed", body)),
        "hexadecimal": (body, hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()),
        "sha1": (body, base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha1).digest()).decode()),
        "empty": (body, ""),
        "cut": (body, sound[:-1]),
        "no text": (body, b"\xff\xfe"),
    }
    for name, (sent, stated) in wrong.items():
        problem = await hook(served, source, sent, {header: stated, **topic}, status=401)
        assert problem["code"] == "invalid_signature", name
    await hook(served, source, body, topic, status=401)  # no header at all
    assert await counters(served, source.id) == {"unsigned": len(wrong) + 1}
    for path in ("/v1/events", "/v1/rejections", "/v1/customers", f"/v1/sources/{source.id}/payloads"):
        assert (await served.get(path)).json()["items"] == [], path
    assert (await hook(served, source, body, {header: sound, **topic}))["accepted"] == 1


async def test_both_secrets_pass_until_the_overlap_ends(served: Served) -> None:
    old = await make_source(served, "shopify")
    rotated = (await served.post("/v1/sources/my-shopify/rotate", {"overlap_seconds": 60})).json()
    new = Made(id=old.id, secrets=rotated["secrets"])
    assert new.secrets != old.secrets
    assert (await send_shopify(served, old, "orders/paid", shopify_order(), event="e1")).json()["accepted"] == 1
    assert (await send_shopify(served, new, "orders/paid", shopify_order(), event="e1")).json()["duplicates"] == 1
    await served.post("/v1/sources/my-shopify/rotate", {"overlap_seconds": 0, "secrets": dict(new.secrets)})
    assert (await send_shopify(served, old, "orders/paid", shopify_order(), event="e2")).status_code == 401
    assert (await send_shopify(served, new, "orders/paid", shopify_order(), event="e1")).status_code == 200


def mac(secret: str, signed: bytes, algorithm: str = "sha256") -> hmac.HMAC:
    return hmac.new(secret.encode(), signed, algorithm)


Prove = Callable[[str], dict[str, str]]
OLD = str(int(time.time()) - limits.SIGNATURE_SECONDS - 60)


def timed(secret: str, when: str) -> dict[str, str]:
    """A signature over the time and the body."""
    return {"X-Time": when, "X-Signature": mac(secret, f"{when}.".encode() + BODY).hexdigest()}


PROOFS: dict[
    str, tuple[Json, Prove, list[Prove]]
] = {  # settings → headers that pass, headers that do not; each made with the secret
    "header": (
        {"scheme": "header"},
        lambda secret: {"X-Webhook-Secret": secret},
        [lambda secret: {"X-Webhook-Secret": secret + "x"}, lambda secret: {"Authorization": secret}],
    ),
    "bearer": (
        {"scheme": "header", "header": "Authorization", "prefix": "Bearer "},
        lambda secret: {"Authorization": f"Bearer {secret}"},
        [lambda secret: {"Authorization": secret}],
    ),
    "hex with a prefix": (
        {"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256="},
        lambda secret: {"X-Hub-Signature-256": f"sha256={mac(secret, BODY).hexdigest().upper()}"},
        [
            lambda secret: {"X-Hub-Signature-256": mac(secret, BODY).hexdigest()},
            lambda secret: {"X-Hub-Signature-256": f"sha256={mac(secret, BODY + b' ').hexdigest()}"},
        ],
    ),
    "base64 of sha512": (
        {"scheme": "hmac", "algorithm": "sha512", "encoding": "base64"},
        lambda secret: {"X-Signature": base64.b64encode(mac(secret, BODY, "sha512").digest()).decode()},
        [lambda secret: {"X-Signature": base64.b64encode(mac(secret, BODY).digest()).decode()}],
    ),
    "with its time": (
        {"scheme": "hmac", "timestamp_header": "X-Time"},
        lambda secret: timed(secret, str(int(time.time()))),
        [
            lambda secret: {"X-Signature": mac(secret, BODY).hexdigest()},
            lambda secret: timed(secret, OLD),
            lambda secret: {"X-Time": "9" * 400, "X-Signature": ""},
        ],
    ),
}


@pytest.mark.parametrize(("auth", "passes", "fails"), PROOFS.values(), ids=PROOFS)
async def test_generic_proofs(served: Served, auth: Json, passes: Prove, fails: list[Prove]) -> None:
    source = await make_source(served, "webhook", settings={"auth": auth})
    secret = source.secrets["secret"]
    for wrong in [lambda _: {}, *fails]:
        await hook(served, source, BODY, wrong(secret), status=401)
    assert (await hook(served, source, BODY, passes(secret)))["accepted"] == 1
    assert await counters(served, source.id) == {"received": 1, "accepted": 1, "unsigned": 1 + len(fails)}


async def test_standard_webhooks_by_the_official_library(served: Served) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    settings = {"auth": {"scheme": "standard_webhooks"}}
    source = await make_source(served, "webhook", settings=settings, secrets={"secret": secret})
    now = datetime.now(UTC)
    stamp = str(int(now.timestamp()))
    signed = Webhook(secret).sign("msg_1", now, BODY.decode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,AAAA {signed}"}
    assert (await hook(served, source, BODY, headers))["accepted"] == 1
    assert (await hook(served, source, BODY, headers))["duplicates"] == 1
    (event,) = (await served.get("/v1/events")).json()["items"]
    assert event["reference"] == "my-webhook:msg_1:0"
    assert event["signed"] is True
    await hook(served, source, BODY, {**headers, "webhook-id": "msg_2"}, status=401)
    await hook(served, source, BODY + b" ", headers, status=401)
    await hook(served, source, BODY, {**headers, "webhook-timestamp": OLD}, status=401)


async def test_unknown_closed_and_other_sources_have_no_address(served: Served) -> None:
    source = await make_source(served, "webhook")
    await make_source(served, "segment")
    for name in ("nobody", "my-segment"):
        assert (await served.post(f"/v1/hooks/{name}", BODY, key=None)).status_code == 404
    await served.request("PATCH", f"/v1/sources/{source.id}", json={"enabled": False})
    await hook(served, source, BODY, {"X-Webhook-Secret": source.secrets["secret"]}, status=404)


async def test_the_ping_of_woocommerce_is_answered(served: Served) -> None:
    source = await make_source(served, "woocommerce")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await hook(served, source, b"webhook_id=142", form))["received"] == 0
    assert await counters(served, source.id) == {}
    for body in (b"webhook_id=", b"webhook_id=1&status=processing", b'{"id": 1}'):
        await hook(served, source, body, form, status=401)


# Bodies


async def in_parts(body: bytes) -> AsyncIterator[bytes]:
    for place in range(0, len(body), 7):
        yield body[place : place + 7]


async def test_bodies(served: Served) -> None:
    source = await make_source(served, "webhook", settings={"auth": {"scheme": "hmac"}})
    secret = source.secrets["secret"]
    sound = {"X-Signature": mac(secret, BODY).hexdigest()}
    packed = {**sound, "Content-Encoding": "gzip"}
    assert (await hook(served, source, in_parts(BODY), sound))["accepted"] == 1  # chunked
    assert (await hook(served, source, gzip.compress(BODY), packed))["duplicates"] == 1
    bomb = gzip.compress(b" " * (limits.HOOK_BYTES + 1))
    assert (await hook(served, source, bomb, packed, status=413))["code"] == "too_large"
    assert (await hook(served, source, gzip.compress(BODY)[:-9], packed, status=400))["code"] == "broken_encoding"
    assert (await hook(served, source, BODY, packed, status=400))["code"] == "broken_encoding"
    assert (await hook(served, source, BODY, {**sound, "Content-Encoding": "br"}, status=415))[
        "code"
    ] == "unsupported_encoding"
    largest = BODY + b" " * (limits.HOOK_BYTES - len(BODY))
    assert (await hook(served, source, largest, {"X-Signature": mac(secret, largest).hexdigest()}))["duplicates"] == 1
    assert (await hook(served, source, largest + b" ", sound, status=413))["code"] == "too_large"


async def test_a_slow_sender_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hooks.limits.HOOK_SECONDS == limits.HOOK_SECONDS
    monkeypatch.setattr(limits, "HOOK_SECONDS", 0.2)
    source = await make_source(served, "webhook")
    headers = {"X-Webhook-Secret": source.secrets["secret"]}
    host, port = served.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/hooks/{source.id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(BODY)}\r\n"
    writer.write(head.encode() + b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items()) + b"\r\n")
    writer.write(BODY[:5])
    answer = await asyncio.wait_for(reader.read(), 10)  # to the end: the connection is closed
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"too_slow"' in answer
    assert (await hook(served, source, BODY, headers))["accepted"] == 1


def deep(levels: int) -> bytes:
    return json.dumps(SIGNUP).encode()[:-1] + b', "more": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b"{", "invalid_json"),
        (b"\xff", "invalid_utf8"),
        (b'{"customer": "a", "customer": "b"}', "duplicate_key"),
        (deep(limits.HOOK_DEPTH), "too_deep"),
    ],
)
async def test_what_cannot_be_read_is_answered_and_kept(served: Served, body: bytes, code: str) -> None:
    source = await make_source(served, "webhook")
    headers = {"X-Webhook-Secret": source.secrets["secret"]}
    assert (await hook(served, source, body, headers))["refused"] == 1
    assert await counters(served, source.id) == {"received": 1, "refused": 1}
    (item,) = await rejections(served, f"?source={source.id}")
    assert item["codes"] == [code]
    assert (await hook(served, source, deep(limits.HOOK_DEPTH - 1), headers))["accepted"] == 1


async def test_what_is_refused_is_answered_kept_and_replayed(served: Served) -> None:
    """A shop whose currency is not the program's: nothing is lost until the program is mended."""
    source = await make_source(served, "shopify")
    answer = await send_shopify(served, source, "orders/paid", shopify_order(currency="USD"), event="e1")
    assert (answer.status_code, answer.json()["refused"]) == (200, 1)
    (item,) = await rejections(served, f"?source={source.id}")
    assert item["codes"] == ["currency_mismatch"]
    program = (await served.get("/v1/program")).json()
    program["settings"]["currency"] = "USD"
    assert (await served.request("PUT", "/v1/program", json=program)).status_code == 200
    assert (await served.post(f"/v1/rejections/{item['id']}/replay", {})).status_code == 201
    assert await points_of(served, str(CUSTOMER)) == 125


# Looking at what came


async def test_the_last_payloads_are_seen_with_their_mapping(served: Served) -> None:
    source = await make_source(served, "shopify")
    for number in range(limits.SOURCE_PAYLOADS + 2):
        await send_shopify(served, source, "orders/paid", shopify_order(id=ORDER + number), event=f"e{number}")
    await send_shopify(served, source, "orders/paid", shopify_order(test=True), event="test")
    shown = (await served.get(f"/v1/sources/{source.id}/payloads")).json()["items"]
    assert len(shown) == limits.SOURCE_PAYLOADS
    assert (shown[0]["reason"], shown[0]["dropped"], shown[0]["events"]) == ("test", 1, [])
    assert shown[1]["payload"]["id"] == ORDER + limits.SOURCE_PAYLOADS + 1
    assert shown[1]["headers"]["x-shopify-topic"] == "orders/paid"
    assert shown[1]["events"][0]["properties"]["total"] == "125.51"
    assert source.secrets["secret"] not in str(shown)
    assert "hmac" not in str(shown[1]["headers"])
    reader, _ = await served.make_key(scopes=("sources:read",))
    assert (await served.get(f"/v1/sources/{source.id}/payloads", key=reader)).status_code == 403
    async with served.database.owner() as owner:
        rows = await owner.fetch("select * from source_payloads")
    assert len(rows) == limits.SOURCE_PAYLOADS
    assert not any(b"john" in row["sealed"].lower() for row in rows)
    await served.request("DELETE", f"/v1/sources/{source.id}")
    async with served.database.owner() as owner:
        assert await owner.fetchval("select count(*) from source_payloads") == 0


async def test_a_large_payload_is_recorded_and_not_kept(served: Served) -> None:
    source = await make_source(served, "webhook")
    headers = {"X-Webhook-Secret": source.secrets["secret"]}
    for size, is_kept in ((limits.SOURCE_PAYLOAD_BYTES, True), (limits.SOURCE_PAYLOAD_BYTES + 1, False)):
        body = BODY + b" " * (size - len(BODY))
        await hook(served, source, body, headers)
        newest = (await served.get(f"/v1/sources/{source.id}/payloads")).json()["items"][0]
        assert (newest["payload"] is not None) == is_kept


async def test_payloads_in_memory_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await make_source(served, "webhook")
    headers = {"X-Webhook-Secret": source.secrets["secret"]}
    assert limits.SOURCE_PAYLOADS_BYTES > limits.SOURCE_PAYLOADS * limits.SOURCE_PAYLOAD_BYTES
    monkeypatch.setattr(limits, "SOURCE_PAYLOADS_BYTES", len(BODY))  # less than one with its headers
    assert (await hook(served, source, BODY, headers))["accepted"] == 1
    assert (await served.get(f"/v1/sources/{source.id}/payloads")).json()["items"] == []


async def test_a_trial_shows_the_event_and_stores_nothing(served: Served) -> None:
    source = await make_source(served, "woocommerce", settings={"guests": "email"})
    body = woo_order(customer_id=0, currency="USD")
    headers = {"X-WC-Webhook-Topic": "order.created", "X-WC-Webhook-Delivery-ID": "d1"}
    shown = (await served.post(f"/v1/sources/{source.id}/test", body, headers=headers)).json()
    (event,) = shown["events"]
    assert (event["customer"], event["type"]) == ("john.doe@example.com", "checkout")
    assert event["properties"]["total"] == "100.00"
    assert [error["code"] for error in event["errors"]] == ["currency_mismatch"]
    assert (await served.get("/v1/events")).json()["items"] == []
    assert (await served.get(f"/v1/sources/{source.id}/payloads")).json()["items"] == []
    assert await counters(served, source.id) == {}
    assert (await send_woo(served, source, "order.created", woo_order(), delivery="d1")).json()["accepted"] == 1
