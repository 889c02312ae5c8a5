"""The answer to an event: its fields, its exact text, and the bytes around `duplicate`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from tests.core.judging import NOON, document, judge_of, moment, rule
from troth.core.record import RecordedEvent, awards_of, encode_answer, net_points, show_after
from troth.core.state import CustomerState, PointState, Posting, WalletState

RECORD = RecordedEvent(
    id="evt_1", customer="anna", type="purchase", reference="r", occurred_at="2026-11-20T12:00:00Z",
    recorded_at="2026-11-20T12:00:00Z", points=1, awards=(), wallets={}, tier=None, outcome="applied", caused=(),
    warnings=(), seq=1, revision=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("duplicate", "mismatch", "head"),
    [
        (False, False, b'{"id":"evt_1","duplicate":false,"customer":"anna",'),
        (True, False, b'{"id":"evt_1","duplicate":true,"customer":"anna",'),
        (True, True, b'{"id":"evt_1","duplicate":true,"payload_mismatch":true,"customer":"anna",'),
    ],
)
def test_an_answer_says_whether_it_is_new(duplicate: bool, mismatch: bool, head: bytes) -> None:
    text = encode_answer(RECORD, duplicate=duplicate, payload_mismatch=mismatch)
    assert text.startswith(head)
    marks = {"duplicate", "payload_mismatch"} if mismatch else {"duplicate"}
    assert json.loads(text).keys() == {*RecordedEvent.__struct_fields__, *marks}


def test_text_of_a_person_is_escaped_and_kept() -> None:
    record = msgspec.structs.replace(RECORD, customer='a"\\\n\U0001f600', reference="evt_1")
    assert json.loads(encode_answer(record, duplicate=True))["customer"] == 'a"\\\n\U0001f600'


def move(from_state: PointState, to_state: PointState, points: int, wallet: str = "points") -> Posting:
    return Posting(
        n=0, wallet=wallet, from_state=from_state, to_state=to_state, points=points, qualifying=True,
        lot_event=UUID(int=1), lot_n=0, occurred_at=NOON, reason="award",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("moves", "points"),
    [
        ([], 0),
        ([("program", "available", 10)], 10),
        ([("program", "pending", 10)], 10),
        ([("pending", "available", 10)], 0),  # released, not earned
        ([("program", "debt", 10)], 10),  # repaid
        ([("available", "reserved", 10)], -10),
        ([("available", "expired", 10)], -10),
        ([("program", "available", 10), ("available", "expired", 10)], 0),  # born expired
        ([("debt", "spent", 3), ("available", "spent", 4)], -7),
    ],
)
def test_points_of_an_event(moves: list[tuple[PointState, PointState, int]], points: int) -> None:
    """The net change of pending + available + debt of the main wallet."""
    postings = tuple(move(*step) for step in moves)
    assert net_points(postings, "points") == points
    assert net_points(postings, "stars") == 0


@pytest.mark.parametrize(
    ("ends", "state", "shown"),
    [
        (None, "available", None),
        ("2027-01-01T00:00Z", "available", "2027-01-01T00:00:00Z"),
        ("2026-11-20T12:00:00.001Z", "available", "2026-11-20T12:00:00.001Z"),
        ("2026-11-20T12:00Z", "expired", "2026-11-20T12:00:00Z"),  # the first instant at which they are gone
        ("2026-01-01T00:00Z", "expired", "2026-01-01T00:00:00Z"),
    ],
)
def test_an_award_says_when_it_ends(ends: str | None, state: str, shown: str | None) -> None:
    posting = msgspec.structs.replace(
        move("program", "available", 10),
        rule="base",
        base=Decimal("1E+1"),
        multiplier=Decimal("1.50"),
        cap="points day",
        expires_at=moment(ends) if ends else None,
    )
    expiry = msgspec.structs.replace(move("available", "expired", 10), reason="expiry")
    (award,) = awards_of((posting, expiry), NOON)
    assert (award.state, award.expires_at) == (state, shown)
    assert (award.base, award.multiplier, award.cap, award.points) == ("10", "1.50", "points day", 10)


def test_every_wallet_is_shown_zeros_included() -> None:
    wallet = WalletState(program=-25, available=10, pending=3, reserved=2, spent=4, expired=6)
    state = CustomerState(
        created_at=NOON, wallets={"points": wallet}, tier="gold", tier_since=datetime(2026, 1, 1, tzinfo=UTC)
    )
    shown = show_after(state, ("points", "stars"))
    assert shown == {
        "wallets": {
            "points": {"balance": 10, "lifetime": 22, "pending": 3, "reserved": 2},
            "stars": {"balance": 0, "lifetime": 0, "pending": 0, "reserved": 0},
        },
        "tier": {"id": "gold", "since": "2026-01-01T00:00:00Z"},
    }
    nobody = CustomerState(created_at=NOON)
    assert show_after(nobody, ())["tier"] is None


def test_the_base_is_exact() -> None:
    judge = judge_of(document(rule("properties.amount * 0.5")))
    judged = judge.send(amount="19.99")
    (award,) = awards_of(judged.postings, NOON)
    assert (award.base, award.points) == ("9.995", 9)
    assert replace(judge).balance == 9
