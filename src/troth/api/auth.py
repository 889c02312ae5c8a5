"""Who is calling, and what the key permits.

In: the headers and address of a request. Out: a `Caller`, or a ProblemError (401 unknown, 403 not permitted).
Must never: ask the database on every request (a key is read at most once in KEY_CACHE_SECONDS), or log a key.
A revocation is obeyed at once in the process that made it, and within KEY_CACHE_SECONDS in every other.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard, Scope

from troth import limits
from troth.api.keys import Network, granted, hash_key, mode_of, networks, show_key_id
from troth.api.problems import ProblemError
from troth.store.keys import KeyRecord, Mode

Headers = Mapping[bytes, bytes]
FindKey = Callable[[bytes], Awaitable[KeyRecord | None]]  # by hash
OpenSecret = Callable[[UUID, bytes], str]  # a key's id and its sealed signing secret
_CALLER = "troth.caller"
_KEY_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A key as a request may use it."""

    key_id: str
    name: str
    is_publishable: bool
    permits: frozenset[str] | None  # None: everything
    origins: frozenset[str]
    networks: tuple[Network, ...]
    expires_at: float  # Unix seconds; infinity: never
    revoked: bool
    signing_secret: str | None  # whsec_…

    def may(self, permission: str) -> bool:
        return self.permits is None or permission in self.permits


class Access:
    """The doorkeeper of one process."""

    __slots__ = ("_cache", "_find", "_mode", "_open_secret")

    def __init__(self, find: FindKey, mode: Mode, open_secret: OpenSecret) -> None:
        self._find = find
        self._mode = mode
        self._open_secret = open_secret
        self._cache: dict[bytes, tuple[float, Caller | None]] = {}  # hash → read at, caller (None: unknown key)

    async def caller(self, scope: Scope, headers: Headers, permission: str) -> Caller:
        """The caller of this request, permitted to do `permission`. Raises ProblemError."""
        text = _key_text(headers)
        digest = hash_key(text)
        read_at, caller = self._cache.get(digest, (-1e9, None))
        if time.monotonic() - read_at > limits.KEY_CACHE_SECONDS:
            caller = await self._read(digest)
        if caller is None:
            raise _unknown(text, self._mode)
        _check_life(caller)
        if not caller.may(permission):
            raise ProblemError(403, "forbidden", f"This key lacks the permission {permission}.")
        if caller.networks:
            _check_address(caller, scope)
        if caller.is_publishable:
            _check_browser(caller, scope, headers, self._mode)
        cast("MutableMapping[str, object]", scope)[_CALLER] = caller
        return caller

    def forget(self) -> None:
        """Reads every key anew: after a key was created, changed or revoked by this process."""
        self._cache.clear()

    async def _read(self, digest: bytes) -> Caller | None:
        record = await self._find(digest)
        caller = None
        if record is not None and hmac.compare_digest(record.hash, digest) and record.mode == self._mode:
            caller = self._caller(record)
        if len(self._cache) >= limits.KEY_CACHE_ENTRIES:
            self._cache.clear()
        self._cache[digest] = (time.monotonic(), caller)
        return caller

    def _caller(self, record: KeyRecord) -> Caller:
        sealed = record.signing_secret
        return Caller(
            key_id=show_key_id(record.id),
            name=record.name,
            is_publishable=record.kind == "publishable",
            permits=granted(record.scopes),
            origins=frozenset(record.origins),
            networks=networks(record.addresses),
            expires_at=_seconds(record.expires_at),
            revoked=record.revoked_at is not None,
            signing_secret=self._open_secret(record.id, sealed) if sealed is not None else None,
        )


def requires(permission: str) -> Guard:
    """A Litestar guard: only keys with `permission` come through. Publishable keys read nothing."""

    async def guard(connection: ASGIConnection[BaseRouteHandler, object, object, State], _: BaseRouteHandler) -> None:
        scope = connection.scope
        access = cast("Access", connection.app.state["access"])
        caller = await access.caller(scope, dict(scope["headers"]), permission)
        if caller.is_publishable:
            raise ProblemError(403, "forbidden", "A publishable key only sends events.")

    return guard


def caller_of(scope: Scope) -> Caller | None:
    """Who made this request; None when it was refused, or the address needs no key."""
    caller = cast("MutableMapping[str, object]", scope).get(_CALLER)
    return caller if isinstance(caller, Caller) else None


def _key_text(headers: Headers) -> str:
    authorization = headers.get(b"authorization")
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        found = authorization[7:].strip()
    else:
        found = headers.get(b"x-api-key", b"")
    if not found:
        raise _unauthorized("missing_key", "Send a key: Authorization: Bearer <key>, or X-API-Key: <key>.")
    return found[:_KEY_LENGTH_MAX].decode("latin-1")


def _unknown(text: str, mode: Mode) -> ProblemError:
    stated = mode_of(text)
    if stated is not None and stated != mode:
        return _unauthorized("wrong_mode", f"This key is for {stated}; this server runs in {mode} mode.")
    return _unauthorized("unknown_key", "There is no such key.")


def _check_life(caller: Caller) -> None:
    if caller.revoked:
        raise _unauthorized("revoked_key", f"The key {caller.key_id} was revoked.")
    if caller.expires_at <= time.time():
        raise _unauthorized("expired_key", f"The key {caller.key_id} has expired.")


def _check_address(caller: Caller, scope: Scope) -> None:
    address = _parsed_address(scope)
    if address is None or not any(address in network for network in caller.networks):
        raise ProblemError(403, "address_not_allowed", f"The key {caller.key_id} may not be used from this address.")


def _check_browser(caller: Caller, scope: Scope, headers: Headers, mode: Mode) -> None:
    demand_https(scope, mode)
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if caller.origins and origin not in caller.origins:
        raise ProblemError(403, "origin_not_allowed", f"The key {caller.key_id} may not be used from this origin.")


def demand_https(scope: Scope, mode: Mode) -> None:
    """A key that browsers use crosses no network in clear. Raises ProblemError 403."""
    if mode == "production" and scope["scheme"] != "https" and not _is_loopback(scope):
        raise ProblemError(403, "https_required", "Publishable keys are used over https only.")


def client_address(scope: Scope) -> str | None:
    """The sender's address, as the server (or a trusted proxy) saw it."""
    client = scope.get("client")
    return client[0] if client else None


def _is_loopback(scope: Scope) -> bool:
    address = _parsed_address(scope)
    return address is not None and address.is_loopback


def _parsed_address(scope: Scope) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(client_address(scope) or "")
    except ValueError:  # a Unix socket has none
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped if mapped is not None else address


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else float("inf")


def _unauthorized(code: str, detail: str) -> ProblemError:
    return ProblemError(401, code, detail, headers={"WWW-Authenticate": 'Bearer realm="troth"'})
