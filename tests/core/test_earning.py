"""Earning: postings and lots of awards, points on hold, points born past their date, and expiry of a day."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.core.judging import NOON, Document, Judge, document, earned_by, event_id, judge_of, moment, rule
from troth.core.state import EMPTY_WALLET, Lot, WalletState, apply_postings

YEARLY = {"wallets": [{"id": "points", "expiry": {"kind": "months_after_earning", "months": "12"}}]}


def lots_of(*rules: Document, at: datetime = NOON, **sections: object) -> list[tuple[int, str | None, int, int]]:
    """(n, day it ends, points, remaining) of each lot that one event earns."""
    judged = judge_of(document(*rules, **sections)).send(at=at, amount="100")
    return [
        (lot.n, f"{lot.expires_at:%Y-%m-%d}" if lot.expires_at else None, lot.points, lot.remaining)
        for lot in earned_by(judged)
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
    found_moves = [(found.from_state, found.to_state, found.points, found.reason) for found in judged.postings]
    if not is_born_expired:
        assert found_moves == [("program", "available", 10, "award"), ("program", "available", 5, "award")]
        assert (judge.balance, judge.state.due_at) == (15, moment("2026-11-21T00:00Z"))
        return
    assert found_moves == [
        ("program", "available", 10, "award"),
        ("available", "expired", 10, "expiry"),
        ("program", "available", 5, "award"),
        ("available", "expired", 5, "expiry"),
    ]
    assert [lot.remaining for lot in earned_by(judged)] == [0]
    assert [found.n for found in judged.postings] == [0, 1, 2, 3]
    wallet = judge.state.wallet("points")
    assert (wallet.available, wallet.expired, wallet.lifetime, wallet.qualifying) == (0, 15, 15, 15)
    assert judge.state.due_at is None


def test_points_that_end_at_this_very_moment_are_gone() -> None:
    judge = judge_of(document(rule("10"), **YEARLY))
    judge.send(now=moment("2026-11-20T00:00Z"), at=moment("2025-11-19T10:00Z"), amount="1")
    assert (judge.balance, judge.open_lots) == (0, [])


@pytest.mark.parametrize(
    ("occurred", "state", "ends"),
    [
        ("2026-11-20T12:00Z", "pending", None),
        ("2026-11-10T12:00:01Z", "pending", None),  # a second is left of its ten days
        ("2026-11-10T12:00Z", "available", "2026-12-21T00:00Z"),  # over just now: a month from now
        ("2026-11-01T12:00Z", "available", "2026-12-12T00:00Z"),  # over on the 11th: a month from then (answer 14)
    ],
)
def test_a_hold_counts_from_the_event_and_may_be_over_on_arrival(occurred: str, state: str, ends: str | None) -> None:
    months = {"kind": "months_after_earning", "months": "1"}
    judge = judge_of(document(rule("10", hold="P10D", expiry=months)))
    judged = judge.send(at=moment(occurred), amount="1")
    (posting,) = judged.postings
    end = None if ends is None else moment(ends)
    assert (posting.to_state, posting.expires_at, judge.lot(judged).expires_at) == (state, end, end)
    released = moment(occurred) + timedelta(days=10) if state == "pending" else None
    assert judge.lot(judged).release_at == released


# Expiry of a day


def lot(
    serial: int, ends: str, *, wallet: str = "points", remaining: int = 10, earned: str = "2025-01-01T00:00Z"
) -> Lot:
    return Lot(
        event_id=event_id(moment(earned), serial),
        n=0,
        wallet=wallet,
        earned_at=moment(earned),
        expires_at=moment(ends),
        points=10,
        remaining=remaining,
    )


def holder_of(*lots: Lot) -> Judge:
    """A customer with these lots, all points of which count for tiers."""
    totals = {wallet: sum(one.remaining for one in lots if one.wallet == wallet) for wallet in ("points", "stars")}
    return judge_of(
        document(wallets=[{"id": "points"}, {"id": "stars"}]),
        lots={one.key: one for one in lots},
        wallets={
            name: WalletState(program=-total, available=total, qualifying=total) for name, total in totals.items()
        },
        due_at=min(one.expires_at for one in lots if one.expires_at is not None),
    )


def test_expiry_is_grouped_by_day_and_wallet_in_order() -> None:
    made = [
        lot(1, "2026-02-01T00:00Z", wallet="points"),
        lot(2, "2026-01-01T00:00Z", wallet="stars"),
        lot(3, "2026-01-01T00:00Z", wallet="points", earned="2025-01-02T00:00Z"),
        lot(4, "2026-01-01T00:00Z", wallet="points", earned="2025-01-01T00:00Z"),
    ]
    due = holder_of(*made).settle(NOON)
    serials = {one.event_id: n for n, one in enumerate(made, start=1)}
    named = [[serials[found.lot_event] for found in judged.postings if found.lot_event] for judged in due]
    assert named == [[4, 3], [2], [1]]


def test_expiry_takes_what_is_left_at_its_date() -> None:
    one, two = lot(1, "2026-01-01T00:00Z", remaining=4), lot(2, "2026-01-01T00:00Z", remaining=10)
    judge = holder_of(one, two)
    (judged,) = judge.settle(NOON)
    assert [(found.n, found.points, found.occurred_at, found.lot_event) for found in judged.postings] == [
        (0, 4, moment("2026-01-01T00:00Z"), one.event_id),
        (1, 10, moment("2026-01-01T00:00Z"), two.event_id),
    ]
    after = apply_postings({"points": WalletState(program=-14, available=14, qualifying=14)}, judged.postings)["points"]
    # What expired was earned: it stays in lifetime and keeps its tier.
    assert (after.available, after.expired, after.lifetime, after.qualifying) == (0, 14, 14, 14)
    assert judge.state.wallet("points") == after
    assert [(found.remaining, found.expired) for found in judge.state.lots.values()] == [(0, 4), (0, 10)]


def test_no_postings_leave_the_wallets_as_they_are() -> None:
    wallets = {"points": EMPTY_WALLET}
    assert apply_postings(wallets, ()) is wallets
