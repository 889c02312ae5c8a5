"""Where things lie: the folder given as `--data` → the cluster folder, made or found, or a refusal.

    DATA/cluster            the cluster folder; a link to /var/lib/troth/<hash> when DATA is closed to the account
        cluster.json        says that this is ours, and for which data folder
        lock                held by the process that stops the server
        data/               PostgreSQL's own folder
        postgres.log        what PostgreSQL says; postgres.log.1 is the one before
        .s.PGSQL.5432       the socket; in a short folder elsewhere when this path is too long

Nothing found here is ever deleted.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from troth.embedded.account import STATE, Account, EmbeddedPostgresError, account_for

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 107  # of sockaddr_un, less the final NUL
_BESIDE_CLUSTER = {"master.key", "lost+found"}  # what may lie in a data folder before its first start


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    data: Path  # as given, made absolute
    cluster: Path  # real path
    account: Account

    @property
    def server(self) -> Path:
        return self.cluster / "data"

    @property
    def lock(self) -> Path:
        return self.cluster / "lock"

    @property
    def log(self) -> Path:
        return self.cluster / "postgres.log"

    @property
    def marker(self) -> Path:
        return self.cluster / "cluster.json"


def open_folder(data: Path) -> Folder:
    """The cluster folder of a data folder, made if the data folder is new or empty."""
    try:
        return _open(Path(os.path.realpath(data)))
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"{error.filename} is closed to this user. Name another folder with --data, or run Troth as its owner or "
            "as root."
        ) from error


def claim(folder: Folder) -> None:
    """Mark the cluster folder as this data folder's; only under the lock. A copied data folder is refused."""
    if folder.marker.exists():
        owner = Path(json.loads(folder.marker.read_text(encoding="utf-8"))["data_folder"])
        if owner == folder.data:
            return
        if folder.cluster != folder.data / "cluster" and os.path.realpath(owner / "cluster") == str(folder.cluster):
            raise EmbeddedPostgresError(
                f"{folder.data} is a copy of {owner}, and both name the one cluster in {folder.cluster}. Remove "
                f"{folder.data / 'cluster'} to begin anew there, or name {owner}."
            )
    folder.account.write(folder.marker, json.dumps({"format": 1, "data_folder": str(folder.data)}) + "\n")


def socket_folder(folder: Folder) -> Path:
    """Where the socket lies: in the cluster folder, else in a short one that belongs to the account alone."""
    if len(os.fsencode(folder.cluster / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
        return folder.cluster
    parent = Path("/run" if os.geteuid() == 0 and Path("/run").is_dir() else "/tmp")  # noqa: S108 - checked below
    short = parent / f"troth-{folder.account.uid}-{_digest(folder.cluster)}"
    with suppress(FileExistsError):
        short.mkdir(mode=0o700)
        os.chown(short, folder.account.uid, folder.account.gid)
    found = short.lstat()
    if short.is_symlink() or found.st_uid != folder.account.uid or found.st_mode & 0o077:
        raise EmbeddedPostgresError(f"{short} should belong to {folder.account.name} alone; remove it and start again.")
    return short


def _open(data: Path) -> Folder:
    entry = data / "cluster"
    if not os.path.lexists(entry):
        _refuse_foreign_data(data)
        _make(data, account_for(None))
    if not entry.exists():
        raise EmbeddedPostgresError(
            f"{entry} names {os.path.realpath(entry)}, which is gone. Restore that folder, or remove the link to begin "
            "anew."
        )
    cluster = Path(os.path.realpath(entry))
    folder = Folder(data=data, cluster=cluster, account=account_for(cluster))
    _refuse_closed(folder)
    _refuse_foreign_cluster(folder)
    return folder


def _refuse_foreign_data(data: Path) -> None:
    if not data.exists():
        return
    if not data.is_dir():
        raise EmbeddedPostgresError(f"{data} is not a folder; name another one with --data.")
    names = {path.name for path in data.iterdir() if not path.name.startswith(".")}
    if "PG_VERSION" in names:
        raise EmbeddedPostgresError(
            f"{data} is a PostgreSQL data folder that Troth did not make. Name a new or empty folder with --data; to "
            "use that server, start it yourself and set TROTH_DATABASE_URL."
        )
    if names - _BESIDE_CLUSTER:
        raise EmbeddedPostgresError(
            f"{data} holds files that are not Troth's ({', '.join(sorted(names)[:3])}). Name a new or empty folder "
            "with --data."
        )


def _refuse_closed(folder: Folder) -> None:
    owner = folder.cluster.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise EmbeddedPostgresError(
            f"{folder.cluster} belongs to uid {owner}, and this is {folder.account.name}. Run Troth as the user who "
            "started it first, or as root."
        )


def _refuse_foreign_cluster(folder: Folder) -> None:
    names = {path.name for path in folder.cluster.iterdir()} - {"lock"}
    if names and not folder.marker.exists():
        raise EmbeddedPostgresError(
            f"{folder.cluster} holds files that are not Troth's ({', '.join(sorted(names)[:3])}). Name a new or empty "
            "folder with --data."
        )


def _make(data: Path, account: Account) -> None:
    """Make the data folder and in it the cluster folder, or a link to one that the account can reach."""
    if not data.exists():
        _make_data(data)
    entry = data / "cluster"
    if account.is_us or account.may("-x", data):
        _give(entry, account)
        return
    elsewhere = _make_elsewhere(data, account)
    try:
        entry.symlink_to(elsewhere)
    except FileExistsError:  # another process was first
        elsewhere.rmdir()


def _make_data(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o711)  # the account may pass, nobody may look
    except OSError as error:
        raise EmbeddedPostgresError(f"The data folder {data} cannot be made: {error.strerror}.") from error


def _give(path: Path, account: Account) -> None:
    """Make a folder of the account. Made aside and moved, so that it is never seen belonging to root."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.mkdir(mode=0o700)
        if not account.is_us:
            os.chown(unfinished, account.uid, account.gid)
        unfinished.rename(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.rmdir()
        if not path.is_dir():  # else another process was first
            raise EmbeddedPostgresError(f"The folder {path} cannot be made: {error.strerror}.") from error


def _make_elsewhere(data: Path, account: Account) -> Path:
    """A new folder in /var/lib/troth; a number is added when an earlier data folder of this path left its cluster."""
    STATE.mkdir(mode=0o755, parents=True, exist_ok=True)
    STATE.chmod(0o755)
    number = 1
    while True:
        path = STATE / (_digest(data) if number == 1 else f"{_digest(data)}-{number}")
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
            continue
        os.chown(path, account.uid, account.gid)
        return path


def _digest(path: Path) -> str:
    return sha256(os.fsencode(path)).hexdigest()[:16]
