"""The only file that knows all parts: pool, pipeline, doors and reads become one HTTP application.

In: the parts of a running server. Out: an ASGI application, and the OpenAPI document of it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp, ControllerRouterHandler

from troth.api import (
    clock,
    codes,
    customers,
    docs,
    events,
    exports,
    health,
    imports,
    orders,
    program,
    program_draft,
    program_items,
    rejections,
    sources,
    spending,
    webhook_deliveries,
    webhooks,
)
from troth.api.auth import Access
from troth.api.browsers import Browsers
from troth.api.export_asked import Terms
from troth.api.health import Readiness
from troth.api.keys import open_secret
from troth.api.metrics import Metrics
from troth.api.observed import Observed
from troth.api.openapi import describe, openapi_config
from troth.api.problems import exception_handlers
from troth.api.reading import Reading
from troth.api.source_registry import Sources
from troth.api.webhook_wire import Permitted
from troth.config import Config
from troth.core.program import Program
from troth.core.rules import RuleBook
from troth.core.topics import TOPICS
from troth.embedded.access import DatabaseAccess
from troth.engine import Engine, running_engine
from troth.entry import (
    adjustments,
    bulk,
    commands,
    hook_looks,
    hooks,
    import_templates,
    redemptions,
    replays,
    reservations,
    segment,
    tier_command,
)
from troth.entry import events as doors
from troth.entry import imports as import_door
from troth.entry.antavo import door as antavo
from troth.entry.antavo.closed import Closed
from troth.entry.doorway import Doorway
from troth.entry.events import EventDoor, Pipeline
from troth.entry.hook_payloads import Payloads
from troth.entry.imports import ImportDoor
from troth.entry.order_inbox import OrderInbox
from troth.entry.refusals import Refusals
from troth.entry.source_door import SourceDoor
from troth.entry.source_inbox import Inbox
from troth.jobs import running_jobs
from troth.outbox.measures import Measures
from troth.outbox.messages import data_type
from troth.pipeline.batcher import Batcher
from troth.starter import starter_document
from troth.store.files import FileStore
from troth.store.keys import KeyRecord, Mode, any_personal_key, find_key
from troth.store.pool import Database
from troth.store.programs import Signature, ensure_program
from troth.store.vault import Vault
from troth.worker import delivering, expiring, keeping, revisiting, settling

DOORS: Sequence[ControllerRouterHandler] = (
    doors.record_event,
    doors.preview_event,
    bulk.record_events,
    commands.create_customer,
    commands.change_customer,
    *adjustments.HANDLERS,
    *reservations.HANDLERS,
    *redemptions.HANDLERS,
    *tier_command.HANDLERS,
    *import_door.HANDLERS,
    *import_templates.HANDLERS,
    *replays.HANDLERS,
    *hooks.HANDLERS,
    *hook_looks.HANDLERS,
    *segment.HANDLERS,
    *antavo.HANDLERS,
)
READS: Sequence[ControllerRouterHandler] = (
    *events.HANDLERS,
    *customers.HANDLERS,
    *spending.HANDLERS,
    *orders.HANDLERS,
    *program.HANDLERS,
    *program_draft.HANDLERS,
    *program_items.HANDLERS,
    *codes.HANDLERS,
    *exports.HANDLERS,
    *imports.HANDLERS,
    *sources.HANDLERS,
    *rejections.HANDLERS,
    *webhooks.HANDLERS,
    *webhook_deliveries.HANDLERS,
)
OPERATIONS: Sequence[ControllerRouterHandler] = (
    health.live,
    health.ready,
    health.metrics,
    *clock.HANDLERS,
    docs.openapi,
    docs.docs,
    docs.docs_script,
    docs.docs_style,
)


Jobs = Callable[[Engine], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a running server is made of."""

    mode: Mode
    database: Database
    pipeline: Pipeline
    access: Access
    metrics: Metrics
    reading: Reading
    readiness: Readiness
    imports: ImportDoor
    sources: Sources
    refusals: Refusals
    webhooks: Permitted
    export_terms: Terms
    payloads: Payloads

    @property
    def source_door(self) -> SourceDoor:
        return SourceDoor(
            pipeline=self.pipeline,
            sources=self.sources,
            refusals=self.refusals,
            inbox=Inbox(database=self.database, vault=self.reading.vault),
            metrics=self.metrics,
        )


@asynccontextmanager
async def running_app(
    config: Config, database_access: DatabaseAccess, vault: Vault, jobs: Jobs = running_jobs
) -> AsyncIterator[tuple[ASGIApp, Readiness]]:
    """The application over a prepared database. Events taken in are settled before the context ends.

    `jobs`: what runs them, if this process is to.
    """
    async with database_access.open_database(
        connections=config.read_connections, statement_seconds=config.statement_seconds
    ) as database:
        await _check_vault(database, vault)
        await _begin_program(database)
        async with running_engine(
            database,
            vault,
            lanes=config.lanes,
            queue_events=config.queue_events,
            demands_signatures=config.mode == "production",
            keep_files=timedelta(days=config.file_days),
        ) as engine:
            parts = _parts(config, engine)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(
                    keeping((parts.sources.flush, parts.refusals.flush, parts.payloads.flush))
                )
                await stack.enter_async_context(revisiting(OrderInbox(door=parts.source_door).revisit))
                if config.settles:
                    await stack.enter_async_context(settling(engine))
                    await stack.enter_async_context(expiring(database))
                if config.runs_jobs:
                    await stack.enter_async_context(jobs(engine))
                if config.delivers:
                    await stack.enter_async_context(delivering(engine, config))
                yield build_app(parts), parts.readiness


def build_app(parts: Parts) -> ASGIApp:
    """The whole application, observed."""
    door = EventDoor(parts.pipeline, parts.access, parts.metrics, reading=parts.reading, refusals=parts.refusals)
    state = State(
        {
            "access": parts.access,
            "database": parts.database,
            "events": door,
            "export_terms": parts.export_terms,
            "metrics": parts.metrics,
            "mode": parts.mode,
            "reading": parts.reading,
            "readiness": parts.readiness,
            "refusals": parts.refusals,
            "source_door": parts.source_door,
            "sources": parts.sources,
            "webhooks": parts.webhooks,
            "openapi": openapi_document,
            "imports": parts.imports,
            "payloads": parts.payloads,
        }
    )
    return Observed(Browsers(Doorway(Closed(_litestar(state), parts.sources), door), parts.sources), parts.metrics)


@cache
def openapi_document() -> bytes:
    """The OpenAPI 3.1 document, as /openapi.json serves it and the repository keeps it."""
    messages = {topic: (meaning, data_type(topic)) for topic, meaning in TOPICS.items()}
    return describe(_litestar(State(), is_described=True), messages)


def _litestar(state: State, *, is_described: bool = False) -> Litestar:
    return Litestar(
        route_handlers=[*DOORS, *READS, *OPERATIONS],
        exception_handlers=exception_handlers(),
        openapi_config=openapi_config() if is_described else None,
        logging_config=None,
        state=state,
    )


async def _check_vault(database: Database, vault: Vault) -> None:
    """A wrong or lost master key is told before anything is sealed with it. Raises MasterKeyError."""
    async with database.pool.acquire() as connection:
        found = await any_personal_key(connection)
    if found is not None:
        vault.open_key(*found)


async def _begin_program(database: Database) -> None:
    """A new installation begins with the starter program."""
    signature = Signature(author="troth", published_at=datetime.now(UTC), note="starter program")
    async with database.pool.acquire() as connection:
        await ensure_program(connection, starter_document(), signature)


def _parts(config: Config, engine: Engine) -> Parts:
    database, mode = engine.database, config.mode

    async def find(key_hash: bytes) -> KeyRecord | None:
        async with database.pool.acquire() as connection:
            return await find_key(connection, key_hash)

    async def book_at(revision: int) -> RuleBook:
        return (await engine.books.at(revision)).rules

    async def probe() -> None:
        async with database.pool.acquire() as connection:
            await connection.fetchval("select 1")

    metrics, refusals = Metrics(), Refusals(database, engine.vault)
    metrics.watch(lambda: _readings(engine.batcher, refusals))
    outbox = Measures(database=database)
    metrics.ask_first(outbox.look)
    metrics.watch(outbox.readings)
    return Parts(
        mode=mode,
        database=database,
        pipeline=engine.batcher,
        access=Access(find, mode, partial(open_secret, engine.vault)),
        metrics=metrics,
        reading=Reading(database=database, vault=engine.vault, book_at=book_at),
        readiness=Readiness(probe),
        imports=_import_door(config, engine),
        sources=Sources(database, engine.vault),
        refusals=refusals,
        payloads=Payloads(database, engine.vault),
        webhooks=Permitted(private=config.webhooks_private, plain=config.webhooks_private or mode == "development"),
        export_terms=Terms(keep_days=config.export_days, margin_seconds=config.export_margin_seconds),
    )


def _import_door(config: Config, engine: Engine) -> ImportDoor:
    async def program() -> Program:
        return (await engine.books.live()).rules.program

    return ImportDoor(
        files=FileStore(database=engine.database, vault=engine.vault),
        pipeline=engine.batcher,
        program=program,
        bytes_max=config.import_mb << 20,
        keep=engine.keep_files,
    )


def _readings(batcher: Batcher, refusals: Refusals) -> Mapping[str, tuple[float, str]]:
    done = batcher.statistics
    return {
        "waiting_events": (batcher.waiting_events, "Events in the queues of the lanes."),
        "batches_total": (done.batches, "Transactions of the pipeline."),
        "batch_events_total": (done.events, "Events in those transactions; divided by them, the size of a batch."),
        "batch_seconds_total": (done.seconds, "Time those transactions took."),
        "rejections_lost_total": (refusals.lost, "Refused events that could not be kept, since too many came at once."),
    }


if __name__ == "__main__":  # python -m troth.app > openapi.json
    sys.stdout.buffer.write(openapi_document())
