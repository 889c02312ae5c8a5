"""python -m bench.importing [--rows N] [--wide N] [--seconds N]: imports over HTTP, each figure beside its limit.

Three measures on one server: the rate of an import ÷ the equal CTE at 32 clients in the same run; p99 of single events
while an import runs ÷ p99 of the same load without one; and a file of wide rows, with the most memory that the Python
processes of the server held together, and how far the bar was ever from the rows. Durable, on a disk. Prints a line of
JSON for each. Exits 0: no test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from bench.limit import open_limit
from bench.rows import connect
from bench.server import Server, data_on_disk, running_server
from bench.traffic import CSV_HEADER, Traffic, csv_rows

CUSTOMERS = 10_000
LIVE_CONNECTIONS = 4
_WIDE_COLUMNS = 30
_POLL_SECONDS = 0.1
_client = httpx.Client(timeout=600)  # one for all: making one costs more than a request
_UNSETTLED = (
    "select exists (select from troth.customers where due_at <= now()) or "
    "(select dated <> revision from troth.program_live)"
)


async def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.importing", description="Measure imports over HTTP.")
    parser.add_argument("--rows", type=int, default=100_000, help="of the file whose rate is measured")
    parser.add_argument("--wide", type=int, default=500_000, help="of the file with many columns")
    parser.add_argument("--seconds", type=int, default=10, help="of each load beside it")
    asked = parser.parse_args(arguments)
    with data_on_disk() as data, running_server(data) as server:
        server.load(CUSTOMERS, LIVE_CONNECTIONS, kind="bulk", events=CUSTOMERS, each_once=True)
        async with server.cluster() as cluster:
            await settled(cluster.dsn("postgres"))
            limit = await open_limit(cluster, server.meter(cluster), CUSTOMERS)
            before = (await limit.run(32, asked.seconds)).rate
            rate = measure_rate(server, asked.rows)
            after = (await limit.run(32, asked.seconds)).rate
        cte = (before + after) / 2
        say("rate", rows_a_second=rate, cte_a_second=cte, ratio=rate / cte)
        measure_tail(server, asked.seconds)
        measure_wide(server, asked.wide)
    return 0


async def settled(dsn: str) -> None:
    """Until no customer waits to be looked at again, as all do when a program was published."""
    connection = await connect(dsn)
    try:
        while await connection.fetchval(_UNSETTLED):
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await connection.close()


def measure_rate(server: Server, rows: int) -> float:
    """Rows a second, from the first byte of the upload to the end of the import."""
    file = server.data.parent / "rate.csv"
    write_rows(file, rows)
    started = time.monotonic()
    found = wait_for(server, send(server, file))
    assert (found["status"], found["created"]) == ("finished", rows), found
    return rows / (time.monotonic() - started)


def measure_tail(server: Server, seconds: int) -> None:
    """Single events over a few connections, alone and beside an import that lasts longer than they do."""
    quiet = server.load(CUSTOMERS, LIVE_CONNECTIONS, seconds=seconds)
    file = server.data.parent / "tail.csv"
    write_rows(file, 20_000 * seconds)
    import_id = send(server, file)
    before = status(server, import_id)
    beside = server.load(CUSTOMERS, LIVE_CONNECTIONS, seconds=seconds)
    after = status(server, import_id)
    assert after["status"] == "running", f"the import ended too early: {after}"
    steer(server, import_id, "cancel")
    wait_for(server, import_id)
    say(
        "tail",
        quiet_p99_ms=quiet.p99_ms,
        beside_p99_ms=beside.p99_ms,
        ratio=beside.p99_ms / quiet.p99_ms,
        quiet_rate=quiet.rate,
        beside_rate=beside.rate,
        imported_meanwhile=after["read"] - before["read"],
    )


def measure_wide(server: Server, rows: int) -> None:
    """A large file: memory at most, and the largest distance between the bar and the rows."""
    file = server.data.parent / "wide.csv"
    write_wide_rows(file, rows)
    memory_before, distances, memories = server.held_mb, [0.0], [0.0]
    import_id = send(server, file)
    with watching(server, import_id, rows, (distances, memories)):
        found = wait_for(server, import_id)
    assert (found["status"], found["created"]) == ("finished", rows), found
    say(
        "wide",
        rows=rows,
        file_mb=file.stat().st_size / 1e6,
        seconds=found["seconds"],
        memory_mb=max(memories),
        memory_before_mb=memory_before,
        bar_off_by_at_most=max(distances),
    )


@contextmanager
def watching(server: Server, import_id: str, rows: int, noted: tuple[list[float], list[float]]) -> Iterator[None]:
    """Notes, now and then, how far the share of bytes is from the share of rows, and the memory of all processes."""
    is_over = threading.Event()
    distances, memories = noted

    def watch() -> None:
        while not is_over.wait(0.5):
            found = status(server, import_id)
            distances.append(abs(found["bytes_read"] / found["bytes_total"] - found["read"] / rows))
            memories.append(server.held_mb)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def write_rows(file: Path, rows: int) -> None:
    with file.open("w") as text:
        text.write(CSV_HEADER)
        text.writelines(csv_rows(islice(Traffic(customers=CUSTOMERS).drawn(), rows)))


def write_wide_rows(file: Path, rows: int) -> None:
    names = "".join(f",column_{number}" for number in range(_WIDE_COLUMNS))
    cells = "".join(f",some text of a usual length {number}" for number in range(_WIDE_COLUMNS))
    with file.open("w") as text:
        text.write(CSV_HEADER.rstrip("\n") + names + "\n")
        drawn = csv_rows(islice(Traffic(customers=CUSTOMERS).drawn(), rows))
        text.writelines(row.rstrip("\n") + cells + "\n" for row in drawn)


def send(server: Server, file: Path) -> str:
    with file.open("rb") as content:
        answer = _client.post(_url(server, ""), files={"file": content}, headers=_headers(server))
    assert answer.status_code == 202, answer.text
    import_id: str = answer.json()["id"]
    return import_id


def status(server: Server, import_id: str) -> dict[str, Any]:
    found: dict[str, Any] = _client.get(_url(server, f"/{import_id}"), headers=_headers(server)).json()
    return found


def steer(server: Server, import_id: str, how: str) -> None:
    _client.post(_url(server, f"/{import_id}/{how}"), headers=_headers(server)).raise_for_status()


def wait_for(server: Server, import_id: str) -> dict[str, Any]:
    while (found := status(server, import_id))["status"] in ("waiting", "running"):
        time.sleep(_POLL_SECONDS)
    return found


def say(what: str, **figures: float) -> None:
    print(json.dumps({"measure": what, **{name: round(value, 3) for name, value in figures.items()}}), flush=True)


def _url(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.port}/v1/imports{path}"


def _headers(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.key}"}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server ends with the bench
    sys.exit(asyncio.run(main(sys.argv[1:])))
