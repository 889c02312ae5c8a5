"""Several relays, relays that are killed, and a receiver that hangs while ten thousand messages go to others."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from tests.installation import TROTH
from tests.outbox.conftest import Desk, Hooked, relaying
from tests.outbox.receiver import Got, Receiver, hang, receiving
from tests.serving import MASTER_KEY
from troth import limits
from troth.core.ids import read_id
from troth.embedded.access import DatabaseAccess
from troth.outbox.relay import Relay
from troth.store import deliveries

TOPICS = ["event.recorded"]
GUARD_SECONDS = 400  # against a test that never ends; no measure of speed


@pytest.fixture
async def second(desk: Desk) -> AsyncIterator[Relay]:
    async with relaying(desk.served.database, [timedelta()]) as relay:
        yield relay


async def ended(relay: Relay) -> int:
    """Look until nothing is left. Out: how many runs it had."""
    runs = 0
    while True:
        await relay.look()
        if not relay.runs:
            return runs
        runs += len(relay.runs)
        await asyncio.gather(*relay.runs.values())


async def test_two_relays_share_the_work_without_doubling_it(desk: Desk, second: Relay, receiver: Receiver) -> None:
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.many(2 * limits.OUTBOX_CLAIMED)
    runs = await asyncio.gather(ended(desk.relay), ended(second))
    assert min(runs) >= 1, "both had something to do"
    messages = Counter(got.headers["webhook-id"] for got in receiver.got)
    assert (len(messages), set(messages.values())) == (2 * limits.OUTBOX_CLAIMED, {1})
    assert (await desk.show(webhook))["delivered"] == 2 * limits.OUTBOX_CLAIMED
    assert await desk.count("outbox") == 0


async def test_who_claims_while_another_one_does_gets_others(desk: Desk) -> None:
    webhook = await desk.add("http://127.0.0.1:9/", topics=TOPICS)
    key = read_id("whk", webhook["id"])
    assert key is not None
    for _ in range(15):
        await desk.served.post(f"/v1/webhooks/{webhook['id']}/test")
    now, pool = datetime.now(UTC), desk.relay.office.database.pool
    later = now + timedelta(seconds=60)
    async with asyncio.timeout(GUARD_SECONDS), pool.acquire() as one, pool.acquire() as other, one.transaction():
        first = await deliveries.claim(one, key, 10, now=now, lease_until=later)
        second = await deliveries.claim(other, key, 10, now=now, lease_until=later)
    assert (len(first), len(second)) == (10, 5)
    assert {item.id for item in first}.isdisjoint(item.id for item in second)
    async with pool.acquire() as one:
        assert await deliveries.claim(one, key, 10, now=now, lease_until=later) == []
        again = await deliveries.claim(one, key, 20, now=later, lease_until=later + timedelta(seconds=60))
    assert {item.tries for item in again} == {2}, "when the leases are over they are anybody's"


@contextmanager
def worker(access: DatabaseAccess) -> Iterator[subprocess.Popen[bytes]]:
    """`troth worker` beside the server, in a process of its own."""
    environment = {
        **os.environ,
        "TROTH_DATABASE_URL": access.app_dsn,
        "TROTH_DATABASE_OWNER_URL": access.owner_dsn,
        "TROTH_MASTER_KEY": b64encode(MASTER_KEY).decode(),
        "TROTH_WEBHOOKS_PRIVATE": "on",
    }
    process = subprocess.Popen([TROTH, "worker"], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
async def test_a_killed_worker_loses_nothing_and_repeats_what_was_under_way(desk: Desk, receiver: Receiver) -> None:
    async def slowly(_: Got) -> web.StreamResponse:
        await asyncio.sleep(0.05)
        return web.Response()

    receiver.answer = slowly
    webhook = await desk.add(receiver.url, topics=TOPICS)
    count = 3 * limits.WEBHOOK_CLAIMED
    await desk.many(count)
    with worker(desk.served.database) as process:
        await receiver.wait(limits.WEBHOOK_CLAIMED // 2, GUARD_SECONDS)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = len(receiver.got)
    assert done < count, "it was killed in the middle"
    await desk.turn()
    assert (await desk.show(webhook))["delivered"] < count, "its claims are still its own"
    await desk.turn(seconds=limits.WEBHOOK_LEASE_SECONDS + 1)
    messages = Counter(got.headers["webhook-id"] for got in receiver.got)
    assert len(messages) == (await desk.show(webhook))["delivered"] == count
    assert sum(messages.values()) - count <= limits.WEBHOOK_CONCURRENCY


async def test_what_a_stopping_relay_cuts_off_is_given_back(
    desk: Desk, second: Relay, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("troth.outbox.relay.STOP_SECONDS", 0.05)
    receiver.answer = hang
    webhook = await desk.add(receiver.url, topics=TOPICS)
    await desk.many(30)
    await second.look()
    await receiver.wait(limits.WEBHOOK_CONCURRENCY)
    await second.close()
    assert {item["tries"] for item in await desk.deliveries(webhook, status="waiting")} == {0}
    receiver.answer = desk_accepts
    await desk.turn()
    assert len(await desk.deliveries(webhook, status="delivered")) == 30


async def desk_accepts(_: Got) -> web.StreamResponse:
    return web.Response()


@pytest.mark.slow
async def test_a_receiver_that_hangs_delays_nobody_else(hooked: Hooked, receiver: Receiver) -> None:
    """10,000 deliveries, 2,000 of them for a receiver that never answers."""
    async with receiving(hang) as silent:
        stuck = await hooked.add(silent.url, topics=TOPICS)
        good = [await hooked.add(f"{receiver.url}/{name}", topics=TOPICS) for name in "abcd"]
        await hooked.many(2_000)
        await silent.wait(1, GUARD_SECONDS)
        await receiver.wait(8_000, GUARD_SECONDS)
        assert Counter(got.path for got in receiver.got) == {f"/hooks/{name}": 2_000 for name in "abcd"}
        assert len({(got.path, got.headers["webhook-id"]) for got in receiver.got}) == 8_000
        async with asyncio.timeout(GUARD_SECONDS):
            while sum([(await hooked.show(webhook))["delivered"] for webhook in good]) < 8_000:
                await asyncio.sleep(0.1)
        assert (await hooked.show(stuck))["delivered"] == 0
        assert len(silent.got) <= 2 * limits.WEBHOOK_CONCURRENCY, "the others are left alone while it hangs"
        assert len(await hooked.deliveries(stuck, status="waiting")) == 1_000, "a full page of them waits"
