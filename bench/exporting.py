"""Exports in constant memory: `python -m bench.exporting [--events 1000000]`.

Fills a shop, exports its events in each format and fetches the file, while the server's memory is watched: first with a
tenth of the events, then with all. Prints one JSON object: rows a second from asking to the finished file, and the most
memory that its Python processes held together meanwhile; less than 300 MB is promised. Every file's rows and SHA-256
are checked.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Mapping

from bench.server import Server, data_on_disk, running_server

MOST_MB = 300.0
EVENTS_OF_ONE = 20  # customer
FORMS: tuple[Mapping[str, str], ...] = (
    {"format": "csv"},
    {"format": "ndjson", "compression": "gzip"},
    {"format": "parquet"},
)
_PAUSE_SECONDS = 0.2


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.exporting")
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args(arguments).events
    os.environ["TROTH_EXPORT_MARGIN_SECONDS"] = "0"
    tenth, customers = events // 10, max(events // EVENTS_OF_ONE, 1_000)
    found: dict[str, dict[str, float]] = {}
    with data_on_disk() as data, running_server(data) as server:
        server.load(customers, 4, kind="bulk", events=tenth)
        found |= {f"{form['format']}_tenth": measure(server, form, tenth) for form in FORMS}
        server.load(customers, 4, kind="bulk", events=events - tenth)
        found |= {form["format"]: measure(server, form, events) for form in FORMS}
    most = max(part["peak_mb"] for part in found.values())
    print(json.dumps({"events": events, "processors": os.cpu_count(), **found, "peak_mb": most}, indent=2))
    return 0 if most < MOST_MB else 1


def measure(server: Server, form: Mapping[str, str], events: int) -> dict[str, float]:
    """One export from asking for it to the last byte fetched."""
    started, most = time.monotonic(), 0.0
    item = call(server, "/v1/exports", {"kind": "events", **form})
    while item["status"] in ("waiting", "running"):
        time.sleep(_PAUSE_SECONDS)
        most = max(most, server.held_mb)
        item = call(server, f"/v1/exports/{item['id']}")
    if item["status"] != "finished":
        raise RuntimeError(f"the export {item['status']}: {item['problem']}")
    seconds = time.monotonic() - started
    size, digest, head = fetch(server, f"/v1/exports/{item['id']}/file")
    most = max(most, server.held_mb)
    if (size, digest) != (item["size"], item["sha256"]):
        raise RuntimeError("what was fetched is not what was written")
    assert head.startswith({"csv": b"customer,", "ndjson": gzip.compress(b"")[:2], "parquet": b"PAR1"}[form["format"]])
    rows = int(str(item["rows"]))
    if rows < events:
        raise RuntimeError(f"{rows} rows of {events} events")
    return {
        "rows": rows,
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "file_mb": round(size / 1e6, 1),
        "peak_mb": round(most, 1),
    }


def call(server: Server, path: str, body: object = None) -> dict[str, object]:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, object] = json.load(answer)
    return found


def fetch(server: Server, path: str) -> tuple[int, str, bytes]:
    """Size, SHA-256 and first bytes of a file."""
    headers = {"Authorization": f"Bearer {server.key}"}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    size, digest, head = 0, hashlib.sha256(), b""
    with urllib.request.urlopen(request, timeout=60) as answer:
        while part := answer.read(1 << 20):
            head = head or part[:16]
            size += len(part)
            digest.update(part)
    return size, digest.hexdigest(), head


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server ends with the bench
    sys.exit(main(sys.argv[1:]))
