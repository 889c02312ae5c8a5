"""A proxy before the server that cuts answers: the request arrives, is recorded, and nobody is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(kw_only=True)
class Cutter:
    """The next `cuts` answers are cut; `cut` of them have been."""

    host: str
    port: int
    cuts: int
    cut: int = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours, out = await asyncio.open_connection(self.host, self.port)
        there = asyncio.create_task(_copy(reader, out))
        with suppress(OSError):
            while chunk := await ours.read(1 << 16):
                if self.cuts:
                    self.cuts -= 1
                    self.cut += 1
                    break
                writer.write(chunk)
                await writer.drain()
        for end in (writer, out):
            end.transport.abort()
        there.cancel()
        with suppress(asyncio.CancelledError):
            await there


async def _copy(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(1 << 16):
            out.write(chunk)
            await out.drain()


@asynccontextmanager
async def cutter_before(address: str, cuts: int) -> AsyncIterator[tuple[Cutter, str]]:
    """The proxy, and the address that leads through it."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    assert parts.port is not None
    cutter = Cutter(host=parts.hostname, port=parts.port, cuts=cuts)
    listener = await asyncio.start_server(cutter.accept, "127.0.0.1", 0)
    try:
        yield cutter, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
