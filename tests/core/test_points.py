"""Points: postings and lots of awards, points born past their date, and expiry of a day."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.core.judging import NOON, Document, document, judge_of, moment, rule
from troth.core.points import by_expiry_day, expire
from troth.core.state import EMPTY_WALLET, Lot, WalletState, apply_postings

YEARLY = {"wallets": [{"id": "points", "expiry": {"kind": "months_after_earning", "months": "12"}}]}


def lots_of(*rules: Document, at: datetime = NOON, **sections: object) -> list[tuple[int, str | None, int, int]]:
    """(n, day it ends, points, remaining) of each lot that one event earns."""
    judged = judge_of(document(*rules, **sections)).send(at=at, amount="100")
    return [
        (lot.n, f"{lot.expires_at:%Y-%m-%d}" if lot.expires_at else None, lot.points, lot.remaining)
        for lot in judged.lots
    ]


def test_awards_that_end_together_share_a_lot() -> None:
    months = {"kind": "months_after_earning", "months": "1"}
    found = lots_of(
        rule("10", id="a"), rule("20", id="b", expiry=months), rule("30", id="c"), rule("0", id="d"), **YEARLY
    )
    # Good to the end of 2027-11-20 and of 2026-12-20.
    assert found == [(0, "2027-11-21", 40, 40), (1, "2026-12-21", 20, 20)]


def test_a_rule_may_award_points_that_never_end() -> None:
    assert lots_of(rule("10", expiry={"kind": "never"}), **YEARLY) == [(0, None, 10, 10)]
    assert lots_of(rule("10")) == [(0, None, 10, 10)]


def test_a_posting_says_where_points_come_from() -> None:
    judged = judge_of(document(rule("10", id="a"), rule("2.5", id="b", qualifying=False))).send(amount="1")
    assert [
        (found.n, found.from_state, found.to_state, found.points, found.rule, str(found.base), found.qualifying)
        for found in judged.postings
    ] == [(0, "program", "available", 10, "a", "10", True), (1, "program", "available", 2, "b", "2.5", False)]
    assert {(found.lot_event, found.lot_n) for found in judged.postings} == {(judged.event.id, 0)}
    wallet = judged.after.wallet("points")
    assert (wallet.program, wallet.available, wallet.lifetime, wallet.qualifying) == (-12, 12, 12, 10)


@pytest.mark.parametrize(
    ("occurred", "is_born_expired"),
    [
        ("2025-11-20T12:00Z", False),  # good to the end of today
        ("2025-11-19T23:59:59Z", True),  # ended when today began
        ("2019-01-01T00:00Z", True),
    ],
)
def test_points_past_their_date_are_posted_available_and_expired_at_once(occurred: str, is_born_expired: bool) -> None:
    judge = judge_of(document(rule("10", id="a"), rule("5", id="b"), **YEARLY))
    judged = judge.send(at=moment(occurred), amount="1")
    moves = [(found.from_state, found.to_state, found.points, found.reason) for found in judged.postings]
    if not is_born_expired:
        assert moves == [("program", "available", 10, "award"), ("program", "available", 5, "award")]
        assert (judge.balance, judge.state.due_at) == (15, moment("2026-11-21T00:00Z"))
        return
    assert moves == [
        ("program", "available", 10, "award"),
        ("available", "expired", 10, "expiry"),
        ("program", "available", 5, "award"),
        ("available", "expired", 5, "expiry"),
    ]
    assert [lot.remaining for lot in judged.lots] == [0]
    assert [found.n for found in judged.postings] == [0, 1, 2, 3]
    wallet = judge.state.wallet("points")
    assert (wallet.available, wallet.expired, wallet.lifetime, wallet.qualifying) == (0, 15, 15, 15)
    assert judge.state.due_at is None


def test_points_that_end_at_this_very_moment_are_gone() -> None:
    judge = judge_of(document(rule("10"), **YEARLY))
    judge.send(now=moment("2026-11-20T00:00Z"), at=moment("2025-11-19T10:00Z"), amount="1")
    assert (judge.balance, judge.open_lots) == (0, [])


def lot(
    serial: int, ends: str, *, wallet: str = "points", remaining: int = 10, earned: str = "2025-01-01T00:00Z"
) -> Lot:
    return Lot(
        event_id=type(EVENT)(int=serial),
        n=0,
        wallet=wallet,
        earned_at=moment(earned),
        expires_at=moment(ends),
        points=10,
        remaining=remaining,
    )


EVENT = judge_of(document())._event("purchase", NOON, NOON, {"amount": "1"}).id


def test_expiry_is_grouped_by_day_and_wallet_in_order() -> None:
    wallets = [{"id": "points"}]
    book = judge_of(document(wallets=wallets)).book
    made = [
        lot(1, "2026-02-01T00:00Z", wallet="points"),
        lot(2, "2026-01-01T00:00Z", wallet="stars"),
        lot(3, "2026-01-01T00:00Z", wallet="points", earned="2025-01-02T00:00Z"),
        lot(4, "2026-01-01T00:00Z", wallet="points", earned="2025-01-01T00:00Z"),
    ]
    assert [[found.event_id.int for found in day] for day in by_expiry_day(made, book)] == [[4, 3], [2], [1]]


def test_expiry_takes_what_is_left_at_its_date() -> None:
    postings = expire([lot(1, "2026-01-01T00:00Z", remaining=4), lot(2, "2026-01-01T00:00Z", remaining=10)])
    assert [(found.n, found.points, found.occurred_at, found.lot_event.int) for found in postings] == [
        (0, 4, moment("2026-01-01T00:00Z"), 1),
        (1, 10, moment("2026-01-01T00:00Z"), 2),
    ]
    after = apply_postings({"points": WalletState(program=-14, available=14, qualifying=14)}, postings)["points"]
    # What expired was earned: it stays in lifetime and keeps its tier.
    assert (after.available, after.expired, after.lifetime, after.qualifying) == (0, 14, 14, 14)


def test_no_postings_leave_the_wallets_as_they_are() -> None:
    wallets = {"points": EMPTY_WALLET}
    assert apply_postings(wallets, ()) is wallets
