"""Cross-origin requests of browsers (the Fetch standard's CORS), for the addresses where publishable keys send events.

A preflight carries no key, so it is answered for every origin; whether an origin may send is judged with the key.
At the Segment-compatible addresses it is refused while no source has a key for browsers.
"""

from __future__ import annotations

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from troth.api.auth import caller_of
from troth.api.problems import ProblemError, problem_answer
from troth.api.source_registry import Sources

SEGMENT_CALLS = ("track", "identify", "page", "screen", "group", "alias", "batch")
SEGMENT_SHORT = tuple(call[0] for call in SEGMENT_CALLS)  # as the browser library calls them
SEGMENT_ADDRESSES = frozenset(f"/v1/{call}" for call in (*SEGMENT_CALLS, *SEGMENT_SHORT))
BROWSERS_REFUSED = "browsers_refused"
_ADDRESSES = frozenset({"/v1/events", "/v1/events/bulk"}) | SEGMENT_ADDRESSES
_ALLOWED_HEADERS = b"authorization, content-type, idempotency-key, x-api-key, x-retry-count"
_ALLOWED = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", _ALLOWED_HEADERS),
    (b"access-control-max-age", b"7200"),
    (b"vary", b"Origin"),
]


class Browsers:
    """The application, readable for the browsers that publishable keys allow."""

    __slots__ = ("_app", "_sources")

    def __init__(self, app: ASGIApp, sources: Sources) -> None:
        self._app = app
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"] not in _ADDRESSES:
            await self._app(scope, receive, send)
            return
        origin = dict(scope["headers"]).get(b"origin")
        if origin is None:
            await self._app(scope, receive, send)
        elif scope["method"] != "OPTIONS":
            await self._app(scope, receive, _readable_by(origin, scope, send))
        elif scope["path"] in SEGMENT_ADDRESSES and not await self._has_public_source():
            await problem_answer(browsers_refused(), scope)(scope, receive, send)
        else:
            await _answer_preflight(origin, send)

    async def _has_public_source(self) -> bool:
        return any(source.settings.is_public for source in await self._sources.of_kind("segment"))


def browsers_refused() -> ProblemError:
    """A browser came with a server's write key, or where there is none for browsers."""
    detail = 'Servers alone use this write key; pages have a source of their own, with "browsers": "only".'
    return ProblemError(403, BROWSERS_REFUSED, detail)


async def _answer_preflight(origin: bytes, send: Send) -> None:
    headers = [(b"access-control-allow-origin", origin), *_ALLOWED]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _readable_by(origin: bytes, scope: Scope, send: Send) -> Send:
    """`send`, letting the browser read the answer to a publishable key."""

    async def send_readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            caller = caller_of(scope)
            tells_nothing = scope["path"] in SEGMENT_ADDRESSES
            if tells_nothing or (caller is not None and caller.is_publishable):
                marks = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
                message["headers"] = [*message.get("headers", ()), *marks]
        await send(message)

    return send_readable
