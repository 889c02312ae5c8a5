"""Order events: opening, waiting, changing, accepting, rejecting, refunding. Every number is worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from tests.core.judging import (
    NOON,
    SALE,
    Document,
    Judge,
    book_of,
    document,
    hour,
    judge_of,
    moves,
    sale_rule,
    tiers,
)
from troth import limits
from troth.core.rules import Shelf
from troth.core.state import NO_USE, Use

AWARD = sale_rule("properties.amount")
MANUAL = {"acceptance": "manual"}
AFTER = {"acceptance": {"after": "P14D", "then": "accept"}}
LINES = [
    {"line_id": "A", "quantity": "2", "price": "30"},
    {"line_id": "B", "quantity": "1", "price": "40"},
]  # 100 together


# Opening and acceptance


@pytest.mark.parametrize(
    ("orders", "says", "status", "state"),
    [
        (None, None, "accepted", "available"),
        (None, False, "pending", "pending"),
        (None, True, "accepted", "available"),
        (MANUAL, None, "pending", "pending"),
        (MANUAL, True, "accepted", "available"),
        (AFTER, None, "pending", "pending"),
        (AFTER, True, "accepted", "available"),
    ],
)
def test_how_an_order_is_accepted(orders: Document | None, says: bool | None, status: str, state: str) -> None:
    sections = {} if orders is None else {"orders": orders}
    judge = judge_of(document(AWARD, **sections))
    given = {} if says is None else {"auto_accept": says}
    judged = judge.send("sale", amount="100", **given)
    assert moves(judged.postings) == [f"100 program→{state} base"]
    order = judge.order()
    assert (order.status, order.accepted_at) == (status, NOON if status == "accepted" else None)
    decides = NOON + timedelta(days=14) if orders is AFTER and says is None else None
    assert order.decides_at == decides
    assert judge.state.orders == 1


@pytest.mark.parametrize(("then", "status", "balance"), [("accept", "accepted", 100), ("reject", "rejected", 0)])
def test_an_order_is_decided_by_itself(then: str, status: str, balance: int) -> None:
    judge = judge_of(document(AWARD, orders={"acceptance": {"after": "P14D", "then": then}}))
    judge.send("sale", amount="100")
    (decided,) = judge.settle(NOON + timedelta(days=14))
    assert (decided.event.type.id, decided.event.occurred_at) == (f"checkout_{then}", NOON + timedelta(days=14))
    assert (judge.order().status, judge.balance, judge.in_states().get("pending")) == (status, balance, None)
    assert judge.order().decides_at is None


def test_what_arrives_after_an_automatic_rejection_undoes_nothing() -> None:
    """Answer 5: accepted in time, told too late."""
    judge = judge_of(document(AWARD, orders={"acceptance": {"after": "P14D", "then": "reject"}}))
    judge.send("sale", amount="100")
    judge.send("checkout_accept", now=NOON + timedelta(days=15), at=hour(1))
    assert (judge.order().status, judge.balance) == ("rejected", 0)


def test_an_acceptance_in_time_forestalls_it() -> None:
    judge = judge_of(document(AWARD, orders={"acceptance": {"after": "P14D", "then": "reject"}}))
    judge.send("sale", amount="100")
    judge.send("checkout_accept", now=hour(1))
    assert judge.settle(NOON + timedelta(days=15)) == ()
    assert (judge.order().status, judge.balance) == ("accepted", 100)


def test_content_that_says_so_accepts_at_its_own_time() -> None:
    judge = judge_of(document(AWARD, orders=MANUAL))
    judge.send("sale", amount="100")
    judged = judge.send("checkout_update", now=hour(9), at=hour(3), amount="120", auto_accept=True)
    assert moves(judged.postings) == ["20 program→available base", "100 pending→available release"]
    assert judge.order().accepted_at == hour(3)


def test_the_earliest_acceptance_counts() -> None:
    judge = judge_of(document(AWARD, orders=MANUAL))
    judge.send("sale", amount="100")
    judge.send("checkout_accept", now=hour(9), at=hour(8))
    judge.send("checkout_accept", now=hour(10), at=hour(2))
    judge.send("checkout_accept", now=hour(11), at=hour(6))
    assert judge.order().accepted_at == hour(2)


def test_points_wait_for_hold_and_acceptance_both() -> None:
    """A hold of 10 days, accepted on the 2nd: released on the 10th. Accepted on the 12th: at once."""
    for days, expected in ((2, "pending"), (12, "available")):
        judge = judge_of(document(sale_rule("100", hold="P10D"), orders=MANUAL))
        judge.send("sale", amount="1")
        assert judge.settle(NOON + timedelta(days=days)) == ()
        judge.send("checkout_accept", now=NOON + timedelta(days=days))
        assert judge.in_states() == {expected: 100}
        judge.settle(NOON + timedelta(days=13))
        assert judge.in_states() == {"available": 100}


# The same order again


def test_an_opening_event_with_the_same_content_is_a_duplicate() -> None:
    judge = judge_of(document(AWARD))
    opening = judge.send("sale", amount="100")
    seq = judge.state.seq
    decision = judge.decide("sale", hour(1), NOON, {"amount": "100.00"})
    assert (decision.judged, decision.refusal, decision.duplicate_of) == (None, None, opening.event.id)
    assert (judge.state.seq, judge.state.counts, judge.balance) == (seq, {"sale": 1}, 100)


def test_other_content_acts_as_an_update_and_is_no_second_order() -> None:
    judge = judge_of(document(AWARD))
    opening = judge.send("sale", amount="100")
    again = judge.send("sale", now=hour(1), amount="130")
    assert moves(again.postings) == ["30 program→available base"]
    assert (judge.order().id, judge.state.orders) == (opening.event.id, 1)
    assert judge.order().opened_at == NOON


@pytest.mark.parametrize(
    ("order", "expected"),
    [(("P1", "P3", "U2"), 100), (("U2", "P1", "P3"), 100), (("P3", "P1", "U2"), 100), (("P1", "U2", "P3"), 100)],
)
def test_equal_content_with_a_newer_stamp_renews(order: tuple[str, ...], expected: int) -> None:
    """Answer 3: P(100, t1), P(100, t3), U(150, t2): the newest content is that of t3, in whatever order."""
    judge = judge_of(document(AWARD))
    for step, told in enumerate(order):
        hours, kind = int(told[1]), told[0]
        type_id, amount = ("sale", "100") if kind == "P" else ("checkout_update", "150")
        judge.decide(type_id, hour(10 + step), hour(hours), {"amount": amount})
    assert judge.balance == expected


def test_older_content_changes_nothing() -> None:
    judge = judge_of(document(AWARD))
    judge.send("sale", amount="100", updated_at="2026-11-20T12:00:00Z")
    judge.send("checkout_update", now=hour(1), amount="150", updated_at="2026-11-20T12:10:00Z")
    old = judge.send("checkout_update", now=hour(2), amount="120", updated_at="2026-11-20T12:05:00Z")
    assert (old.postings, old.outcome, judge.balance) == ((), "applied", 150)


# Waiting


def test_events_before_their_order_wait() -> None:
    judge = judge_of(document(AWARD))
    refunded = judge.send("partial_refund", refund_id="r1", amount="30")
    assert (refunded.outcome, refunded.postings, judge.state.waiting) == ("waiting_for_order", (), 1)
    updated = judge.send("checkout_update", now=hour(2), amount="110", order_id="o1")
    assert (updated.outcome, judge.state.waiting) == ("waiting_for_order", 2)
    opening = judge.send("sale", now=hour(3), at=hour(1), amount="100")
    assert moves(opening.postings) == ["80 program→available base"]  # 110, edited an hour later, less 30
    assert (opening.outcome, judge.state.waiting, judge.state.orders) == ("applied", 0, 1)
    (left,) = judge.state.waiting_events.values()
    assert left == ()


def test_a_waiting_event_leaves_other_orders_alone() -> None:
    judge = judge_of(document(AWARD))
    judge.send("refund", order_id="o2")
    judge.send("sale", now=hour(1), order_id="o1", amount="100")
    assert (judge.balance, judge.state.waiting) == (100, 1)


def test_an_order_that_was_accepted_before_it_came_is_accepted() -> None:
    judge = judge_of(document(AWARD, orders=MANUAL))
    judge.send("checkout_accept", now=hour(1))
    opening = judge.send("sale", now=hour(2), at=NOON, amount="100")
    assert moves(opening.postings) == ["100 program→available base"]
    assert judge.order().accepted_at == hour(1)


STORY = {
    "open": ("sale", {"amount": "100", "items": LINES}),
    "edit": ("checkout_update", {"amount": "140", "items": [*LINES, {"line_id": "C", "quantity": "1", "price": "40"}]}),
    "accept": ("checkout_accept", {}),
    "part": ("partial_refund", {"refund_id": "r1", "items": [{"line": "B"}]}),
    "more": ("partial_refund", {"refund_id": "r2", "amount": "20"}),
}


def test_the_end_does_not_depend_on_the_order_of_arrival() -> None:
    """140 less B (40 of 140 by price) less 20: 80, whichever of 120 orders they come in, each told twice."""
    for turn in permutations(STORY):
        judge = judge_of(document(AWARD, orders=MANUAL))
        for step, name in enumerate([*turn, *turn]):
            type_id, raw = STORY[name]
            judge.decide(type_id, hour(10 + step), hour(list(STORY).index(name)), {"order_id": "o1", **raw})
        wallet = judge.state.wallet("points")
        assert judge.in_states() == {"available": 80}, turn
        assert (wallet.lifetime, wallet.qualifying, judge.order().status) == (80, 80, "accepted"), turn


# Rejecting and refunding


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (["checkout_reject"], "rejected"),
        (["refund"], "refunded"),
        (["refund", "checkout_reject"], "rejected"),
        (["checkout_reject", "refund"], "rejected"),
        (["checkout_reject", "checkout_accept", "checkout_update"], "rejected"),
        (["refund", "checkout_update", "partial_refund"], "refunded"),
    ],
)
def test_rejection_and_whole_refund_are_final(told: list[str], status: str) -> None:
    raw: dict[str, dict[str, object]] = {
        "checkout_update": {"amount": "500"},
        "partial_refund": {"amount": "1", "refund_id": "r"},
    }
    judge = judge_of(document(AWARD))
    judge.send("sale", amount="100")
    for step, type_id in enumerate(told):
        judge.send(type_id, now=hour(step + 1), **raw.get(type_id, {}))
    assert (judge.order().status, judge.balance, judge.state.orders) == (status, 0, 0)


def test_refunds_that_add_up_to_everything_leave_the_status() -> None:
    """Answer 24. And the order no longer counts."""
    judge = judge_of(document(sale_rule("7")))
    judge.send("sale", amount="100")
    judge.send("partial_refund", now=hour(1), refund_id="r1", amount="60")
    assert (judge.balance, judge.state.orders) == (7, 1)
    judged = judge.send("partial_refund", now=hour(2), refund_id="r2", amount="60")
    assert [found.code for found in judged.warnings] == ["refund_exceeds_order"]
    assert (judge.balance, judge.order().status, judge.state.orders) == (0, "accepted", 0)
    judge.send("partial_refund", now=hour(3), refund_id="r2", amount="10")  # the newest of one identity
    assert (judge.balance, judge.state.orders) == (7, 1)


def test_a_refund_of_items_lowers_by_the_true_share() -> None:
    """90 paid for goods of 100: A is 60 of them, 54; one of two As is 27. 90 − 27 = 63."""
    judge = judge_of(document(AWARD))
    judge.send("sale", amount="90", items=LINES)
    judge.send("partial_refund", now=hour(1), refund_id="r1", items=[{"line": "A", "quantity": "1"}])
    assert judge.balance == 63


def test_a_rule_of_items_is_scaled_by_an_amount_and_a_flat_one_falls_at_nothing() -> None:
    """3 points a piece, 3 pieces: 9. 50 of 100 paid back: 9 × 50 ÷ 100 = 4.5, floor 4. The flat 10 stay until zero."""
    pieces = sale_rule("(properties.items ?? []).sum(i, (i.quantity ?? 0) * 3)", id="pieces")
    flat = sale_rule("10", id="flat")
    judge = judge_of(document(pieces, flat))
    judge.send("sale", amount="100", items=LINES)
    assert judge.balance == 19
    judge.send("partial_refund", now=hour(1), refund_id="r1", amount="50")
    assert judge.balance == 14
    judge.send("partial_refund", now=hour(2), refund_id="r2", amount="50")
    assert judge.balance == 0


# Content


def test_an_update_is_whole() -> None:
    judge = judge_of(document(AWARD))
    judge.send("sale", amount="100")
    refusal = judge.refuse("checkout_update", now=hour(1), items=LINES)
    assert (refusal.code, refusal.pointer) == ("missing", "/properties/amount")
    assert judge.balance == 100


def test_what_the_orders_revision_needs_and_the_content_lacks_keeps_its_value() -> None:
    """Under revision 1 the rule reads `category`; revision 2 has no such property."""
    then = {**SALE, "properties": {**SALE["properties"], "category": {"type": "text"}}}  # type: ignore[dict-item]
    reads = sale_rule("properties.amount", when='properties.category == "books"')
    judge = judge_of(document(reads, event_types=[then]))
    judge.send("sale", amount="100", category="books")
    old = judge.shelf.live
    judge.shelf = Shelf(book_of(document(sale_rule("properties.amount * 9"), event_types=[SALE]), 2), {1: old})
    changed = judge.send("checkout_update", now=hour(1), amount="130")
    assert [(found.code, found.pointer) for found in changed.warnings] == [
        ("content_from_previous", "/properties/category")
    ]
    assert moves(changed.postings) == ["30 program→available base"], "judged by revision 1"
    assert judge.send("sale", now=hour(2), order_id="o2", amount="10").postings[0].points == 90


def test_an_order_keeps_the_inputs_of_its_opening() -> None:
    """Silver doubles since 100; the order of 100 was opened below it, and its increase counts once."""
    levels = tiers(bronze=("0", "1"), silver=("100", "2"))
    first = sale_rule("50", id="first", when="customer.orders == 0", tier_multiplier=False)
    judge = judge_of(document(AWARD, first, tiers=levels))
    judge.send("sale", amount="100")
    assert (judge.balance, judge.state.tier) == (150, "silver")
    judge.send("checkout_update", now=hour(1), amount="120")
    assert judge.balance == 170  # 120 × 1 + 50: it is still the first order
    judge.send("checkout_accept", now=hour(2))
    judge.send("partial_refund", now=hour(3), refund_id="r1", amount="20")
    assert judge.balance == 150


# Limits (answer 39)


DAILY = sale_rule("properties.amount", limits=[{"points": "100", "window": "day"}])


def used(judge: Judge) -> Use:
    return judge.state.uses.get(("base", "day 2026-11-20"), NO_USE)


def test_an_increase_is_cut_to_the_room_that_others_leave() -> None:
    """A 60, lowered to 30, B 70: 100. A raised to 60 has 30 of its own and no other room: 30 + 70."""
    judge = judge_of(document(DAILY))
    judge.send("sale", order_id="A", amount="60")
    judge.send("checkout_update", now=hour(1), order_id="A", amount="30")
    judge.send("sale", now=hour(2), order_id="B", amount="80")
    assert judge.balance == 100  # 30 + 70
    raised = judge.send("checkout_update", now=hour(3), order_id="A", amount="60")
    assert raised.postings == ()
    assert raised.inputs.rooms == {"base": ((None, 30),)}
    assert (judge.balance, used(judge)) == (100, Use(2, 100))


def test_room_that_is_given_back_serves_later_events() -> None:
    judge = judge_of(document(DAILY))
    judge.send("sale", order_id="A", amount="100")
    judge.send("sale", now=hour(1), order_id="B", amount="50")  # no room
    judge.send("refund", now=hour(2), order_id="A")
    assert (judge.balance, used(judge)) == (0, NO_USE), "B was judged without room, and stays"
    judge.send("sale", now=hour(3), order_id="C", amount="80")
    assert judge.balance == 80
    # New content of B meets the room that C leaves: 20.
    judge.send("checkout_update", now=hour(4), order_id="B", amount="55")
    assert (judge.balance, used(judge)) == (100, Use(2, 100))


def test_the_room_is_kept_for_later_folds() -> None:
    """A's 90 met 100 − 30 of B: 70. All is refunded; then that refund is said to be of 40 only: 50, within the 70."""
    judge = judge_of(document(DAILY))
    judge.send("sale", order_id="A", amount="50")
    judge.send("sale", now=hour(1), order_id="B", amount="30")
    judge.send("checkout_update", now=hour(2), order_id="A", amount="90")
    assert judge.balance == 100  # 70 + 30
    judge.send("partial_refund", now=hour(3), order_id="A", refund_id="r", amount="90")
    assert judge.balance == 30
    judge.send("partial_refund", now=hour(4), order_id="A", refund_id="r", amount="40")
    assert judge.balance == 80  # 50 + 30


def test_what_an_order_holds_is_never_taken_away_for_a_limit() -> None:
    judge = judge_of(document(DAILY))
    judge.send("sale", order_id="A", amount="60")
    judge.send("sale", now=hour(1), order_id="B", amount="60")
    assert judge.balance == 100  # 60 + 40
    judge.send("checkout_update", now=hour(2), order_id="A", amount="61")
    assert judge.balance == 100


def test_an_order_has_a_bounded_number_of_refunds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORDER_REFUNDS", 2)
    judge = judge_of(document(AWARD, event_types=[SALE]))
    judge.send("sale", amount="100")
    for name in ("r1", "r2", "r2"):
        judge.send("partial_refund", refund_id=name, amount="10")
    assert judge.refuse("partial_refund", refund_id="r3", amount="10").code == "too_many_refunds"
    assert judge.balance == 80
