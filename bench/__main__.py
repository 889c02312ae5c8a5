"""./dev bench [--quick]: measure everything, each rate beside its limit, and print one table. Exits 0: no test.

Durable: the embedded server with its ordinary settings, on a disk. Full: three rounds and a load of 1M events, some ten
minutes. Quick: one short round, under two minutes, for a first look; its figures are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import harmonic_mean

from bench import report
from bench.limit import open_limit
from bench.rounds import BULK_CONNECTIONS, FULL, QUICK, Line, Ratios, Scale, Stage
from bench.rows import assert_rows, count_rows, rows_of
from bench.server import Server, data_on_disk, running_server

RULES = Path(__file__).with_name("rules.py")


async def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measure Troth, each rate beside its limit.")
    parser.add_argument("--quick", action="store_true", help="under two minutes; noisy")
    quick = parser.parse_args(arguments).quick
    scale, started = QUICK if quick else FULL, time.monotonic()
    found = [measure_rules(quick=quick)]
    rounds, ratios = await measure_rounds(scale)
    found += [*ratios, await measure_drift(scale)]
    print(f"\n{report.points(rounds)}\n\n{report.measures(found)}\n")
    print(f"{'quick' if quick else 'full'} run of {time.monotonic() - started:.0f} s on {os.cpu_count()} processors")
    return 0


async def measure_rounds(scale: Scale) -> tuple[list[list[Line]], list[Ratios]]:
    """All rounds against one server."""
    with data_on_disk() as data, running_server(data) as server:
        warm_up(server, scale.customers)
        async with server.cluster() as cluster:
            limit = await open_limit(cluster, scale.customers)
            stage = Stage(server=server, limit=limit, dsn=cluster.dsn("postgres"), scale=scale)
            rounds = []
            for number in range(scale.rounds):
                say(f"round {number + 1} of {scale.rounds}")
                rounds.append(await stage.round())
        memory = {"memory": server.memory_mb}
    return [lines for lines, _ in rounds], [*(ratios for _, ratios in rounds), memory]


async def measure_drift(scale: Scale) -> Ratios:
    """A long load into a database that begins nearly empty: how the rate of its end compares with that of its start."""
    say(f"a load of {scale.drift_events:,} events")
    with data_on_disk() as data, running_server(data) as server:
        warm_up(server, scale.drift_customers)
        async with server.cluster() as cluster:
            before = await count_rows(cluster.dsn("postgres"))
            sample = server.load(scale.drift_customers, BULK_CONNECTIONS, kind="bulk", events=scale.drift_events)
            assert_rows(before, await count_rows(cluster.dsn("postgres")), rows_of(scale.drift_events))
        first, last = harmonic_mean(sample.tenths[:3]), harmonic_mean(sample.tenths[-3:])
        say("events a second in each tenth: " + " ".join(f"{rate:,.0f}" for rate in sample.tenths))
        return {"drift": last / first, "memory": server.memory_mb}


def warm_up(server: Server, customers: int) -> None:
    """Every customer of the pool sends one event, so that all are known."""
    server.load(customers, BULK_CONNECTIONS, kind="bulk", events=customers, each_once=True)


def measure_rules(*, quick: bool) -> Mapping[str, float]:
    """Time of a compiled rule ÷ time of a lambda over Decimal: over all rules the median and the worst."""
    say("rules")
    command = [sys.executable, str(RULES), *(["--quick"] if quick else [])]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.splitlines()
    *rules, middle = [json.loads(line) for line in told]
    return {"rules": middle["ratio"], "rules_worst": max(rule["ratio"] for rule in rules)}


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
