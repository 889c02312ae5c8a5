"""Files in the database: uploads and what jobs produce, so that every process sees them and every backup holds them.

In: bytes as they come. Out: the same bytes from any place on, and their SHA-256. Memory stays at one piece.
Each file has a key of its own, sealed by the master key, since files hold what people told a company.
Must never: store content in clear, or change a file that is complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from troth import limits
from troth.store.row_ids import new_id
from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection, Database
    from troth.store.vault import CustomerKey, Vault

SQL = load("files.sql")


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file before its content."""

    name: str
    media_type: str
    created_at: datetime
    created_by: str
    keep: timedelta | None = None  # after it was completed; None: until it is dropped
    unfinished: timedelta = timedelta(days=2)  # after that it is dropped if it never was completed


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    media_type: str
    size: int | None  # bytes; None: not complete yet
    sha256: bytes | None
    sealed_key: bytes
    created_at: datetime
    created_by: str
    expires_at: datetime | None  # None: kept


class FileTooLargeError(Exception):
    """More bytes came than are allowed; nothing of the file is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStore:
    """The files of one database."""

    database: Database
    vault: Vault

    async def put(self, new: NewFile, parts: AsyncIterator[bytes], *, bytes_max: int) -> StoredFile:
        """Store a file as it comes. Raises FileTooLargeError, and what `parts` raises; then nothing is kept."""
        file = await self.begin(new)
        try:
            size, digest = await self._write(file, parts, bytes_max)
        except BaseException:
            await self.drop(file.id)
            raise
        return await self._complete(file, size, digest, new.keep)

    async def begin(self, new: NewFile) -> StoredFile:
        """A file without content, to be appended to and finished. It is dropped when that never happens."""
        file_id = new_id()
        _, sealed = self.vault.new_key(file_id)
        expires_at = new.created_at + new.unfinished
        name = new.name[-limits.FILE_NAME_LENGTH :]
        async with self.database.pool.acquire() as connection:
            values = (file_id, name, new.media_type, sealed, new.created_at, new.created_by, expires_at)
            await connection.execute(SQL["add_file"], *values)
        found = await self.find(file_id)
        assert found is not None, "just stored"
        return found

    async def append(self, connection: Connection, file: StoredFile, place: int, content: bytes) -> int:
        """Write at the end of an unfinished file, within the caller's transaction. Out: the new end."""
        key = self._key(file)
        for first in range(0, len(content), limits.FILE_PIECE_BYTES):
            part = content[first : first + limits.FILE_PIECE_BYTES]
            sealed = key.seal(part, _row(file.id, place))
            await connection.execute(SQL["add_piece"], file.id, place, len(part), sealed)
            place += len(part)
        return place

    async def finish(self, file: StoredFile, *, keep: timedelta | None) -> StoredFile:
        """Complete a file that was appended to: it is read once more for its size and digest."""
        digest, size = hashlib.sha256(), 0
        async for part in self.read(file):
            digest.update(part)
            size += len(part)
        return await self._complete(file, size, digest.digest(), keep)

    async def find(self, file_id: UUID) -> StoredFile | None:
        async with self.database.pool.acquire() as connection:
            row = await connection.fetchrow(SQL["file"], file_id)
        return StoredFile(**dict(row)) if row is not None else None

    async def piece(self, file: StoredFile, place: int) -> bytes:
        """The bytes from `place` to the end of their piece; empty at the end of the file."""
        async with self.database.pool.acquire() as connection:
            row = await connection.fetchrow(SQL["piece"], file.id, place)
        if row is None or place >= row["place"] + row["size"]:
            return b""
        return self._key(file).open(row["content"], _row(file.id, row["place"]))[place - row["place"] :]

    async def read(self, file: StoredFile, place: int = 0) -> AsyncIterator[bytes]:
        """The content from `place` on, a piece at a time."""
        while part := await self.piece(file, place):
            yield part
            place += len(part)

    async def cut(self, connection: Connection, file: StoredFile, place: int) -> None:
        """Forget what stands from `place` on, which is where a piece began."""
        await connection.execute(SQL["cut_file"], file.id, place)

    async def drop(self, file_id: UUID) -> None:
        async with self.database.pool.acquire() as connection:
            await connection.execute(SQL["drop_file"], file_id)

    async def _write(self, file: StoredFile, parts: AsyncIterator[bytes], bytes_max: int) -> tuple[int, bytes]:
        """(size, SHA-256) of what came. A whole piece is stored before the next one is received."""
        digest, place, waiting = hashlib.sha256(), 0, bytearray()
        async for part in parts:
            digest.update(part)
            waiting += part
            if place + len(waiting) > bytes_max:
                raise FileTooLargeError
            while len(waiting) >= limits.FILE_PIECE_BYTES:
                place = await self._put_piece(file, place, bytes(waiting[: limits.FILE_PIECE_BYTES]))
                del waiting[: limits.FILE_PIECE_BYTES]
        if waiting:
            place = await self._put_piece(file, place, bytes(waiting))
        return place, digest.digest()

    async def _put_piece(self, file: StoredFile, place: int, content: bytes) -> int:
        async with self.database.pool.acquire() as connection:
            return await self.append(connection, file, place, content)

    async def _complete(self, file: StoredFile, size: int, digest: bytes, keep: timedelta | None) -> StoredFile:
        expires_at = datetime.now(file.created_at.tzinfo) + keep if keep is not None else None
        async with self.database.pool.acquire() as connection:
            await connection.execute(SQL["finish_file"], file.id, size, digest, expires_at)
        return msgspec.structs.replace(file, size=size, sha256=digest, expires_at=expires_at)

    def _key(self, file: StoredFile) -> CustomerKey:
        return self.vault.open_key(file.id, file.sealed_key)


async def find_files(connection: Connection, file_ids: Iterable[UUID]) -> dict[UUID, StoredFile]:
    """Those that are still kept, by id."""
    return {row["id"]: StoredFile(**dict(row)) for row in await connection.fetch(SQL["files"], list(file_ids))}


async def drop_expired(connection: Connection, now: datetime) -> int:
    """Drop files whose time is over, FILES_DROPPED at most. Out: how many."""
    return int(await connection.fetchval(SQL["drop_expired"], now, limits.FILES_DROPPED))


def _row(file_id: UUID, place: int) -> UUID:
    """What a sealed piece is bound to: it cannot be moved to another file or place."""
    return UUID(int=file_id.int ^ place)
