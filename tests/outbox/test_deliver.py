"""From an event over HTTP to a signed message at a receiver, through everything between."""

from __future__ import annotations

import json

import standardwebhooks
import svix

from tests.outbox.conftest import Hooked
from tests.outbox.receiver import Receiver


async def test_an_event_becomes_signed_messages(hooked: Hooked, receiver: Receiver) -> None:
    webhook = await hooked.add(receiver.url, topics=["event.recorded", "points.earned"])
    event = await hooked.send("ada", "125.00", "order_1")
    for got in await receiver.wait(2):
        opened = standardwebhooks.Webhook(webhook["secret"]).verify(got.body, dict(got.headers))
        svix.Webhook(webhook["secret"]).verify(got.body, dict(got.headers))
        assert opened == json.loads(got.body)
        assert opened["data"]["event"] == event["id"]
