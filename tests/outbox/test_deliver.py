"""What webhooks are told: every topic, signed and thin, and nothing personal on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import svix

from tests.outbox.conftest import Desk, Hooked
from tests.outbox.receiver import Receiver
from troth import limits
from troth.core.topics import TOPICS

ABSENT = {"customer.erased", "customer.merged", "segment.entered", "segment.left", "webhook.disabled"}


async def test_an_event_becomes_signed_messages(hooked: Hooked, receiver: Receiver) -> None:
    webhook = await hooked.add(receiver.url, topics=["event.recorded", "points.earned"])
    event = await hooked.send("ada", "125.00")
    for got in await receiver.wait(2):
        opened = standardwebhooks.Webhook(webhook["secret"]).verify(got.body, dict(got.headers))
        svix.Webhook(webhook["secret"]).verify(got.body, dict(got.headers))
        assert opened == json.loads(got.body)
        assert opened["id"] == got.headers["webhook-id"]
        assert opened["data"]["event"] == event["id"]


async def a_day(desk: Desk) -> dict[str, Any]:
    """One customer does everything there is a topic for."""
    served = desk.served
    zoya = "/v1/customers/zoya"
    await served.post("/v1/clock", {"now": "2026-03-01T10:00:00Z"})
    await desk.record("zoya", "profile", first_name="Zoyanna", email="zoya@example.com", tags=["vip"])
    await desk.record("zoya", "profile", tags=["vip", "old"])
    order = await desk.record("zoya", "purchase", amount="1200.00", order_id="order-1", category="books")
    await desk.record("zoya", "partial_refund", order_id="order-1", refund_id="r1", amount="200.00")
    await desk.record("zoya", "refund", order_id="order-1")
    await served.post(f"{zoya}/adjustments", {"points": 2_000, "reason": "sorry", "qualifying": False})
    await served.post(f"{zoya}/adjustments", {"points": 50, "hold": "P1D"})
    claims = [await served.post(f"{zoya}/redemptions", {"reward": "voucher-5"}) for _ in range(2)]
    first, second = (claim.json()["redemption"]["id"] for claim in claims)
    await served.post(f"{zoya}/redemptions/{first}/fulfil", {})
    await served.post(f"{zoya}/redemptions/{second}/cancel", {})
    await served.post("/v1/event-types", {"id": "noted"})
    await served.post("/v1/clock", {"now": "2030-01-01T10:00:00Z"})
    await desk.record("zoya", "login")
    return order


def messages(receiver: Receiver) -> dict[str, list[dict[str, Any]]]:
    """What came, by topic, in the order in which it happened."""
    found: dict[str, list[dict[str, Any]]] = {}
    for got in receiver.got:
        told = json.loads(got.body)
        found.setdefault(told["type"], []).append(told)
    return {topic: sorted(told, key=lambda item: item["data"].get("seq", 0)) for topic, told in found.items()}


async def test_every_topic_is_told(desk: Desk, receiver: Receiver) -> None:
    await desk.add(receiver.url)
    order = await a_day(desk)
    await desk.turn()
    told = messages(receiver)
    assert set(TOPICS) - set(told) == ABSENT
    events = await desk.count("events")
    assert len(told["event.recorded"]) == events
    assert [item["data"]["seq"] for item in told["event.recorded"]] == [*range(1, events + 1)]
    (created,) = told["customer.created"]
    assert (created["data"]["customer"], created["data"]["event_type"]) == ("zoya", "profile")
    assert [item["data"]["event_type"] for item in told["customer.updated"]] == ["profile"]
    earned = told["points.earned"][0]["data"]
    assert (earned["event"], earned["points"], earned["order"]) == (order["id"], 1_200, "order-1")
    assert earned["changes"] == [{"wallet": "points", "points": 1_200, "rule": "purchase-points"}]
    assert earned["balances"] == {"points": order["wallets"]["points"]["balance"]}
    assert [item["data"]["points"] for item in told["points.reversed"]] == [200, 1_000]
    assert [item["data"]["points"] for item in told["points.adjusted"]] == [2_000, 50]
    assert [item["data"]["points"] for item in told["points.redeemed"]] == [500, 500]
    assert [item["data"]["points"] for item in told["points.released"]] == [50]
    assert told["tier.upgraded"][0]["data"]["to_tier"] == "silver"
    claimed, fulfilled = told["reward.claimed"][0]["data"], told["reward.fulfilled"][0]["data"]
    assert (claimed["reward"], claimed["points"]) == ("voucher-5", 500)
    assert fulfilled["redemption"] == claimed["redemption"]
    assert told["reward.cancelled"][0]["data"]["redemption"] == told["reward.claimed"][1]["data"]["redemption"]
    assert {item["data"]["order"] for item in told["order.updated"]} == {"order-1"}
    assert len(told["order.updated"]) == 3
    revision = (await desk.served.get("/v1/program/revisions")).json()["items"][0]["revision"]
    assert told["program.published"][0]["data"] == {"revision": revision}


async def test_nothing_personal_is_sent_or_lies_about(desk: Desk, receiver: Receiver) -> None:
    await desk.add(receiver.url)
    await a_day(desk)
    async with desk.served.database.owner() as owner:
        rows = [str(row) for row in await owner.fetch("select o::text from outbox as o")]
        await desk.turn()
        rows += [str(row) for row in await owner.fetch("select d::text from webhook_deliveries as d")]
    assert len(rows) > 20
    sent = [got.body.decode() for got in receiver.got]
    assert not any("Zoyanna" in text or "example.com" in text for text in (*rows, *sent))
    assert not any("zoya" in row or "order-1" in row for row in rows), "not even whom it is about"


async def test_a_webhook_is_told_what_it_asked_for(desk: Desk, receiver: Receiver) -> None:
    await desk.add(receiver.url, topics=["points.*", "tier.upgraded"])
    await a_day(desk)
    await desk.turn()
    assert {topic.partition(".")[0] for topic in messages(receiver)} == {"points", "tier"}


async def test_several_webhooks_are_told_the_same_under_the_same_ids(desk: Desk, receiver: Receiver) -> None:
    first = await desk.add(
        receiver.url, topics=["event.recorded"], headers={"X-Who": "first", "Authorization": "Bearer x"}
    )
    await desk.add(receiver.url, topics=["event.recorded"], headers={"X-Who": "second"})
    await desk.add(receiver.url, topics=["event.recorded"], enabled=False)
    await desk.send("ada")
    await desk.turn()
    assert sorted(got.headers["X-Who"] for got in receiver.got) == ["first", "second"]
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert (await desk.show(first))["header_names"] == ["X-Who", "Authorization"]
    assert {got.headers.get("Authorization") for got in receiver.got} == {"Bearer x", None}


async def test_while_a_secret_is_replaced_both_sign(desk: Desk, receiver: Receiver) -> None:
    webhook = await desk.add(receiver.url, topics=["event.recorded"])
    rotated = (await desk.served.post(f"/v1/webhooks/{webhook['id']}/rotate", {"overlap_hours": 1})).json()
    assert rotated["secret"] not in (webhook["secret"], None)
    await desk.send("ada")
    await desk.turn()
    (got,) = receiver.got
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    for secret in (webhook["secret"], rotated["secret"]):
        standardwebhooks.Webhook(secret).verify(got.body, dict(got.headers))
        svix.Webhook(secret).verify(got.body, dict(got.headers))
    await desk.send("ada")
    await desk.turn(hours=2)
    late = receiver.got[1]
    assert is_signed_by(rotated["secret"], late.body, late.headers)
    assert not is_signed_by(webhook["secret"], late.body, late.headers)


def is_signed_by(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(body, dict(headers))
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


async def test_a_ping(desk: Desk, receiver: Receiver) -> None:
    webhook = await desk.add(receiver.url, topics=["tier.upgraded"])
    asked = await desk.served.post(f"/v1/webhooks/{webhook['id']}/test")
    assert (asked.status_code, asked.json()["topic"], asked.json()["status"]) == (202, "webhook.ping", "waiting")
    await desk.turn()
    told = json.loads(receiver.got[0].body)
    assert (told["type"], told["data"]["webhook"], told["id"]) == (
        "webhook.ping",
        webhook["id"],
        asked.json()["message"],
    )
    assert (await desk.only(webhook))["status"] == "delivered"


async def test_old_deliveries_are_forgotten_and_those_of_no_webhook(desk: Desk, receiver: Receiver) -> None:
    kept, gone = [await desk.add(receiver.url, topics=["event.recorded"]) for _ in range(2)]
    await desk.send("ada")
    await desk.turn()
    assert await desk.count("webhook_deliveries") == 2
    await desk.served.request("DELETE", f"/v1/webhooks/{gone['id']}")
    desk.relay.sweeps_at = 0
    await desk.turn(days=limits.WEBHOOK_DELIVERY_DAYS - 1)
    assert len(await desk.deliveries(kept)) == await desk.count("webhook_deliveries") == 1
    desk.relay.sweeps_at = 0
    await desk.turn(days=limits.WEBHOOK_DELIVERY_DAYS + 1)
    assert await desk.deliveries(kept) == []


async def test_what_is_old_is_forgotten_a_bounded_number_at_a_time(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WEBHOOK_SWEPT", 2)
    await desk.add(receiver.url, topics=["event.recorded"])
    await desk.many(5)
    await desk.turn()
    desk.relay.sweeps_at = 0
    left = []
    while not desk.relay.sweeps_at:
        await desk.turn(days=limits.WEBHOOK_DELIVERY_DAYS + 1)
        left.append(await desk.count("webhook_deliveries"))
    assert left == [3, 1, 0]


async def test_the_clock_of_a_message_is_that_of_its_event(desk: Desk, receiver: Receiver) -> None:
    await desk.add(receiver.url, topics=["event.recorded"])
    event = await desk.send("ada")
    await asyncio.sleep(0.01)
    await desk.turn()
    told = json.loads(receiver.got[0].body)
    assert (told["timestamp"], told["data"]["occurred_at"]) == (event["recorded_at"], event["occurred_at"])
    signed_at = datetime.fromtimestamp(int(receiver.got[0].headers["webhook-timestamp"]), UTC)
    assert datetime.now(UTC) - signed_at < timedelta(minutes=5)
