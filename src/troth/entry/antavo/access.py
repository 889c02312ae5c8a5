"""Who calls the Antavo-compatible door: the api_key of the query or of a signature, and what it was signed with.

In: a request and the sources of this process. Out: the source and the verified signature, or a 401 of that family.
Must never: take an unsigned request where the source does not allow it, or tell which part of a signature was wrong
by the time it took.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec
from litestar.types import HTTPScope, Scope

from troth.api.escher import Received, Scheme, SignatureError, Stated, headers_of, read_statement, verify
from troth.api.source_registry import Source, Sources
from troth.core.sources.antavo import AntavoSettings
from troth.entry.antavo.errors import unauthorized
from troth.store.keys import Mode

SCHEME = Scheme(prefix="ANTAVO")
_SCOPE = re.compile(r"([^/]+)/api/antavo_request")
_KEY_LENGTH = 500


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A known source, whose signature is still to be verified where there is one."""

    source: Source
    settings: AntavoSettings
    stated: Stated | None


async def find_caller(scope: Scope, sources: Sources, mode: Mode) -> Caller:
    """Whose request this is. Raises AntavoError 401."""
    headers = dict(scope["headers"])
    authorization = headers.get(b"authorization")
    stated = _stated(authorization.decode("latin-1")) if authorization is not None else None
    in_query = parse_qs(scope["query_string"].decode("latin-1")).get("api_key", [""])[0][:_KEY_LENGTH]
    key = stated.key if stated is not None else in_query
    if not key or (in_query and in_query != key):
        raise unauthorized("Send the api_key in the query, or sign the request with it.")
    source = await sources.by_secret(key, "antavo")
    if source is None:
        raise unauthorized("This api_key is unknown.")
    settings = source.settings
    assert isinstance(settings, AntavoSettings)
    if stated is None:
        is_enough = settings.unsigned if settings.unsigned is not None else mode == "development"
        if not is_enough:
            sources.count(source.id, unsigned=1)
            raise unauthorized("This source takes signed requests only: send an Authorization header.")
    return Caller(source=source, settings=settings, stated=stated)


def verified(caller: Caller, scope: HTTPScope, body: bytes, sources: Sources) -> str | None:
    """The verified signature, None when the request has none. `body`: as sent. Raises AntavoError 401."""
    stated = caller.stated
    if stated is None:
        return None
    raw_path = scope.get("raw_path") or scope["path"].encode()
    request = Received(
        method=scope["method"],
        path=raw_path.decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers_of(scope["headers"]),
        body=body,
    )
    try:
        _check_scope(caller.settings, stated)
        secrets = caller.source.accepted("api_secret")
        verify(SCHEME, request, stated, secrets=secrets, now=datetime.now(UTC))
    except SignatureError as error:
        sources.count(caller.source.id, unsigned=1)
        raise unauthorized(str(error)) from None
    return stated.signature


def _stated(authorization: str) -> Stated:
    try:
        return read_statement(authorization)
    except SignatureError as error:
        raise unauthorized(str(error)) from None


def _check_scope(settings: AntavoSettings, stated: Stated) -> None:
    match = _SCOPE.fullmatch(stated.scope)
    if match is None or (settings.region is not None and match[1] != settings.region):
        region = settings.region or "<region>"
        raise SignatureError(f"The credential scope is {region}/api/antavo_request.")
