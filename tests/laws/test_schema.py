"""The schema files are what all migrations together make: one database of each, and no difference in their dumps."""

from __future__ import annotations

import subprocess

from tests.conftest import Servers, fresh_database
from troth.embedded.binaries import find_binaries
from troth.store.migrate import FOLDER, Migration, migrate, read_migrations


async def dump_after(servers: Servers, migrations: list[Migration]) -> str:
    cluster = await servers.get("embedded")
    pg_dump = find_binaries(cluster.folder.account).program("pg_dump")
    async with fresh_database(cluster, template="template1") as database:
        async with database.owner() as connection:
            await migrate(connection, migrations)
        command = [pg_dump, "--schema-only", "--schema=troth", f"--dbname={database.owner_dsn}"]
        dumped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in dumped.split("\n") if not line.startswith(("\\restrict", "\\unrestrict")))


async def test_the_schema_is_what_the_migrations_make(servers: Servers) -> None:
    text = "\n".join((FOLDER.parent / name).read_text() for name in ("schema.sql", "schema_doors.sql"))
    schema = Migration(number=1, name="schema", text=text)
    expected = await dump_after(servers, [schema])
    assert "CREATE TABLE troth.events" in expected
    assert "GRANT SELECT,INSERT ON TABLE troth.events TO troth_app" in expected
    assert await dump_after(servers, read_migrations()) == expected
