"""Signatures of the Escher family: the scheme's public test vectors, and what is refused.

escher_vectors.json holds the signing cases of github.com/EscherAuth/test-cases (MIT), one a line: what is sent, which
headers are signed, and the signature that all implementations agree on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from troth import limits
from troth.api.escher import Received, Scheme, SignatureError, canonical_path, read_statement, verify

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "escher_vectors.json").read_text())
AWS4 = Scheme(prefix="AWS4")
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2011, 9, 9, 23, 36, tzinfo=UTC)
SIGNED = next(vector for vector in VECTORS if vector["name"] == "get-vanilla")


def received(vector: Mapping[str, Any]) -> Received:
    path, _, query = vector["url"].partition("?")
    return Received(
        method=vector["method"],
        path=path,
        query=query,
        headers=[(name.lower(), value) for name, value in vector["headers"]],
        body=vector["body"].encode(),
    )


def statement(vector: Mapping[str, Any], comma: str = ", ", day: str = "20110909", prefix: str = "AWS4") -> str:
    credential = f"Credential=AKIDEXAMPLE/{day}/us-east-1/host/aws4_request"
    return f"{prefix}-HMAC-SHA256 " + comma.join(
        (credential, f"SignedHeaders={vector['signed']}", f"Signature={vector['signature']}")
    )


def check(request: Received, text: str, secrets: tuple[str, ...] = (SECRET,), now: datetime = NOW) -> None:
    verify(AWS4, request, read_statement(text), secrets=secrets, now=now)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_the_public_vectors_hold(vector: dict[str, Any]) -> None:
    request = received(vector)
    for comma in (", ", ","):
        check(request, statement(vector, comma))
    check(request, statement(vector), secrets=("another", SECRET))
    with pytest.raises(SignatureError):
        check(request, statement(vector), secrets=("another",))
    with pytest.raises(SignatureError):
        check(msgspec.structs.replace(request, body=request.body + b" "), statement(vector))


def test_there_are_enough_vectors() -> None:
    assert len(VECTORS) == 39


def with_header(name: str, value: str | None) -> Received:
    request = received(SIGNED)
    kept = [header for header in request.headers if header[0] != name]
    return msgspec.structs.replace(request, headers=[*kept, (name, value)] if value is not None else kept)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (with_header("host", "evil.example"), statement(SIGNED)),
        (with_header("host", None), statement(SIGNED)),
        (with_header("date", None), statement(SIGNED)),
        (with_header("date", "yesterday"), statement(SIGNED)),
        (with_header("date", "2011-09-09T23:36:00"), statement(SIGNED)),
        (received(SIGNED), statement({**SIGNED, "signed": "host"})),
        (received(SIGNED), statement({**SIGNED, "signed": "date"})),
        (received(SIGNED), statement(SIGNED, day="20110910")),
        (received(SIGNED), statement(SIGNED, prefix="ANTAVO")),
        (msgspec.structs.replace(received(SIGNED), method="POST"), statement(SIGNED)),
        (msgspec.structs.replace(received(SIGNED), path="/elsewhere"), statement(SIGNED)),
        (msgspec.structs.replace(received(SIGNED), query="a=b"), statement(SIGNED)),
    ],
)
def test_what_is_altered_or_not_signed_is_refused(request_: Received, text: str) -> None:
    with pytest.raises(SignatureError):
        check(request_, text)


@pytest.mark.parametrize(
    "text",
    ["", "Bearer x", "AWS4-HMAC-SHA256", statement({**SIGNED, "signature": "0a"}), statement(SIGNED) + "\n, x=y",
     statement(SIGNED).replace("SHA256", "MD5"), statement(SIGNED).replace("/20110909", "")],
)  # fmt: skip
def test_other_headers_are_none_of_the_scheme(text: str) -> None:
    with pytest.raises(SignatureError, match="none of this scheme"):
        read_statement(text)


@pytest.mark.parametrize("form", ["%Y%m%dT%H%M%SZ", "%a, %d %b %Y %H:%M:%S GMT", "%Y-%m-%dT%H:%M:%S+00:00"])
def test_a_signature_holds_for_minutes(form: str) -> None:
    text = {**SIGNED, "headers": [["Date", NOW.strftime(form)], ["Host", "host.foo.com"]]}
    inside, outside = timedelta(seconds=limits.SIGNATURE_SECONDS), timedelta(seconds=limits.SIGNATURE_SECONDS + 1)
    for now in (NOW - outside, NOW + outside):
        with pytest.raises(SignatureError, match="seconds from now"):
            check(received(text), statement(SIGNED), now=now)
    for now in (NOW - inside, NOW + inside):
        with pytest.raises(SignatureError, match="does not fit"):  # the time is sound; another date was signed
            check(received(text), statement(SIGNED), secrets=("another",), now=now)


def test_paths_are_normalised_in_linear_time() -> None:
    assert canonical_path("/a/./b//../c/..") == "/a/"
    long = "/x/.." * 200
    assert canonical_path(long) == "/"
