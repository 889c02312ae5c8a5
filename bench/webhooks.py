"""What one enabled webhook costs those who send events: `python -m bench.webhooks [--rounds 3]`.

One server, windows with the webhook enabled and disabled by turns, so that a change of the machine's pace hits both.
Nothing is delivered meanwhile (TROTH_DELIVERS=off; `troth worker` would do it elsewhere), so what is measured is the
outbox alone. Prints one JSON object: of each kind of load processor time per event (server and PostgreSQL together) and
rate, with ÷ without. Must be ≤ 1.25 in processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import urllib.request
from statistics import median

from bench.meter import Meter
from bench.rounds import BULK_CONNECTIONS
from bench.server import Server, data_on_disk, running_server

MOST = 1.25
CUSTOMERS = 5_000
_KINDS = (("single", 64, 5_000), ("bulk", BULK_CONNECTIONS, 20_000))  # connections, events of a window
Window = tuple[float, float]  # µs of processor time per event, events a second


async def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(arguments).rounds
    os.environ["TROTH_DELIVERS"] = "off"
    with data_on_disk() as data, running_server(data) as server:
        async with server.cluster() as cluster:
            found = measure(server, server.meter(cluster), rounds)
    print(json.dumps(found, indent=2))
    return 0 if all(kind["cost_ratio"] <= MOST for kind in found.values()) else 1


def measure(server: Server, meter: Meter, rounds: int) -> dict[str, dict[str, float]]:
    server.load(CUSTOMERS, BULK_CONNECTIONS, kind="bulk", events=CUSTOMERS, each_once=True)
    webhook = request(server, "POST", "/v1/webhooks", {"url": "https://nobody.invalid/", "enabled": False})["id"]
    windows: dict[tuple[str, bool], list[Window]] = {}
    for _ in range(rounds):
        for kind, connections, events in _KINDS:
            for is_enabled in (False, True):
                request(server, "PATCH", f"/v1/webhooks/{webhook}", {"enabled": is_enabled})
                before = meter.read()
                sample = server.load(CUSTOMERS, connections, kind=kind, events=events)
                cost = sum(meter.read().per_event(before, sample.recorded))
                windows.setdefault((kind, is_enabled), []).append((cost, sample.rate))
    return {kind: told(windows[kind, False], windows[kind, True]) for kind, _, _ in _KINDS}


def told(without: list[Window], enabled: list[Window]) -> dict[str, float]:
    """Medians over the rounds, of each pair of windows their ratio."""
    costs, rates = zip(*((b[0] / a[0], b[1] / a[1]) for a, b in zip(without, enabled, strict=True)), strict=True)
    return {
        "us_per_event": round(median(cost for cost, _ in without), 1),
        "us_per_event_enabled": round(median(cost for cost, _ in enabled), 1),
        "cost_ratio": round(median(costs), 3),
        "rate_ratio": round(median(rates), 3),
    }


def request(server: Server, method: str, path: str, body: dict[str, object]) -> dict[str, str]:
    prepared = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        data=json.dumps(body).encode(),
        method=method,
        headers={"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(prepared, timeout=30) as answer:
        found: dict[str, str] = json.load(answer)
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server ends with the bench
    sys.exit(asyncio.run(main(sys.argv[1:])))
