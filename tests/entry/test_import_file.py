"""Files to import: what is unpacked, what is refused, and how a damaged one is told."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from troth.entry.import_file import ImportFile, UnreadableFileError
from troth.entry.import_rows import rejected_path

FOREIGN = [
    (b"PK\x03\x04rest", "ZIP or Excel"),
    (b"\x28\xb5\x2f\xfdrest", "zstd"),
    (b"BZh9rest", "bzip2"),
    (b"\xfd7zXZ\x00rest", "xz"),
    (b"PAR1rest", "Parquet"),
]


@pytest.mark.parametrize(("content", "told"), FOREIGN, ids=[case[1] for case in FOREIGN])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_foreign_formats_are_named(tmp_path: Path, content: bytes, told: str, pack: type[bytes]) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(pack(content))
    with pytest.raises(UnreadableFileError, match=told):
        ImportFile(path)


def test_a_damaged_head_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    path.write_bytes(gzip.compress(b"customer,type\n")[:12])
    with pytest.raises(UnreadableFileError, match="damaged or cut short"):
        ImportFile(path)


def test_only_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, told in (("none.csv", "No such file"), (".", "not a regular file"), ("pipe", "not a regular file")):
        with pytest.raises(UnreadableFileError, match=told):
            ImportFile(tmp_path / name)


def test_the_position_moves_with_the_packed_bytes(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    path.write_bytes(gzip.compress(os.urandom(1 << 20)))
    with ImportFile(path) as file:
        assert file.size == path.stat().st_size
        before = file.position
        while file.content.read(1 << 16):
            assert before <= file.position <= file.size
        assert file.position == file.size


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("events.csv", "events.rejected.csv"),
        ("events.csv.gz", "events.rejected.csv"),
        ("events", "events.rejected.csv"),
        ("events.2026.tsv", "events.2026.rejected.csv"),
    ],
)
def test_rejected_rows_go_beside_the_file(name: str, expected: str) -> None:
    assert rejected_path(Path("folder") / name, "csv") == Path("folder") / expected
