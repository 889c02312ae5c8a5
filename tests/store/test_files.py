"""Files in a real database: what goes in comes out, sealed in between, in pieces, from any place on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from tests.pipeline.shop import VAULT
from troth import limits
from troth.store.files import FileStore, FileTooLargeError, NewFile, StoredFile, drop_expired

NOW = datetime.now(UTC)
NEW = NewFile(name="orders.csv", media_type="text/csv", created_at=NOW, created_by="key", keep=timedelta(days=9))
PIECE = limits.FILE_PIECE_BYTES


@pytest.fixture
async def store(database) -> AsyncIterator[FileStore]:
    async with database.open_database() as opened:
        yield FileStore(database=opened, vault=VAULT)


async def parts_of(content: bytes, size: int) -> AsyncIterator[bytes]:
    for first in range(0, len(content), size):
        yield content[first : first + size]


async def put(store: FileStore, content: bytes, **limits_given: int) -> StoredFile:
    return await store.put(NEW, parts_of(content, 70_000), bytes_max=limits_given.get("bytes_max", 1 << 30))


async def read(store: FileStore, file: StoredFile, place: int = 0) -> bytes:
    return b"".join([part async for part in store.read(file, place)])


async def rows(store: FileStore, statement: str) -> list[tuple[object, ...]]:
    async with store.database.pool.acquire() as connection:
        return [tuple(row) for row in await connection.fetch(statement)]


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 2 * PIECE + 99])
async def test_what_goes_in_comes_out(store: FileStore, size: int) -> None:
    content = os.urandom(size)
    file = await put(store, content)
    assert (file.size, file.sha256, file.name) == (size, sha256(content).digest(), "orders.csv")
    assert await store.find(file.id) == file
    assert await read(store, file) == content
    assert [row[0] for row in await rows(store, "select size from file_pieces")] == [
        min(PIECE, size - first) for first in range(0, size, PIECE)
    ]


async def test_it_is_read_from_any_place(store: FileStore) -> None:
    content = os.urandom(2 * PIECE + 50)
    file = await put(store, content)
    for place in (1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 49, 2 * PIECE + 50):
        assert await read(store, file, place) == content[place:]


async def test_nothing_lies_in_clear_and_a_piece_cannot_be_moved(store: FileStore) -> None:
    file = await put(store, b"ada@example.com" * 100_000)
    (sealed, *_) = (row[0] for row in await rows(store, "select content from file_pieces order by place"))
    assert b"ada@example.com" not in sealed
    async with store.database.pool.acquire() as connection:
        await connection.execute("update file_pieces set content = $1, size = $2 where place > 0", sealed, PIECE)
    with pytest.raises(Exception, match=r"^$"):  # InvalidTag says nothing
        await read(store, file, PIECE)


async def test_what_is_too_large_is_refused_and_not_kept(store: FileStore) -> None:
    await put(store, bytes(PIECE + 5), bytes_max=PIECE + 5)
    with pytest.raises(FileTooLargeError):
        await put(store, bytes(PIECE + 6), bytes_max=PIECE + 5)
    assert await rows(store, "select count(*), (select count(*) from file_pieces) from files") == [(1, 2)]


async def test_an_upload_that_breaks_off_is_not_kept(store: FileStore) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield bytes(PIECE)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await store.put(NEW, parts(), bytes_max=1 << 30)
    assert await rows(store, "select count(*), (select count(*) from file_pieces) from files") == [(0, 0)]


async def test_a_file_grows_with_its_checkpoints_and_is_cut_back_to_one(store: FileStore) -> None:
    file = await store.begin(NEW)
    async with store.database.pool.acquire() as connection:
        place = await store.append(connection, file, 0, b"one,")
        end = await store.append(connection, file, place, b"lost")
        assert (place, end) == (4, 8)
        await store.cut(connection, file, place)
        await store.append(connection, file, place, b"two")
    assert await read(store, file) == b"one,two"
    finished = await store.finish(file, keep=None)
    assert (finished.size, finished.sha256, finished.expires_at) == (7, sha256(b"one,two").digest(), None)


async def test_files_are_dropped_when_their_time_is_over(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await put(store, b"kept")
    for _ in range(3):
        await put(store, b"old")
    monkeypatch.setattr(limits, "FILES_DROPPED", 2)
    async with store.database.pool.acquire() as connection:
        await connection.execute("update files set expires_at = $1 where id <> $2", NOW, kept.id)
        assert [await drop_expired(connection, NOW) for _ in range(3)] == [2, 1, 0]
    assert await rows(store, "select id from files") == [(kept.id,)]
    assert await read(store, kept) == b"kept"


async def test_long_names_keep_their_end(store: FileStore) -> None:
    new = NewFile(name="x" * limits.FILE_NAME_LENGTH + ".csv", media_type="text/csv", created_at=NOW, created_by="key")
    file = await store.put(new, parts_of(b"", 1), bytes_max=1)
    assert (len(file.name), file.name[-5:], file.expires_at) == (limits.FILE_NAME_LENGTH, "x.csv", None)
