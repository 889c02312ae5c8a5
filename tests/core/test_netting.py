"""Netting: what an order's awards lose and gain, taken and given in the agreed order. Every number by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.judging import NOON, Document, Judge, document, hour, judge_of, moment, moves, named, sale_rule

ONE_A_EURO = sale_rule("properties.amount", id="more")
THE_OTHER_WAY = sale_rule("200 - properties.amount", id="less")
FORGIVE = [{"id": "points", "negative_balance": "forgive"}]
YEARLY = {"kind": "months_after_earning", "months": "12"}
MONTHLY = {"kind": "months_after_earning", "months": "1"}


def rewards(*costs: str) -> list[Document]:
    """`r50`: a reward of 50 points."""
    return [{"id": f"r{cost}", "cost": cost} for cost in costs]


def update(judge: Judge, hours: int, amount: str, **more: object) -> list[str]:
    """New content of the order `o1`; what it moves."""
    return moves(judge.send("checkout_update", now=hour(hours), amount=amount, **more).postings)


def reject(judge: Judge, hours: int, order_id: str = "o1") -> list[str]:
    return moves(judge.send("checkout_reject", now=hour(hours), order_id=order_id).postings)


def spend(judge: Judge, hours: int, points: str, **more: object) -> None:
    judge.send("point_sub", now=hour(hours), points=points, **more)


# Answer 2, step by step


def test_a_difference_is_posted_not_the_whole() -> None:
    judge = judge_of(document(ONE_A_EURO))
    judge.send("sale", amount="100")
    assert update(judge, 1, "130") == ["30 program→available more"]  # 130 − 100
    assert update(judge, 2, "90") == ["40 available→program more"]  # 90 − 130, out of its oldest lot
    assert judge.in_states() == {"available": 90}


def test_own_points_go_before_older_ones_of_others() -> None:
    """100 of an adjustment would be consumed first, and stay: the order's own lot pays."""
    judge = judge_of(document(ONE_A_EURO, wallets=[{"id": "points", "expiry": YEARLY}]))
    judge.send("point_add", now=hour(-900), points="100")
    opening = judge.send("sale", amount="100")
    assert update(judge, 1, "40") == ["60 available→program more"]
    assert judge.lot(opening).remaining == 40
    assert judge.balance == 140


def test_pending_points_of_the_award_go_first() -> None:
    judge = judge_of(document(ONE_A_EURO, orders={"acceptance": "manual"}))
    judge.send("sale", amount="100")
    assert update(judge, 1, "60") == ["40 pending→program more"]
    assert judge.in_states() == {"pending": 60}


def test_new_awards_pay_when_own_points_are_spent() -> None:
    """150: more 150, less 50. All 200 are spent. 50: more −100, less +100, and nothing is owed."""
    judge = judge_of(document(ONE_A_EURO, THE_OTHER_WAY))
    judge.send("sale", amount="150")
    spend(judge, 1, "200")
    assert update(judge, 2, "50") == ["100 program→available less", "100 available→program more"]
    assert judge.in_states() == {"spent": 200}
    assert judge.state.wallet("points").qualifying == 200  # 50 + 150 are deserved


def test_own_points_go_before_new_awards() -> None:
    """Of the 200 only 30 are left: more −100 takes 30 of its own and 70 of the 100 new ones; 30 stay."""
    judge = judge_of(document(ONE_A_EURO, THE_OTHER_WAY))
    judge.send("sale", amount="150")
    spend(judge, 1, "170")
    assert update(judge, 2, "50") == [
        "30 available→program more",
        "100 program→available less",
        "70 available→program more",
    ]
    assert judge.balance == 30  # 50 + 150 − 170


def test_own_expired_points_go_before_other_lots() -> None:
    judge = judge_of(document(sale_rule("properties.amount", expiry=MONTHLY)))
    judge.send("sale", now=hour(0), amount="100")
    judge.send("point_add", now=NOON + timedelta(days=40), points="70")  # they never end
    assert judge.in_states() == {"available": 70, "expired": 100}
    rejected = judge.send("checkout_reject", now=NOON + timedelta(days=41), order_id="o1")
    assert moves(rejected.postings) == ["100 expired→program base"]
    assert judge.in_states() == {"available": 70}


def test_new_awards_pay_before_own_expired_points() -> None:
    """more 150 have ended. 50: more −100; less +100 pays all of it, the expired points stay expired."""
    judge = judge_of(document(sale_rule("properties.amount", id="more", expiry=MONTHLY), THE_OTHER_WAY))
    judge.send("sale", amount="150")
    later = NOON + timedelta(days=40)
    changed = judge.send("checkout_update", now=later, amount="50")
    assert moves(changed.postings) == ["100 program→available less", "100 available→program more"]
    assert judge.in_states() == {"available": 50, "expired": 150}


def test_other_lots_go_in_consumption_order_and_then_debt() -> None:
    """Own 100 are spent. Of others 20 end first (stated), then 30; 50 are owed."""
    judge = judge_of(document(ONE_A_EURO))
    judge.send("sale", amount="100")
    spend(judge, 1, "100")
    late = judge.send("point_add", now=hour(2), points="30", expires_at="2027-03-01T10:00:00Z")
    soon = judge.send("point_add", now=hour(3), points="20", expires_at="2027-02-01T10:00:00Z")
    rejected = judge.send("checkout_reject", now=hour(4), order_id="o1")
    assert moves(rejected.postings) == [
        "20 available→program more",
        "30 available→program more",
        "50 debt→program more",
    ]
    assert [found.lot_event for found in rejected.postings] == [soon.event.id, late.event.id, None]
    assert judge.in_states() == {"spent": 100, "debt": -50}
    assert judge.balance == -50
    assert judge.state.wallet("points").lifetime == 50  # 150 earned, 100 taken back


def test_what_is_no_longer_there_is_forgiven() -> None:
    judge = judge_of(document(ONE_A_EURO, wallets=FORGIVE))
    judge.send("sale", amount="100")
    spend(judge, 1, "60")
    assert reject(judge, 2) == ["40 available→program more", "60 forgiven→program more"]
    assert judge.in_states() == {"spent": 60, "forgiven": -60}
    assert (judge.balance, judge.state.wallet("points").lifetime) == (0, 0)
    assert dict(judge.order().forgiven) == {"points": 60}


def test_an_increase_first_cancels_what_was_forgiven() -> None:
    """100, spent. 0: 100 forgiven. 130: +130, of which 100 cancel it; 30 are there."""
    judge = judge_of(document(ONE_A_EURO, wallets=FORGIVE))
    judge.send("sale", amount="100")
    spend(judge, 1, "100")
    assert update(judge, 2, "0") == ["100 forgiven→program more"]
    assert update(judge, 3, "130") == ["130 program→available more", "100 available→forgiven pardon"]
    assert judge.in_states() == {"available": 30, "spent": 100}
    assert dict(judge.order().forgiven) == {}


@pytest.mark.parametrize(("policy", "end"), [("allow", {"debt": -100}), ("forgive", {"forgiven": -100})])
def test_nobody_gains_by_spending_between_updates(policy: str, end: dict[str, int]) -> None:
    """100 are earned and spent once; each later 100 pays for the 100 taken back before."""
    judge = judge_of(document(ONE_A_EURO, wallets=[{"id": "points", "negative_balance": policy}]))
    judge.send("sale", amount="100")
    spend(judge, 1, "100")
    for cycle in range(3):
        update(judge, 10 * cycle + 2, "0")
        assert judge.in_states() == {"spent": 100, **end}
        update(judge, 10 * cycle + 3, "100")
        assert judge.in_states() == {"spent": 100}
        assert judge.refuse("point_sub", now=hour(10 * cycle + 4), points="1").code == "insufficient_points"
    assert reject(judge, 40)
    assert judge.in_states() == {"spent": 100, **end}


# Answer 40


def test_points_on_hold_do_not_pay() -> None:
    """more 150 spent, less 50 on hold. 50: more −100 is owed, less +100 waits too. Released, 100 of 150 repay it."""
    held = sale_rule("200 - properties.amount", id="less", hold="P14D")
    judge = judge_of(document(ONE_A_EURO, held))
    judge.send("sale", amount="150")
    spend(judge, 1, "150")
    assert update(judge, 2, "50") == ["100 program→pending less", "100 debt→program more"]
    assert judge.in_states() == {"pending": 150, "spent": 150, "debt": -100}
    (released,) = judge.settle(NOON + timedelta(days=14))
    assert moves(released.postings) == [
        "50 pending→available release",
        "50 available→debt repayment",
        "100 pending→available release",
        "50 available→debt repayment",
    ]
    assert judge.in_states() == {"available": 50, "spent": 150}


def test_a_group_that_switches_to_points_on_hold_is_forgiven_until_they_come() -> None:
    """now 150 wins and is spent. At 50 later (100, on hold) wins: −150 forgiven. Its 100 cancel 100 of these."""
    now = sale_rule("properties.amount", id="now", group="g")
    later = sale_rule("100", id="later", group="g", hold="P14D")
    judge = judge_of(document(now, later, wallets=FORGIVE))
    judge.send("sale", amount="150")
    spend(judge, 1, "150")
    assert update(judge, 2, "50") == ["100 program→pending later", "150 forgiven→program now"]
    (released,) = judge.settle(NOON + timedelta(days=14))
    assert moves(released.postings) == ["100 pending→available release", "100 available→forgiven pardon"]
    assert judge.in_states() == {"spent": 150, "forgiven": -50}
    assert dict(judge.order().forgiven) == {"points": 50}


def test_a_group_that_switches_its_winner_nets() -> None:
    """big: 150. At 50 flat wins with 100. Of 150 were 120 spent: 30 own, 100 new, 20 owed: 100 − 120 = −20."""
    big = sale_rule("properties.amount", id="big", group="g")
    flat = sale_rule("100", id="flat", group="g")
    judge = judge_of(document(big, flat))
    judge.send("sale", amount="150")
    spend(judge, 1, "120")
    assert update(judge, 2, "50") == [
        "30 available→program big",
        "100 program→available flat",
        "100 available→program big",
        "20 debt→program big",
    ]
    assert judge.balance == -20


# Answers 13 and 41


@pytest.mark.parametrize(
    ("policy", "last", "end"),
    [
        ("allow", ["100 debt→program more"], {"spent": 100, "debt": -100}),
        ("forgive", ["30 debt→program more", "70 forgiven→program more"], {"spent": 100, "debt": -30, "forgiven": -70}),
    ],
)
def test_repaid_debt_comes_back_with_a_reversal(policy: str, last: list[str], end: dict[str, int]) -> None:
    """30 owed by hand; 100 earned repay them; the other 70 are spent. The order returns."""
    judge = judge_of(document(ONE_A_EURO, wallets=[{"id": "points", "negative_balance": policy}]))
    spend(judge, 0, "30", allow_debt=True)
    opening = judge.send("sale", now=hour(1), amount="100")
    assert moves(opening.postings) == ["100 program→available more", "30 available→debt repayment"]
    assert dict(judge.order().repaid) == {"points": 30}
    spend(judge, 2, "70")
    assert reject(judge, 3) == last
    assert judge.in_states() == end


def test_debt_repaid_by_one_award_comes_back_through_another() -> None:
    """50 owed; more 100 repays them, bonus 60 need not. All 110 left are spent.

    At 90: more −10: 10 of the repaid 50 are owed again. bonus −60: the other 40 are, and 20 are forgiven.
    """
    bonus = sale_rule("60", id="bonus", when="properties.amount >= 100", expiry=MONTHLY)
    judge = judge_of(document(ONE_A_EURO, bonus, wallets=FORGIVE))
    spend(judge, 0, "50", allow_debt=True)
    judge.send("sale", now=hour(1), amount="100")
    assert judge.in_states() == {"available": 110, "spent": 50}
    spend(judge, 2, "110")
    assert update(judge, 3, "90") == [
        "10 debt→program more",
        "40 debt→program bonus",
        "20 forgiven→program bonus",
    ]
    assert judge.in_states() == {"spent": 160, "debt": -50, "forgiven": -20}
    order = judge.order()
    assert (dict(order.repaid), dict(order.forgiven)) == ({}, {"points": 20})


def test_other_lots_pay_before_repaid_debt_comes_back() -> None:
    """30 repaid, 70 spent, 80 of another lot: of the 100 taken back 80 are there, 20 are owed again."""
    judge = judge_of(document(ONE_A_EURO, wallets=FORGIVE))
    spend(judge, 0, "30", allow_debt=True)
    judge.send("sale", now=hour(1), amount="100")
    spend(judge, 2, "70")
    judge.send("point_add", now=hour(3), points="80")
    assert reject(judge, 4) == ["80 available→program more", "20 debt→program more"]
    assert dict(judge.order().repaid) == {"points": 10}


# Answers 12 and 42


def test_points_of_a_returned_order_that_come_back_cancel_what_was_forgiven() -> None:
    judge = judge_of(document(ONE_A_EURO, wallets=FORGIVE, rewards=rewards("100")))
    judge.send("sale", amount="100")
    claimed = judge.send("reward_claimed", now=hour(1), reward="r100")
    assert reject(judge, 2) == ["100 forgiven→program more"]
    cancelled = judge.send("reward_cancelled", now=hour(3), redemption=named("rdm", claimed))
    assert moves(cancelled.postings) == ["100 spent→available return", "100 available→forgiven pardon"]
    assert judge.in_states() == {}
    assert judge.state.wallet("points").program == 0


def test_reserved_points_of_a_returned_order_too() -> None:
    judge = judge_of(document(ONE_A_EURO, wallets=FORGIVE))
    judge.send("sale", amount="100")
    held = judge.send("points_reserved", now=hour(1), points="100", timeout="P1D")
    reject(judge, 2)
    assert judge.in_states() == {"reserved": 100, "forgiven": -100}
    released = judge.send("reservation_released", now=hour(3), reservation=named("res", held))
    assert moves(released.postings) == ["100 reserved→available return", "100 available→forgiven pardon"]
    assert judge.in_states() == {}


def test_only_points_of_that_order_cancel_it() -> None:
    """o1 is returned with its 100 spent. What comes back of o2's lot stays; what comes back of o1's does not."""
    judge = judge_of(document(ONE_A_EURO, wallets=FORGIVE, rewards=rewards("100")))
    judge.send("sale", amount="100")
    first = judge.send("reward_claimed", now=hour(1), reward="r100")
    judge.send("sale", now=hour(2), order_id="o2", amount="100")
    second = judge.send("reward_claimed", now=hour(3), reward="r100")
    assert reject(judge, 4) == ["100 forgiven→program more"]
    judge.send("reward_cancelled", now=hour(5), redemption=named("rdm", second))
    assert judge.in_states() == {"available": 100, "spent": 100, "forgiven": -100}
    judge.send("reward_cancelled", now=hour(6), redemption=named("rdm", first))
    assert judge.in_states() == {"available": 100}


# Wallets


def test_wallets_are_netted_apart() -> None:
    """points −100 and stars +100: the new stars pay nothing of the spent points; each wallet has its own policy."""
    wallets = [{"id": "points"}, {"id": "stars", "negative_balance": "forgive"}]
    stars = sale_rule("200 - properties.amount", id="less", wallet="stars")
    judge = judge_of(document(ONE_A_EURO, stars, wallets=wallets))
    judge.send("sale", amount="150")
    spend(judge, 1, "150")
    assert update(judge, 2, "50") == ["100 debt→program more", "100 program→available less"]
    assert (judge.in_states("points"), judge.in_states("stars")) == ({"spent": 150, "debt": -100}, {"available": 150})
    spend(judge, 3, "150", wallet="stars")
    # 190: stars 10 − 150 = −140, all spent: forgiven. points 190 − 50 = +140, of which 100 repay.
    assert update(judge, 4, "190") == [
        "140 forgiven→program less",
        "140 program→available more",
        "100 available→debt repayment",
    ]
    assert judge.in_states("stars") == {"spent": 150, "forgiven": -140}
    assert judge.in_states("points") == {"available": 40, "spent": 150}


def test_what_a_reversal_counts_for_is_the_day_of_the_order() -> None:
    """A reversal counts for tiers when the points counted: at the opening event's time."""
    judge = judge_of(document(ONE_A_EURO))
    judge.send("sale", amount="100")
    (posting,) = judge.send("checkout_update", now=hour(48), amount="60").postings
    assert (posting.earned_at, posting.occurred_at, posting.qualifying) == (NOON, hour(48), True)
    assert posting.rule == "more"
    assert str(posting.base) == "60.00"


def test_increases_are_earned_with_the_order_but_live_a_month() -> None:
    """Opened 2025-11-25 under 12 months: ends with 2026-11-25. The increase of 2026-11-20 ends with 2026-12-20."""
    judge = judge_of(document(sale_rule("properties.amount", expiry=YEARLY)))
    judge.send("sale", now=moment("2025-11-25T12:00Z"), amount="100")
    changed = judge.send("checkout_update", amount="130")
    lot = judge.lot(changed)
    assert (lot.earned_at, lot.expires_at) == (moment("2025-11-25T12:00Z"), moment("2026-12-21T00:00Z"))
    assert lot.order == judge.order().id
