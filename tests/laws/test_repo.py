"""What may lie in the repository: sources. No path of one machine, no registry's name, no secret, nothing built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.laws.tree import ROOT, files, name

FILE_BYTES = 1 << 20
MACHINE_PATH = re.compile(r"(?<![\w.}$-])/(?:work|root|home/\w|Users/\w|tmp/\w)")
ADDRESS = re.compile(r"://|--(?:extra-)?index-url|--find-links")
SECRETS = {
    "an API key": re.compile(r"[sp]k_(?:test|live)_[A-Za-z0-9_-]{24,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE" r" KEY-----"),
    "a cloud key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a forge's token": re.compile(r"\b(?:gh[opsu]|glpat|github_pat)[_-][A-Za-z0-9_]{20,}"),
    "a bearer token": re.compile(r"\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}"),
}
BUILT_FOLDERS = {"__pycache__", "node_modules", "dist", "build", "target", "htmlcov"}
BUILT_ENDINGS = {".pyc", ".so", ".whl", ".egg", ".o", ".a", ".map", ".tsbuildinfo", ".log", ".sqlite", ".parquet"}
LOCKS = {"requirements.lock", "package-lock.json", "uv.lock"}


def texts() -> dict[Path, str]:
    """Every file that is text; packed data is judged by its name and size only."""
    packed = (".gz", ".png", ".ico", ".woff2")
    return {path: path.read_text(encoding="utf-8") for path in files() if path.suffix not in packed}


def test_no_path_of_one_machine() -> None:
    assert [f"{name(path)}: {found}" for path, text in texts().items() for found in machine_paths(text)] == []


def machine_paths(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if MACHINE_PATH.search(line)]


def test_locks_name_no_registry() -> None:
    locks = [path for path in files() if path.name in LOCKS]
    assert locks
    assert [name(path) for path in locks if ADDRESS.search(path.read_text())] == []


def test_every_locked_package_is_pinned_with_hashes() -> None:
    entries = re.split(r"\n(?=[a-z])", (ROOT / "requirements.lock").read_text())[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_no_secret() -> None:
    assert [f"{name(path)} holds {found}" for path, text in texts().items() for found in secrets_in(text)] == []


def secrets_in(text: str) -> list[str]:
    return [what for what, pattern in SECRETS.items() if pattern.search(text)]


def test_nothing_built_and_nothing_huge() -> None:
    assert [name(path) for path in files() if is_built(path.relative_to(ROOT))] == []
    assert [name(path) for path in files() if path.stat().st_size > FILE_BYTES] == []


def is_built(path: Path) -> bool:
    return path.suffix in BUILT_ENDINGS or bool(BUILT_FOLDERS.intersection(path.parts))


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data under /var/lib/troth", 0),
        ("see ${HOME}/work and src/root", 0),
        ("cd /" + "work/main", 1),
        ("/" + "home/ada/troth", 1),
        ("'/" + "root'", 1),
        ("/" + "tmp/x", 1),
    ],
)
def test_the_path_law_bites(text: str, found: int) -> None:
    assert len(machine_paths(text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sk_test_…", []),
        ("sk_live_" + "a1B2" * 8, ["an API key"]),
        ("-----BEGIN " + "PRIVATE KEY-----", ["a private key"]),
        ("AKIA" + "A1B2C3D4E5F6G7H8", ["a cloud key"]),
    ],
)
def test_the_secret_law_bites(text: str, found: list[str]) -> None:
    assert secrets_in(text) == found
