"""One round: every point once, each right beside its limit, so that a change of the machine's pace hits both."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from statistics import mean

from bench.copying import copy_rate
from bench.limit import Limit
from bench.rows import assert_rows, connect, count_rows, rows_of
from bench.server import TROTH, Server
from bench.traffic import CSV_HEADER, Traffic, csv_rows

BULK_CONNECTIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How long everything takes."""

    rounds: int
    seconds: float  # of each point
    customers: int  # of the pool
    imported: int  # rows of the file
    copied: int  # transactions of 1,000
    drift_customers: int  # each sends one event to warm up
    drift_events: int


FULL = Scale(
    rounds=3, seconds=10, customers=10_000, imported=100_000, copied=100, drift_customers=50_000, drift_events=1_000_000
)
QUICK = Scale(
    rounds=1, seconds=4, customers=10_000, imported=20_000, copied=40, drift_customers=5_000, drift_events=80_000
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measured point."""

    label: str
    rate: float  # events a second
    p50_ms: float | None = None
    p99_ms: float | None = None
    server_us: float | None = None  # processor time per event: of the server,
    postgres_us: float | None = None  # of PostgreSQL
    note: str = ""


Ratios = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The server under test and its limit."""

    server: Server
    limit: Limit
    dsn: str  # the measured database, as its superuser
    scale: Scale

    async def round(self) -> tuple[list[Line], Ratios]:
        """Measure every point once. Out: the points, and the ratios of this round."""
        await self._checkpoint()
        lines = []
        for clients, connections in ((1, 1), (16, 16), (32, 64)):
            lines += [await self._limit(clients), await self._http(connections)]
        lines += [await self._http(256), await self._limit(32), await self._bulk()]
        lines += [await self._copy(1), await self._copy(2), await self._import()]
        return lines, ratios(lines)

    async def _checkpoint(self) -> None:
        """Every round begins with clean buffers."""
        connection = await connect(self.dsn)
        await connection.execute("checkpoint")
        await connection.close()

    async def _limit(self, clients: int) -> Line:
        sample = await self.limit.run(clients, self.scale.seconds)
        return Line(
            label=f"CTE at {clients}",
            rate=sample.rate,
            p50_ms=sample.p50_ms,
            p99_ms=sample.p99_ms,
            postgres_us=sample.postgres_us,
        )

    async def _http(self, connections: int) -> Line:
        line = await self._load(connections, "single")
        return replace(line, label=f"single, {connections} connection{'s' * (connections > 1)}")

    async def _bulk(self) -> Line:
        line = await self._load(BULK_CONNECTIONS, "bulk")
        return replace(line, label="bulk of 1,000", note=f"{BULK_CONNECTIONS} connections; times are of whole requests")

    async def _load(self, connections: int, kind: str) -> Line:
        before, spent = await count_rows(self.dsn), self.limit.meter.read()
        sample = self.server.load(self.scale.customers, connections, kind=kind, seconds=self.scale.seconds)
        server_us, postgres_us = self.limit.meter.read().per_event(spent, sample.recorded)
        assert_rows(before, await count_rows(self.dsn), rows_of(sample.recorded))
        return Line(
            label=kind,
            rate=sample.rate,
            p50_ms=sample.p50_ms,
            p99_ms=sample.p99_ms,
            server_us=server_us,
            postgres_us=postgres_us,
            note=f"generator {sample.generator_us:.0f} µs a request",
        )

    async def _copy(self, connections: int) -> Line:
        rate = await copy_rate(self.limit, self.scale.copied, connections)
        return Line(label=f"COPY over {connections}", rate=rate, note="a transaction per 1,000 events")

    async def _import(self) -> Line:
        """`troth import` beside the idle server: a process of its own, timed by itself."""
        file = self.server.data.parent / "events.csv"
        events = islice(Traffic(customers=self.scale.customers).drawn(), self.scale.imported)
        file.write_text(CSV_HEADER + "".join(csv_rows(events)))
        before = await count_rows(self.dsn)
        done = subprocess.run(
            [TROTH, "import", file, "--data", self.server.data, "--json"], stdout=subprocess.PIPE, text=True, check=True
        )
        told = json.loads(done.stdout.splitlines()[-1])
        if told["created"] != self.scale.imported:
            raise RuntimeError(f"the import should have created {self.scale.imported} events: {told}")
        assert_rows(before, await count_rows(self.dsn), rows_of(self.scale.imported))
        return Line(
            label="import", rate=self.scale.imported / told["seconds"], note=f"{self.scale.imported:,} CSV rows"
        )


def ratios(lines: list[Line]) -> Ratios:
    """What the points of one round say of each other."""

    def rate(label: str) -> float:
        return mean(line.rate for line in lines if line.label == label)

    tail = next(line for line in lines if line.label == "single, 64 connections")
    assert tail.p50_ms is not None
    assert tail.p99_ms is not None
    return {
        "single_64": tail.rate / rate("CTE at 32"),
        "single_256": rate("single, 256 connections") / rate("CTE at 32"),
        "single_16": rate("single, 16 connections") / rate("CTE at 16"),
        "single_1": rate("single, 1 connection") / rate("CTE at 1"),
        "tail": tail.p99_ms / tail.p50_ms,
        "bulk": rate("bulk of 1,000") / rate("CTE at 32"),
        "import": rate("import") / rate("CTE at 32"),
        "bulk_copy": rate("bulk of 1,000") / rate("COPY over 1"),
        "import_copy": rate("import") / rate("COPY over 1"),
        "bulk_copies": rate("bulk of 1,000") / rate("COPY over 2"),
    }
