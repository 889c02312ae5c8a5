"""The process that runs jobs beside a serving one: told of live events, counted, and started again when killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.processes.test_crew import children
from tests.serving import MASTER_KEY, Served, serving
from troth.config import Config
from troth.embedded.access import DatabaseAccess
from troth.processes.jobs import jobs_beside

CONFIG = Config(master_key=MASTER_KEY, job_processes=2, stop_seconds=20)
HEAD = "customer,type,reference,occurred_at,amount\n"
ROWS = 12_000


@asynccontextmanager
async def open_server(database: DatabaseAccess) -> AsyncIterator[Served]:
    async with serving(database, CONFIG, partial(jobs_beside, config=CONFIG)) as served:
        yield served


def content(rows: int) -> bytes:
    return (HEAD + "".join(f"c{n % 300},app_engagement,r{n},2026-01-01T10:00:00Z,\n" for n in range(rows))).encode()


async def send(served: Served, rows: int) -> str:
    answer = await served.request("POST", "/v1/imports", files={"file": ("rows.csv", content(rows))})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def until(served: Served, import_id: str, is_there: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found: dict[str, object] = (await served.get(f"/v1/imports/{import_id}")).json()
        if is_there(found):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"it did not get there: {found}")


def is_over(found: dict[str, object]) -> bool:
    return found["status"] not in ("waiting", "running")


async def test_an_import_runs_beside_the_server_and_is_counted_there(database: DatabaseAccess) -> None:
    async with open_server(database) as served:
        found = await until(served, await send(served, 500), is_over)
        assert (found["status"], found["created"]) == ("finished", 500)
        await asyncio.sleep(1)
        metrics = (await served.get("/metrics")).text
        assert "troth_batch_events_total 500.0" in metrics
    assert children() == set()


@pytest.mark.slow
async def test_killed_it_is_started_again_and_goes_on_with_exact_totals(database: DatabaseAccess) -> None:
    async with open_server(database) as served:
        import_id = await send(served, ROWS)
        await until(served, import_id, lambda found: int(str(found["read"])) > 1_000)
        (jobs,) = children()
        os.kill(jobs, signal.SIGKILL)
        found = await until(served, import_id, is_over)
        assert (found["status"], found["created"], found["duplicates"]) == ("finished", ROWS, 0)
        assert children() != {jobs}


async def test_live_events_make_the_batches_of_an_import_small(database: DatabaseAccess) -> None:
    async with open_server(database) as served:
        import_id = await send(served, 4_000)

        async def live() -> None:
            event = {"customer": "ada", "type": "app_engagement"}
            while not is_over((await served.get(f"/v1/imports/{import_id}")).json()):
                assert (await served.post("/v1/events", event)).status_code == 201

        await live()
        await asyncio.sleep(1)
        lines = dict(line.split(" ") for line in (await served.get("/metrics")).text.splitlines() if line[0] != "#")
        assert float(lines["troth_batches_total"]) > 4_000 / 50  # of half the size of a chunk and more, were it alone
