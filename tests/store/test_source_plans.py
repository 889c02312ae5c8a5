"""What a source's door and its views read, they read by key, however much waits or was refused."""

from __future__ import annotations

import pytest

from tests.conftest import TestDatabase
from troth.store import rejections, source_inbox, source_payloads

ROWS = 5_000
FILLING = (
    "source_inbox select 's' || n % 5, md5(n::text)::uuid, sha256(n::text::bytea), sha256(n::text::bytea), now(), "
    "now() + n * interval '1 minute', 'x'",
    "source_names select 's' || n % 5, sha256(n::text::bytea), md5(n::text)::uuid, 'x', "
    "now() + n * interval '1 minute'",
    "source_payloads select 's' || n % 250, md5(n::text)::uuid, now(), 'x'",
    "rejections select md5(n::text)::uuid, now(), now() + n * interval '1 minute', 'api', null, 'x', '{x}', 'x'",
)
CASES = [
    (source_inbox.SQL["read_waiting"], "'s1', array[sha256('1')], 500"),
    (source_inbox.SQL["held_waiting"], "'s1', array[sha256('1')], array[sha256('1')]"),
    (source_inbox.SQL["read_names"], "'s1', array[sha256('1')]"),
    (source_inbox.SQL["page_waiting"], "'s1', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 51"),
    (source_inbox.SQL["drop_expired_names"], "now(), 10"),
    (source_inbox.SQL["drop_expired_waiting"], "now(), 10"),
    (source_inbox.SQL["oldest_waiting"], "'s1', '00000000-0000-0000-0000-000000000000', 50"),
    (source_payloads.SQL["read_payloads"], "'s1', 20"),
    (rejections.SQL["read_rejection"], "md5('1')::uuid"),
    (
        rejections.SQL["page_rejections"],
        "'ffffffff-ffff-ffff-ffff-ffffffffffff', null, null, null, null, null, null, null, 51",
    ),
]


@pytest.mark.each_postgres
async def test_nothing_is_scanned(database: TestDatabase) -> None:
    async with database.owner() as owner:
        for filling in FILLING:
            await owner.execute(f"insert into {filling} from generate_series(1, {ROWS}) as n")
        await owner.execute("analyze")
        for number, (statement, values) in enumerate(CASES):
            types = [parameter.name for parameter in (await owner.prepare(statement)).get_parameters()]
            await owner.execute(f"prepare case_{number} ({', '.join(types)}) as {statement}")
            rows = await owner.fetch(f"explain execute case_{number}({values})")
            plan = "\n".join(row[0] for row in rows)
            for table in ("source_inbox", "source_names", "source_payloads", "rejections"):
                assert f"Seq Scan on {table}" not in plan, plan
            assert "Index" in plan, plan
