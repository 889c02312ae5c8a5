"""Probes: is the process alive, can it serve, what does it measure. None of them needs a key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.response.base import ASGIResponse

from troth.api.answers import Answer
from troth.api.metrics import Metrics
from troth.api.openapi import documented
from troth.api.problems import ProblemError

READY_SECONDS = 2
_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Status(msgspec.Struct, frozen=True):
    """The state of this process."""

    status: str  # live or ready


_PROBE = documented(answers={200: Status}, needs_key=False)
_TEXT = documented(answers={200: str}, needs_key=False)

Probe = Callable[[], Awaitable[None]]  # raises when the database does not answer


class Readiness:
    """Whether new requests may be sent here: after the start, before the stop, while the database answers."""

    __slots__ = ("_probe", "is_stopping")

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.is_stopping = False

    async def check(self) -> str | None:
        """None when ready, otherwise the reason."""
        if self.is_stopping:
            return "The server is stopping."
        try:
            await asyncio.wait_for(self._probe(), READY_SECONDS)
        except Exception:  # whatever the driver raises, the answer is the same
            return "The database does not answer."
        return None


@get("/health/live", tags=["Operations"], summary="Is the process alive", opt=_PROBE)
async def live() -> ASGIResponse:
    """200 as long as the process answers."""
    return Answer(200, b'{"status":"live"}')


@get("/health/ready", tags=["Operations"], summary="Can the process serve", opt=_PROBE)
async def ready(request: Request[object, object, State]) -> ASGIResponse:
    """200 when requests can be served; 503 while starting, stopping or without a database."""
    reason = await cast("Readiness", request.app.state["readiness"]).check()
    if reason is not None:
        raise ProblemError(503, "not_ready", reason, headers={"Retry-After": "1"})
    return Answer(200, b'{"status":"ready"}')


@get("/metrics", tags=["Operations"], summary="Measurements for Prometheus", opt=_TEXT)
async def metrics(request: Request[object, object, State]) -> ASGIResponse:
    """Events by outcome, latencies, batch sizes, queues, webhooks."""
    measured = cast("Metrics", request.app.state["metrics"])
    await measured.ask()
    return Answer(200, measured.exposition(), media_type=_METRICS_TYPE)
