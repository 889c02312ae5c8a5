"""Requests signed by the Escher scheme (escherauth.io, in the manner of AWS Signature Version 4): HMAC-SHA256 over
method, path, query, the signed headers and the hash of the body, under a key of the day.

In: a request as it was received, raw bytes, and what may have signed it. Out: the signature, or why it is none.
Must never: read a header that is not signed as if it were, or compare signatures in a time that depends on them.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

import msgspec

from troth import limits

_STATED = re.compile(
    r"(?P<algorithm>[A-Z0-9]+-HMAC-SHA256) +Credential=(?P<key>[^/,]+)/(?P<day>\d{8})/(?P<scope>[^,]+), *"
    r"SignedHeaders=(?P<names>[A-Za-z0-9;_-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_WHITE_SPACE = re.compile(r"\s+")
_SAFE = "-._~!*"
_SHORT = "%Y%m%d"
_LONG = "%Y%m%dT%H%M%SZ"
_DATES = (_LONG, "%a, %d %b %Y %H:%M:%S GMT")


class SignatureError(Exception):
    """The request is not signed as it should be; the text says what is wrong, and names no secret."""


class Scheme(NamedTuple):
    """One family of signatures."""

    prefix: str  # of the algorithm's name and of the signing key
    date_header: str = "date"  # lower case


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came."""

    method: str
    path: str  # as in the request line, percent-encoded
    query: str  # without the question mark
    headers: Sequence[tuple[str, str]]  # names in lower case
    body: bytes  # as sent, before anything is inflated


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """What an Authorization header says."""

    algorithm: str
    key: str  # names the secret
    day: str
    scope: str
    names: tuple[str, ...]  # of the signed headers, lower case
    signature: str


def read_statement(authorization: str) -> Stated:
    """The header's parts; after the commas may be spaces or none. Raises SignatureError."""
    match = _STATED.fullmatch(authorization.strip())
    if match is None:
        raise SignatureError("The Authorization header is none of this scheme.")
    return Stated(
        algorithm=match["algorithm"],
        key=match["key"],
        day=match["day"],
        scope=match["scope"],
        names=tuple(match["names"].lower().split(";")),
        signature=match["signature"],
    )


def verify(scheme: Scheme, request: Received, stated: Stated, *, secrets: Iterable[str], now: datetime) -> None:
    """Raises SignatureError unless one of the secrets signed this request, within SIGNATURE_SECONDS of `now`."""
    if stated.algorithm != f"{scheme.prefix}-HMAC-SHA256":
        raise SignatureError(f"Sign with {scheme.prefix}-HMAC-SHA256.")
    for name in ("host", scheme.date_header):
        if name not in stated.names or not any(given == name for given, _ in request.headers):
            raise SignatureError(f"The {name} header must be there, and signed.")
    moment = _moment(next(value for name, value in request.headers if name == scheme.date_header))
    if moment.strftime(_SHORT) != stated.day:
        raise SignatureError("The credential's day is not that of the date header.")
    if abs((moment - now).total_seconds()) > limits.SIGNATURE_SECONDS:
        raise SignatureError(f"The date header is more than {limits.SIGNATURE_SECONDS} seconds from now.")
    text = string_to_sign(canonical_request(request, stated.names), stated, moment)
    given = stated.signature.encode()
    matches = [hmac.compare_digest(signature(scheme, secret, stated, text).encode(), given) for secret in secrets]
    if not any(matches):
        raise SignatureError("The signature does not fit the request and the secret.")


def canonical_request(request: Received, names: Sequence[str]) -> str:
    """The one form of a request that both sides agree on."""
    signed = sorted(names)
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name in signed:
            found.setdefault(name, []).append(_single_spaced(value))
    return "\n".join(
        (
            request.method.upper(),
            canonical_path(request.path),
            canonical_query(request.query),
            *(f"{name}:{','.join(found[name])}" for name in sorted(found)),
            "",
            ";".join(signed),
            sha256(request.body).hexdigest(),
        )
    )


def string_to_sign(canonical: str, stated: Stated, moment: datetime) -> str:
    digest = sha256(canonical.encode()).hexdigest()
    return "\n".join((stated.algorithm, moment.strftime(_LONG), f"{stated.day}/{stated.scope}", digest))


def signature(scheme: Scheme, secret: str, stated: Stated, text: str) -> str:
    """The signature of `text`: its key is of one day and one scope."""
    key = (scheme.prefix + secret).encode()
    for part in (stated.day, *stated.scope.split("/")):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def canonical_path(path: str) -> str:
    """Without `.`, `..` and empty steps."""
    kept: list[str] = []
    *_, last = steps = path.split("/")
    for step in steps:
        if step == "..":
            del kept[-1:]
        elif step not in ("", "."):
            kept.append(step)
    return f"/{'/'.join(kept)}{'/' if kept and last in ('', '.', '..') else ''}"


def canonical_query(query: str) -> str:
    """Every name and value encoded alike, in the order of the encoded text."""
    pairs = parse_qsl(query.replace(";", "%3b"), keep_blank_values=True, errors="surrogateescape")
    return "&".join(sorted(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs))


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Headers as ASGI has them → as `Received` has them."""
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]


def _encoded(text: str) -> str:
    return quote(text, safe=_SAFE, errors="surrogateescape")


def _single_spaced(value: str) -> str:
    """White space outside quotation marks counts once."""
    parts = value.split('"')
    return '"'.join(part if place % 2 else _WHITE_SPACE.sub(" ", part) for place, part in enumerate(parts)).strip()


def _moment(text: str) -> datetime:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SignatureError("The date header is a date of RFC 1123, or like 20240101T120000Z.")
    return moment.astimezone(UTC)
