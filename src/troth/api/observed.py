"""Every request observed: an id in its answer, its duration measured, one line in the log.

Pure ASGI, around the whole application. Must never: buffer, change a body, or fail a request by itself.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import cast

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from troth.api.auth import caller_of
from troth.api.logging import describe_fault, logger, name_request, request_log, route_of
from troth.api.metrics import Metrics
from troth.api.problems import MEDIA_TYPE, ProblemError

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_SERVER_FAULT = 500


class Observed:
    """The application, observed."""

    __slots__ = ("_app", "_log", "_metrics")

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = request_log()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        name = name_request(scope)
        mark = (b"x-request-id", name.encode("ascii"))
        started_at = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), mark]
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except Exception as error:  # the last net: the caller gets an answer, the log the fault
            logger().error("request failed", request_id=name, **describe_fault(error))
            if not status:
                await _send_fault(name, send_marked)
        self._note(scope, name, status or _SERVER_FAULT, time.perf_counter() - started_at)

    def _note(self, scope: HTTPScope, name: str, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        place = (route_of(scope), method, status)
        self._metrics.observe_request(place, seconds)
        caller = caller_of(scope)
        self._log.add(name, place, seconds, caller.key_id if caller is not None else None)


async def _send_fault(name: str, send: Send) -> None:
    body = msgspec.json.encode(
        ProblemError(_SERVER_FAULT, "internal_error", "Troth failed on this request.").document(name)
    )
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": _SERVER_FAULT, "headers": headers}
    await send(cast("Message", cast("MutableMapping[str, object]", start)))
    await send({"type": "http.response.body", "body": body, "more_body": False})
