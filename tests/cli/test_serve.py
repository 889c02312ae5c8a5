"""troth serve and troth keys as scripts call them: real processes, a real cluster, signals."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

TROTH = [sys.executable, "-c", "from troth.cli import main; main()"]
START_SECONDS = 90


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TROTH_")}
    return {**kept, **more}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TROTH, *arguments],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        env=environment(**more),
        check=False,
    )


@contextmanager
def serving(data: Path, *arguments: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server and its address, as the first line of its output tells it."""
    command = [*TROTH, "serve", "--data", str(data), "--port", "0", *arguments]
    with (data.parent / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment(**more))
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            address = re.search(r"http://\S+", line)
            assert address, (line, (data.parent / "log").read_text())
            yield server, address[0]
        finally:
            server.terminate()
            server.wait(START_SECONDS)
            assert server.stdout is not None
            server.stdout.close()


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """One data folder for this file, since making a cluster takes seconds."""
    with tempfile.TemporaryDirectory(prefix="troth-cli-") as folder:
        yield Path(folder) / "data"


def test_keys_are_made_alone_and_printed_alone(data: Path) -> None:
    made = run("keys", "create", "--name", "first", "--scope", "*", "--data", str(data))
    assert made.returncode == 0, made.stderr
    assert re.fullmatch(r"sk_test_[\w-]{43}\n", made.stdout)
    assert made.stdout.strip() not in run("keys", "list", "--data", str(data)).stdout
    assert not (data / "cluster" / "postmaster.pid").exists()


def test_a_server_serves_beside_commands_and_stops_cleanly(data: Path) -> None:
    with serving(data) as (server, address):
        assert httpx.get(f"{address}/health/ready").status_code == 200
        key = run("keys", "create", "--name", "beside", "--scope", "events:*", "--data", str(data)).stdout.strip()
        headers = {"Authorization": f"Bearer {key}"}
        event = {"customer": "ada", "type": "signup", "reference": "once"}
        assert httpx.post(f"{address}/v1/events", json=event, headers=headers).status_code == 201
        _, listed = listing(data, "beside")
        assert run("keys", "revoke", listed[0], "--data", str(data)).returncode == 0
        refused_at = time.monotonic() + 15
        while httpx.get(f"{address}/v1/events", headers=headers).status_code != 401:
            assert time.monotonic() < refused_at, "a revoked key is refused within seconds"
            time.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health/live")
    assert "stopped" in (data.parent / "log").read_text()


def listing(data: Path, name: str) -> tuple[str, list[str]]:
    output = run("keys", "list", "--data", str(data)).stdout
    return output, next(line.split("\t") for line in output.splitlines() if line.split("\t")[1] == name)


def test_a_request_in_flight_is_finished_before_the_stop(data: Path) -> None:
    """The body's last byte is sent after SIGTERM; the event is recorded and answered all the same."""
    key = run("keys", "create", "--name", "slow", "--scope", "*", "--data", str(data)).stdout.strip()
    body = b'{"customer": "ada", "type": "login"}'
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    with serving(data) as (server, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(head.encode() + body[:-1])
            time.sleep(0.3)
            server.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(body[-1:])
            assert connection.recv(100).startswith(b"HTTP/1.1 201")
        assert server.wait(30) == 0


def test_rotation_overlaps(data: Path) -> None:
    run("keys", "create", "--name", "old", "--scope", "events:read", "--data", str(data))
    _, old = listing(data, "old")
    new = run("keys", "rotate", old[0], "--overlap-hours", "1", "--data", str(data))
    assert new.stdout.startswith("sk_test_")
    output, _ = listing(data, "old")
    lives = [line.split("\t")[4:] for line in output.splitlines() if line.split("\t")[1] == "old"]
    assert [scopes for scopes, _ in lives] == ["events:read"] * 2
    assert sorted(life.split()[0] for _, life in lives) == ["for", "until"]


SIGNED = ["keys", "create", "--name", "signer", "--scope", "events:write", "--signed"]
REFUSED = [
    (["keys", "create", "--name", "x", "--scope", "nothing"], {}, 1, "There is no scope"),
    (["keys", "revoke", "key_" + "0" * 32], {}, 1, "There is no key"),
    (["keys", "revoke", "nonsense"], {}, 2, "key_"),
    (["keys", "list"], {"TROTH_PORT": "many"}, 1, "TROTH_PORT"),
    (["serve"], {"TROTH_MODE": "staging"}, 1, "TROTH_MODE"),
    (["serve", "--host", "203.0.113.1"], {}, 1, "cannot be used"),
    ([*SIGNED], {"TROTH_MASTER_KEY": "short"}, 1, "TROTH_MASTER_KEY"),
]


def test_refusals_say_what_to_do_and_trace_nothing(data: Path) -> None:
    for arguments, more, code, text in REFUSED:
        outcome = run(*arguments, "--data", str(data), **more)
        assert (outcome.returncode, outcome.stdout) == (code, ""), (arguments, outcome.stderr)
        assert text in outcome.stderr
        assert "Traceback" not in outcome.stderr


def test_a_taken_port_is_told_at_once(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = run("serve", "--data", str(data), "--port", str(taken.getsockname()[1]))
    assert (outcome.returncode, "in use" in outcome.stderr) == (1, True)


def test_another_master_key_is_refused_before_it_serves(data: Path, tmp_path: Path) -> None:
    """Where something is sealed already."""
    file = tmp_path / "one.csv"
    file.write_text("customer,type\ngrace,signup\n")
    assert run("import", str(file), "--data", str(data)).returncode == 0
    outcome = run("serve", "--data", str(data), "--port", "0", TROTH_MASTER_KEY="00" * 32)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "master key" in outcome.stderr


def test_a_signing_secret_is_printed_once(data: Path) -> None:
    made = run(*SIGNED, "--data", str(data)).stdout.splitlines()
    assert [line[:6] for line in made] == ["sk_tes", "whsec_"]


def test_production_is_said_and_keys_are_live(data: Path) -> None:
    live = run("keys", "create", "--name", "live", "--scope", "*", "--data", str(data), TROTH_MODE="production").stdout
    assert live.startswith("sk_live_")
    test_key = run("keys", "create", "--name", "dev", "--scope", "*", "--data", str(data)).stdout.strip()
    with serving(data, TROTH_MODE="production") as (_, address):
        for key, status in ((live.strip(), 200), (test_key, 401)):
            answer = httpx.get(f"{address}/v1/events", headers={"X-API-Key": key})
            assert answer.status_code == status


@pytest.mark.parametrize(("trusted", "status"), [("127.0.0.0/8", 200), ("", 403)])
def test_only_trusted_proxies_say_who_is_calling(data: Path, trusted: str, status: int) -> None:
    made = run("keys", "create", "--name", "far", "--scope", "*", "--address", "203.0.113.7", "--data", str(data))
    headers = {"X-API-Key": made.stdout.strip(), "X-Forwarded-For": "203.0.113.7"}
    with serving(data, TROTH_TRUSTED_PROXIES=trusted) as (_, address):
        assert httpx.get(f"{address}/v1/events", headers=headers).status_code == status
