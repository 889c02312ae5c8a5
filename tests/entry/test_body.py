"""Bodies: received within a bound, inflated within the same bound."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest
from litestar.types import HTTPReceiveMessage, Receive

from troth import limits
from troth.api.problems import ProblemError
from troth.entry.body import inflate, read_body

TEXT = b'{"customer": "ada"}' * 50


def raw_deflate(text: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(text) + stream.flush()


INFLATED = [
    ("identity", lambda text: text),
    ("", lambda text: text),
    ("gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("x-gzip", gzip.compress),
    ("gzip", lambda text: gzip.compress(text[:100], mtime=0) + gzip.compress(text[100:], mtime=0)),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
]


@pytest.mark.parametrize(("encoding", "compress"), INFLATED)
def test_inflates(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    assert inflate(compress(TEXT), encoding, bytes_max=len(TEXT)) == TEXT


REFUSED = [
    ("br", TEXT, 415, "unsupported_encoding"),
    ("gzip, gzip", gzip.compress(gzip.compress(TEXT, mtime=0), mtime=0), 415, "unsupported_encoding"),
    ("gzip", TEXT, 400, "broken_encoding"),
    ("gzip", b"", 400, "broken_encoding"),
    ("gzip", gzip.compress(TEXT, mtime=0)[:-5], 400, "broken_encoding"),
    ("gzip", gzip.compress(TEXT, mtime=0) + b"rest", 400, "broken_encoding"),
    ("gzip", gzip.compress(b"", mtime=0) * (limits.COMPRESSED_MEMBERS + 1), 400, "broken_encoding"),
    ("deflate", b"\x78\x9c\x00", 400, "broken_encoding"),
    ("gzip", gzip.compress(b"0" * 5_000_000, mtime=0), 413, "too_large"),
    ("gzip", gzip.compress(TEXT, mtime=0) + gzip.compress(TEXT + b"0" * 1_000, mtime=0), 413, "too_large"),
    ("deflate", zlib.compress(b"0" * 5_000_000), 413, "too_large"),
]


@pytest.mark.parametrize(("encoding", "received", "status", "code"), REFUSED)
def test_refuses_broken_and_bombs(encoding: str, received: bytes, status: int, code: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        inflate(received, encoding, bytes_max=len(TEXT) + 1)
    assert (refusal.value.status, refusal.value.code) == (status, code)
    assert refusal.value.errors[0].code == code


def arriving(*parts: bytes, ends: bool = True) -> tuple[Receive, Callable[[], int]]:
    """A sender of these parts, and how many were taken from it."""
    taken = 0

    async def messages() -> AsyncIterator[HTTPReceiveMessage]:
        nonlocal taken
        for index, part in enumerate(parts):
            taken += 1
            more_body = index + 1 < len(parts) or not ends
            yield {"type": "http.request", "body": part, "more_body": more_body}
        yield {"type": "http.disconnect"}

    source = messages()
    return cast("Receive", source.__anext__), lambda: taken


async def test_joins_the_parts() -> None:
    receive, _ = arriving(b"ab", b"", b"cd")
    assert await read_body(receive, {}, bytes_max=4) == b"abcd"


async def test_a_body_too_large_is_taken_whole_before_it_is_refused() -> None:
    receive, taken = arriving(*[b"x" * 1_000] * 50)
    with pytest.raises(ProblemError) as refusal:
        await read_body(receive, {}, bytes_max=10_000)
    assert (refusal.value.status, taken()) == (413, 50)
    assert "Connection" not in refusal.value.headers


async def test_beyond_the_bulk_bound_nobody_waits_for_the_end() -> None:
    receive, taken = arriving(*[b"x" * (1 << 20)] * 40)
    with pytest.raises(ProblemError) as refusal:
        await read_body(receive, {}, bytes_max=limits.BODY_BYTES_SINGLE)
    assert (refusal.value.status, taken()) == (413, (limits.BODY_BYTES_BULK >> 20) + 1)
    assert refusal.value.headers["Connection"] == "close"


async def test_a_body_cut_short_is_unreadable() -> None:
    receive, _ = arriving(b"ab", ends=False)
    with pytest.raises(ProblemError) as refusal:
        await read_body(receive, {}, bytes_max=10)
    assert (refusal.value.status, refusal.value.code) == (400, "incomplete_body")
