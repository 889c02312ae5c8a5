"""Brings a database to the schema of this version: numbered SQL files → applied in order, each recorded.

Runs as the owner, at start, under a lock, each file in a transaction of its own. Refuses a database that a newer Troth
has migrated, and one whose applied files differ from ours. It never drops or rewrites what it did not make.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import asyncpg

from troth.store.pool import SCHEMA, SERVING_ROLE, Connection, UnfitDatabaseError, check_server
from troth.store.sql import load

SQL = load("migrate.sql")
FOLDER = Path(__file__).parent / "migrations"
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    number: int  # from 1, without gaps
    name: str
    text: str

    @property
    def digest(self) -> str:
        return sha256(self.text.encode()).hexdigest()


def read_migrations(folder: Path = FOLDER) -> list[Migration]:
    """All migrations in order; ValueError when a number is missing, taken twice, or a file is named otherwise."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        parts = _FILE.fullmatch(path.name)
        if not parts or int(parts[1]) != len(found) + 1:
            raise ValueError(f"{path.name}: expected {len(found) + 1:04}_some_name.sql here")
        found.append(Migration(number=int(parts[1]), name=parts[2], text=path.read_text(encoding="utf-8")))
    return found


async def migrate(owner: Connection, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Apply what is missing and return it; UnfitDatabaseError when this database is not ours to change."""
    migrations = read_migrations() if migrations is None else migrations
    await check_server(owner)
    await owner.fetchval(SQL["take_migration_lock"])
    try:
        await _prepare(owner)
        missing = find_missing(migrations, await owner.fetch(SQL["read_applied"]))
        for migration in missing:
            await _apply(owner, migration)
    finally:
        if not owner.is_closed():
            await owner.fetchval(SQL["release_migration_lock"])
    return missing


def find_missing(migrations: Sequence[Migration], applied: Sequence[asyncpg.Record]) -> list[Migration]:
    """What is still to be applied; UnfitDatabaseError when the database has what this version does not know."""
    for row in applied[len(migrations) :]:
        raise UnfitDatabaseError(
            f"This database was migrated by a newer Troth (migration {row['number']:04}_{row['name']}); start that "
            "version or a later one, or restore a backup made by this version."
        )
    for migration, row in zip(migrations, applied, strict=False):
        if (migration.number, migration.digest) != (row["number"], row["digest"]):
            raise UnfitDatabaseError(
                f"Migration {row['number']:04}_{row['name']} of this database differs from ours: it was made by an "
                "unreleased version of Troth. Name an empty database or data folder, or start the version that made it."
            )
    return list(migrations[len(applied) :])


async def _prepare(owner: Connection) -> None:
    """Make what the first migration stands on: the schema, its bookkeeping, the serving role."""
    try:
        async with owner.transaction():
            await owner.execute(f"create schema if not exists {SCHEMA}")
            await owner.execute(f"set search_path = {SCHEMA}")
            await owner.execute(SQL["create_bookkeeping"])
    except asyncpg.InsufficientPrivilegeError as error:
        raise UnfitDatabaseError(
            f"The owner's login may not migrate ({error}). It needs CREATE on this database and, if the schema "
            f"{SCHEMA} exists, to own it; or name the login that does in TROTH_DATABASE_OWNER_URL."
        ) from error
    await _create_serving_role(owner)


async def _create_serving_role(owner: Connection) -> None:
    """Make the role that serves, and let this login act as it, so that one URL is enough."""
    try:
        if not await owner.fetchval(SQL["has_role"], SERVING_ROLE):
            await owner.execute(f"create role {SERVING_ROLE} nologin")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        pass  # another database of this server made it at the same moment
    except asyncpg.InsufficientPrivilegeError as error:
        raise UnfitDatabaseError(
            f"The role {SERVING_ROLE} is missing and the owner's login may not create it. Run as an administrator: "
            f"create role {SERVING_ROLE} nologin; grant {SERVING_ROLE} to <the login in TROTH_DATABASE_URL>"
        ) from error
    await _let_owner_serve(owner)


async def _let_owner_serve(owner: Connection) -> None:
    """Grant the serving role to this login unless it may already act as it, or may not grant it."""
    try:
        async with owner.transaction():
            await owner.execute(f"set local role {SERVING_ROLE}")
    except asyncpg.InsufficientPrivilegeError:
        with suppress(asyncpg.InsufficientPrivilegeError, asyncpg.InvalidGrantOperationError):
            await owner.execute(f"grant {SERVING_ROLE} to current_user")


async def _apply(owner: Connection, migration: Migration) -> None:
    async with owner.transaction():
        await owner.execute(migration.text)
        await owner.execute(SQL["record_applied"], migration.number, migration.name, migration.digest)
