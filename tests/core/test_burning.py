"""Burned points: taken before the award, spent with the acceptance, given back in reverse order. Numbers by hand."""

from __future__ import annotations

import pytest

from tests.core.judging import NOON, Judge, document, earned_by, hour, judge_of, moment, moves, sale_rule
from troth.core.burning import split
from troth.core.event import Event
from troth.core.order_state import Part

AWARD = sale_rule("properties.amount")
MANUAL = {"acceptance": "manual"}


def buyer(**sections: object) -> Judge:
    """A customer with 40 points that end on 1 December and 60 that never do."""
    judge = judge_of(document(AWARD, **sections))
    judge.send("point_add", now=hour(-48), points="60")
    judge.send("point_add", now=hour(-47), points="40", expires_at="2026-11-30T10:00:00Z")
    return judge


def test_burned_points_are_taken_before_the_award() -> None:
    judge = buyer()
    opening = judge.send("sale", amount="10", burned="50")
    assert moves(opening.postings) == [
        "40 available→spent burn",  # the first to end
        "10 available→spent burn",
        "10 program→available base",
    ]
    assert judge.in_states() == {"available": 60, "spent": 50}
    order = judge.order()
    assert ([part.points for part in order.burned], order.is_paid) == ([40, 10], True)
    assert opening.postings[0].order_id == opening.event.id


def test_an_order_cannot_be_paid_with_its_own_award() -> None:
    judge = buyer()
    refusal = judge.refuse("sale", amount="1000", burned="101")
    assert (refusal.code, refusal.pointer) == ("insufficient_points", "/properties/burned")
    assert judge.state.orders == 0
    assert judge.in_states() == {"available": 100}
    assert judge.send("sale", now=hour(1), amount="1000", burned="100").event.type.id == "sale"


def test_until_it_is_accepted_they_are_reserved() -> None:
    judge = buyer(orders=MANUAL)
    opening = judge.send("sale", amount="10", burned="50")
    assert moves(opening.postings)[:2] == ["40 available→reserved burn", "10 available→reserved burn"]
    assert judge.in_states() == {"available": 50, "reserved": 50, "pending": 10}
    accepted = judge.send("checkout_accept", now=hour(1))
    assert moves(accepted.postings) == [
        "40 reserved→spent burn",
        "10 reserved→spent burn",
        "10 pending→available release",
    ]
    assert judge.in_states() == {"available": 60, "spent": 50}


def test_reserved_points_do_not_expire() -> None:
    judge = buyer(orders=MANUAL)
    judge.send("sale", amount="10", burned="50")
    assert judge.settle(moment("2026-12-05T00:00Z")) == ()
    judge.send("checkout_accept", now=moment("2026-12-05T00:00Z"))
    assert judge.in_states() == {"available": 60, "spent": 50}


def test_a_changed_burn_posts_the_difference() -> None:
    """50 → 70 takes 20 more; 70 → 30 gives back 40, the last taken first: 30 of the 60, then 10 of the 40."""
    judge = buyer()
    judge.send("sale", amount="10", burned="50")
    more = judge.send("checkout_update", now=hour(1), amount="10", burned="70")
    assert moves(more.postings) == ["20 available→spent burn"]
    less = judge.send("checkout_update", now=hour(2), amount="10", burned="30")
    assert [found.points for found in less.postings] == [20, 10, 10]
    assert {(found.from_state, found.to_state, found.reason) for found in less.postings} == {
        ("spent", "available", "return")
    }
    assert [part.points for part in judge.order().burned] == [30]
    assert judge.in_states() == {"available": 80, "spent": 30}  # 100 + 10 − 30


def test_what_is_no_longer_burned_when_it_is_accepted_was_never_spent() -> None:
    judge = buyer(orders={"acceptance": "manual"})
    judge.send("sale", amount="10", burned="50")
    less = judge.send("checkout_update", now=hour(1), amount="10", burned="30", auto_accept=True)
    assert moves(less.postings)[:3] == ["10 reserved→available return"] * 2 + ["30 reserved→spent burn"]


def test_an_increase_that_is_not_there_is_refused_and_nothing_changes() -> None:
    judge = buyer()
    judge.send("sale", amount="10", burned="50")
    refusal = judge.refuse("checkout_update", now=hour(1), amount="500", burned="111")
    assert refusal.code == "insufficient_points"
    assert judge.in_states() == {"available": 60, "spent": 50}
    assert judge.order().content.properties["amount"] == "10.00"


@pytest.mark.parametrize("last", ["refund", "checkout_reject"])
def test_a_full_return_gives_back_what_is_left(last: str) -> None:
    """On 25 November the 40 that end on 30 November live to the end of 25 December; the others never end."""
    judge = buyer()
    judge.send("sale", amount="10", burned="50")
    returned = judge.send(last, now=moment("2026-11-25T12:00Z"))
    assert moves(returned.postings) == [
        "10 spent→available return",
        "40 spent→available return",
        "10 available→program base",
    ]
    assert judge.in_states() == {"available": 100}
    (fresh,) = earned_by(returned)
    assert (fresh.points, fresh.remaining, fresh.expires_at) == (40, 40, moment("2026-12-26T00:00Z"))


def test_a_partial_return_gives_back_only_what_it_names() -> None:
    """5 of 10 euros: 5 points fewer. 20 burned points named: 10 of the 60 and 10 of the 40 come back."""
    judge = buyer()
    judge.send("sale", amount="10", burned="50")
    silent = judge.send("partial_refund", now=hour(1), refund_id="r1", amount="5")
    assert moves(silent.postings) == ["5 available→program base"]
    telling = judge.send("partial_refund", now=hour(2), refund_id="r2", points="20")
    assert moves(telling.postings) == ["10 spent→available return", "10 spent→available return"]
    assert judge.in_states() == {"available": 75, "spent": 30}  # 50 + 5 + 20
    whole = judge.send("refund", now=hour(3))
    assert sum(found.points for found in whole.postings if found.reason == "return") == 30
    assert judge.in_states() == {"available": 100}


def test_more_points_than_are_burned_are_cut_with_a_warning() -> None:
    judge = buyer()
    judge.send("sale", amount="10", burned="50")
    judged = judge.send("partial_refund", now=hour(1), refund_id="r1", points="60")
    assert [found.code for found in judged.warnings] == ["refund_exceeds_order"]
    assert judge.in_states() == {"available": 110}


@pytest.mark.parametrize("first", ["refund", "checkout_reject"])
def test_an_order_that_is_over_when_it_opens_burns_nothing(first: str) -> None:
    """Answer 22, although the points are not there either."""
    judge = buyer()
    judge.send(first)
    opening = judge.send("sale", now=hour(1), amount="10", burned="5000")
    assert opening.postings == ()
    assert judge.in_states() == {"available": 100}


def test_what_waiting_refunds_name_is_not_taken() -> None:
    """Answer 23: 120 burned less 30 named by a refund that waits: 90 of the 100 are taken."""
    judge = buyer()
    judge.send("partial_refund", refund_id="r1", points="30")
    judge.send("sale", now=hour(1), amount="10", burned="120")
    assert judge.in_states() == {"available": 20, "spent": 90}


def test_returned_points_repay_what_the_order_owes() -> None:
    """100 are burned, 10 earned and spent. The return gives back 100, which pay for the 10 before any debt."""
    judge = buyer()
    judge.send("sale", amount="10", burned="100")
    judge.send("point_sub", now=hour(1), points="10")
    returned = judge.send("refund", now=hour(2))
    assert moves(returned.postings)[-1] == "10 available→program base"
    assert judge.in_states() == {"available": 90, "spent": 10}


def test_only_the_main_wallet_pays() -> None:
    judge = judge_of(document(AWARD, wallets=[{"id": "points"}, {"id": "stars"}]))
    judge.send("point_add", points="50", wallet="stars")
    assert judge.refuse("sale", now=hour(1), amount="1", burned="10").code == "insufficient_points"


def part(serial: int, points: int) -> Part:
    event: Event = judge_of(document()).event("signup", NOON, NOON, {})
    return Part(event.id, serial, points)


@pytest.mark.parametrize(
    ("kept", "first", "rest"),
    [
        (0, [], [40, 10]),
        (25, [25], [15, 10]),
        (40, [40], [10]),
        (45, [40, 5], [5]),
        (50, [40, 10], []),
        (99, [40, 10], []),
    ],
)
def test_parts_are_split_in_order_of_taking(kept: int, first: list[int], rest: list[int]) -> None:
    parts = (part(0, 40), part(1, 10))
    found = split(parts, kept)
    assert [[one.points for one in side] for side in found] == [first, rest]
    assert sum(one.points for side in found for one in side) == 50
