"""What always holds in the tables, whatever happened: the sums of the ledger and of its caches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg
from asyncpg.transaction import Transaction

from troth.core.program import Program
from troth.proof.verify import RuleBooks, verify
from troth.store.pool import Connection, Database
from troth.store.programs import load_program

_RULES = {
    "every wallet equals its postings": """
        select b.customer_id, b.wallet from balances b full join (
            select customer_id, wallet,
                   coalesce(sum(points) filter (where state = 'program'), 0) as program,
                   coalesce(sum(points) filter (where state = 'pending'), 0) as pending,
                   coalesce(sum(points) filter (where state = 'available'), 0) as available,
                   coalesce(sum(points) filter (where state = 'reserved'), 0) as reserved,
                   coalesce(sum(points) filter (where state = 'spent'), 0) as spent,
                   coalesce(sum(points) filter (where state = 'expired'), 0) as expired,
                   coalesce(sum(points) filter (where state = 'debt'), 0) as debt,
                   coalesce(sum(points) filter (where state = 'forgiven'), 0) as forgiven
            from (select customer_id, wallet, to_state as state, points from postings
                  union all select customer_id, wallet, from_state, -points from postings) moves
            group by customer_id, wallet) p using (customer_id, wallet)
        where (b.program, b.pending, b.available, b.reserved, b.spent, b.expired, b.debt, b.forgiven) is distinct from
              (p.program, p.pending, p.available, p.reserved, p.spent, p.expired, p.debt, p.forgiven)""",
    "every wallet sums to zero": """
        select customer_id from balances
        where program + pending + available + reserved + spent + expired + debt + forgiven <> 0""",
    "what is available lies in open lots": """
        select customer_id from balances b left join (
            select customer_id, wallet, sum(remaining) as remaining from lots group by customer_id, wallet) l
        using (customer_id, wallet) where b.available <> coalesce(l.remaining, 0)""",
    "balance is open lots and debt": """
        select customer_id from balances b left join (
            select customer_id, wallet, sum(remaining) as remaining, sum(pending) as pending from lots
            group by customer_id, wallet) l using (customer_id, wallet)
        where b.available + b.debt <> coalesce(l.remaining, 0) + b.debt or b.pending <> coalesce(l.pending, 0)
           or (b.available > 0 and b.debt < 0)""",
    "every lot is what its postings left": """
        select l.event_id from lots l left join (
            select lot_event, lot_n, sum(case when to_state = 'available' then points
                                              when from_state = 'available' then -points else 0 end) as remaining,
                   sum(case when to_state = 'pending' then points
                            when from_state = 'pending' then -points else 0 end) as pending,
                   sum(case when to_state = 'expired' then points
                            when from_state = 'expired' then -points else 0 end) as expired
            from postings where lot_event is not null group by lot_event, lot_n) p
        on p.lot_event = l.event_id and p.lot_n = l.n
        where (l.remaining, l.pending, l.expired) is distinct from (p.remaining, p.pending, p.expired)""",
    "every event's points are those of its postings": """
        select e.id from events e left join (
            select event_id, sum((to_state in ('pending', 'available', 'debt'))::integer * points
                                 - (from_state in ('pending', 'available', 'debt'))::integer * points) as points
            from postings where wallet = 'points' group by event_id) p on p.event_id = e.id
        where e.points <> coalesce(p.points, 0)""",
    "sequence numbers have no gaps": """
        select c.id from customers c join (select customer_id, count(*) as events, max(seq) as last, min(seq) as first
            from events group by customer_id) e on e.customer_id = c.id
        where c.seq <> e.events or e.last <> e.events or e.first <> 1""",
    "every event has its own reference": """
        select e.id from events e left join event_refs r on r.event_id = e.id where r.event_id is null""",
    "every reference has its event": """
        select r.event_id from event_refs r left join events e on e.id = r.event_id where e.id is null""",
    "every name has its customer": """
        select i.external_id from identities i left join customers c on c.bucket = i.customer_bucket
        and c.id = i.customer_id left join personal_keys k on k.bucket = c.bucket and k.id = c.personal_key
        where k.id is null""",
    "nothing falls due before the customer is looked at": """
        select c.id from customers c
        left join (select customer_id, min(expires_at) as at from lots
                   where remaining > 0 and coalesce(expiry, '') not like '%a%' group by 1) l on l.customer_id = c.id
        left join (select customer_id, min(release_at) as at from lots where pending > 0 group by 1) p
            on p.customer_id = c.id
        left join (select customer_id, min(decides_at) as at from orders group by 1) o on o.customer_id = c.id
        left join (select customer_id, min(due_at) as at from reservations group by 1) r on r.customer_id = c.id
        where coalesce(c.due_at, 'infinity') > coalesce(least(l.at, p.at, o.at, r.at), 'infinity')""",
    "uses are those of the capped rules' postings": """
        select u.customer_id from limit_uses u where not exists (
            select from postings p where p.customer_id = u.customer_id and p.rule = u.rule)""",
}  # fmt: skip


async def check_books(database: Database) -> None:
    """Every rule holds for every row, and judging every event again from nothing finds no difference."""
    async with database.pool.acquire() as connection:
        for rule, statement in _RULES.items():
            broken = await connection.fetch(statement)
            assert not broken, f"{rule}: {broken[:3]}"
    await _verify(database)


async def _verify(database: Database) -> None:
    async with database.pool.acquire() as connection, database.pool.acquire() as reader:

        async def read(revision: int) -> Program:
            return await load_program(reader, revision)

        used = cast("Connection", InUse(connection=connection, buckets=await buckets_in_use(connection)))
        reports = [report async for report in verify(used, RuleBooks(read))]
    differences = [difference for report in reports for difference in report.differences]
    assert not differences, differences[:3]


@dataclass(slots=True, kw_only=True)
class InUse:
    """A connection that is not asked for buckets without any row: most tests use 5 of 256, each twelve statements."""

    connection: Connection
    buckets: set[int]
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    unbegun: Transaction | None = None  # it begins with the first question

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[None]:
        self.unbegun = self.connection.transaction(**options)
        async with self.stack:
            yield

    async def fetch(self, statement: str, *parameters: object) -> list[asyncpg.Record]:
        if parameters and parameters[0] not in self.buckets:
            return []
        if self.unbegun is not None:
            await self.stack.enter_async_context(self.unbegun)
            self.unbegun = None
        return await self.connection.fetch(statement, *parameters)


async def buckets_in_use(connection: Connection) -> set[int]:
    """Of every table that has buckets."""
    tables = await connection.fetch(
        "select c.oid::regclass::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where a.attname = 'bucket' and c.relkind in ('r', 'p') and not c.relispartition"
    )
    found = await connection.fetch(" union ".join(f"select bucket from {table['name']}" for table in tables))
    return {row["bucket"] for row in found}
