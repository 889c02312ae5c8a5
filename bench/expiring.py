"""Due work beside live traffic: `python -m bench.expiring [--lots 1000000]`.

Fills a shop with lots, lets all of them end at one moment, and measures what live events wait while the worker inside
the server expires them, against the same load when nothing is due. Prints one JSON object: rates, times, and the ratio
of the 99th percentiles, of which at most 3 is promised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time

from bench.rows import connect
from bench.server import Server, data_on_disk, running_server

CONNECTIONS = 16
WINDOW_SECONDS = 10.0
MOST = 3.0
_LOTS_PER_CUSTOMER = 20


async def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.expiring")
    parser.add_argument("--lots", type=int, default=1_000_000)
    lots = parser.parse_args(arguments).lots
    with data_on_disk() as data, running_server(data) as server:
        async with server.cluster() as cluster:
            found = await measure(server, cluster.dsn("postgres"), lots)
    print(json.dumps(found, indent=2))
    return 0 if found["ratio"] <= MOST else 1


async def measure(server: Server, dsn: str, lots: int) -> dict[str, float]:
    """Quiet windows, then windows until every lot has ended."""
    customers = max(lots // _LOTS_PER_CUSTOMER, 1_000)
    server.load(customers, 4, kind="bulk", events=lots)
    quiet = [window(server, customers) for _ in range(3)]
    await let_them_end(dsn)
    started, busy = time.monotonic(), []
    while await open_lots(dsn):
        busy.append(window(server, customers))
    seconds = time.monotonic() - started
    return {
        "lots": lots,
        "expired_per_second": round(lots / seconds),
        "seconds": round(seconds, 1),
        "quiet_p99_ms": round(sorted(quiet)[1], 1),
        "busy_p99_ms": round(sorted(busy)[len(busy) // 2], 1),
        "busy_p99_worst_ms": round(max(busy), 1),
        "ratio": round(sorted(busy)[len(busy) // 2] / sorted(quiet)[1], 2),
    }


def window(server: Server, customers: int) -> float:
    """The 99th percentile of a live event's answer, in milliseconds."""
    return server.load(customers, CONNECTIONS, kind="single", seconds=WINDOW_SECONDS).p99_ms


async def let_them_end(dsn: str) -> None:
    """Every lot there is ends now."""
    connection = await connect(dsn)
    await connection.execute("update lots set expires_at = date_trunc('second', now()) where remaining > 0")
    await connection.execute("update customers set due_at = now() where due_at is not null")
    await connection.close()


async def open_lots(dsn: str) -> bool:
    """Whether any of those lots still has points."""
    connection = await connect(dsn)
    found = await connection.fetchval(
        "select exists (select from lots where remaining > 0 and expires_at <= now() - interval '1 second')"
    )
    await connection.close()
    return bool(found)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server ends with the bench
    sys.exit(asyncio.run(main(sys.argv[1:])))
