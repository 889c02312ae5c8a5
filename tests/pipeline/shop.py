"""A shop on a real database: a running engine, short ways to send events, and what the tables then hold."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from troth.core.program.edit import Publication, replace_document
from troth.core.record import RecordedEvent, encode_answer
from troth.embedded.access import DatabaseAccess
from troth.engine import Engine, running_engine
from troth.pipeline.ingest import Companion
from troth.pipeline.outcome import Applied, Conflict, Duplicate, Outcome, RawEvent, Rejected
from troth.store.pool import Database
from troth.store.programs import Signature, publish
from troth.store.vault import Vault

VAULT = Vault(b"k" * 32)

PURCHASE: Mapping[str, object] = {
    "id": "purchase",
    "properties": {
        "amount": {"type": "number", "places": "2", "min": "0", "required": True},
        "category": {"type": "text"},
        "note": {"type": "text"},
        "email": {"type": "text", "pii": True},
    },
}
SIGNUP: Mapping[str, object] = {"id": "signup", "once": True}
BASE: Mapping[str, object] = {"id": "base", "event_type": "purchase", "award": "properties.amount"}


def document(*rules: Mapping[str, object], **sections: object) -> dict[str, object]:
    """A program with `purchase` and `signup`; one point per unit unless rules are given."""
    whole: dict[str, object] = {
        "settings": {"name": "Shop"},
        "wallets": [{"id": "points"}],
        "event_types": [PURCHASE, SIGNUP],
        "rules": list(rules) or [BASE],
    }
    return {**whole, **sections}


def purchase(customer: object, amount: object = "10", reference: object = None, **fields: object) -> RawEvent:
    """A purchase; `properties` beside the amount may be given whole."""
    properties = {"amount": amount, **dict(fields.pop("properties", {}))}  # type: ignore[call-overload]
    return RawEvent(customer=customer, type="purchase", reference=reference, properties=properties, **fields)


def signup(customer: object, reference: object = None) -> RawEvent:
    return RawEvent(customer=customer, type="signup", reference=reference)


def code(outcome: Outcome) -> str:
    """What became of an event, in one word: applied, duplicate, payload_mismatch, or the first problem's code."""
    match outcome:
        case Applied():
            return "applied"
        case Duplicate(payload_mismatch=is_other):
            return "payload_mismatch" if is_other else "duplicate"
        case Conflict(problem=problem):
            return problem.code
        case Rejected(problems=problems):
            return problems[0].code


def codes(outcomes: Sequence[Outcome]) -> list[str]:
    return [code(outcome) for outcome in outcomes]


def record(outcome: Outcome) -> RecordedEvent:
    assert isinstance(outcome, Applied | Duplicate), outcome
    return outcome.record


def answer(outcome: Outcome) -> dict[str, object]:
    """The answer's JSON, without `duplicate`."""
    found: dict[str, object] = json.loads(encode_answer(record(outcome), duplicate=isinstance(outcome, Duplicate)))
    assert found.pop("duplicate") is isinstance(outcome, Duplicate)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """One engine and the tables behind it."""

    database: Database
    engine: Engine

    async def send(self, *events: RawEvent, companion: Companion | None = None) -> list[Outcome]:
        """One ingest call."""
        return await self.engine.batcher.ingest(events, companion)

    async def one(self, event: RawEvent) -> Outcome:
        (outcome,) = await self.send(event)
        return outcome

    async def publish(self, source: Mapping[str, object]) -> None:
        """Make this the live program, as another process would: this engine is not told."""
        await publish_document(self.database, source)

    async def rows(self, statement: str, *parameters: object) -> list[asyncpg.Record]:
        async with self.database.pool.acquire() as connection:
            return list(await connection.fetch(statement, *parameters))

    async def count(self, table: str) -> int:
        ((found,),) = await self.rows(f"select count(*) from {table}")
        return int(found)

    async def points(self, customer: str) -> dict[str, int]:
        """Per wallet what is available, as the cache says."""
        found = await self.rows(
            "select b.wallet, b.available from identities i join balances b on b.bucket = i.customer_bucket"
            " and b.customer_id = i.customer_id where i.external_id = $1",
            customer,
        )
        return {row["wallet"]: row["available"] for row in found}

    async def balance(self, customer: str) -> int:
        return (await self.points(customer)).get("points", 0)

    async def posted(self) -> int:
        """Points of all postings out of the program."""
        ((found,),) = await self.rows("select coalesce(sum(points), 0) from postings where from_state = 'program'")
        return int(found)


async def publish_document(database: Database, source: Mapping[str, object]) -> None:
    async with database.pool.acquire() as connection:
        signature = Signature(author="test", published_at=datetime.now(UTC))
        decision = await publish(connection, replace_document(dict(source), expected=None), signature)
    assert isinstance(decision, Publication), decision


@asynccontextmanager
async def open_shop(
    access: DatabaseAccess, source: Mapping[str, object] | None, *, lanes: int = 2, queue_events: int = 20_000
) -> AsyncIterator[Shop]:
    """An engine on this database; `source` becomes its program, None: the one that is there."""
    async with access.open_database(connections=4) as database:
        if source is not None:
            await publish_document(database, source)
        async with running_engine(database, VAULT, lanes=lanes, queue_events=queue_events) as engine:
            yield Shop(database=database, engine=engine)
