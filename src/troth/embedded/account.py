"""Which system user runs PostgreSQL: we ourselves; for root the cluster's owner, else the system user `troth`.

PostgreSQL refuses root and users without a passwd entry. Root itself writes nothing inside a folder that such an
account owns: it has a process of that account do it, so a link planted there leads nowhere.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

SYSTEM_USER = "troth"
STATE = Path("/var/lib/troth")  # where clusters lie whose data folder is closed to the account
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}  # nothing of ours, above all no PG… variable


class EmbeddedPostgresError(Exception):
    """PostgreSQL cannot run here; the text says why and what to do."""


class Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


class ProcessSettings(Identity):
    cwd: str
    env: dict[str, str]
    umask: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    def process_settings(self) -> ProcessSettings:
        """Keyword arguments for subprocess: this account, neutral folder and environment, files for itself alone."""
        identity: Identity = {} if self.is_us else {"user": self.uid, "group": self.gid, "extra_groups": []}
        return {**identity, "cwd": "/", "env": dict(_ENVIRONMENT), "umask": 0o077}

    def run(self, command: Sequence[str | Path], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run to the end as this account; never raises for its exit code."""
        return subprocess.run(  # noqa: S603 - a fixed program with our own paths, no shell
            [str(part) for part in command],
            input=text or "",
            capture_output=True,
            text=True,
            check=False,
            **self.process_settings(),
        )

    def may(self, test: str, path: Path) -> bool:
        """Whether this account may `-r` read, `-w` write or `-x` enter; asks the system, so that ACLs count."""
        return self.run(["test", test, path]).returncode == 0

    def write(self, path: Path, text: str) -> None:
        """Write a file as this account."""
        if self.is_us:
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)
            return
        outcome = self.run(["tee", path], text)
        if outcome.returncode:
            raise EmbeddedPostgresError(f"The user {self.name} cannot write {path}: {outcome.stderr.strip()}")


def account_for(cluster: Path | None) -> Account:
    """The account for an existing cluster folder, or for a new one; creates the system user when root needs it."""
    if os.geteuid() != 0:
        return _ourselves()
    if cluster is not None and (owner := cluster.stat().st_uid) != 0:
        return _by_uid(owner, f"The folder {cluster} belongs to uid {owner}, which")
    return _by_name(SYSTEM_USER) or _create_system_user()


def _ourselves() -> Account:
    return _by_uid(os.geteuid(), f"Troth runs as uid {os.geteuid()}, which")


def _by_uid(uid: int, who: str) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedPostgresError(
            f"{who} has no entry in the system's list of users (/etc/passwd); PostgreSQL needs one. Add a user with "
            "this id, run Troth as an existing user or as root, or use a server of your own with TROTH_DATABASE_URL."
        ) from None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def _by_name(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def _create_system_user() -> Account:
    """`useradd --system`; another process may do so at the same moment, so its result is read, not its exit code."""
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    reason = "there is no useradd"
    if useradd:
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", str(STATE)]
        outcome = subprocess.run(  # noqa: S603 - a fixed command
            [*command, "--shell", "/usr/sbin/nologin", SYSTEM_USER], capture_output=True, text=True, check=False
        )
        reason = outcome.stderr.strip()
    account = _by_name(SYSTEM_USER)
    if account is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} could not be created ({reason}). "
            f"Create it, run Troth as another user, or use a server of your own with TROTH_DATABASE_URL."
        )
    return account
