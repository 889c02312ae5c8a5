"""A proxy between the engine and PostgreSQL that loses what it is told to lose, on a Unix socket of its own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

Loss = Literal["answer cut", "answer swallowed", "request cut"]
COMMIT = b"commit\0"  # the text of a simple query, as asyncpg sends it


@dataclass(kw_only=True)
class Proxy:
    """`losses` happen to the next COMMITs, one each, None lets one through; a dead proxy accepts nobody."""

    folder: Path  # what a connection URL names as its host
    server: Path
    request: bytes = COMMIT  # whose losses they are
    losses: list[Loss | None] = field(default_factory=list)
    lost: list[Loss] = field(default_factory=list)
    is_dead: bool = False
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_dead:
            writer.close()
            return
        ours = await asyncio.open_unix_connection(str(self.server))
        self.open |= {writer, ours[1]}
        answers = asyncio.create_task(self._forward_answers(ours[0], writer))
        with suppress(OSError):
            await self._forward_requests(reader, ours[1], answers)
        for end in (writer, ours[1]):
            end.close()
        with suppress(asyncio.CancelledError):
            await answers

    async def _forward_requests(
        self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, answers: asyncio.Task[None]
    ) -> None:
        while chunk := await reader.read(1 << 16):
            loss = self.losses.pop(0) if self.request in chunk and self.losses else None
            if loss == "request cut":
                self.lost.append(loss)
                return
            if loss is not None:
                self.lost.append(loss)
                answers.cancel()  # nothing of what follows reaches the engine
                with suppress(asyncio.CancelledError):
                    await answers
            out.write(chunk)
            await out.drain()
            if loss == "answer cut":
                await asyncio.sleep(0.05)  # the server has it
                return

    async def _forward_answers(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(1 << 16):
                out.write(chunk)
                await out.drain()
            out.close()

    def die(self) -> None:
        self.is_dead = True
        self.cut()

    def cut(self) -> None:
        """End every connection; new ones are welcome."""
        for writer in self.open:
            writer.transport.abort()
        self.open.clear()


@asynccontextmanager
async def proxy_before(dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    """The proxy, and the URL that leads through it."""
    host = parse_qs(urlsplit(dsn).query)["host"][0]
    with tempfile.TemporaryDirectory(prefix="troth-proxy-") as name:
        proxy = Proxy(folder=Path(name), server=Path(host) / ".s.PGSQL.5432")
        listener = await asyncio.start_unix_server(proxy.accept, str(proxy.folder / ".s.PGSQL.5432"))
        try:
            yield proxy, dsn.replace(f"host={host}", f"host={proxy.folder}")
        finally:
            listener.close()
            proxy.die()
            await asyncio.sleep(0)
