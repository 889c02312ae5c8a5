"""A receiver of webhooks on loopback: real HTTP, answers as it is told, and remembers what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


Answers = Callable[[Got], Awaitable[web.StreamResponse]]


async def accept(_: Got) -> web.StreamResponse:
    return web.Response(status=204)


@dataclass(slots=True, kw_only=True)
class Receiver:
    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: Answers = accept
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait(self, count: int, seconds: float = 30) -> list[Got]:
        """What came, once so many requests have."""
        async with asyncio.timeout(seconds), self.came:
            await self.came.wait_for(lambda: len(self.got) >= count)
        return self.got

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        got = Got(path=request.path, headers=dict(request.headers), body=await request.read())
        self.got.append(got)
        async with self.came:
            self.came.notify_all()
        return await self.answer(got)


def answering(*statuses: int, then: int = 200, **headers: str) -> Answers:
    """These statuses, one after the other, and then always the same."""
    left = list(statuses)

    async def answer(_: Got) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=left.pop(0) if left else then, text="hello", headers=named)

    return answer


async def hang(_: Got) -> web.StreamResponse:
    """No answer, until whoever asked goes away."""
    await asyncio.Event().wait()
    raise AssertionError


@asynccontextmanager
async def receiving(answer: Answers = accept) -> AsyncIterator[Receiver]:
    """A receiver until the context ends."""
    receiver = Receiver(answer=answer)
    runner = web.ServerRunner(web.Server(receiver.take), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    receiver.url = f"http://127.0.0.1:{port}/hooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()
