"""The files that the laws read: what git tracks, or would track, in this clone."""

from __future__ import annotations

import importlib.util
import subprocess
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "troth"
NEVER_TRACKED = {".git", ".venv", ".troth", "node_modules", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache"}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, sorted; new ones that are not committed yet too."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, capture_output=True, check=False)
    if listing.returncode:  # no git, or a clone owned by somebody else
        found = (path for path in ROOT.rglob("*") if not NEVER_TRACKED.intersection(path.parts))
    else:
        found = (ROOT / name for name in listing.stdout.decode().split("\0") if name)
    return tuple(sorted(path for path in found if path.is_file()))


def python_files() -> tuple[Path, ...]:
    return tuple(path for path in files() if path.suffix == ".py" or path == ROOT / "dev")


def sql_files() -> tuple[Path, ...]:
    return tuple(path for path in files() if path.suffix == ".sql")


def name(path: Path) -> str:
    """As complaints name it: relative to the clone, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


def load_dev() -> ModuleType:
    """A fresh copy of the `./dev` script as a module."""
    loader = SourceFileLoader("dev", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader("dev", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
