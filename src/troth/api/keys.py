"""API keys: how they are made, shown once and recognised again. Pure.

In: a mode, a kind and a moment. Out: the key's text, and the record that is stored in its place.
Must never: keep or print a key's text after it was made; only its SHA-256 is stored.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_network
from uuid import UUID

from troth import limits
from troth.core.ids import RANDOM_BITS, uuid7
from troth.outbox.webhooks import SECRET_PREFIX
from troth.store.keys import KeyKind, KeyRecord, Mode
from troth.store.vault import Vault

KEY_RANDOM_BYTES = 32
SIGNING_RANDOM_BYTES = 24  # Standard Webhooks: between 24 and 64

SCOPES = (
    "events:write",
    "events:read",
    "customers:read",
    "customers:write",
    "points:write",
    "program:read",
    "program:write",
    "imports:read",
    "imports:write",
    "exports:read",
    "exports:write",
    "webhooks:read",
    "webhooks:write",
    "sources:read",
    "sources:write",
    "analytics:read",
    "users:read",
    "users:write",
)
_SEALED_KEY_BYTES = 60  # nonce 12, key 32, tag 16
_ENDINGS = {"development": "test", "production": "live"}
_BEGINNINGS = {"secret": "sk", "publishable": "pk"}

Random = Callable[[int], bytes]  # n → n unpredictable bytes
Network = IPv4Network | IPv6Network


class KeyRequestError(ValueError):
    """What was asked of a new key cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """What a new key shall be."""

    name: str
    mode: Mode
    kind: KeyKind = "secret"
    scopes: tuple[str, ...]
    origins: tuple[str, ...] = ()  # publishable: scheme://host[:port]; empty means any, or none (an app)
    addresses: tuple[str, ...] = ()  # networks allowed to use it; empty means all
    expires_at: datetime | None = None
    seal_signing_secret: Callable[[UUID], bytes] | None = None  # key id → sealed secret; None: the key signs nothing


def make_key(asked: KeyRequest, now: datetime, random: Random) -> tuple[str, KeyRecord]:
    """The key's text, to be shown once, and its record. Raises KeyRequestError."""
    _check(asked)
    key_id = _new_id(now, random)
    text = f"{_prefix(asked.kind, asked.mode)}{base64.urlsafe_b64encode(random(KEY_RANDOM_BYTES)).decode().rstrip('=')}"
    record = KeyRecord(
        id=key_id,
        hash=hash_key(text),
        name=asked.name,
        kind=asked.kind,
        mode=asked.mode,
        scopes=asked.scopes,
        origins=tuple(origin.rstrip("/").lower() for origin in asked.origins),
        addresses=tuple(str(network) for network in networks(asked.addresses)),
        signing_secret=asked.seal_signing_secret(key_id) if asked.seal_signing_secret is not None else None,
        created_at=now,
        expires_at=asked.expires_at,
        revoked_at=None,
    )
    return text, record


def make_signing_secret(random: Random) -> str:
    """A new signing secret in the form of Standard Webhooks: whsec_ and base64."""
    return SECRET_PREFIX + base64.b64encode(random(SIGNING_RANDOM_BYTES)).decode()


def seal_secret(vault: Vault, key_id: UUID, secret: str) -> bytes:
    """The signing secret as it is stored: sealed by a key of its own, which the master key seals in front of it."""
    own_key, sealed_key = vault.new_key(key_id)
    assert len(sealed_key) == _SEALED_KEY_BYTES
    return sealed_key + own_key.seal(secret.encode("ascii"), key_id)


def open_secret(vault: Vault, key_id: UUID, sealed: bytes) -> str:
    """The signing secret of `seal_secret`. Raises MasterKeyError when another master key sealed it."""
    own_key = vault.open_key(key_id, sealed[:_SEALED_KEY_BYTES])
    return own_key.open(sealed[_SEALED_KEY_BYTES:], key_id).decode("ascii")


def hash_key(text: str) -> bytes:
    """What is stored of a key. A key is 32 random bytes, so a plain SHA-256 cannot be guessed back."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


def mode_of(text: str) -> Mode | None:
    """The mode that a key's prefix states; None when it is no key of ours."""
    if text.startswith(("sk_test_", "pk_test_")):
        return "development"
    return "production" if text.startswith(("sk_live_", "pk_live_")) else None


def granted(scopes: tuple[str, ...]) -> frozenset[str] | None:
    """Every permission that the scopes of a key give; None means all of them."""
    if "*" in scopes:
        return None
    families = {scope.removesuffix(":*") for scope in scopes if scope.endswith(":*")}
    return frozenset(scopes) | {known for known in SCOPES if known.partition(":")[0] in families}


def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and networks (10.0.0.7, 10.0.0.0/8, 2001:db8::/32). Raises KeyRequestError."""
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise KeyRequestError(f"Not an address or network: {error}.") from None


def show_key_id(key_id: UUID) -> str:
    """`key_0197…`, the name of a key in lists and logs."""
    return f"key_{key_id.hex}"


def read_key_id(text: str) -> UUID | None:
    """The id in its printed form, or None when `text` is not one."""
    try:
        return UUID(hex=text.removeprefix("key_")) if text.startswith("key_") else None
    except ValueError:
        return None


def _prefix(kind: KeyKind, mode: Mode) -> str:
    return f"{_BEGINNINGS[kind]}_{_ENDINGS[mode]}_"


def _new_id(now: datetime, random: Random) -> UUID:
    bits = int.from_bytes(random(RANDOM_BITS // 8 + 1)) & (1 << RANDOM_BITS) - 1
    return uuid7(int(now.timestamp() * 1000), bits & 0xFF, bits)


def _check(asked: KeyRequest) -> None:
    if not 1 <= len(asked.name) <= limits.KEY_NAME_LENGTH:
        raise KeyRequestError(f"A key has a name of 1 to {limits.KEY_NAME_LENGTH} characters.")
    if not 1 <= len(asked.scopes) <= limits.KEY_SCOPES:
        raise KeyRequestError(f"A key has 1 to {limits.KEY_SCOPES} scopes.")
    for scope in asked.scopes:
        if not _is_scope(scope):
            raise KeyRequestError(f"There is no scope {scope!r}; there are * {' '.join(SCOPES)}, and <family>:*.")
    if asked.kind == "publishable" and asked.scopes != ("events:write",):
        raise KeyRequestError("A publishable key has the scope events:write and no other.")
    if asked.kind == "secret" and asked.origins:
        raise KeyRequestError("Only publishable keys have origins.")
    if len(asked.origins) > limits.KEY_ORIGINS or len(asked.addresses) > limits.KEY_ADDRESSES:
        raise KeyRequestError(f"A key has at most {limits.KEY_ORIGINS} origins and {limits.KEY_ADDRESSES} addresses.")


def _is_scope(scope: str) -> bool:
    family, _, right = scope.partition(":")
    known_families = {known.partition(":")[0] for known in SCOPES}
    return scope == "*" or scope in SCOPES or (right == "*" and family in known_families)
