"""The format `segment`: calls that any receiver of that public API takes, in bounded batches."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

from tests.outbox.conftest import Desk
from tests.outbox.receiver import Receiver, answering
from troth import limits
from troth.core.ids import show_id
from troth.outbox.messages import EventData, Message
from troth.outbox.segment import batches, call_of, event_name
from troth.store.deliveries import Traits
from troth.store.row_ids import new_id

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def message(topic: str = "points.earned", customer: str | None = "ada", padding: int = 0) -> Message:
    data = EventData(
        event="evt_" + "0" * padding,
        event_type="purchase",
        customer=customer,
        customer_id="cus_1",
        seq=1,
        occurred_at="2026-11-20T10:00:00Z",
    )
    return Message(id=show_id("msg", new_id()), type=topic, timestamp="2026-11-20T10:00:00Z", data=data)


def test_batches_hold_so_many_messages() -> None:
    made = [message() for _ in range(2 * limits.SEGMENT_MESSAGES + 1)]
    found = batches(made, {}, NOW)
    assert [len(batch.places) for batch in found] == [limits.SEGMENT_MESSAGES, limits.SEGMENT_MESSAGES, 1]
    assert [place for batch in found for place in batch.places] == [*range(len(made))]
    sent = [call["messageId"] for batch in found for call in json.loads(batch.body)["batch"]]
    assert sent == [item.id for item in made]
    assert batches([], {}, NOW) == []


def test_batches_hold_so_many_bytes() -> None:
    made = [message(padding=limits.SEGMENT_BYTES // 4) for _ in range(7)]
    found = batches(made, {}, NOW)
    assert [len(batch.places) for batch in found] == [3, 3, 1]
    assert all(len(batch.body) <= limits.SEGMENT_BYTES for batch in found)


def test_names() -> None:
    assert [event_name(topic) for topic in ("points.earned", "tier.upgraded")] == ["Points Earned", "Tier Upgraded"]


def test_who_has_no_name_any_more_is_told_apart() -> None:
    assert call_of(message(customer=None), {})["anonymousId"] == "cus_1"
    assert "userId" not in call_of(message(customer=None), {})


def test_profiles_become_traits() -> None:
    traits = {"cus_1": Traits({"city": "Linz"}, ["vip"], "gold")}
    call = call_of(message("customer.updated"), traits)
    assert (call["type"], call["userId"]) == ("identify", "ada")
    assert call["traits"] == {"city": "Linz", "tags": ["vip"], "tier": "gold"}
    assert call_of(message("points.earned"), traits)["type"] == "track"


async def test_a_day_arrives_in_one_batch(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = answering(500)
    topics = ["customer.*", "points.earned", "program.published"]
    webhook = await desk.add(
        receiver.url, format="segment", write_key="wk_1", topics=topics, headers={"authorization": "x", "X-Team": "crm"}
    )
    assert webhook["secret"] is None
    await desk.record("ada", "profile", first_name="Adaline", tags=["vip"])
    await desk.send("ada", "125.00")
    await desk.served.post("/v1/event-types", {"id": "noted"})
    await desk.turn()
    await desk.turn(hours=1)
    assert [got.path for got in receiver.got] == ["/hooks/v1/batch"] * 2
    first, again = (json.loads(got.body)["batch"] for got in receiver.got)
    assert sorted(call["messageId"] for call in first) == sorted(call["messageId"] for call in again)
    assert [value for name, value in receiver.got[0].headers.items() if name.lower() == "x-team"] == ["crm"]
    scheme, _, key = receiver.got[0].headers["Authorization"].partition(" ")
    assert (scheme, b64decode(key)) == ("Basic", b"wk_1:")
    calls: dict[str, dict[str, Any]] = {call.get("event", call["type"]): call for call in again}
    assert set(calls) == {"identify", "Points Earned", "Program Published"}
    assert calls["identify"]["traits"]["tags"] == ["vip"]
    assert "Adaline" not in receiver.got[0].body.decode()
    assert (calls["Points Earned"]["userId"], calls["Points Earned"]["properties"]["points"]) == ("ada", 125)
    assert {item["status"] for item in await desk.deliveries(webhook)} == {"delivered"}
    assert (await desk.show(webhook))["delivered"] == 3
