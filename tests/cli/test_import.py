"""`troth import` and `troth demo` as commands: what they print, how they end, alone and beside a running server."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import TROTH, Installation, new_installation

HEAD = "customer,type,reference,occurred_at,amount\n"
LONG = 20_000  # rows; at most 2,000 of them are on their way when it is stopped
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def troth(session_folder: Path) -> Iterator[Installation]:
    """A running server with the starter program: one point per unit of a purchase."""
    with new_installation(session_folder / "import") as installation:
        yield installation


def run(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [TROTH, *arguments, "--data", str(data)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def counts(result: subprocess.CompletedProcess[str]) -> tuple[int, ...]:
    """(read, created, duplicates, rejected, points) of the last line, which holds nothing but them and the seconds."""
    said = json.loads(result.stdout.splitlines()[-1])
    assert list(said) == ["read", "created", "duplicates", "rejected", "points", "seconds"]
    assert said.pop("seconds") >= 0
    return tuple(said.values())


def purchases(name: str, count: int) -> str:
    lines = (f"{name}-{number % 50},purchase,{name}-{number},2026-01-01T10:00:00Z,3.50\n" for number in range(count))
    return HEAD + "".join(lines)


def test_counts_and_a_second_time_nothing_new(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "orders"
    file.write_bytes(gzip.compress(purchases("twice", 1_000).encode()))
    first = run(troth.data, "import", str(file), "--json")
    assert (first.returncode, first.stderr, counts(first)) == (0, "", (1_000, 1_000, 0, 0, 3_000))
    second = run(troth.data, "import", str(file), "--json")
    assert (second.returncode, counts(second)) == (0, (1_000, 0, 1_000, 0, 0))
    assert "nothing new" in run(troth.data, "import", str(file)).stdout


def test_a_file_without_references_adds_nothing_twice(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "bare.ndjson"
    file.write_text('{"customer":"bare","amount":"2.00"}\n' * 3)
    arguments = ("import", str(file), "--type", "purchase", "--json")
    assert counts(run(troth.data, *arguments)) == (3, 3, 0, 0, 6)
    packed = tmp_path / "packed.ndjson.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert counts(run(troth.data, "import", str(packed), "--type", "purchase", "--json")) == (3, 0, 3, 0, 0)


def test_rejected_rows_are_mended_and_imported(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "mend.csv"
    file.write_text(HEAD + "mend,purchase,,2026-01-01T10:00:00Z,5\nmend,purchase,,,x\nmend,purchas,,,1\n")
    result = run(troth.data, "import", str(file), "--json")
    assert (result.returncode, counts(result)) == (0, (3, 1, 0, 2, 5))
    rejected = tmp_path / "mend.rejected.csv"
    assert f"2 rows were rejected. Mend them in {rejected}" in result.stderr
    assert stat.S_IMODE(rejected.stat().st_mode) == 0o600
    assert [line.split(",")[:2] for line in rejected.read_text().splitlines()[1:]] == [
        ["3", "type"],
        ["4", "unknown_type"],
    ]
    rejected.write_text(rejected.read_text().replace(",x\n", ",7\n").replace(",purchas,", ",purchase,"))
    assert counts(run(troth.data, "import", str(rejected), "--json")) == (2, 2, 0, 0, 8)
    again = run(troth.data, "import", str(file), "--rejected", str(tmp_path / "second.csv"), "--json")
    assert counts(again)[:2] == (3, 0), "what was mended is known in the first file too"


def test_a_dry_run_shows_points_and_stores_nothing(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "dry.csv"
    file.write_text(HEAD + "dry,purchase,dry-1,,5\ndry,purchase,dry-2,,x\n")
    shown = run(troth.data, "import", str(file), "--dry-run")
    assert shown.stdout.splitlines() == [
        "line 2: created, purchase of dry: 5 points",
        "line 3: rejected, purchase of dry: /properties/amount: 'amount' must be a number",
        "2 rows previewed, 5 points; nothing was stored. Read as csv in utf-8, columns parted by ','.",
    ]
    assert counts(run(troth.data, "import", str(file), "--json")) == (2, 1, 0, 1, 5)


def test_columns_are_mapped(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "mapped.tsv"
    file.write_text("who\ttotal\tid\tinternal\nmapped\t9.00\to1\t?\n")
    maps = ("--map", "who=customer", "--map", "total=properties.amount", "--map", "id=reference", "--map", "internal=-")
    result = run(troth.data, "import", str(file), "--delimiter", "tab", "--type", "purchase", *maps, "--json")
    assert (result.returncode, counts(result)) == (0, (1, 1, 0, 0, 9))


def test_payloads_that_differ_are_told(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "differ.csv"
    file.write_text(HEAD + "differ,purchase,differ-1,,5\n")
    run(troth.data, "import", str(file))
    file.write_text(HEAD + "differ,purchase,differ-1,,6\n")
    result = run(troth.data, "import", str(file), "--json")
    assert counts(result) == (1, 0, 1, 0, 0)
    assert "1 rows differ from what is recorded" in result.stderr


UNREADABLE = [
    (None, "No such file"),
    (b"", "is empty"),
    (b"[{}]", "one event per line"),
    (b"PK\x03\x04", "ZIP or Excel"),
    (b"name,amount\n", "no column is called 'customer'"),
]


@pytest.mark.parametrize(("content", "told"), UNREADABLE, ids=[case[1] for case in UNREADABLE])
def test_an_unreadable_file_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "events.csv"
    if content is not None:
        file.write_bytes(content)
    result = run(tmp_path / "data", "import", str(file))
    assert (result.returncode, result.stdout) == (1, "")
    assert told in result.stderr
    assert not (tmp_path / "data").exists(), "nothing is started for a file that cannot be read"


def test_a_file_that_breaks_off_is_recorded_to_there(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "cut.csv.gz"
    packed = gzip.compress(purchases("cut", 20_000).encode())
    file.write_bytes(packed[: len(packed) // 2])
    result = run(troth.data, "import", str(file), "--json")
    read, created, *_ = counts(result)
    assert (result.returncode, created) == (1, read)
    assert 0 < read < 20_000
    assert "breaks off at line" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_can_go_on(troth: Installation, tmp_path: Path, number: signal.Signals) -> None:
    """The signal goes to the whole group, as a terminal's Ctrl-C does, once the first rows are settled."""
    file, name = tmp_path / "long.csv", f"stop{number}"
    file.write_text(HEAD + "bad row\n" + purchases(name, LONG).removeprefix(HEAD))
    command = [TROTH, "import", str(file), "--data", str(troth.data), "--json"]
    importing = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(tmp_path / "long.rejected.csv")
    os.killpg(importing.pid, number)
    stdout, stderr = importing.communicate(timeout=60)
    stopped = subprocess.CompletedProcess(command, importing.returncode, stdout, stderr)
    read, created, *_ = counts(stopped)
    assert (stopped.returncode, created) == (130, read - 1)
    assert read < LONG
    (again,) = re.findall(r"Go on with: troth (import --resume imp_\w+)", stderr)
    rejected = str(tmp_path / "resumed.csv")
    resumed = run(troth.data, *again.split(), "--rejected", rejected, "--json")
    assert (resumed.returncode, counts(resumed)) == (0, (LONG + 1, LONG, 0, 1, 63_300)), "tiers multiply later ones"
    assert Path(rejected).read_text() == (tmp_path / "long.rejected.csv").read_text()
    assert run(troth.data, *again.split()).stderr.startswith("Error: There is no import imp_")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.01)


def test_alone_without_a_server(session_folder: Path, tmp_path: Path) -> None:
    """On an empty folder it begins with the starter program, and leaves no server behind."""
    file = tmp_path / "alone.csv"
    file.write_text(purchases("alone", 300))
    data = session_folder / "alone"
    assert counts(run(data, "import", str(file), "--json")) == (300, 300, 0, 0, 900)
    demo = run(data, "demo", "--customers", "30", "--days", "60")
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "Look at the keenest customer" in demo.stdout
    assert run(data, "demo", "--customers", "30", "--days", "60").stdout.startswith("0 events recorded")
    assert run(data, "verify").returncode == 0


def test_a_bar_is_shown_on_a_terminal_only(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "bar.csv"
    file.write_text(purchases("bar", 9_000))
    leader, follower = os.openpty()
    with os.fdopen(leader, "rb", buffering=0) as terminal:
        command = [TROTH, "import", str(file), "--data", str(troth.data), "--json"]
        importing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, text=True)
        os.close(follower)
        shown = b""
        try:
            while part := terminal.read(4096):
                shown += part
        except OSError:  # the other end was closed
            pass
        stdout, _ = importing.communicate(timeout=60)
    assert json.loads(stdout)["created"] == 9_000
    assert b"rows" in shown
    assert b"a second" in shown


def test_usage_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(HEAD)
    cases = [
        (("--map", "amount=points"), "is no mapping"),
        (("--delimiter", "ab"), "one character, or tab"),
        (("--rejected", str(file)), "cannot go into the file they come from"),
        (("--rejected", str(tmp_path / "none" / "r.csv")), "cannot write into"),
    ]
    for arguments, told in cases:
        result = run(tmp_path / "data", "import", str(file), *arguments)
        assert (result.returncode, told in result.stderr) == (2, True), result.stderr
