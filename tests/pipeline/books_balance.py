"""What always holds in the tables, whatever happened: the sums of the ledger and of its caches."""

from __future__ import annotations

from troth.core.program import Program
from troth.proof.verify import RuleBooks, verify
from troth.store.pool import Database
from troth.store.programs import load_program

_RULES = {
    "every wallet equals its postings": """
        select b.customer_id, b.wallet from balances b full join (
            select customer_id, wallet, sum(case state when 'available' then points end) as available,
                   sum(case state when 'expired' then points end) as expired,
                   sum(case state when 'program' then points end) as program
            from (select customer_id, wallet, to_state as state, points from postings
                  union all select customer_id, wallet, from_state, -points from postings) moves
            group by customer_id, wallet) p using (customer_id, wallet)
        where b.available is distinct from coalesce(p.available, 0) or b.expired is distinct from coalesce(p.expired, 0)
           or b.program is distinct from coalesce(p.program, 0)""",
    "every wallet sums to zero": """
        select customer_id from balances
        where program + pending + available + reserved + spent + expired + debt + forgiven <> 0""",
    "what is available lies in open lots": """
        select customer_id from balances b left join (
            select customer_id, wallet, sum(remaining) as remaining from lots group by customer_id, wallet) l
        using (customer_id, wallet) where b.available <> coalesce(l.remaining, 0)""",
    "every lot is what its postings left": """
        select l.event_id from lots l left join (
            select lot_event, lot_n, sum(case when to_state = 'available' then points else 0 end) as earned,
                   sum(case when from_state = 'available' then points else 0 end) as gone
            from postings group by lot_event, lot_n) p on p.lot_event = l.event_id and p.lot_n = l.n
        where l.points is distinct from p.earned or l.remaining is distinct from p.earned - p.gone""",
    "every event's points are those of its postings": """
        select e.id from events e left join (
            select event_id, sum(case when to_state = 'available' then points when from_state = 'available' then -points
                             else 0 end) as points from postings group by event_id) p on p.event_id = e.id
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
    "the next due moment is that of the first open lot": """
        select c.id from customers c left join (select customer_id, min(expires_at) as ends from lots
            where remaining > 0 group by customer_id) l on l.customer_id = c.id
        where c.due_at is distinct from l.ends""",
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

        reports = [report async for report in verify(connection, RuleBooks(read))]
    differences = [difference for report in reports for difference in report.differences]
    assert not differences, differences[:3]
