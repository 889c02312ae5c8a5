"""Decisions: due work → rules → postings → tier → what that causes; refusals; and the same bytes every time."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from tests.core.judging import NOON, Judge, document, event_id, judge_of, moment, rule, tiers
from troth import limits
from troth.core.decide import decide
from troth.core.ids import recorded_at
from troth.core.judging import Judged
from troth.core.state import WalletState

YEARLY = [{"id": "points", "expiry": {"kind": "months_after_earning", "months": "12"}}]
STEPS = tiers(bronze=("0", "1"), silver=("100", "2"), gold=("500", "3"))


def bonus(points: str, level: str, name: str = "bonus") -> dict[str, object]:
    when = f'properties.to_tier == "{level}"'
    return {"id": name, "event_type": "tier_upgraded", "when": when, "award": points, "tier_multiplier": False}


def shape(judged: Judged) -> list[tuple[str, int, int]]:
    """(type, depth, points posted) of an event and everything it caused."""
    return [
        (found.event.type.id, found.event.depth, sum(posting.points for posting in found.postings))
        for found in (judged, *judged.caused)
    ]


def test_the_multiplier_is_that_of_the_tier_held_before() -> None:
    judge = judge_of(document(rule("properties.amount"), tiers=STEPS))
    first = judge.send(amount="150")
    assert (judge.balance, judge.state.tier) == (150, "silver")  # × 1, then silver
    assert first.inputs.multiplier == 1
    second = judge.send(amount="10")
    assert (judge.balance, second.inputs.multiplier) == (170, 2)  # 150 + 10 × 2


def test_the_lowest_level_is_held_without_an_upgrade() -> None:
    judge = judge_of(document(rule("1"), tiers=STEPS))
    assert shape(judge.send(amount="1")) == [("purchase", 0, 1)]
    assert (judge.state.tier, judge.state.tier_since) == ("bronze", judge.state.created_at)


def test_a_skipped_level_is_one_upgrade() -> None:
    judge = judge_of(
        document(rule("properties.amount"), bonus("7", "silver"), bonus("9", "gold", "other"), tiers=STEPS)
    )
    judged = judge.send(amount="500")
    assert shape(judged) == [("purchase", 0, 500), ("tier_upgraded", 1, 9)]
    (upgraded,) = judged.caused
    assert msgspec.json.decode(upgraded.event.properties) == {
        "from_tier": "bronze",
        "to_tier": "gold",
        "wallet": "points",
        "first_time": True,
    }
    assert (upgraded.event.parent, upgraded.seq) == (judged.event.id, 2)
    assert judge.state.tier_since == judged.event.occurred_at


def test_an_upgrade_bonus_uses_the_new_level() -> None:
    multiplied = {**bonus("10", "silver"), "tier_multiplier": True}
    judge = judge_of(document(rule("properties.amount"), multiplied, tiers=STEPS))
    assert shape(judge.send(amount="100")) == [("purchase", 0, 100), ("tier_upgraded", 1, 20)]  # silver doubles


def stairs(count: int) -> Judge:
    """Levels at 1, 2, 3, …; each upgrade pays the point that brings the next one."""
    levels = tiers(**{f"l{number}": (str(number), "1") for number in range(count)})
    climb = {"id": "climb", "event_type": "tier_upgraded", "award": "1", "tier_multiplier": False}
    return judge_of(document(rule("1"), climb, tiers=levels))


def test_a_chain_of_upgrades_ends_by_itself() -> None:
    judge = stairs(4)
    # 1 point → l1 (+1) → l2 (+1) → l3 (+1): no l4.
    assert shape(judge.send(amount="1")) == [("purchase", 0, 1)] + [("tier_upgraded", depth, 1) for depth in (1, 2, 3)]
    assert (judge.balance, judge.state.tier, judge.state.seq) == (4, "l3", 4)


def test_a_chain_is_cut_at_the_depth_and_says_so() -> None:
    judge = stairs(10)
    judged = judge.send(amount="1")
    depths = [depth for _, depth, _ in shape(judged)]
    assert depths == list(range(limits.CAUSED_DEPTH + 1)) == [0, 1, 2, 3, 4, 5]
    assert (judge.balance, judge.state.tier) == (6, "l5"), "the cause stands"
    assert [problem.code for problem in judged.caused[-1].warnings] == ["caused_depth"]
    assert not any(found.warnings for found in (judged, *judged.caused[:-1]))
    # The level that was cut off comes with the next event.
    assert judge.send(amount="1").caused[0].after.tier != "l5"


def test_due_points_end_before_the_event_is_judged() -> None:
    """Order of work: the balance a rule reads has lost what fell due, and the expiry carries its due time."""
    reader = rule("7", id="reader", when="customer.balance == 0", tier_multiplier=False)
    first = rule("10", when="customer.count('purchase') == 0", tier_multiplier=False)
    judge = judge_of(document(first, reader, wallets=YEARLY))
    judge.send(amount="1", now=moment("2025-01-10T12:00Z"))
    assert judge.balance == 17
    decision = judge.decide("purchase", NOON, NOON, {"amount": "1"})
    assert decision.judged is not None
    (expired,) = decision.due
    assert (expired.event.type.id, expired.event.occurred_at) == ("points_expired", moment("2026-01-11T00:00Z"))
    assert msgspec.json.decode(expired.event.properties) == {"wallet": "points", "points": "17"}
    assert (expired.seq, decision.judged.seq) == (2, 3)
    assert expired.event.id < decision.judged.event.id
    assert [posting.rule for posting in decision.judged.postings] == ["reader"]
    assert judge.balance == 7


def test_days_that_fell_due_are_posted_in_their_order() -> None:
    judge = judge_of(document(rule("properties.amount"), wallets=YEARLY))
    for day, amount in (("2025-02-01", "2"), ("2025-01-01", "1"), ("2025-02-01", "3")):
        judge.send(amount=amount, now=moment("2025-03-01T00:00Z"), at=moment(f"{day}T10:00Z"))
    decision = judge.decide("purchase", NOON, NOON, {"amount": "1"})
    assert [(found.event.occurred_at, sum(p.points for p in found.postings)) for found in decision.due] == [
        (moment("2026-01-02T00:00Z"), 1),
        (moment("2026-02-02T00:00Z"), 5),
    ]
    assert len({found.event.id for found in decision.recorded}) == 3
    assert judge.balance == 1


@pytest.mark.parametrize(("now", "balance"), [("2026-11-20T23:59:59.999Z", 11), ("2026-11-21T00:00:00Z", 1)])
def test_due_means_at_or_before_now(now: str, balance: int) -> None:
    judge = judge_of(document(rule("properties.amount"), wallets=YEARLY))
    judge.send(amount="10", now=moment("2025-11-20T12:00Z"))
    judge.send(amount="1", now=moment(now))
    assert judge.balance == balance


def test_due_work_stands_when_the_event_is_refused() -> None:
    judge = judge_of(document(rule("10"), wallets=YEARLY))
    judge.send("signup", now=moment("2025-01-01T12:00Z"))
    judge.send(amount="1", now=moment("2025-01-01T12:00Z"))
    decision = judge.decide("signup", NOON, NOON, {})
    assert decision.judged is None
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.refusal.pointer) == ("not_repeatable", "/type")
    assert [found.event.type.id for found in decision.due] == ["points_expired"]
    assert (judge.balance, judge.state.seq) == (0, 3)


def test_rules_on_expiry_may_award_and_lift_a_tier() -> None:
    comfort = {"id": "comfort", "event_type": "points_expired", "award": "100", "tier_multiplier": False}
    judge = judge_of(document(rule("1"), comfort, tiers=STEPS, wallets=YEARLY))
    judge.send(amount="1", now=moment("2025-01-01T12:00Z"))
    decision = judge.decide("purchase", NOON, NOON, {"amount": "1"})
    assert [found.event.type.id for found in decision.due] == ["points_expired", "tier_upgraded"]
    assert [found.seq for found in decision.recorded] == [2, 3, 4]
    assert len({found.event.id for found in decision.recorded}) == 3
    assert decision.judged is not None
    assert decision.judged.inputs.multiplier == 2, "silver was held before the purchase"


def test_limits_hold_across_events_and_free_up_with_the_window() -> None:
    judge = judge_of(document(rule("properties.amount", limits=[{"points": "100", "window": "day"}])))
    for amount in ("60", "60", "60"):
        judge.send(amount=amount)
    assert judge.balance == 100  # 60 + 40 + 0
    judge.send(amount="60", now=NOON + timedelta(days=1), at=NOON)  # late, of the same day
    assert judge.balance == 100
    judge.send(amount="60", now=NOON + timedelta(days=1))
    assert judge.balance == 160


def test_only_what_is_awarded_uses_a_limit_up() -> None:
    grouped = rule("1", group="g", limits=[{"times": "1", "window": "ever"}])
    judge = judge_of(document(grouped, rule("properties.amount", id="more", group="g")))
    judge.send(amount="5")  # `more` wins
    judge.send(amount="0")  # `base` wins: 1 > 0
    judge.send(amount="0")  # used up
    assert judge.balance == 6


def test_an_award_that_is_cut_warns() -> None:
    judged = judge_of(document(rule("1000000000001"))).send(amount="1")
    assert [problem.code for problem in judged.warnings] == ["award_limit"]
    assert sum(posting.points for posting in judged.postings) == limits.AWARD_POINTS


@pytest.mark.parametrize(
    ("held", "is_refused"), [(limits.BALANCE_POINTS - 5, False), (limits.BALANCE_POINTS - 4, True)]
)
def test_a_balance_has_a_limit(held: int, is_refused: bool) -> None:
    judge = judge_of(document(rule("5")))
    wallet = WalletState(program=-held, available=held, qualifying=held)
    judge.state = msgspec.structs.replace(judge.state, wallets={"points": wallet})
    decision = judge.decide("purchase", NOON, NOON, {"amount": "1"})
    assert (decision.refusal is not None) is is_refused
    if decision.refusal:
        assert decision.refusal.code == "balance_limit"
        assert decision.state.wallet("points").available == held


def test_a_removed_level_is_left_and_the_points_count_again() -> None:
    old = judge_of(document(rule("properties.amount"), tiers=tiers(bronze=("0", "1"), gold=("100", "2"))))
    old.send(amount="100")
    assert old.state.tier == "gold"
    new = judge_of(document(rule("properties.amount"), bonus("5", "silver"), tiers=STEPS))
    new.state = old.state
    without_gold = judge_of(document(rule("properties.amount"), tiers=tiers(start=("0", "1"), top=("1000", "9"))))
    without_gold.state = old.state
    judged = without_gold.send(amount="1")
    assert (judged.inputs.multiplier, without_gold.state.tier) == (1, "start")
    assert shape(new.send(amount="1")) == [("purchase", 0, 3)], "gold stays: its multiplier is now 3"


def test_system_events_are_no_activity() -> None:
    judge = judge_of(document(rule("100"), tiers=STEPS, wallets=YEARLY))
    judge.send(amount="1", now=moment("2025-01-01T12:00Z"), at=moment("2024-06-01T00:00Z"))
    judge.decide("signup", NOON, moment("2024-01-01T00:00Z"), {})
    assert judge.state.last_activity_at == moment("2024-06-01T00:00Z"), "the latest occurred_at of a member's own event"


def decide_twice(now: datetime) -> list[bytes]:
    encoded = []
    for _ in range(2):
        source = document(rule("properties.amount"), bonus("9", "silver"), tiers=STEPS, wallets=YEARLY)
        judge = judge_of(source)
        judge.send(amount="150.55", now=moment("2025-01-01T12:00Z"))
        decision = judge.decide("purchase", now, now, {"amount": "20"})
        encoded.append(repr((decision.recorded, decision.state)).encode())
    return encoded


def test_the_same_inputs_give_the_same_bytes() -> None:
    first, second = decide_twice(NOON)
    assert first == second
    assert b"points_expired" in first
    assert b"tier_upgraded" in first


def test_a_decision_asks_no_clock() -> None:
    """The event's own id says when it was recorded; nothing else does."""
    judge = judge_of(document(rule("1")))
    event = judge.event("purchase", NOON, NOON, {"amount": "1"})
    decision = decide(judge.state, event, judge.shelf)
    assert decision.judged is not None
    assert decision.judged.event.recorded_at == recorded_at(event_id(NOON, judge.serial)) == NOON
