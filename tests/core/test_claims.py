"""Rewards: claimed, fulfilled, cancelled; stock, limits and codes. Every number is worked out by hand."""

from __future__ import annotations

import json

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
    named,
    rule,
    tiers,
)
from troth.core.decide import Decision
from troth.core.state import ALL_LOTS, Lacking, Stock

CUP = {"id": "cup", "cost": "40"}


def holder(*rewards: Document, points: str = "100", stock: Stock | None = None, **sections: object) -> Judge:
    """A customer with points, to whom only the stock of `cup` is known, as storage loads it."""
    judge = judge_of(document(rewards=list(rewards), **sections))
    judge.send("point_add", now=hour(-1), points=points)
    if stock is not None:
        judge.state = msgspec.structs.replace(
            judge.state,
            is_whole=False,
            stocks={"cup": stock},
            lots_to={"points": ALL_LOTS},
            due_to=moment("2030-01-01T00:00Z"),
        )
    return judge


def claim(judge: Judge, hours: int = 0, reward: str = "cup") -> Decision:
    return judge.decide("reward_claimed", hour(hours), None, {"reward": reward})


def code_of(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


def test_a_claim_spends_its_cost_and_says_so() -> None:
    judge = holder(CUP)
    judged = judge.send("reward_claimed", reward="cup")
    assert moves(judged.postings) == ["40 available→spent spend"]
    assert json.loads(judged.event.properties) == {"reward": "cup", "wallet": "points", "points": "40"}
    found = judge.state.redemptions[judged.event.id]
    assert found is not None
    assert (found.status, found.points, found.claimed_at) == ("created", 40, NOON)
    assert judge.in_states() == {"available": 60, "spent": 40}
    assert judge.state.last_activity_at == NOON, "a claim is activity (answer 20)"


def test_too_few_points_change_nothing() -> None:
    judge = holder(CUP, points="39")
    refusal = judge.refuse("reward_claimed", reward="cup")
    assert (refusal.code, refusal.pointer) == ("insufficient_points", "/properties/reward")
    assert judge.in_states() == {"available": 39}


def test_a_claim_one_second_after_the_points_ended_fails() -> None:
    judge = judge_of(document(rewards=[CUP]))
    judge.send("point_add", points="40", expires_at="2026-11-30T10:00:00Z")
    decision = judge.decide("reward_claimed", moment("2026-12-01T00:00:00Z"), None, {"reward": "cup"})
    assert code_of(decision) == "insufficient_points"
    assert [judged.event.type.id for judged in decision.due] == ["points_expired"]


STEPS = tiers(bronze=("0", "1"), gold=("1000", "1"))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"enabled": False}, "reward_unavailable"),
        ({"active": {"from": "2026-11-20T12:00:00Z"}}, None),  # inclusive
        ({"active": {"from": "2026-11-20T12:00:01Z"}}, "reward_unavailable"),
        ({"active": {"until": "2026-11-20T12:00:00Z"}}, "reward_unavailable"),  # exclusive
        ({"active": {"until": "2026-11-20T12:00:01Z"}}, None),
        ({"tiers": ["gold"]}, "reward_unavailable"),
        ({"tiers": ["gold", "bronze"]}, None),
        ({"wallet": "stars"}, "insufficient_points"),
    ],
)
def test_who_may_claim_what_when(more: Document, expected: str | None) -> None:
    judge = holder({**CUP, **more}, tiers=STEPS, wallets=[{"id": "points"}, {"id": "stars"}])
    assert code_of(claim(judge)) == expected


def test_an_unknown_reward() -> None:
    assert code_of(claim(holder(CUP), reward="car")) == "unknown_reward"


def test_stock_is_never_oversold() -> None:
    judge = holder({**CUP, "stock": "10"}, stock=Stock(claimed=9))
    assert code_of(claim(judge)) is None
    assert judge.state.stocks["cup"] == Stock(claimed=10)
    assert code_of(claim(judge, 1)) == "out_of_stock"
    assert judge.in_states() == {"available": 60, "spent": 40}


def test_each_code_is_given_once() -> None:
    judge = holder({**CUP, "codes": True}, stock=Stock(claimed=6, codes=(7, 8)))
    first, second, third = claim(judge), claim(judge, 1), claim(judge, 2)
    assert first.judged is not None
    assert second.judged is not None
    assert (first.judged.code, second.judged.code, code_of(third)) == (("cup", 7), ("cup", 8), "out_of_stock")
    assert judge.state.stocks["cup"] == Stock(claimed=8)


def test_a_customer_has_a_limit_that_a_cancellation_frees() -> None:
    judge = holder({**CUP, "per_customer": "1"})
    claimed = judge.send("reward_claimed", reward="cup")
    assert code_of(claim(judge, 1)) == "limit_reached"
    judge.send("reward_cancelled", now=hour(2), redemption=named("rdm", claimed))
    assert code_of(claim(judge, 3)) is None


def test_a_cancellation_gives_points_stock_and_limit_back_but_no_code() -> None:
    judge = holder({**CUP, "codes": True, "stock": "9", "per_customer": "3"}, stock=Stock(claimed=6, codes=(7, 8)))
    claimed = judge.send("reward_claimed", reward="cup")
    cancelled = judge.send("reward_cancelled", now=hour(1), redemption=named("rdm", claimed))
    assert moves(cancelled.postings) == ["40 spent→available return"]
    assert json.loads(cancelled.event.properties) == {
        "redemption": named("rdm", claimed),
        "reward": "cup",
        "wallet": "points",
        "points": "40",
    }
    assert judge.state.stocks["cup"] == Stock(claimed=6, codes=(8,))
    assert (judge.state.claimed["cup"], judge.balance) == (0, 100)


def test_returned_points_live_thirty_days_at_least() -> None:
    """Their lot ended on 30 November; cancelled on 5 December: to the end of 4 January."""
    judge = judge_of(document(rewards=[CUP]))
    judge.send("point_add", points="40", expires_at="2026-11-30T10:00:00Z")
    claimed = judge.send("reward_claimed", now=hour(1), reward="cup")
    cancelled = judge.send("reward_cancelled", now=moment("2026-12-05T12:00Z"), redemption=named("rdm", claimed))
    assert judge.lot(cancelled).expires_at == moment("2027-01-05T00:00Z")
    assert judge.balance == 40


def test_a_redemption_ends_once() -> None:
    judge = holder(CUP)
    for first in ("reward_fulfilled", "reward_cancelled"):
        name = named("rdm", judge.send("reward_claimed", now=hour(1), reward="cup"))
        judge.send(first, now=hour(2), redemption=name)
        for again in ("reward_fulfilled", "reward_cancelled"):
            refusal = judge.refuse(again, now=hour(3), redemption=name)
            assert (refusal.code, refusal.pointer) == ("redemption_ended", "/properties/redemption")
    assert judge.in_states() == {"available": 60, "spent": 40}


def test_fulfilment_moves_no_points() -> None:
    judge = holder(CUP)
    claimed = judge.send("reward_claimed", reward="cup")
    judged = judge.send("reward_fulfilled", now=hour(1), redemption=named("rdm", claimed))
    assert judged.postings == ()
    assert json.loads(judged.event.properties)["reward"] == "cup"
    found = judge.state.redemptions[claimed.event.id]
    assert found is not None
    assert found.status == "fulfilled"


@pytest.mark.parametrize("name", ["rdm_00", "nonsense", "rdm_" + "0" * 32])
def test_an_unknown_redemption(name: str) -> None:
    assert holder(CUP).refuse("reward_fulfilled", redemption=name).code == "unknown_redemption"


def test_stock_and_redemptions_that_are_not_loaded_are_asked_for() -> None:
    judge = holder(CUP)
    claimed = judge.send("reward_claimed", reward="cup")
    judge.state = type(judge.state)(created_at=LONG_AGO, wallets=judge.state.wallets)
    with pytest.raises(Lacking) as lacking:
        claim(judge, 1)
    assert lacking.value.need.reward == "cup"
    with pytest.raises(Lacking) as lacking:
        judge.send("reward_cancelled", now=hour(1), redemption=named("rdm", claimed))
    assert lacking.value.need.redemption == claimed.event.id


def test_rules_on_claims_see_what_the_engine_adds() -> None:
    back = rule("properties.points ?? 0", event_type="reward_claimed", id="back", when='properties.wallet == "points"')
    judge = judge_of(document(back, rewards=[CUP]))
    judge.send("point_add", points="40")
    assert moves(judge.send("reward_claimed", now=hour(1), reward="cup").postings) == [
        "40 available→spent spend",
        "40 program→available back",
    ]
