"""kill -9 under load: the server and PostgreSQL's backends at random moments, restart, resend all; every total exact.

    .venv/bin/python -m bench.crash [--seconds N] [--seed N]

While clients send purchases, and some of them twice, the killer strikes. Afterwards everything is sent once more: each
answer must name the event that was named before, and the tables must hold each purchase once. Exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from bench.rows import connect, count_rows, rows_of
from bench.server import TROTH, Server, create_key, data_on_disk, publish, start, stop
from bench.traffic import Fields, Traffic, request_head, singles

CLIENTS = 32
CUSTOMERS = 300  # few, so that events of one customer meet
SENT_TWICE = 0.1  # of the answered purchases are sent again at once
PAUSE_SECONDS = (0.2, 3.0)  # between two kills
ANSWER_SECONDS = 90  # recovery included
_SERVER_SHARE = 0.4  # of the kills; the others hit backends


@dataclass(slots=True, kw_only=True)
class Story:
    """What was sent and what was answered."""

    expected: dict[str, Fields] = field(default_factory=dict)  # reference → purchase
    answered: dict[str, str] = field(default_factory=dict)  # reference → id of the event, as first told
    kills: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0  # requests cut off or turned away
    wrong: list[str] = field(default_factory=list)  # answers that must not be

    def note(self, purchase: Fields, status: int, body: bytes) -> bool:
        """Take in one answer; True when the purchase is settled."""
        if status == 503:
            return False
        reference = purchase[1]
        told = json.loads(body).get("id") if status in (200, 201) else None
        if told is None or self.answered.setdefault(reference, told) != told:
            self.wrong.append(f"{reference}: {status} {body[:300]!r}, first told {self.answered.get(reference)}")
        return True


class Client:
    """One keep-alive connection, opened again after each cut."""

    def __init__(self, port: int, head: str) -> None:
        self._port = port
        self._head = head
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, purchase: Fields) -> tuple[int, bytes]:
        """Status and body. OSError, EOFError or TimeoutError when there is no whole answer."""
        (request,) = singles(iter([purchase]), self._head)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._exchange(request)
        except BaseException:
            self.close()
            raise

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r", 1)[0])
        return int(head[9:12]), await reader.readexactly(length)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Play:
    """The server, its clients and the killer."""

    def __init__(self, server: Server, *, seed: int) -> None:
        self.server = server
        self.story = Story()
        self._random = random.Random(seed)
        self._purchases = Traffic(customers=CUSTOMERS).drawn()
        self._head = request_head("/v1/events", server.key)

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(self._kill(until), *(self._send_until(until) for _ in range(CLIENTS)))

    async def resend(self) -> None:
        """Send every purchase once more, over fresh connections."""
        waiting = list(self.story.expected.values())
        self._random.shuffle(waiting)
        await asyncio.gather(*(self._drain(waiting) for _ in range(CLIENTS)))

    async def restart(self) -> None:
        self.server.process.kill()
        self.server.process.wait()
        key = self.server.key
        self.server = await asyncio.to_thread(start, self.server.data, port=self.server.port)
        self.server.key = key

    async def _send_until(self, until: float) -> None:
        client = Client(self.server.port, self._head)
        while time.monotonic() < until:
            purchase = next(self._purchases)
            self.story.expected[purchase[1]] = purchase
            if await self._try(client, purchase) and self._random.random() < SENT_TWICE:
                await self._try(client, purchase)
        client.close()

    async def _drain(self, waiting: list[Fields]) -> None:
        client = Client(self.server.port, self._head)
        while waiting:
            purchase = waiting.pop()
            if not await self._try(client, purchase):
                waiting.append(purchase)
        client.close()

    async def _try(self, client: Client, purchase: Fields) -> bool:
        try:
            status, body = await client.send(purchase)
        except (OSError, EOFError, TimeoutError):
            self.story.unanswered += 1
            await asyncio.sleep(0.05)
            return False
        return self.story.note(purchase, status, body)

    async def _kill(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))
            if self._random.random() < _SERVER_SHARE:
                self.story.kills["server"] += 1
                await self.restart()
            else:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self._kill_backend()

    async def _kill_backend(self) -> None:
        """kill -9 of one backend that serves Troth; PostgreSQL then ends all of them and recovers."""
        async with self.server.cluster() as cluster:
            connection = await connect(cluster.admin_dsn)
            try:
                rows = await connection.fetch("select pid from pg_stat_activity where usename = 'troth_app'")
            finally:
                await connection.close()
        if rows:
            os.kill(self._random.choice(rows)["pid"], signal.SIGKILL)
            self.story.kills["backend"] += 1


async def audit(server: Server, story: Story) -> list[str]:
    """Every difference between what was sent and what the database holds."""
    async with server.cluster() as cluster:
        dsn = cluster.dsn("postgres")
        counts = await count_rows(dsn)
        connection = await connect(dsn)
        ids = {row["id"].hex for row in await connection.fetch("select id from events")}
        balances = await connection.fetch(
            "select i.external_id, b.available, (select sum(p.points) from postings p where p.bucket = b.bucket "
            "and p.customer_id = b.customer_id) as posted from identities i join balances b "
            "on (b.bucket, b.customer_id) = (i.customer_bucket, i.customer_id)"
        )
        await connection.close()
    wanted: Counter[str] = Counter()
    for customer, _, _, amount, _ in story.expected.values():
        wanted[str(customer)] += int(amount.partition(".")[0])
    sent = rows_of(len(story.expected))
    doubled = counts["events"] - len(story.expected)
    found = [f"doubled: {doubled} events"] if doubled > 0 else []
    found += [f"{name}: {counts[name]} instead of {rows}" for name, rows in sent.items() if counts[name] != rows]
    found += [f"lost: {told} of {name}" for name, told in story.answered.items() if told[4:] not in ids]
    for row in balances:
        points = wanted.pop(row["external_id"], 0)
        if not points == row["available"] == row["posted"]:
            found.append(f"{row['external_id']}: {points} expected, {row['available']} held, {row['posted']} posted")
    return [*found, *(f"{customer}: has nothing" for customer in wanted), *story.wrong]


def verified(data: Path) -> list[str]:
    """What `troth verify` finds."""
    command = [str(TROTH), "verify", "--data", str(data), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return []
    return [f"troth verify: {done.stdout[:2_000] or 'failed'}"]


async def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.crash", description="Kill under load; every total must be exact.")
    parser.add_argument("--seconds", type=float, default=120, help="how long the killer strikes (default: 120)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args(arguments)
    with data_on_disk() as data:
        server = start(data)
        try:
            server.key = create_key(data)
            publish(server)
        except BaseException:
            stop(server)
            raise
        play = Play(server, seed=options.seed)
        try:
            await play.run(options.seconds)
            await play.restart()
            await play.resend()
            differences = [*await audit(play.server, play.story), *verified(data)]
        finally:
            stop(play.server)
    tell(play.story, differences, options.seed)
    return 1 if differences else 0


def tell(story: Story, differences: list[str], seed: int) -> None:
    kills = story.kills
    lost = sum(line.startswith("lost") for line in differences)
    doubled = next((line.split()[1] for line in differences if line.startswith("doubled")), "0")
    print(f"seed {seed}: {kills['server']} kills of the server, {kills['backend']} of backends")
    print(f"{len(story.expected):,} purchases, {story.unanswered:,} requests without an answer")
    print(f"{lost} lost, {doubled} doubled")
    print("\n".join(differences[:50]) or "every purchase is held once; every total is exact")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
