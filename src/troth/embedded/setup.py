"""Makes a cluster and what a database of ours needs in it: initdb, roles, the database. Each step may be repeated."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import asyncpg

from troth.embedded.account import EmbeddedPostgresError
from troth.embedded.binaries import Binaries
from troth.embedded.conf import access_conf, server_conf, users_conf
from troth.embedded.folder import Folder, socket_folder
from troth.embedded.options import Options

DATABASE = "troth"
_BUILTIN_LOCALE_MAJOR = 17  # older ones have libc's locales alone
_SETUP_LOCK = 500136113256  # "troth" in ASCII
_ROLES = {"troth_owner": "login createrole", "troth_app": "login"}


def prepare_files(folder: Folder, binaries: Binaries, options: Options) -> None:
    """Make the cluster if there is none, refuse one of another version, and write its configuration."""
    if not folder.server.exists():
        _initialise(folder, binaries, options)
    _refuse_other_version(folder, binaries)
    write = folder.account.write
    write(folder.server / "postgresql.conf", server_conf(options.settings, socket_folder(folder)))
    write(folder.server / "pg_hba.conf", access_conf())
    write(folder.server / "pg_ident.conf", users_conf(folder.account))


async def prepare_database(admin_dsn: str) -> None:
    """Create our roles and our database where they are missing; safe beside another process doing the same."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(f"select pg_advisory_lock({_SETUP_LOCK})")
        roles = {row[0] for row in await connection.fetch("select rolname from pg_roles")}
        for role, attributes in _ROLES.items():
            if role not in roles:
                await connection.execute(f"create role {role} {attributes}")
        if not await connection.fetchval("select exists (select from pg_database where datname = $1)", DATABASE):
            await connection.execute(f"create database {DATABASE} owner troth_owner")
    finally:
        await connection.close()


def _initialise(folder: Folder, binaries: Binaries, options: Options) -> None:
    """initdb aside, then one rename: a cluster is there whole or not at all."""
    unfinished = folder.cluster / "data.new"
    if unfinished.exists():  # from an initdb that was cut short; it has never held anything
        shutil.rmtree(unfinished)
    outcome = folder.account.run(_initdb(binaries, unfinished, durable=options.settings.durable))
    if outcome.returncode:
        raise EmbeddedPostgresError(
            f"PostgreSQL's initdb failed for {unfinished} as {folder.account.name}: "
            f"{(outcome.stderr or outcome.stdout).strip()[-1_000:]}"
        )
    unfinished.rename(folder.server)
    _flush(folder.cluster)


def _initdb(binaries: Binaries, target: Path, *, durable: bool) -> list[str | Path]:
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.major >= _BUILTIN_LOCALE_MAJOR else []
    )
    return [
        binaries.program("initdb"),
        f"--pgdata={target}",
        "--username=postgres",
        "--auth-local=peer",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        *locale,
        "--data-checksums",
        "--no-instructions",
        *([] if durable else ["--no-sync"]),
    ]


def _refuse_other_version(folder: Folder, binaries: Binaries) -> None:
    try:
        major = int((folder.server / "PG_VERSION").read_text(encoding="utf-8").split(".")[0])
    except (OSError, ValueError) as error:
        raise EmbeddedPostgresError(
            f"{folder.server} is not a whole PostgreSQL cluster (no readable PG_VERSION). Restore it from a backup, or "
            "name a new folder with --data."
        ) from error
    if major != binaries.major:
        raise EmbeddedPostgresError(
            f"{folder.server} was made by PostgreSQL {major}; this Troth brings PostgreSQL {binaries.major}, which "
            f"cannot read it. Start the Troth that made it; or move it with pg_upgrade of PostgreSQL {binaries.major}; "
            f"or serve it with a PostgreSQL {major} of your own and TROTH_DATABASE_URL."
        )


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
