"""The real client libraries of the Segment family, a thousand events each: totals exact, each message once.

Those of npm are installed by `npm ci` beside their lock when they are not there yet; without node they are skipped.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.entry.cutting import cutter_before
from tests.entry.sourcing import Made, counters, make_source, points_of
from tests.serving import Served

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
ORDERS = 1_000
SECONDS = 120
PYTHON = ["send_segment.py", "send_rudder.py"]
NODE = ["send-segment.mjs", "send-rudder.mjs"]  # the first opens many connections at once

pytestmark = pytest.mark.slow


async def send(request: pytest.FixtureRequest, library: str, *arguments: str) -> str:
    """Run a library to its end. Out: what it complained about."""
    if library.endswith(".mjs"):
        request.getfixturevalue("node_modules")
    program = "node" if library.endswith(".mjs") else sys.executable
    process = await asyncio.create_subprocess_exec(
        program, str(CLIENTS / library), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, told.decode()
    return told.decode()


async def recorded(server: Served) -> list[dict[str, object]]:
    items: list[dict[str, object]] = (await server.get(f"/v1/events?limit={ORDERS}")).json()["items"]
    return items


async def check_totals(server: Served, source: Made, orders: int, customers: int) -> None:
    """Every order once, and half of them worth a point."""
    events = await recorded(server)
    assert Counter(str(event["reference"]) for event in events) == Counter(f"m{n}" for n in range(orders))
    assert {event["type"] for event in events} == {"purchase"}
    for customer in range(customers):
        assert await points_of(server, f"c{customer}") == sum(n % 2 for n in range(customer, orders, customers))
    assert (await counters(server, source.id))["accepted"] == orders


@pytest.mark.parametrize(
    ("library", "customers"), [*((library, 7) for library in PYTHON), *((library, 1) for library in NODE)]
)
async def test_a_thousand_orders_are_recorded_once(
    served: Served, request: pytest.FixtureRequest, library: str, customers: int
) -> None:
    source = await make_source(served, "segment")
    told = await send(request, library, served.address, source.secrets["write_key"], str(ORDERS), str(customers))
    assert told == ""
    await check_totals(served, source, ORDERS, customers)
    assert await counters(served, source.id) == {"received": ORDERS, "accepted": ORDERS}  # nothing was sent twice


@pytest.mark.parametrize("library", [*PYTHON, *NODE])
async def test_after_a_cut_answer_the_resend_is_a_duplicate(
    served: Served, request: pytest.FixtureRequest, library: str
) -> None:
    source, orders = await make_source(served, "segment"), 300
    async with cutter_before(served.address, cuts=2) as (cutter, address):
        await send(request, library, address, source.secrets["write_key"], str(orders))
    assert cutter.cut == 2
    await check_totals(served, source, orders, customers=1)
    told = await counters(served, source.id)
    assert told["duplicates"] > 0
    assert told["received"] == orders + told["duplicates"]


@pytest.mark.parametrize("library", PYTHON)
async def test_a_wrong_key_is_final(served: Served, request: pytest.FixtureRequest, library: str) -> None:
    await make_source(served, "segment")
    assert "unknown_key" in await send(request, library, served.address, "nobody", "3")
    assert await recorded(served) == []
