"""The only file that knows all parts: pool, pipeline, doors and reads become one HTTP application.

In: the parts of a running server. Out: an ASGI application, and the OpenAPI document of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp, ControllerRouterHandler

from troth.api import docs, health
from troth.api.auth import Access
from troth.api.browsers import Browsers
from troth.api.health import Readiness
from troth.api.metrics import Metrics
from troth.api.observed import Observed
from troth.api.openapi import describe, openapi_config
from troth.api.problems import exception_handlers
from troth.entry import bulk, events
from troth.entry.events import EventDoor, Pipeline
from troth.store.pool import Database

DOORS: Sequence[ControllerRouterHandler] = (events.record_event, events.preview_event, bulk.record_events)
READS: Sequence[ControllerRouterHandler] = ()
OPERATIONS: Sequence[ControllerRouterHandler] = (
    health.live,
    health.ready,
    health.metrics,
    docs.openapi,
    docs.docs,
    docs.docs_script,
    docs.docs_style,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a running server is made of."""

    database: Database
    pipeline: Pipeline
    access: Access
    metrics: Metrics
    readiness: Readiness


def build_app(parts: Parts) -> ASGIApp:
    """The whole application, observed."""
    state = State(
        {
            "access": parts.access,
            "database": parts.database,
            "events": EventDoor(parts.pipeline, parts.access, parts.metrics),
            "metrics": parts.metrics,
            "readiness": parts.readiness,
            "openapi": openapi_document,
        }
    )
    return Observed(Browsers(_litestar(state)), parts.metrics)


@cache
def openapi_document() -> bytes:
    """The OpenAPI 3.1 document, as /openapi.json serves it and the repository keeps it."""
    return describe(_litestar(State(), described=True))


def _litestar(state: State, *, described: bool = False) -> Litestar:
    return Litestar(
        route_handlers=[*DOORS, *READS, *OPERATIONS],
        exception_handlers=exception_handlers(),
        openapi_config=openapi_config() if described else None,
        logging_config=None,
        state=state,
    )
