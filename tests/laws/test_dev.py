"""`./dev` sets up once per change of what it installs, and starts on the standard library alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.laws.tree import ROOT, load_dev


def test_it_starts_with_the_standard_library_alone() -> None:
    """`-I -S`: no site-packages, so that a clone with bare Python can start it."""
    command = [sys.executable, "-I", "-S", str(ROOT / "dev"), "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(word in answer.stdout for word in ("setup", "run", "test", "check", "bench"))


@pytest.mark.parametrize(
    ("file", "before", "after", "installs"),
    [
        ("requirements.lock", "==", "==1", True),
        ("pyproject.toml", "[project.scripts]", "[project.scripts]\nmore = 1", True),
        ("pyproject.toml", "[tool.ruff]", "[tool.ruff]\npreview = true", False),
        ("README.md", "Troth", "Truth", False),
    ],
)
def test_what_makes_it_install_again(file: str, before: str, after: str, installs: bool, tmp_path: Path) -> None:
    dev = load_dev()
    for name in {"requirements.lock", "pyproject.toml", "README.md"}:
        (tmp_path / name).write_text((ROOT / name).read_text())
    dev.ROOT, dev.LOCK = tmp_path, tmp_path / "requirements.lock"
    first = dev.digest()
    (tmp_path / file).write_text((tmp_path / file).read_text().replace(before, after, 1))
    assert (dev.digest() != first) is installs


def test_another_interpreter_is_not_taken_for_ours(tmp_path: Path) -> None:
    dev = load_dev()
    dev.VENV = tmp_path
    assert not dev.is_usable(str(tmp_path / "bin" / "python"))
    assert not dev.is_usable(sys.executable)


def test_what_it_starts_compiles_a_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "")
    load_dev().keep_bytecode()
    asked = "import sys; print(sys.dont_write_bytecode, sys.pycache_prefix)"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert answer.split() == ["False", str(ROOT / ".venv" / "bytecode")]


def test_the_key_of_the_first_call_is_read_from_its_file() -> None:
    call = load_dev().first_call("http://127.0.0.1:9", Path("my data/first.key"))
    assert "$(cat 'my data/first.key')" in call
