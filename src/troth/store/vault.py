"""Sealing of personal data: AES-256-GCM with one key per customer, each key itself sealed by the master key.

In: bytes and the id of the row they belong to. Out: nonce (12 bytes) + ciphertext + tag. The row's id is authenticated,
so a sealed value cannot be moved to another row. Destroying a customer's key makes what it sealed unreadable.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_KEY_BYTES = 32
_SEALED_KEY_BYTES = 60  # nonce 12, key 32, tag 16


class MasterKeyError(Exception):
    """The master key is missing, unreadable, or not the one this database was sealed with."""


class Vault:
    """Makes, seals and opens customers' keys."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != _KEY_BYTES:
            raise MasterKeyError(f"the master key must have {_KEY_BYTES} bytes, not {len(master_key)}")
        self._master = AESGCM(master_key)

    def new_key(self, key_id: UUID) -> tuple[CustomerKey, bytes]:
        """A fresh key for one customer, and its sealed form for the table `personal_keys`."""
        key = os.urandom(_KEY_BYTES)
        return CustomerKey(key_id, key), _seal(self._master, key, key_id)

    def open_key(self, key_id: UUID, sealed: bytes) -> CustomerKey:
        """The key in its usable form; MasterKeyError when another master key sealed it."""
        try:
            return CustomerKey(key_id, _open(self._master, sealed, key_id))
        except InvalidTag as error:
            raise MasterKeyError(
                "the master key does not fit this database; start with the key it was created with (TROTH_MASTER_KEY "
                "or the file master.key beside the data)"
            ) from error

    def seal_alone(self, plain: bytes, row: UUID) -> bytes:
        """`plain` sealed for one row by a key of its own, which the master key seals in front of it."""
        own_key, sealed_key = self.new_key(row)
        return sealed_key + own_key.seal(plain, row)

    def open_alone(self, sealed: bytes, row: UUID) -> bytes:
        """What `seal_alone` hid; MasterKeyError when another master key sealed it."""
        return self.open_key(row, sealed[:_SEALED_KEY_BYTES]).open(sealed[_SEALED_KEY_BYTES:], row)


class CustomerKey:
    """Seals and opens one customer's personal columns."""

    __slots__ = ("_cipher", "id")

    def __init__(self, key_id: UUID, key: bytes) -> None:
        self.id = key_id
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, row: UUID) -> bytes:
        return _seal(self._cipher, plain, row)

    def open(self, sealed: bytes, row: UUID) -> bytes:
        return _open(self._cipher, sealed, row)


def _seal(cipher: AESGCM, plain: bytes, row: UUID) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, row.bytes)


def _open(cipher: AESGCM, sealed: bytes, row: UUID) -> bytes:
    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row.bytes)


def open_vault(configured: str | None, key_file: Path | None) -> Vault:
    """The vault of TROTH_MASTER_KEY (base64 of 32 bytes), else of `key_file`, made with mode 600 if missing."""
    if configured is not None:
        return Vault(_decode(configured, "TROTH_MASTER_KEY"))
    if key_file is None:
        raise MasterKeyError(
            "set TROTH_MASTER_KEY to 32 random bytes in base64 (openssl rand -base64 32), and keep a copy"
        )
    if not key_file.exists():
        _create(key_file)
    if stat.S_IMODE(key_file.stat().st_mode) & 0o077:
        raise MasterKeyError(f"{key_file} can be read by others; run: chmod 600 {key_file}")
    return Vault(_decode(key_file.read_text(encoding="ascii").strip(), str(key_file)))


def _create(key_file: Path) -> None:
    """Write a new key so that a crash never leaves half a file and two starters never make two keys."""
    key_file.parent.mkdir(parents=True, exist_ok=True)
    draft = key_file.with_name(f".{key_file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, key_file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _decode(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise MasterKeyError(f"{name} is not base64") from error
    if len(key) != _KEY_BYTES:
        raise MasterKeyError(f"{name} must hold {_KEY_BYTES} bytes in base64, not {len(key)}")
    return key
