"""troth keys create | list | rotate | revoke: API keys, beside a running server or alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import click

from troth.api.keys import (
    KeyRequest,
    KeyRequestError,
    make_key,
    make_signing_secret,
    read_key_id,
    seal_secret,
    show_key_id,
)
from troth.cli.settings import data_option
from troth.config import Config, read_config
from troth.embedded.access import data_folder
from troth.engine import open_vault_of
from troth.store.keys import KeyKind, KeyRecord, insert_key, list_keys, revoke_key, shorten_key

if TYPE_CHECKING:
    from troth.store.pool import Connection

_LISTED_MAX = 10_000
T = TypeVar("T")


@click.group()
def keys() -> None:
    """API keys."""


@keys.command()
@click.option("--name", required=True, help="What it is for; shown in lists and as the source of events.")
@click.option("--scope", "scopes", multiple=True, help="A permission such as events:write; * for all. Repeatable.")
@click.option("--publishable", is_flag=True, help="A key for browsers and apps: sends client_allowed events only.")
@click.option("--origin", "origins", multiple=True, help="Publishable: https://shop.example. Repeatable.")
@click.option("--address", "addresses", multiple=True, help="An address or network that may use it. Repeatable.")
@click.option("--expires-in-days", type=click.IntRange(1, 36_500), help="Refused afterwards. Default: never.")
@click.option("--signed", is_flag=True, help="Also make a secret for signed requests; printed on the second line.")
@data_option
def create(data: Path | None, *, signed: bool, **asked: object) -> None:
    """Make a key. Its text is printed alone on standard output, once, and stored nowhere."""
    config = read_config(os.environ, data=data)
    secret = make_signing_secret(os.urandom) if signed else None
    vault = open_vault_of(config) if secret is not None else None

    def seal(key_id: UUID) -> bytes:
        assert vault is not None
        assert secret is not None
        return seal_secret(vault, key_id, secret)

    request = _request(config, asked, seal if signed else None)
    text = _run(config, lambda connection: _create(connection, request))
    click.echo(text)
    if secret is not None:
        click.echo(secret)


@keys.command(name="list")
@data_option
def list_command(data: Path | None) -> None:
    """Show every key: id, name, kind, scopes, and when it ends. Never its text."""
    found = _run(read_config(os.environ, data=data), lambda connection: list_keys(connection, _LISTED_MAX))
    for key in found:
        click.echo("\t".join((show_key_id(key.id), key.name, key.kind, key.mode, " ".join(key.scopes), _life(key))))


@keys.command()
@click.argument("key_id")
@data_option
def revoke(key_id: str, data: Path | None) -> None:
    """Refuse the key KEY_ID from now on. A running server obeys within seconds."""
    wanted = _read_id(key_id)
    config = read_config(os.environ, data=data)
    if not _run(config, lambda connection: revoke_key(connection, wanted, datetime.now(UTC))):
        raise click.ClickException(f"There is no key {key_id}.")


@keys.command()
@click.argument("key_id")
@click.option("--overlap-hours", type=click.IntRange(0, 8_760), default=24, show_default=True)
@data_option
def rotate(key_id: str, overlap_hours: int, data: Path | None) -> None:
    """Make a successor of KEY_ID with the same rights; the old key is refused after the overlap."""
    wanted = _read_id(key_id)
    now = datetime.now(UTC)
    config = read_config(os.environ, data=data)

    async def replace(connection: Connection) -> str:
        async with connection.transaction():
            old = await shorten_key(connection, wanted, now + timedelta(hours=overlap_hours))
            if old is None:
                raise click.ClickException(f"There is no key {key_id}.")
            return await _create(connection, _successor(old))

    click.echo(_run(config, replace))


def _request(config: Config, asked: dict[str, object], seal: Callable[[UUID], bytes] | None) -> KeyRequest:
    is_publishable = bool(asked["publishable"])
    kind: KeyKind = "publishable" if is_publishable else "secret"
    scopes = _texts(asked["scopes"]) or (("events:write",) if is_publishable else ())
    days = asked["expires_in_days"]
    return KeyRequest(
        name=str(asked["name"]),
        mode=config.mode,
        kind=kind,
        scopes=scopes,
        origins=_texts(asked["origins"]),
        addresses=_texts(asked["addresses"]),
        expires_at=datetime.now(UTC) + timedelta(days=days) if isinstance(days, int) else None,
        seal_signing_secret=seal,
    )


def _successor(old: KeyRecord) -> KeyRequest:
    if old.revoked_at is not None:
        raise click.ClickException("A revoked key has no successor; create a new one.")
    if old.signing_secret is not None:
        raise click.ClickException("A key with a signing secret is replaced by a new one: create it with --signed.")
    return KeyRequest(
        name=old.name,
        mode=old.mode,
        kind=old.kind,
        scopes=old.scopes,
        origins=old.origins,
        addresses=old.addresses,
    )


async def _create(connection: Connection, request: KeyRequest) -> str:
    try:
        text, record = make_key(request, datetime.now(UTC), os.urandom)
    except KeyRequestError as error:
        raise click.ClickException(str(error)) from None
    await insert_key(connection, record)
    return text


def _run(config: Config, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        async with _connection(config) as connection:
            return await work(connection)

    return asyncio.run(run())


@asynccontextmanager
async def _connection(config: Config) -> AsyncIterator[Connection]:
    async with (
        data_folder(config, purpose="keys") as access,
        access.open_database(connections=1) as database,
        database.pool.acquire() as connection,
    ):
        yield connection


def _read_id(text: str) -> UUID:
    key_id = read_key_id(text)
    if key_id is None:
        raise click.BadParameter("a key id looks like key_0197…, as `troth keys list` shows it")
    return key_id


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, tuple) else ()


def _life(key: KeyRecord) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    return f"until {key.expires_at:%Y-%m-%d %H:%M}Z" if key.expires_at is not None else "for ever"
