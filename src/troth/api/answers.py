"""Answers whose bytes are ready: a status, a body and a few headers, sent as they are.

Must never: encode, compress or copy. What costs time is done before, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

JSON = b"application/json"
_NO_CONTENT = 204
Header = tuple[bytes, bytes]


class Answer(ASGIResponse):
    """A finished answer. Handlers name ASGIResponse as their return type, so that Litestar sends it untouched.

    A handler that answers 204 is declared with status_code=200, since Litestar lets no such handler return anything.
    """

    def __init__(self, status: int, body: bytes, *, media_type: bytes = JSON, headers: Iterable[Header] = ()) -> None:
        self.status_code = status
        self.body = body
        self.media_type = media_type
        self.extra_headers = headers

    def to_asgi_response(self, **_: object) -> Self:
        """What Litestar asks the answer of an exception handler for."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.extra_headers]
        if self.status_code != _NO_CONTENT:
            headers += ((b"content-type", self.media_type), (b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})
