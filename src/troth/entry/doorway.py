"""The short way to the doors for events: one look-up instead of a router, for the addresses that take every load.

In: every HTTP request. Out: POST /v1/events and /v1/events/bulk go straight to their doors; everything else goes to
the application, which has the same doors at the same addresses, documents them, and refuses other methods there.
Must never: answer otherwise than the application would. What is unusual about a request is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from troth.api.answers import Answer
from troth.api.logging import set_route
from troth.api.problems import answer_to
from troth.entry.bulk import record_bulk
from troth.entry.events import EventDoor

Way = Callable[[Scope, Receive], Awaitable[Answer]]

_plain_host = re.compile(rb"[0-9A-Za-z.:\[\]-]*").fullmatch


class Doorway:
    """The application, its doors for events within reach."""

    __slots__ = ("_app", "_ways")

    def __init__(self, app: ASGIApp, door: EventDoor) -> None:
        self._app = app
        self._ways: dict[str, Way] = {"/v1/events": door.record, "/v1/events/bulk": partial(record_bulk, door)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._way(scope)
        if way is None:
            await self._app(scope, receive, send)
            return
        set_route(scope, scope["path"])
        try:
            answer = await way(scope, receive)
        except Exception as error:
            answer = answer_to(error, scope)
        await answer(scope, receive, send)

    def _way(self, scope: Scope) -> Way | None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
            return None
        way = self._ways.get(scope["path"])
        return way if way is not None and _is_ordinary(scope) else None


def _is_ordinary(scope: Scope) -> bool:
    """No header is repeated, no prefix stands before the path, and the host is a plain one."""
    given = list(scope["headers"])
    headers = dict(given)
    is_clear = len(headers) == len(given) and not scope.get("root_path")
    return is_clear and _plain_host(headers.get(b"host", b"")) is not None
