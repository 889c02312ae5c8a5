"""kill -9 of the whole server in the middle of an import of 100,000 rows: it goes on by itself, with exact totals."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.installation import READY_SECONDS, TROTH, free_port, wait_until_ready

ROWS, CUSTOMERS = 100_000, 500
HEAD = "customer,type,reference,occurred_at,amount\n"
TWICE = range(1_000, ROWS, 1_000)  # rows whose reference stands 10 rows before
BAD = range(1_500, ROWS, 1_000)


def content() -> bytes:
    lines = [f"k{n % CUSTOMERS},app_engagement,kill-{n},2026-01-01T10:00:00Z,\n" for n in range(ROWS)]
    for place in TWICE:
        lines[place] = lines[place - 10]
    for place in BAD:
        lines[place] = f"k1,unheard_of,bad-{place},,\n"
    return (HEAD + "".join(lines)).encode()


class Server:
    """`troth serve` on one data folder, as often as it takes."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.start()
        keys = [TROTH, "keys", "create", "--name", "kill", "--scope", "*", "--data", str(data)]
        self.key = subprocess.run(keys, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def start(self) -> None:
        port = free_port()
        command = [TROTH, "serve", "--data", str(self.data), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        self.address = f"http://127.0.0.1:{port}"
        wait_until_ready(self.process, self.address)

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(self.address + path, headers=headers, timeout=60)

    def until(self, import_id: str, read: int) -> dict[str, Any]:
        """The import once it has read so many rows, or is over."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.get(f"/v1/imports/{import_id}").json()
            if found["read"] >= read or found["status"] not in ("waiting", "running"):
                return found
            time.sleep(0.1)
        raise AssertionError("it did not get there")


@pytest.mark.long
@pytest.mark.slow
def test_it_goes_on_with_exact_totals(session_folder: Path) -> None:
    server = Server(session_folder / "import-kills")
    try:
        headers = {"Authorization": f"Bearer {server.key}"}
        sent = httpx.post(
            f"{server.address}/v1/imports", files={"file": ("kill.csv", content())}, headers=headers, timeout=60
        )
        import_id = sent.json()["id"]
        before = server.until(import_id, int(ROWS * 0.4))
        assert before["status"] == "running"
        server.process.kill()
        server.process.wait()
        server.start()
        found = server.until(import_id, ROWS + 1)
        created = ROWS - len(TWICE) - len(BAD)
        names = ("status", "read", "created", "duplicates", "rejected")
        assert [found[name] for name in names] == ["finished_with_errors", ROWS, created, len(TWICE), len(BAD)]
        lines = server.get(f"/v1/imports/{import_id}/errors").text.splitlines()[1:]
        assert [int(line.partition(",")[0]) for line in lines] == [place + 2 for place in BAD]
        kept = server.get(f"/v1/rejections?source={import_id}&limit=1000").json()["items"]
        assert [item["line"] for item in reversed(kept)] == [place + 2 for place in BAD]
        command = [TROTH, "verify", "--json", "--data", str(server.data)]
        verified = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        assert json.loads(verified)["events"] == created
    finally:
        server.process.terminate()
        server.process.wait(timeout=READY_SECONDS)
