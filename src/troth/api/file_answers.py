"""A stored file as an answer: sent a piece at a time, so that memory holds one piece however large the file is.

Each piece is read when the one before it has been taken, and none for a client that has gone; no connection of the
database is held meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Self
from urllib.parse import quote

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from troth.store.files import FileStore, StoredFile


class FileAnswer(ASGIResponse):
    """A complete file to be saved under its name. `Repr-Digest` (RFC 9530) holds its SHA-256."""

    def __init__(self, files: FileStore, file: StoredFile) -> None:
        self._files = files
        self._file = file

    def to_asgi_response(self, **_: object) -> Self:
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(_leaving(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers()})
            async for part in self._files.read(self._file):
                if leaving.done():
                    return
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()

    def _headers(self) -> list[tuple[bytes, bytes]]:
        file = self._file
        assert file.size is not None, "complete"
        assert file.sha256 is not None, "complete"
        return [
            (b"content-type", file.media_type.encode()),
            (b"content-length", b"%d" % file.size),
            (b"content-disposition", f"attachment; filename*=UTF-8''{quote(file.name)}".encode()),
            (b"x-content-sha256", file.sha256.hex().encode()),
            (b"repr-digest", b"sha-256=:" + base64.b64encode(file.sha256) + b":"),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"private, no-store"),
        ]


async def _leaving(receive: Receive) -> None:
    """Ends when the client has gone: servers take what is sent to nobody without a word."""
    while (await receive())["type"] != "http.disconnect":
        pass
