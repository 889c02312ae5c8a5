"""Signed requests: the Standard Webhooks scheme, its published example, and every way to fail it."""

from __future__ import annotations

import pytest

from troth import limits
from troth.api.problems import ProblemError
from troth.api.signatures import Replays, sign, verify

# From the Standard Webhooks specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW = MESSAGE[1]


def headers(signature: str = SIGNATURE, timestamp: str = str(NOW), message_id: str = MESSAGE[0]) -> dict[bytes, bytes]:
    return {
        b"webhook-id": message_id.encode(),
        b"webhook-timestamp": timestamp.encode(),
        b"webhook-signature": signature.encode(),
    }


def test_signs_as_the_specification_does() -> None:
    assert sign(SECRET, *MESSAGE) == SIGNATURE


@pytest.mark.parametrize("signature", [SIGNATURE, f"v1,AAAA {SIGNATURE}", f"v2,x {SIGNATURE}", f"{SIGNATURE} v1,%"])
@pytest.mark.parametrize("now", [NOW, NOW + 300, NOW - 300])
def test_accepts(signature: str, now: int) -> None:
    found = verify(SECRET, headers(signature), MESSAGE[2], now=now, replays=Replays())
    assert found == MESSAGE[0]


REFUSED = [
    (headers("v1,"), MESSAGE[2], NOW, "invalid_signature"),
    (headers("v2," + SIGNATURE[3:]), MESSAGE[2], NOW, "invalid_signature"),
    (headers(), MESSAGE[2] + b" ", NOW, "invalid_signature"),
    (headers(message_id="msg_other"), MESSAGE[2], NOW, "invalid_signature"),
    (headers(message_id=""), MESSAGE[2], NOW, "invalid_signature"),
    (headers(timestamp=str(NOW + 1)), MESSAGE[2], NOW, "invalid_signature"),
    (headers(timestamp="now"), MESSAGE[2], NOW, "invalid_signature"),
    (headers(timestamp="9" * 5_000), MESSAGE[2], NOW, "invalid_signature"),
    ({b"webhook-signature": SIGNATURE.encode()}, MESSAGE[2], NOW, "invalid_signature"),
    (headers(), MESSAGE[2], NOW + 301, "signature_expired"),
    (headers(), MESSAGE[2], NOW - 301, "signature_expired"),
]


@pytest.mark.parametrize(("given", "body", "now", "code"), REFUSED)
def test_refuses(given: dict[bytes, bytes], body: bytes, now: int, code: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        verify(SECRET, given, body, now=now, replays=Replays())
    assert (refusal.value.status, refusal.value.code) == (401, code)


def test_a_replay_is_refused_and_a_retry_is_not() -> None:
    replays = Replays()
    verify(SECRET, headers(), MESSAGE[2], now=NOW, replays=replays)
    with pytest.raises(ProblemError) as refusal:
        verify(SECRET, headers(), MESSAGE[2], now=NOW + 5, replays=replays)
    assert refusal.value.code == "signature_replayed"
    again = sign(SECRET, MESSAGE[0], NOW + 5, MESSAGE[2])
    assert verify(SECRET, headers(again, str(NOW + 5)), MESSAGE[2], now=NOW + 5, replays=replays) == MESSAGE[0]


def test_what_is_remembered_is_bounded() -> None:
    replays = Replays()
    for number in range(limits.SIGNATURES_REMEMBERED):
        assert replays.remember(number.to_bytes(4), NOW)
    with pytest.raises(ProblemError) as refusal:
        replays.remember(b"one more", NOW)
    assert refusal.value.status == 503
    assert replays.remember(b"one more", NOW + 2 * limits.SIGNATURE_SECONDS + 1)
