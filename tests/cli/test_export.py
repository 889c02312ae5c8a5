"""`troth export` as a command: what it prints, how it ends, alone and beside a running server; and in again."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.installation import TROTH, Installation, new_installation

pytestmark = pytest.mark.slow
ENVIRONMENT = {**os.environ, "TROTH_EXPORT_MARGIN_SECONDS": "0"}
COUNT = 1_000
ROWS = "".join(f"c-{n % 50},purchase,r-{n},2026-01-01T10:00:00Z,3.50\n" for n in range(COUNT))


@pytest.fixture(scope="module")
def troth(session_folder: Path) -> Iterator[Installation]:
    """A running server with a thousand purchases."""
    file = session_folder / "export.csv"
    file.write_text(f"customer,type,reference,occurred_at,amount\n{ROWS}")
    with new_installation(session_folder / "export") as installation:
        assert run(installation.data, "import", str(file)).returncode == 0
        yield installation


def run(data: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [TROTH, *arguments, "--data", str(data)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=ENVIRONMENT, cwd=cwd)


def test_out_and_in_again(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    result = run(troth.data, "export", "events", "--filter", "importable=true", "--out", str(file))
    assert (result.returncode, result.stdout.partition(" bytes")[0].startswith("1,000 events in ")) == (0, True)
    assert "what came later is not in it" in result.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = json.loads(run(troth.data, "import", str(file), "--json").stdout)
    assert (again["read"], again["duplicates"], again["rejected"]) == (COUNT, COUNT, 0)


def test_one_line_of_json_and_a_name_of_its_own(troth: Installation, tmp_path: Path) -> None:
    arguments = ("export", "customers", "--format", "parquet", "--columns", "customer,orders", "--json")
    result = run(troth.data, *arguments, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    said = json.loads(result.stdout)
    content = (tmp_path / said["file"]).read_bytes()
    assert (said["rows"], said["sha256"], said["size"]) == (50, sha256(content).hexdigest(), len(content))
    assert [path.name for path in tmp_path.iterdir()] == [said["file"]], "no draft is left"
    assert pq.read_table(io.BytesIO(content)).column_names == ["customer", "orders"]


def test_filters(troth: Installation, tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    filters = ("--filter", "customer=c-7", "--filter", "from=2026-01-01T10:00:00Z", "--filter", "wallet=points")
    assert run(troth.data, "export", "postings", "--out", str(file), *filters).returncode == 0
    rows = list(csv.DictReader(file.open(newline="")))
    assert {row["customer"] for row in rows} == {"c-7"}
    assert sum(int(row["points"]) for row in rows) == 20 * 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("people",), "is not one of"),
        (("events", "--filter", "wallet=points"), "/filter/wallet"),
        (("events", "--filter", "type"), "write NAME=VALUE"),
        (("events", "--columns", "nothing"), "/columns/0"),
        (("events", "--out", "/nowhere/at/all.csv"), "cannot write into"),
    ],
)
def test_refusals(troth: Installation, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(troth.data, "export", *arguments, cwd=tmp_path)
    assert result.returncode in (1, 2)
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []
