"""The link between a process and one that it started: whole messages, both ways, over a socket pair.

In and out: values of our own types, pickled behind their length. The other end of a link is always this very program,
started by us; nothing that came from outside decides what is unpickled. A link that closes says that the other one
has ended, however that came.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
from typing import Self

_LENGTH_BYTES = 4
_BUFFER_BYTES = 1 << 20


class Link:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Self:
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_BUFFER_BYTES))

    def send(self, message: object) -> None:
        """Put a message on its way, at once and behind those before it. To one who has ended it is lost."""
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._writer.write(len(body).to_bytes(_LENGTH_BYTES) + body)

    async def receive(self) -> object | None:
        """The next message; None: the other one has closed the link, or ended."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES))
            return pickle.loads(await self._reader.readexactly(size))  # type: ignore[no-any-return]  # noqa: S301
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def close(self) -> None:
        """What was sent is delivered first."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
