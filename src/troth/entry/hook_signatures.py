"""Whether a webhook comes from whom it says: Shopify's, WooCommerce's, a generic sender's, or Standard Webhooks' proof.

In: the headers and the bytes of a body, exactly as they came, and the source's secrets. Out: whether they fit.
Must never: compare in a time that depends on the secret, or read the body before its proof holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

from troth.api.source_registry import Source
from troth.core.sources.webhook import HeaderAuth, HmacAuth, StandardAuth, WebhookSettings

Headers = Mapping[bytes, bytes]

_SHOPS = {"shopify": b"x-shopify-hmac-sha256", "woocommerce": b"x-wc-webhook-signature"}
_STANDARD_PREFIX = "whsec_"
_SIGNATURES = 10  # of one header, that are compared


def is_proven(source: Source, headers: Headers, body: bytes) -> bool:
    """Whether one of the source's secrets, the current or the previous one, vouches for this body."""
    fits = _proof(source, headers, body)
    return any(fits(secret) for secret in source.accepted("secret"))


def is_signed(source: Source) -> bool:
    """Whether a proof covers the body, rather than showing the secret alone."""
    return not (isinstance(source.settings, WebhookSettings) and isinstance(source.settings.auth, HeaderAuth))


def _proof(source: Source, headers: Headers, body: bytes) -> Callable[[str], bool]:
    if source.kind in _SHOPS:
        given = headers.get(_SHOPS[source.kind], b"")
        return lambda secret: _is_same(given, base64.b64encode(_mac(secret.encode(), body, "sha256")))
    assert isinstance(source.settings, WebhookSettings), source.kind
    match source.settings.auth:
        case HeaderAuth(header=header, prefix=prefix):
            shown = headers.get(header.lower().encode(), b"")
            return lambda secret: _is_same(shown, (prefix + secret).encode())
        case HmacAuth() as hmac_auth:
            return lambda secret: _fits_hmac(hmac_auth, secret, headers, body)
        case StandardAuth() as standard:
            return lambda secret: _fits_standard(standard, secret, headers, body)


def _fits_hmac(auth: HmacAuth, secret: str, headers: Headers, body: bytes) -> bool:
    signed = body
    if auth.timestamp_header is not None:
        moment = headers.get(auth.timestamp_header.lower().encode(), b"")
        if not _is_recent(moment, auth.tolerance_seconds):
            return False
        signed = moment + b"." + body
    mac = _mac(secret.encode(), signed, auth.algorithm)
    given = headers.get(auth.header.lower().encode(), b"")
    if auth.encoding == "base64":
        return _is_same(given, auth.prefix.encode() + base64.b64encode(mac))
    prefix = auth.prefix.encode()
    head, digits = given[: len(prefix)], given[len(prefix) :]
    return _is_same(head + digits.lower(), prefix + mac.hex().encode())


def _fits_standard(auth: StandardAuth, secret: str, headers: Headers, body: bytes) -> bool:
    message_id, moment = headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b"")
    if not message_id or not _is_recent(moment, auth.tolerance_seconds):
        return False
    expected = b"v1," + base64.b64encode(_mac(_standard_key(secret), b".".join((message_id, moment, body)), "sha256"))
    given = headers.get(b"webhook-signature", b"").split(b" ")
    return any(_is_same(one, expected) for one in given[:_SIGNATURES])


def _standard_key(secret: str) -> bytes:
    """Standard Webhooks writes keys as base64; a secret that is none is taken as it is."""
    text = secret.removeprefix(_STANDARD_PREFIX)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


def _is_recent(moment: bytes, tolerance_seconds: int) -> bool:
    if not moment.isdigit() or len(moment) > len(str(int(time.time()))):
        return False
    return abs(int(moment) - time.time()) <= tolerance_seconds


def _mac(key: bytes, signed: bytes, algorithm: str) -> bytes:
    return hmac.new(key, signed, getattr(hashlib, algorithm)).digest()


def _is_same(given: bytes, expected: bytes) -> bool:
    return hmac.compare_digest(given, expected)
