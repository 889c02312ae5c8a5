"""Templates of imports: a name → the options of an import, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from troth.store.sql import load

if TYPE_CHECKING:
    import asyncpg

    from troth.store.pool import Connection

SQL = load("import_templates.sql")


class Template(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    options: str  # JSON
    created_at: datetime
    updated_at: datetime
    created_by: str


async def put_template(
    connection: Connection, name: str, options: object, signed: tuple[datetime, str]
) -> tuple[Template, bool]:
    """Store it under its name. In: when, by whom. Out: the template, and whether the name is new."""
    text = msgspec.json.encode(options).decode()
    row = await connection.fetchrow(SQL["put_template"], name, text, *signed)
    assert row is not None, "an upsert returns its row"
    return _template(row), row["is_new"]


async def find_template(connection: Connection, name: str) -> Template | None:
    row = await connection.fetchrow(SQL["template"], name)
    return _template(row) if row is not None else None


async def template_page(connection: Connection, *, after: str, size: int) -> list[Template]:
    return [_template(row) for row in await connection.fetch(SQL["templates"], after, size)]


async def count_templates(connection: Connection) -> int:
    return int(await connection.fetchval(SQL["count_templates"]))


async def drop_template(connection: Connection, name: str) -> bool:
    """False: there is none of this name."""
    return await connection.fetchval(SQL["drop_template"], name) is not None


def _template(row: asyncpg.Record) -> Template:
    return Template(**{name: row[name] for name in Template.__struct_fields__})
