"""The server under test: `troth serve` on a data folder of its own, as anybody starts it, and stopped by its number.

The folder lies on a disk (temporary files in memory would make commits look cheap) and is removed at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.load import Load, Sample
from bench.meter import Meter
from troth.embedded.postgres import Cluster, running_cluster

HERE = Path(__file__).resolve().parent
PROGRAM = HERE / "program.yaml"
TROTH = Path(sys.executable).with_name("troth")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
_STOP_SECONDS = 150


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server."""

    data: Path
    port: int
    process: subprocess.Popen[str]
    key: str = field(default="", repr=False)

    def load(self, customers: int, connections: int, **options: object) -> Sample:
        """Run the load generator against it, to the end. Raises when a request was answered otherwise than created."""
        pool = {"customers": customers, "connections": connections}
        load = Load(port=self.port, key=self.key, **pool, **options)  # type: ignore[arg-type]
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            input=json.dumps(asdict(load)),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=HERE.parent,
        )
        sample = Sample(**json.loads(done.stdout))
        if sample.errors:
            raise RuntimeError(f"{sample.errors} requests were not answered as created")
        return sample

    @property
    def memory_mb(self) -> float:
        """The most that each Python process of now has held (resident, MB of 10^6 bytes); their sum."""
        return sum(_most_memory_mb(number) for number in (self.process.pid, *_beside(self.process.pid)))

    @property
    def held_mb(self) -> float:
        """What its Python processes hold now; shared pages count once (proportional set sizes, MB of 10^6 bytes)."""
        return sum(_held_mb(number) for number in (self.process.pid, *_beside(self.process.pid)))

    def meter(self, cluster: Cluster) -> Meter:
        postmaster = (cluster.folder.server / "postmaster.pid").read_text().partition("\n")[0]
        return Meter(server=self.process.pid, postmaster=int(postmaster))

    @asynccontextmanager
    async def cluster(self) -> AsyncIterator[Cluster]:
        """Its PostgreSQL, as a guest."""
        async with running_cluster(self.data) as cluster:
            yield cluster


def _beside(server: int) -> list[int]:
    """The processes that the server, or one of these, has started for its jobs."""
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found, looked_at = list[int](), [server]
    while looked_at:
        parent = looked_at.pop()
        children = [number for number, known in parents.items() if known == parent]
        found += [number for number in children if _is_of_troth(number)]
        looked_at += children
    return found


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it has ended


def _is_of_troth(number: int) -> bool:
    try:
        return b"troth.processes" in Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False


def _most_memory_mb(number: int) -> float:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{number}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found is not None else 0.0


def _held_mb(number: int) -> float:
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{number}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found is not None else 0.0


@contextmanager
def data_on_disk() -> Iterator[Path]:
    """An empty folder that PostgreSQL's account may pass; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="troth-bench-"))
    folder.chmod(0o711)
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_server(data: Path, *, port: int = 0) -> Iterator[Server]:
    """A server with the measured program and a key; stopped at the end, however that comes."""
    server = start(data, port=port)
    try:
        server.key = create_key(data)
        publish(server)
        yield server
    finally:
        stop(server)


def start(data: Path, *, port: int = 0) -> Server:
    """Return once it serves. What it logs goes to a file beside its data."""
    data.parent.mkdir(parents=True, exist_ok=True)
    with (data.parent / "server.log").open("a") as log:
        process = subprocess.Popen(
            [TROTH, "serve", "--data", data, "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # a Ctrl-C is for the benchmark, which then stops it
            env={**os.environ, "TROTH_MODE": "development"},
        )
    assert process.stdout is not None
    said = process.stdout.readline()
    address = _ADDRESS.search(said)
    if address is None:
        process.wait()
        raise RuntimeError(f"the server did not start: {said}{(data.parent / 'server.log').read_text()[-2_000:]}")
    return Server(data=data, port=int(address[1]), process=process)


def stop(server: Server) -> None:
    """Ask it to stop; cut it only when it does not."""
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def create_key(data: Path) -> str:
    command = [str(TROTH), "keys", "create", "--name", "bench", "--scope", "*", "--data", str(data)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def publish(server: Server) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v1/program",
        data=PROGRAM.read_bytes(),
        method="PUT",
        headers={"Authorization": f"Bearer {server.key}", "Content-Type": "application/yaml"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200, answer.status
