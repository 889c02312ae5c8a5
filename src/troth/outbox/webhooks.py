"""Signing, by the Standard Webhooks scheme: HMAC-SHA256 over id, time and the exact bytes that are sent.

In: a secret in the form whsec_…, a message. Out: its three headers. Requests to us are signed the same way.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with


def signed_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message; during a rotation it is signed with both secrets."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature of a message, with its version."""
    return "v1," + base64.b64encode(digest(secret, message_id, str(timestamp), body)).decode()


def digest(secret: str, message_id: str, timestamp: str, body: bytes) -> bytes:
    """What is compared. Raises ValueError when the secret is no base64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, sha256).digest()
