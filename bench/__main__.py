"""./dev bench [--quick]: measure everything, each rate beside its limit, and print one table. Exits 0: no test.

Durable: the embedded server with its ordinary settings, on a disk. Full: three rounds and a load of 1M events, some ten
minutes. Quick: one short round, under two minutes, for a first look; its figures are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import harmonic_mean

from bench import report
from bench.limit import open_limit
from bench.meter import Meter
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
            limit = await open_limit(cluster, server.meter(cluster), scale.customers)
            stage = Stage(server=server, limit=limit, dsn=cluster.dsn("postgres"), scale=scale)
            rounds = []
            for number in range(scale.rounds):
                say(f"round {number + 1} of {scale.rounds}")
                rounds.append(await stage.round())
        memory = {"memory": server.memory_mb}
    return [lines for lines, _ in rounds], [*(ratios for _, ratios in rounds), memory]


async def measure_drift(scale: Scale) -> Ratios:
    """A long load into a database that begins nearly empty: how its last three tenths compare with its first three."""
    say(f"a load of {scale.drift_events:,} events; of each tenth: events/s, server µs and PostgreSQL µs an event")
    with data_on_disk() as data, running_server(data) as server:
        warm_up(server, scale.drift_customers)
        async with server.cluster() as cluster:
            before, meter = await count_rows(cluster.dsn("postgres")), server.meter(cluster)
            tenths = [tenth(server, meter, scale) for _ in range(10)]
            assert_rows(before, await count_rows(cluster.dsn("postgres")), rows_of(scale.drift_events))
        rates, costs = [rate for rate, _ in tenths], [cost for _, cost in tenths]
        return {
            "drift": harmonic_mean(rates[-3:]) / harmonic_mean(rates[:3]),
            "drift_cost": sum(costs[-3:]) / sum(costs[:3]),
            "memory": server.memory_mb,
        }


def tenth(server: Server, meter: Meter, scale: Scale) -> tuple[float, float]:
    """One tenth of the long load: events a second, and processor time per event in µs."""
    events, spent = scale.drift_events // 10, meter.read()
    sample = server.load(scale.drift_customers, BULK_CONNECTIONS, kind="bulk", events=events)
    server_us, postgres_us = meter.read().per_event(spent, events)
    say(f"{sample.rate:10,.0f} {server_us:6.0f} {postgres_us:6.0f}")
    return sample.rate, server_us + postgres_us


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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server ends with the bench
    sys.exit(asyncio.run(main(sys.argv[1:])))
