"""The addresses of the Antavo-compatible door while no source of that kind is open: as if they had never been.

In: every request that no shorter way took. Out: 404, as for any unknown address and whatever the method; else the
application's answer. Must never: take an address under /v1.
"""

from __future__ import annotations

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from troth.api.problems import nothing_here, problem_answer
from troth.api.source_registry import Sources

_FIRST = frozenset({"events", "customers"})  # nothing else begins with these


class Closed:
    """The application, without that door's addresses while nobody uses them."""

    __slots__ = ("_app", "_sources")

    def __init__(self, app: ASGIApp, sources: Sources) -> None:
        self._app = app
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not _is_of_the_door(scope) or await self._sources.of_kind("antavo"):
            await self._app(scope, receive, send)
        else:
            await problem_answer(nothing_here(), scope)(scope, receive, send)


def _is_of_the_door(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.lstrip("/").partition("/")[0] in _FIRST
