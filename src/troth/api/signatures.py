"""Signed requests, by the Standard Webhooks scheme: HMAC-SHA256 over id, time and body, with the key's own secret.

In: the three headers, the body as sent and a moment. Out: nothing, or a ProblemError that says what is wrong.
Must never: compare signatures in a time that depends on them, or accept one twice.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict
from collections.abc import Mapping

from troth import limits
from troth.api.problems import ErrorItem, ProblemError
from troth.outbox.webhooks import digest, sign

__all__ = ["Replays", "sign", "verify"]

_ID_LENGTH = 255
_REMEMBERED_SECONDS = 2 * limits.SIGNATURE_SECONDS


class Replays:
    """The signatures accepted within the last minutes by this process.

    A replay that reaches another process, or this one after a restart, still has no second effect: the signed id
    serves as the event's reference where the body names none.
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, int] = OrderedDict()  # digest of a signature → Unix time of acceptance

    def remember(self, signature: bytes, now: int) -> bool:
        """False when this signature was accepted before."""
        while self._seen and next(iter(self._seen.values())) < now - _REMEMBERED_SECONDS:
            self._seen.popitem(last=False)
        if signature in self._seen:
            return False
        if len(self._seen) >= limits.SIGNATURES_REMEMBERED:
            raise ProblemError(503, "unavailable", "Too many signed requests at once.", headers={"Retry-After": "5"})
        self._seen[signature] = now
        return True


def verify(secret: str, headers: Mapping[bytes, bytes], body: bytes, *, now: int, replays: Replays) -> str:
    """The signed message's id. Raises ProblemError 401 when it is not signed by `secret`, is too old, or was seen."""
    message_id = _header(headers, b"webhook-id")
    timestamp = _header(headers, b"webhook-timestamp")
    stated = _header(headers, b"webhook-signature")
    if not 1 <= len(message_id) <= _ID_LENGTH or not timestamp.isascii() or not timestamp.isdigit():
        raise _refused("invalid_signature", "A signed request has webhook-id, and webhook-timestamp in Unix seconds.")
    expected = digest(secret, message_id, timestamp, body)
    if not any(hmac.compare_digest(expected, given) for given in _signatures(stated)):
        raise _refused("invalid_signature", "The signature does not fit the body, the id, the time and the secret.")
    if len(timestamp) > len(str(now)) or abs(int(timestamp) - now) > limits.SIGNATURE_SECONDS:
        detail = f"The signature's time is more than {limits.SIGNATURE_SECONDS} seconds from now."
        raise _refused("signature_expired", detail)
    if not replays.remember(expected, now):
        raise _refused("signature_replayed", "This signed request was received before; sign each attempt anew.")
    return message_id


def _signatures(header: str) -> list[bytes]:
    """A header may carry several, during a rotation of the secret."""
    found = []
    for part in header.split(" "):
        version, _, text = part.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(text, validate=True))
            except binascii.Error:
                continue
    return found


def _header(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _refused(code: str, detail: str) -> ProblemError:
    item = ErrorItem(pointer="/header/webhook-signature", code=code, detail=detail)
    return ProblemError(401, code, detail, errors=(item,))
