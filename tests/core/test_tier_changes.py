"""Tier changes: by points at once, by points taken back, by time, by hand. Every number is worked out by hand."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

from tests.core.judging import (
    LONG_AGO,
    NOON,
    Document,
    Judge,
    document,
    hour,
    judge_of,
    moment,
    moves,
    rule,
    sale_rule,
    tiers,
)
from troth.core.judging import Judged
from troth.core.state import Earned, Lacking, TierHistory
from troth.core.tier_changes import history_of, is_manual, review_at, with_history

STEPS = tiers(bronze=("0", "1"), silver=("100", "2"), gold=("500", "3"))
AMOUNT = rule("properties.amount", tier_multiplier=False)
SALE = sale_rule("properties.amount", id="sold", tier_multiplier=False)


def windowed(window: str, downgrade: str, **more: object) -> Document:
    basis = {"wallet": "points", "window": window, **({"months": "3"} if window == "rolling" else {})}
    levels = [{"id": "bronze", "from": "0"}, {"id": "silver", "from": "100"}, {"id": "gold", "from": "500"}]
    return {"basis": basis, "downgrade": downgrade, "levels": levels, **more}


def told(judged: Judged) -> list[tuple[str, dict[str, object]]]:
    """The tier events that an event causes, without the wallet."""
    found = [(caused.event.type.id, json.loads(caused.event.properties)) for caused in judged.caused]
    return [(type_id, {name: value for name, value in raw.items() if name != "wallet"}) for type_id, raw in found]


def up(before: str, after: str, *, first: bool) -> tuple[str, dict[str, object]]:
    return ("tier_upgraded", {"from_tier": before, "to_tier": after, "first_time": first})


def down(before: str, after: str) -> tuple[str, dict[str, object]]:
    return ("tier_downgraded", {"from_tier": before, "to_tier": after})


# Points


def test_points_taken_back_are_judged_at_once_and_first_time_is_told_once() -> None:
    """120 of an order: silver. 90: bronze, though lifetime levels never fall by time. 130: silver again."""
    judge = judge_of(document(SALE, tiers=STEPS))
    assert told(judge.send("sale", amount="120")) == [up("bronze", "silver", first=True)]
    assert told(judge.send("checkout_update", now=hour(1), amount="90")) == [down("silver", "bronze")]
    assert told(judge.send("checkout_update", now=hour(2), amount="130")) == [up("bronze", "silver", first=False)]
    assert judge.state.tiers.reached == ("silver",)
    assert judge.state.tier_since == hour(2)


@pytest.mark.parametrize(
    ("points", "reverse", "tier"), [("600", False, "gold"), ("101", True, "silver"), ("600", True, "bronze")]
)
def test_spending_lowers_no_level_and_reversing_does(points: str, reverse: bool, tier: str) -> None:
    judge = judge_of(document(tiers=STEPS))
    judge.send("point_add", points="600")
    judge.send("point_sub", now=hour(1), points=points, reverse=reverse)
    assert judge.state.tier == tier


def test_expiry_lowers_no_level() -> None:
    judge = judge_of(document(tiers=STEPS))
    judge.send("point_add", points="600", expires_at="2026-11-30T10:00:00Z")
    judge.settle(moment("2026-12-02T00:00Z"))
    assert (judge.in_states(), judge.state.tier) == ({"expired": 600}, "gold")


def test_what_does_not_count_lifts_nobody() -> None:
    judge = judge_of(document(tiers=STEPS, wallets=[{"id": "points"}, {"id": "stars"}]))
    judge.send("point_add", points="600", qualifying=False)
    judge.send("point_add", points="600", wallet="stars")
    assert judge.state.tier == "bronze"


def test_a_bonus_of_an_upgrade_stays_when_its_cause_is_taken_back() -> None:
    """Answer 17. 120 + 10: silver. Rejected: 10 are left, bronze."""
    bonus = rule("10", event_type="tier_upgraded", id="bonus", when='properties.to_tier == "silver"')
    judge = judge_of(document(SALE, {**bonus, "tier_multiplier": False}, tiers=STEPS))
    judge.send("sale", amount="120")
    assert told(judge.send("checkout_reject", now=hour(1))) == [down("silver", "bronze")]
    assert judge.balance == 10


# Time


def test_a_rolling_window_loses_points_at_the_end_of_a_day() -> None:
    """120 of 20 November count for 3 months: to the end of 20 February."""
    judge = judge_of(document(AMOUNT, tiers=windowed("rolling", "immediately")))
    judge.send(amount="120")
    assert review_at(judge.state, judge.book) == moment("2027-02-21T00:00Z")
    assert judge.settle(moment("2027-02-20T23:59:59Z")) == ()
    (lowered,) = judge.settle(moment("2027-02-21T00:00Z"))
    assert (lowered.event.type.id, lowered.event.occurred_at) == ("tier_downgraded", moment("2027-02-21T00:00Z"))
    assert (judge.state.tier, judge.state.tier_since) == ("bronze", moment("2027-02-21T00:00Z"))
    assert judge.balance == 120


def test_new_points_in_time_keep_the_level() -> None:
    """From 21 February 60 + 50 = 110 count; from 11 April only what came later."""
    judge = judge_of(document(AMOUNT, tiers=windowed("rolling", "immediately")))
    judge.send(amount="120")
    judge.send(now=moment("2027-01-10T12:00Z"), amount="60")
    judge.send(now=moment("2027-02-10T12:00Z"), amount="50")
    assert judge.settle(moment("2027-03-01T00:00Z")) == ()
    assert judge.state.tier == "silver"
    (lowered,) = judge.settle(moment("2027-05-01T00:00Z"))
    assert lowered.event.occurred_at == moment("2027-04-11T00:00Z")


def test_grace_postpones_the_review() -> None:
    """10 days of grace: to the end of 2 March. Who is back above by then keeps the level (answer 16)."""
    policy = windowed("rolling", "immediately", grace_days="10")
    judge = judge_of(document(AMOUNT, tiers=policy))
    judge.send(amount="120")
    (lowered,) = judge.settle(moment("2027-04-01T00:00Z"))
    assert lowered.event.occurred_at == moment("2027-03-03T00:00Z")
    saved = judge_of(document(AMOUNT, tiers=policy))
    saved.send(amount="120")
    saved.send(now=moment("2027-03-02T12:00Z"), amount="100")
    assert saved.settle(moment("2027-04-01T00:00Z")) == ()
    assert saved.state.tier == "silver"


def test_a_calendar_year_is_held_to_the_end_of_the_next() -> None:
    """500 in 2026: gold to the end of 2027. 150 in 2027: silver to the end of 2028."""
    judge = judge_of(document(AMOUNT, tiers=windowed("calendar_year", "at_period_end")))
    judge.send(amount="500")
    judge.send(now=moment("2027-05-01T12:00Z"), amount="150")
    due = judge.settle(moment("2029-06-01T00:00Z"))
    assert [(found.event.occurred_at, json.loads(found.event.properties)["to_tier"]) for found in due] == [
        (moment("2028-01-01T00:00Z"), "silver"),
        (moment("2029-01-01T00:00Z"), "bronze"),
    ]


def test_a_late_release_repeats_the_review_of_its_year() -> None:
    """An order of 600 of December 2026, accepted in 2028: 2026 reached gold, which was held to the end of 2027.

    2027 reached nothing, and by 2028 the level of 2026 is over: no change. Accepted in 2027: gold at once.
    """
    for accepted, tier in (("2027-03-01T12:00Z", "gold"), ("2028-03-01T12:00Z", "bronze")):
        judge = judge_of(
            document(SALE, tiers=windowed("calendar_year", "at_period_end"), orders={"acceptance": "manual"})
        )
        judge.send("sale", now=moment("2026-12-10T12:00Z"), amount="600")
        assert judge.state.tier == "bronze", "pending points lift no tier"
        judge.send("checkout_accept", now=moment(accepted))
        assert judge.state.tier == tier


def test_a_reversal_repeats_it_too() -> None:
    """500 of 2026 gave gold for 2027. In 2027 a return of 450 leaves 50 for 2026: bronze at once."""
    judge = judge_of(document(SALE, tiers=windowed("calendar_year", "at_period_end")))
    judge.send("sale", amount="500")
    judge.settle(moment("2027-02-01T00:00Z"))
    returned = judge.send("partial_refund", now=moment("2027-02-01T12:00Z"), refund_id="r", amount="450")
    assert told(returned) == [down("gold", "bronze")]


def test_never_means_that_time_takes_nothing() -> None:
    judge = judge_of(document(AMOUNT, tiers=windowed("rolling", "never")))
    judge.send(amount="500")
    assert judge.settle(moment("2035-01-01T00:00Z")) == ()
    assert judge.state.tier == "gold"


# By hand


def test_a_level_set_by_hand_stays_until_its_date() -> None:
    """Gold by hand to 1 December; meanwhile 100 points call for silver, which comes then."""
    judge = judge_of(document(AMOUNT, tiers=STEPS))
    lifted = judge.send("tier_set", tier="gold", until="2026-12-01T00:00:00Z", reason="a friend")
    assert told(lifted) == [up("bronze", "gold", first=True)]
    assert told(judge.send(now=hour(1), amount="100")) == []
    assert (judge.state.tier, judge.state.tiers.reached) == ("gold", ("gold",))
    assert review_at(judge.state, judge.book) == moment("2026-12-01T00:00Z")
    (lowered,) = judge.settle(moment("2026-12-05T00:00Z"))
    assert json.loads(lowered.event.properties) == {"from_tier": "gold", "to_tier": "silver", "wallet": "points"}
    assert (lowered.event.occurred_at, judge.state.tier_since) == (moment("2026-12-01T00:00Z"),) * 2


def test_by_hand_a_level_can_be_lower_than_the_points_call_for() -> None:
    judge = judge_of(document(AMOUNT, tiers=STEPS))
    judge.send(amount="500")
    assert told(judge.send("tier_set", now=hour(1), tier="bronze")) == [down("gold", "bronze")]
    assert told(judge.send(now=hour(2), amount="500")) == []
    assert review_at(judge.state, judge.book) is None, "without a date it stays"
    assert told(judge.send("tier_set", now=hour(3))) == [up("bronze", "gold", first=False)]
    assert judge.state.tiers.manual is None


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ({"tier": "platinum"}, "/properties/tier", "unknown_level"),
        ({"tier": "gold", "until": "2026-11-20T12:00:00Z"}, "/properties/until", "out_of_range"),
    ],
)
def test_what_cannot_be_set(given: dict[str, object], pointer: str, code: str) -> None:
    refusal = judge_of(document(tiers=STEPS)).refuse("tier_set", **given)
    assert (refusal.pointer, refusal.code) == (pointer, code)
    assert judge_of(document()).refuse("tier_set", tier="gold").code == "unknown_level"


def test_when_a_hand_rules() -> None:
    judge = judge_of(document(tiers=STEPS))
    for until, now, expected in ((None, NOON, True), (hour(1), NOON, True), (hour(1), hour(1), False)):
        tiers_ = TierHistory(manual="gold", manual_until=until)
        assert is_manual(msgspec.structs.replace(judge.state, tiers=tiers_), now) is expected
    assert not is_manual(judge.state, NOON)


# The history


def test_the_history_holds_days_that_points_count_at() -> None:
    """Earned on 5 November, known on the 20th; 30 of it taken back a day later."""
    judge = judge_of(document(SALE, tiers=windowed("rolling", "immediately")))
    judge.send("sale", at=moment("2026-11-05T12:00Z"), amount="100")
    judge.send("checkout_update", now=hour(24), amount="70")
    (entry,) = judge.state.tiers.earned
    assert entry == Earned(moment("2026-11-05T00:00Z").date(), NOON.date(), 70)
    assert judge.state.tiers.basis == "points rolling 3 UTC"


def test_another_basis_asks_for_all_postings() -> None:
    book = judge_of(document(AMOUNT, tiers=windowed("rolling", "immediately"))).book
    fresh = judge_of(document(AMOUNT, tiers=STEPS))
    assert with_history(fresh.state, book).tiers.basis == "points rolling 3 UTC", "nothing is recorded yet"
    fresh.send(amount="120")
    with pytest.raises(Lacking) as lacking:
        with_history(fresh.state, book)
    assert lacking.value.need.qualifying == "points"
    found = history_of(fresh.state.tiers, book, hour(2), [(NOON, NOON, 120), (NOON, hour(1), -20)])
    assert found.earned == (Earned(NOON.date(), NOON.date(), 100),)
    assert (found.basis, found.seen_at, found.reached) == ("points rolling 3 UTC", hour(2), ("silver",))


def test_another_basis_takes_no_level_away() -> None:
    """Gold by lifetime; under a new rolling basis all points are old. Only time or a reversal is judged from now on."""
    judge = judge_of(document(AMOUNT, tiers=STEPS))
    judge.send(now=moment("2025-01-01T12:00Z"), amount="500")
    other = judge_of(document(AMOUNT, tiers=windowed("rolling", "immediately")))
    past = moment("2025-01-01T12:00Z")
    history = history_of(judge.state.tiers, other.book, NOON, [(past, past, 500)])
    other.state = msgspec.structs.replace(judge.state, tiers=history)
    assert told(other.send(amount="1")) == []
    assert other.state.tier == "gold"


def test_who_holds_a_level_that_is_gone_starts_anew_without_an_upgrade() -> None:
    judge = judge_of(document(AMOUNT, tiers=STEPS), tier="platinum", tier_since=NOON)
    assert told(judge.send(amount="1")) == []
    assert (judge.state.tier, judge.state.tier_since) == ("bronze", LONG_AGO)


def test_an_upgrade_at_the_level_of_its_moment() -> None:
    """Released 10 days later: the points count at 20 November, the level is held since the release."""
    held = rule("100", hold="P10D", tier_multiplier=False)
    judge: Judge = judge_of(document(held, tiers=windowed("rolling", "immediately")))
    judge.send(amount="1")
    released, upgraded = judge.settle(NOON + timedelta(days=10))
    assert moves(released.postings) == ["100 pending→available release"]
    assert upgraded.event.type.id == "tier_upgraded"
    assert judge.state.tier_since == NOON + timedelta(days=10)
    assert review_at(judge.state, judge.book) == moment("2027-02-21T00:00Z"), "counted from 20 November"
