"""Runs a story on a real engine and on the model, and compares after every batch.

In: a database, a kit and a story. Out: how many events were sent. Raises Difference at the first thing that differs:
an answer, a customer's state, the movements of points, or the books of the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.conftest import TestDatabase
from tests.faults.proxy import Proxy, proxy_before
from tests.pipeline.books_balance import check_books
from tests.pipeline.shop import Shop, code, open_shop
from tests.simulator.acts import Act, Answer, Batch, Clock, Publish, Settle, Story
from tests.simulator.model import Model
from tests.simulator.model_books import STATES
from tests.simulator.programs import Kit
from tests.simulator.workload import START
from troth import limits
from troth.pipeline.outcome import Applied, Duplicate, Outcome, RawEvent, Unreachable

NOBODY = "0" * 32
PREFIXES = {"reservation": "res", "redemption": "rdm"}
CRASH_SECONDS = (0.0, 0.004, 0.02)  # after which the connections of a crashing engine break
_COMPARED = ("points", "outcome", "wallets", "tier", "seq", "awards")


class Difference(Exception):
    """What the engine says beside what the model says; `step` and `act` are places in the story."""

    def __init__(self, step: int, act: int, what: str) -> None:
        super().__init__(f"step {step}, act {act}: {what}")
        self.step, self.act, self.what = step, act, what
        self.kind = " ".join(word for word in what.split()[:4] if not word.strip(",;").lstrip("-").isdigit())


async def run_story(database: TestDatabase, kit: Kit, story: Story) -> int:
    """How many events were sent."""
    crashes = any(isinstance(step, Batch) and step.is_crash for step in story)
    async with AsyncExitStack() as stack:
        model = Model(program=kit.program(0), now=START)
        run = Run(database=database, kit=kit, stack=stack, model=model, crashes=crashes)
        await run.open(publishes=True)
        for place, step in enumerate(story):
            run.step = place
            await run.do(step)
        run.step = len(story)
        await run.finish()
        return run.sent


@dataclass(kw_only=True)
class Run:
    database: TestDatabase
    kit: Kit
    stack: AsyncExitStack
    model: Model
    crashes: bool
    step: int = 0
    sent: int = 0
    ids: dict[str, str] = field(default_factory=dict)  # reference → hex of the event's id
    shops: AsyncExitStack = field(default_factory=AsyncExitStack)
    shop: Shop = field(init=False)
    proxy: Proxy = field(init=False)

    async def open(self, *, publishes: bool = False) -> None:
        """An engine; behind a proxy of its own where it is to crash."""
        self.shops = await self.stack.enter_async_context(AsyncExitStack())
        dsn = self.database.app_dsn
        if self.crashes:
            self.proxy, dsn = await self.shops.enter_async_context(proxy_before(dsn))
        access = TestDatabase(
            name=self.database.name,
            app_dsn=dsn,
            owner_dsn=self.database.owner_dsn,
            admin_dsn=self.database.admin_dsn,
        )
        document = self.kit.documents[0] if publishes else None
        self.shop = await self.shops.enter_async_context(open_shop(access, document))
        self.shop.engine.books.clock = self.model.now  # else the first batch finds out, and reads its events again

    async def do(self, step: object) -> None:
        match step:
            case Clock(now=now):
                self.model.now = now
                await self.shop.rows("update program_clock set now = $1", now)
            case Publish(number=number):
                self.model.program = self.kit.program(number)
                await self.shop.publish(self.kit.documents[number])
            case Settle():
                await self.settle()
                await self.compare_states(list(self.model.customers))
            case Batch():
                await self.send(step)
            case _:
                raise AssertionError(step)

    async def settle(self) -> None:
        self.model.settle()
        while await self.shop.engine.settle():
            pass

    # Batches

    async def send(self, batch: Batch) -> None:
        for first, part in parts(batch.acts):
            expected = [self.model.judge(act) for act in part]
            raws = [self.raw(act) for act in part]
            outcomes = await (self.crash(raws) if batch.is_crash else self.shop.send(*raws))
            self.sent += len(part)
            for place, act in enumerate(part):
                outcome = outcomes[place]
                if isinstance(outcome, Applied | Duplicate) and act.reference and act.reference not in self.ids:
                    self.ids[act.reference] = outcome.record.id.partition("_")[2]
                self.compare(first + place, expected[place], outcome, is_crash=batch.is_crash)
        if self.step % 3 == 0:
            await self.settle()
        touched = {str(act.customer) for act in batch.acts} & set(self.model.customers)
        await self.compare_states(sorted(touched))

    def raw(self, act: Act) -> RawEvent:
        properties = dict(act.properties)
        for name, prefix in PREFIXES.items():
            if act.of is not None and act.type.startswith(("reservation_", "reward_")) and _names(act.type) == name:
                properties[name] = f"{prefix}_{self.ids.get(act.of, NOBODY)}"
        return RawEvent(
            customer=act.customer,
            type=act.type,
            reference=act.reference,
            occurred_at=None if act.occurred_at is None else act.occurred_at.isoformat(),
            properties=properties,
            is_command=act.is_command,
        )

    async def crash(self, raws: Sequence[RawEvent]) -> list[Outcome]:
        """The engine loses all it has while it works on the events; another one is sent them again."""
        sending = asyncio.ensure_future(self.shop.send(*raws))
        patience, limits.RETRY_SECONDS = limits.RETRY_SECONDS, 0.05  # type: ignore[misc]
        try:
            await asyncio.sleep(CRASH_SECONDS[self.step % len(CRASH_SECONDS)])
            self.proxy.die()
            await sending
        except Unreachable:
            pass
        finally:
            limits.RETRY_SECONDS = patience  # type: ignore[misc]
            await self.shops.aclose()
        await self.open()
        return await self.shop.send(*raws)

    # Comparing

    def differ(self, what: str, act: int = -1) -> Difference:
        return Difference(self.step, act, what)

    def compare(self, act: int, expected: Answer, outcome: Outcome, *, is_crash: bool) -> None:
        found = answer_of(outcome)
        if is_crash and {found.code, expected.code} == {"applied", "duplicate"}:
            found = Answer(**{**_fields(found), "code": expected.code})  # it was recorded before the crash
        wrong = [] if found.code == expected.code else [f"code: engine {found.code}, model {expected.code}"]
        if not wrong and expected.seq is not None:
            for name in _COMPARED:
                ours, theirs = getattr(expected, name), getattr(found, name)
                if ours != theirs and not (name == "awards" and ours is None):
                    wrong.append(f"{name}: engine {theirs}, model {ours}")
        if wrong:
            raise self.differ("; ".join(wrong), act)

    async def compare_states(self, names: Sequence[str]) -> None:
        found = await self._states(names)
        for name in names:
            customer, books = self.model.customers[name], self.model.books(name)
            expected: dict[str, object] = {"seq": customer.seq, "tier": customer.tier}
            for wallet in self.model.program.wallets:
                expected |= {f"{wallet} {state}": points for state, points in books.wallet(wallet).items()}
            told = found.get(name, {})
            wrong = [f"{key}: engine {told.get(key, 0)}, model {expected[key]}" for key in expected
                     if (told.get(key, 0) or None) != (expected[key] or None)]  # fmt: skip
            if wrong:
                raise self.differ(f"{name}: " + "; ".join(wrong))

    async def _states(self, names: Sequence[str]) -> dict[str, dict[str, object]]:
        rows = await self.shop.rows(
            "select i.external_id, c.seq, c.tier, b.* from identities i join customers c on c.id = i.customer_id"
            " left join balances b on b.customer_id = c.id where i.external_id = any($1::text[])",
            list(names),
        )
        found: dict[str, dict[str, object]] = {}
        for row in rows:
            state = found.setdefault(row["external_id"], {"seq": row["seq"], "tier": row["tier"]})
            if row["wallet"] is not None:
                state |= {f"{row['wallet']} {name}": row[name] for name in (*STATES, "qualifying")}
        return found

    async def finish(self) -> None:
        """All is applied; every movement and the books of the database are looked at."""
        await self.settle()
        await self.compare_states(list(self.model.customers))
        expected: dict[tuple[str, ...], int] = {}
        for name, customer in self.model.customers.items():
            for move in customer.moves:
                _add(expected, (name, move.wallet, move.source, move.target), move.points)
        found: dict[tuple[str, ...], int] = {}
        rows = await self.shop.rows(
            "select i.external_id, p.wallet, p.from_state, p.to_state, sum(p.points)::bigint as points"
            " from identities i join postings p on p.customer_id = i.customer_id group by 1, 2, 3, 4"
        )
        for row in rows:
            _add(found, (row["external_id"], row["wallet"], row["from_state"], row["to_state"]), row["points"])
        wrong = [f"{key}: engine {found.get(key, 0)}, model {expected.get(key, 0)}"
                 for key in sorted({*found, *expected}) if found.get(key, 0) != expected.get(key, 0)]  # fmt: skip
        if wrong:
            raise self.differ("movements: " + "; ".join(wrong))
        try:
            await check_books(self.shop.database)
        except AssertionError as broken:
            raise self.differ(f"books: {str(broken)[:2_000]}") from broken


def _add(sums: dict[tuple[str, ...], int], key: tuple[str, ...], points: int) -> None:
    """What went to and fro between two states counts once."""
    customer, wallet, source, target = key
    if source > target:
        source, target, points = target, source, -points
    sums[customer, wallet, source, target] = sums.get((customer, wallet, source, target), 0) + points


def _names(event_type: str) -> str:
    return "reservation" if event_type.startswith("reservation_") else "redemption"


def parts(acts: Sequence[Act]) -> list[tuple[int, list[Act]]]:
    """Calls in which no command names what an event of the same call makes: its id is not known before."""
    found: list[tuple[int, list[Act]]] = []
    made: set[str | None] = set()
    for place, act in enumerate(acts):
        if not found or (act.of is not None and act.of in made):
            found.append((place, []))
            made = set()
        found[-1][1].append(act)
        made.add(act.reference)
    return found


def answer_of(outcome: Outcome) -> Answer:
    if not isinstance(outcome, Applied | Duplicate):
        return Answer(code=code(outcome))
    record = outcome.record
    awards: dict[str, int] = {}
    for award in record.awards:
        awards[award.rule] = awards.get(award.rule, 0) + award.points
    return Answer(
        code=code(outcome),
        points=record.points,
        outcome=record.outcome,
        wallets=record.wallets,
        tier=record.tier["id"] if record.tier else None,
        seq=record.seq,
        awards=awards,
    )


def _fields(answer: Answer) -> Mapping[str, object]:
    return {name: getattr(answer, name) for name in ("code", *_COMPARED)}
