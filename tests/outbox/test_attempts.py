"""What receivers do, and what comes of it: failures, silence, redirects, floods, refusals, and the ways back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.installation import free_port
from tests.outbox.conftest import RETRY_SECONDS, Desk
from tests.outbox.receiver import Got, Receiver, answering, hang, receiving
from tests.serving import serving
from troth import limits
from troth.config import Config
from troth.embedded.access import DatabaseAccess

TOPICS = ["event.recorded"]
DAY = 86_400


async def test_a_receiver_that_fails_twice_gets_the_same_message_three_times(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = answering(500, 503)
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.send("ada")
    await desk.turn()
    await desk.turn(seconds=0.7 * RETRY_SECONDS)
    assert len(receiver.got) == 1, "not before its time"
    await desk.turn(seconds=1.3 * RETRY_SECONDS)
    await desk.turn(seconds=(1.3 + 3 * 0.7) * RETRY_SECONDS)
    assert len(receiver.got) == 2, "three times as long after the second failure"
    await desk.turn(seconds=(1.3 + 3 * 1.3) * RETRY_SECONDS)
    assert len(receiver.got) == 3
    await desk.turn(days=1)
    assert len({(got.headers["webhook-id"], got.body) for got in receiver.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.got}) >= 1
    delivery = await desk.only(webhook)
    assert (delivery["status"], delivery["tries"]) == ("delivered", 3)
    assert [(attempt["status"], attempt["error"]) for attempt in delivery["attempts"]] == [
        (500, "status: answered 500"),
        (503, "status: answered 503"),
        (200, None),
    ]
    assert {attempt["answer"] for attempt in delivery["attempts"]} == {"hello"}
    shown = await desk.show(webhook)
    assert (shown["delivered"], shown["given_up"], shown["failures"], shown["failing_since"]) == (1, 0, 0, None)


async def redirected(receiver: Receiver) -> str:
    async def answer(got: Got) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": receiver.url.replace("hooks", "elsewhere")})

    receiver.answer = answer
    return receiver.url


async def test_redirects_are_not_followed(desk: Desk, receiver: Receiver) -> None:
    webhook = await desk.add(await redirected(receiver), topics=TOPICS)
    await desk.send("ada")
    await desk.turn()
    assert [got.path for got in receiver.got] == ["/hooks"]
    delivery = await desk.only(webhook)
    assert delivery["status"] == "waiting"
    assert delivery["attempts"][0]["error"] == "redirect: answered 302, and redirects are not followed"


async def test_silence_is_a_failure(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = hang
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.send("ada")
    await desk.turn()
    attempt = (await desk.only(webhook))["attempts"][0]
    assert (attempt["status"], attempt["error"]) == (None, "timeout: no whole answer within 1 s")
    assert attempt["milliseconds"] >= 1_000


async def test_a_slow_answer_is_bounded_as_a_whole(desk: Desk) -> None:
    """One byte now and then would keep a time-out between two bytes from ever coming."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.05)

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server:
        webhook = await desk.add(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", topics=TOPICS)
        await desk.send("ada")
        await desk.turn()
    assert (await desk.only(webhook))["attempts"][0]["error"].startswith("timeout")


async def test_of_a_huge_answer_only_the_beginning_is_read(desk: Desk, receiver: Receiver) -> None:
    async def flood(_: Got) -> web.StreamResponse:
        return web.Response(status=200, body=b"\0\xffx" * 1_000_000)

    receiver.answer = flood
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.send("ada")
    await desk.turn()
    delivery = await desk.only(webhook)
    assert delivery["status"] == "delivered"
    assert len(delivery["attempts"][0]["answer"]) == limits.WEBHOOK_ANSWER_BYTES


async def test_nobody_there(desk: Desk) -> None:
    webhook = await desk.add(f"http://127.0.0.1:{free_port()}", topics=TOPICS)
    unknown = await desk.add("https://nobody.invalid/hooks", topics=TOPICS)
    await desk.send("ada")
    await desk.turn()
    assert (await desk.only(webhook))["attempts"][0]["error"].startswith("connection: ")
    assert (await desk.only(unknown))["attempts"][0]["error"] == "unknown_host: the name has no address"


async def test_a_receiver_may_ask_for_time(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = answering(429, Retry_After="6000")
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.send("ada")
    await desk.turn()
    await desk.turn(seconds=5_900)
    assert len(receiver.got) == 1
    await desk.turn(seconds=6_100)
    assert (await desk.only(webhook))["status"] == "delivered"


async def test_after_three_days_it_is_given_up_and_can_be_sent_again(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = answering(*[500] * 2)
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.send("ada")
    await desk.turn()
    await desk.turn(seconds=limits.WEBHOOK_GIVE_UP_SECONDS + 1)
    given_up = await desk.only(webhook)
    assert (given_up["status"], given_up["next_at"]) == ("failed", None)
    assert (await desk.show(webhook))["given_up"] == 1
    await desk.turn(days=4)
    assert len(receiver.got) == 2
    path = f"/v1/webhooks/{webhook['id']}/deliveries/{given_up['id']}/redeliver"
    again = await desk.served.post(path)
    assert (again.status_code, again.json()["status"], again.json()["message"]) == (202, "waiting", given_up["message"])
    await desk.turn()
    done = await desk.only(webhook)
    assert (done["status"], done["tries"], len(receiver.got)) == ("delivered", 3, 3)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    await desk.served.post(path)
    await desk.turn()
    assert len(receiver.got) == 4, "what was delivered can be sent again too"


async def test_only_the_last_attempts_are_kept(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = answering(then=500)
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.send("ada")
    await desk.turn()
    path = f"/v1/webhooks/{webhook['id']}/deliveries/{(await desk.only(webhook))['id']}/redeliver"
    for _ in range(limits.WEBHOOK_ATTEMPTS_KEPT):
        await desk.served.post(path)
        await desk.turn()
    kept = await desk.only(webhook)
    assert (kept["tries"], len(kept["attempts"])) == (limits.WEBHOOK_ATTEMPTS_KEPT + 1, limits.WEBHOOK_ATTEMPTS_KEPT)


async def test_gone_disables_at_once_and_tells_the_others(desk: Desk, receiver: Receiver) -> None:
    async with receiving(answering(then=410)) as leaving:
        gone = await desk.add(leaving.url, topics=TOPICS)
        other = await desk.add(receiver.url, topics=["webhook.disabled"])
        await desk.send("ada")
        await desk.turn()
        await desk.turn()
        await desk.send("ada")
        await desk.turn()
        assert len(leaving.got) == 1
    shown = await desk.show(gone)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "The receiver answered 410: it is gone.")
    assert shown["disabled_at"] is not None
    told = await desk.only(other)
    assert (told["topic"], told["status"]) == ("webhook.disabled", "delivered")
    assert gone["id"].encode() in receiver.got[0].body


async def test_gone_is_heard_whoever_stores_it(desk: Desk, receiver: Receiver) -> None:
    """Outcomes are stored in groups: one of many may say it, and another one's hand may store it."""
    receiver.answer = answering(*[200] * 14, 410)
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.many(limits.WEBHOOK_CLAIMED)
    await desk.turn()
    assert (await desk.show(webhook))["enabled"] is False
    assert len(receiver.got) <= 15 + 2 * limits.WEBHOOK_CONCURRENCY
    assert {item["tries"] for item in await desk.deliveries(webhook)} == {0, 1}, "the others are given back"


async def test_failing_for_days_disables(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = answering(then=500)
    webhook = await desk.add(receiver.url, topics=TOPICS)
    for _ in range(limits.WEBHOOK_DISABLE_FAILURES):
        await desk.send("ada")
    await desk.turn()
    for _ in range(limits.WEBHOOK_DISABLE_FAILURES):
        await desk.turn(seconds=limits.WEBHOOK_DISABLE_SECONDS - 60)
    before = await desk.show(webhook)
    assert before["enabled"] is True
    assert before["failures"] >= limits.WEBHOOK_DISABLE_FAILURES
    await desk.send("ada")
    await desk.turn(seconds=limits.WEBHOOK_DISABLE_SECONDS + 60)
    after = await desk.show(webhook)
    assert after["enabled"] is False
    assert "attempts in a row have failed since" in after["disabled_reason"]
    assert await desk.count("outbox") == 0
    receiver.answer = answering()
    enabled = await desk.served.request("PATCH", f"/v1/webhooks/{webhook['id']}", json={"enabled": True})
    fresh = enabled.json()
    assert (fresh["enabled"], fresh["failures"], fresh["disabled_reason"], fresh["failing_since"]) == (
        True,
        0,
        None,
        None,
    )


async def test_a_receiver_that_fails_is_asked_with_one_message_at_a_time(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = answering(then=500)
    await desk.add(receiver.url, topics=TOPICS)
    for _ in range(limits.WEBHOOK_PROBE_FAILURES):
        await desk.send("ada")
    await desk.turn()
    for _ in range(5):
        await desk.send("ada")
    before = len(receiver.got)
    await desk.turn(hours=1)
    assert len(receiver.got) == before + 1
    receiver.answer = answering()
    await desk.turn(hours=1)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == limits.WEBHOOK_PROBE_FAILURES + 5


async def test_only_so_many_requests_are_under_way_to_one_receiver(desk: Desk, receiver: Receiver) -> None:
    under_way, most = 0, 0

    async def slowly(_: Got) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return web.Response()

    receiver.answer = slowly
    await desk.add(receiver.url, topics=TOPICS)
    await desk.many(limits.WEBHOOK_CLAIMED + 50)
    await desk.turn()
    assert (len(receiver.got), most) == (limits.WEBHOOK_CLAIMED + 50, limits.WEBHOOK_CONCURRENCY)


@pytest.fixture
async def public_only(database: DatabaseAccess) -> AsyncIterator[Desk]:
    """A server with its own relay, which may send to public addresses only."""
    async with serving(database, Config()) as served:
        yield Desk(served=served, relay=None)  # type: ignore[arg-type]


async def test_private_addresses_are_refused_after_the_name_is_looked_up(public_only: Desk, receiver: Receiver) -> None:
    """`localhost` is a name like any other; what it stands for is not public."""
    webhook = await public_only.add(receiver.url.replace("127.0.0.1", "localhost"), topics=TOPICS)
    await public_only.send("ada")
    async with asyncio.timeout(20):
        while not await public_only.deliveries(webhook):
            await asyncio.sleep(0.05)
        while not (delivery := await public_only.only(webhook))["attempts"]:  # a try is counted when it begins
            await asyncio.sleep(0.05)
    assert delivery["attempts"][0]["error"] == "private_address: localhost is at a private address"
    assert receiver.got == []
