"""Pools of reward codes: each code sealed by the master key, told apart by its hash, given once and never again.

In: the text of codes. Out: how many are free. Must never: store a code in clear, or hold the same one twice in a pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from troth.store.sql import load

if TYPE_CHECKING:
    from troth.store.pool import Connection
    from troth.store.vault import Vault

SQL = load("codes.sql")
_SEALED_KEY_BYTES = 60  # nonce 12, key 32, tag 16


class SealedCode(msgspec.Struct, frozen=True, gc=False):
    hash: bytes  # SHA-256 of reward, NUL, code
    sealed: bytes


class CodeCounts(msgspec.Struct, frozen=True, kw_only=True):
    free: int
    given: int


def seal_code(vault: Vault, reward: str, code: str) -> SealedCode:
    """The code as it is stored: sealed by a key of its own, which the master key seals in front of it."""
    code_hash = sha256(f"{reward}\0{code}".encode()).digest()
    row = _row(code_hash)
    own_key, sealed_key = vault.new_key(row)
    assert len(sealed_key) == _SEALED_KEY_BYTES
    return SealedCode(code_hash, sealed_key + own_key.seal(code.encode(), row))


def open_code(vault: Vault, code_hash: bytes, sealed: bytes) -> str:
    """The text of `seal_code`. Raises MasterKeyError when another master key sealed it."""
    row = _row(code_hash)
    own_key = vault.open_key(row, sealed[:_SEALED_KEY_BYTES])
    return own_key.open(sealed[_SEALED_KEY_BYTES:], row).decode()


async def add_codes(connection: Connection, reward: str, codes: Sequence[SealedCode]) -> int:
    """Put codes behind those of the pool, in this order. In: each once. Out: how many were not there yet."""
    async with connection.transaction():
        await connection.execute(SQL["lock_program"])
        hashes, sealed = [code.hash for code in codes], [code.sealed for code in codes]
        return int(await connection.fetchval(SQL["add_codes"], reward, hashes, sealed))


async def count_codes(connection: Connection, reward: str) -> CodeCounts:
    row = await connection.fetchrow(SQL["count_codes"], reward)
    assert row is not None, "a count without groups is one row"
    return CodeCounts(free=row["free"], given=row["given"])


def _row(code_hash: bytes) -> UUID:
    """What a sealed code is bound to: it cannot be moved to another row."""
    return UUID(bytes=code_hash[:16])
