"""A source over a running server, and the parts of its door as another process would have them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from tests.serving import Served
from troth.api.metrics import Metrics
from troth.api.source_registry import Source, Sources
from troth.core.sources.kinds import Kind
from troth.engine import running_engine
from troth.entry.refusals import Refusals
from troth.entry.source_door import SourceDoor
from troth.entry.source_inbox import Inbox

COUNTERS = ("received", "accepted", "duplicates", "refused", "dropped", "waiting", "unsigned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A source, and its secrets."""

    id: str
    secrets: Mapping[str, str]


async def make_source(server: Served, kind: Kind, **asked: object) -> Made:
    """A source of this kind; `asked` are further fields of POST /v1/sources, `settings` above all."""
    answer = await server.post("/v1/sources", {"id": f"my-{kind}", "kind": kind, "name": kind, **asked})
    assert answer.status_code == 201, answer.text
    return Made(id=answer.json()["id"], secrets=answer.json()["secrets"])


async def counters(server: Served, source_id: str) -> dict[str, int]:
    """The counters that differ from 0."""
    shown = (await server.get(f"/v1/sources/{source_id}")).json()
    return {name: shown[name] for name in COUNTERS if shown[name]}


async def points_of(server: Served, customer: str) -> int:
    """The balance of the main wallet."""
    shown = (await server.get(f"/v1/customers/{customer}")).json()
    balance: int = shown["wallets"]["points"]["balance"]
    return balance


@asynccontextmanager
async def door_of(server: Served, source_id: str, kind: Kind) -> AsyncIterator[tuple[SourceDoor, Source]]:
    """The door in another process; what it counted is flushed at the end."""
    async with server.database.open_database() as database, running_engine(database, server.vault) as engine:
        door = SourceDoor(
            pipeline=engine.batcher,
            sources=Sources(database, server.vault),
            refusals=Refusals(database, server.vault),
            inbox=Inbox(database=database, vault=server.vault),
            metrics=Metrics(),
        )
        source = await door.sources.by_id(source_id, kind)
        assert source is not None
        yield door, msgspec.structs.replace(source)
        await door.sources.flush()
        await door.refusals.flush()
