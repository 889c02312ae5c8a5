"""The bytes of a request body: received whole within a bound, and inflated within the same bound.

In: the ASGI messages of one request. Out: the bytes the sender meant, or a ProblemError (400, 413, 415).
Must never: hold more than the bound, or inflate a bomb beyond it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from litestar.types import Receive

from troth import limits
from troth.api.problems import ErrorItem, ProblemError

Headers = Mapping[bytes, bytes]

_GZIP_HEAD = b"\x1f\x8b"
_GZIP = zlib.MAX_WBITS | 16
_CONTENT_ENCODING = "/header/content-encoding"


async def read_body(receive: Receive, headers: Headers, *, bytes_max: int) -> bytes:
    """The body, inflated when it came compressed. Raises ProblemError."""
    received = await _receive_whole(receive, bytes_max)
    encoding = headers.get(b"content-encoding")
    if encoding is None:
        return received
    return inflate(received, encoding.decode("latin-1"), bytes_max=bytes_max)


async def read_packed(receive: Receive, headers: Headers, *, bytes_max: int) -> bytes:
    """The body of a sender whose labels cannot be trusted: gzip is known by its first bytes. Raises ProblemError."""
    received = await _receive_whole(receive, bytes_max)
    if received.startswith(_GZIP_HEAD):
        return inflate(received, "gzip", bytes_max=bytes_max)
    encoding = headers.get(b"content-encoding", b"").decode("latin-1")
    return received if "gzip" in encoding.lower() else inflate(received, encoding, bytes_max=bytes_max)


def inflate(received: bytes, encoding: str, *, bytes_max: int) -> bytes:
    """`received` without its content encoding. Raises ProblemError."""
    match encoding.strip().lower():
        case "" | "identity":
            return received
        case "gzip" | "x-gzip":
            return _inflate(received, _GZIP, bytes_max)
        case "deflate":
            return _inflate(received, _deflate_window(received), bytes_max)
        case _:
            detail = "Bodies may be compressed with gzip or deflate."
            item = ErrorItem(pointer=_CONTENT_ENCODING, code="unsupported_encoding", detail=detail)
            headers = {"Accept-Encoding": "gzip, deflate"}
            raise ProblemError(415, "unsupported_encoding", detail, errors=(item,), headers=headers)


async def _receive_whole(receive: Receive, bytes_max: int) -> bytes:
    """What is too large is still received, up to the bulk bound: senders read no answer before they have sent all."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ProblemError(400, "incomplete_body", "The connection ended before the body did.")
        part = message["body"]
        size += len(part)
        if size <= bytes_max:
            parts.append(part)
        else:
            parts.clear()
            if size > max(bytes_max, limits.BODY_BYTES_BULK):
                raise _too_large(bytes_max, {"Connection": "close"})
        if not message["more_body"]:
            break
    if size > bytes_max:
        raise _too_large(bytes_max, {})
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflate(received: bytes, window: int, bytes_max: int) -> bytes:
    """Every member of the compressed stream (gzip allows several), together within the bound."""
    parts: list[bytes] = []
    room = bytes_max
    rest = received
    try:
        for _ in range(limits.COMPRESSED_MEMBERS):
            stream = zlib.decompressobj(window)
            part = stream.decompress(rest, room + 1)
            room -= len(part)
            if room < 0:
                raise _too_large(bytes_max, {})
            if not stream.eof:
                raise _broken()
            parts.append(part)
            rest = stream.unused_data
            if not rest:
                return b"".join(parts)
    except zlib.error:
        raise _broken() from None
    raise _broken()


def _deflate_window(received: bytes) -> int:
    """`deflate` means a zlib stream (RFC 9110); some senders leave its two-byte head out."""
    has_head = len(received) >= 2 and received[0] & 0x0F == 8 and int.from_bytes(received[:2]) % 31 == 0
    return zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS


def _broken() -> ProblemError:
    detail = "The compressed body is broken or cut short."
    item = ErrorItem(pointer=_CONTENT_ENCODING, code="broken_encoding", detail=detail)
    return ProblemError(400, "broken_encoding", detail, errors=(item,))


def _too_large(bytes_max: int, headers: Mapping[str, str]) -> ProblemError:
    detail = f"The body may have at most {bytes_max} bytes, after inflating."
    item = ErrorItem(pointer="", code="too_large", detail=detail)
    return ProblemError(413, "too_large", detail, errors=(item,), headers=headers)
