"""A stored file as an answer, as a server of ASGI takes it: piece by piece, and no further when the client has gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.pipeline.shop import VAULT
from troth import limits
from troth.api.file_answers import FileAnswer
from troth.embedded.access import DatabaseAccess
from troth.store.files import FileStore, NewFile

PIECES = 20
CONTENT = os.urandom(PIECES * 100)


@pytest.fixture
async def files(database: DatabaseAccess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FileStore]:
    monkeypatch.setattr(limits, "FILE_PIECE_BYTES", 100)
    async with database.open_database() as opened:
        yield FileStore(database=opened, vault=VAULT)


async def content() -> AsyncIterator[bytes]:
    yield CONTENT


async def answered(files: FileStore, leaves_after: int) -> list[bytes]:
    """The parts that were sent to a client that leaves after so many."""
    new = NewFile(name='a "ä".csv', media_type="text/csv", created_at=datetime.now(UTC), created_by="key")
    file = await files.put(new, content(), bytes_max=1 << 20)
    sent: list[Any] = []
    gone = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > leaves_after:
            gone.set()
        await asyncio.sleep(0)

    async def receive() -> Any:
        if not sent:
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    await FileAnswer(files, file)({}, receive, send)  # type: ignore[arg-type]
    headers = dict(sent[0]["headers"])
    assert headers[b"content-disposition"] == b"attachment; filename*=UTF-8''a%20%22%C3%A4%22.csv"
    assert headers[b"content-length"] == b"%d" % len(CONTENT)
    return [message["body"] for message in sent[1:]]


async def test_it_is_sent_piece_by_piece(files: FileStore) -> None:
    parts = await answered(files, leaves_after=1_000)
    assert [len(part) for part in parts] == [100] * PIECES + [0]
    assert b"".join(parts) == CONTENT


async def test_nothing_is_read_for_a_client_that_has_gone(files: FileStore) -> None:
    parts = await answered(files, leaves_after=3)
    assert 3 <= len(parts) < PIECES / 2
