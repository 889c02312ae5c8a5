"""Replay: a history folds to the state it led to without a difference; whatever is changed in it is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from tests.core.judging import NOON, Judge, document, hour, judge_of, named, rule, sale_rule
from troth.core.inputs import to_json
from troth.core.judging import Judged
from troth.core.record import show_after
from troth.core.replay import Difference, Fold, PastEvent, begin, due_moment, lost_lots, replay, settled_lot_ends
from troth.core.state import NO_CALENDAR

PROGRAM = document(
    rule("properties.amount", hold="P10D", limits=[{"points": "300", "window": "month"}]),
    sale_rule("properties.amount", id="sold"),
    sale_rule("40", id="welcome", when="customer.orders == 0"),
    rule("20", event_type="birthday", id="cake"),
    rule("5", event_type="tier_upgraded", id="bonus"),
    settings={"name": "T", "time_zone": "Europe/Budapest", "inactivity_days": "60"},
    wallets=[{"id": "points", "expiry": {"kind": "months_after_activity", "months": "9"}}, {"id": "stars"}],
    orders={"acceptance": {"after": "P14D", "then": "accept"}},
    rewards=[{"id": "cup", "cost": "40"}],
    tiers={
        "basis": {"wallet": "points", "window": "rolling", "months": "6"},
        "downgrade": "at_period_end",
        "levels": [{"id": "bronze", "from": "0"}, {"id": "silver", "from": "100", "multiplier": "1.5"}],
    },
)
Group = list[PastEvent]


def plain(value: object) -> object:
    """As it reads back from storage."""
    return json.loads(msgspec.json.Encoder(decimal_format="number").encode(value), parse_float=Decimal)


def past(judged: Judged, judge: Judge) -> PastEvent:
    event = judged.event
    properties, inputs = json.loads(event.properties, parse_float=Decimal), plain(to_json(judged.inputs))
    after = plain(show_after(judged.after, tuple(wallet.id for wallet in judge.book.program.wallets)))
    assert inputs is None or isinstance(inputs, dict)
    assert isinstance(after, dict)
    return PastEvent(
        id=event.id,
        seq=judged.seq,
        type=event.type.id,
        occurred_at=event.occurred_at,
        source="system" if event.parent is not None or is_due(judged) else "api",
        properties=properties,
        inputs=inputs,
        after=after,
        parent=event.parent,
        depth=event.depth,
        caused=len(judged.caused),
        outcome=judged.outcome,
        revision=1,
        order_key=event.order_key,
        postings=judged.postings,
    )


def is_due(judged: Judged) -> bool:
    """Judged at its own moment, not when it was recorded."""
    return judged.event.parent is None and judged.event.judged_at != judged.event.recorded_at


class Life:
    """One customer's history, as it is recorded."""

    def __init__(self) -> None:
        self.judge = judge_of(PROGRAM, created_at=NOON, calendar=NO_CALENDAR)
        self.groups: list[Group] = []

    def send(self, type_id: str, now: datetime, at: datetime | None = None, **raw: object) -> Judged:
        decision = self.judge.decide(type_id, now, at, raw)
        assert decision.judged is not None, decision.refusal
        self.keep(decision.recorded)
        return decision.judged

    def keep(self, recorded: Sequence[Judged]) -> None:
        for judged in recorded:
            item = past(judged, self.judge)
            if item.parent is None:
                self.groups.append([])
            self.groups[-1].append(item)


def days(number: int) -> datetime:
    return NOON + timedelta(days=number)


def lived() -> Life:
    """A year and more with orders, holds, claims, reservations, debts, tiers, expiry and the calendar."""
    life = Life()
    life.send("refund", NOON, order_id="o9")
    life.send("profile", hour(1), birth_date="1990-02-14")
    life.send("purchase", hour(2), amount="120")
    life.send("sale", hour(3), order_id="o1", amount="90.50", burned="0")
    life.send("checkout_update", hour(4), order_id="o1", amount="80")
    life.send("partial_refund", hour(5), order_id="o1", refund_id="r", amount="15")
    life.send("sale", hour(6), order_id="o9", amount="500")  # refunded before it came
    life.send("purchase", days(12), amount="400")  # cut to the room of its month
    claimed = life.send("reward_claimed", days(13), reward="cup")
    held = life.send("points_reserved", days(13), points="30", timeout="P3D")
    life.send("reservation_captured", days(14), reservation=named("res", held), points="10")
    life.send("points_reserved", days(14), points="7")
    life.send("reward_cancelled", days(15), redemption=named("rdm", claimed))
    life.send("sale", days(16), order_id="o2", amount="60", burned="25", auto_accept=True)
    life.send("tier_set", days(17), tier="silver", until="2027-02-01T00:00:00Z")
    life.send("point_sub", days(18), points="900", allow_debt=True)
    life.send("checkout_reject", days(19), order_id="o2")
    life.send("point_add", days(20), points="1000", earned_at="2026-10-01T08:00:00Z", qualifying=False)
    life.send("purchase", days(300), amount="3")
    life.send("signup", days(500))
    return life


LIVED = lived()


def folded(groups: Sequence[Sequence[PastEvent]]) -> Fold:
    fold = begin(NOON)
    for group in groups:
        replay(fold, group, LIVED.judge.shelf)
    return fold


def differences(groups: Sequence[Sequence[PastEvent]]) -> list[Difference]:
    fold = folded(groups)
    return [*fold.differences, *lost_lots(fold)]


def test_the_story_tells_of_everything() -> None:
    types = {item.type for group in LIVED.groups for item in group}
    assert types >= {
        "points_released",
        "checkout_accept",
        "reservation_released",
        "points_expired",
        "tier_upgraded",
        "tier_downgraded",
        "birthday",
        "anniversary",
        "inactivity",
    }


def test_a_history_folds_without_a_difference() -> None:
    fold = folded(LIVED.groups)
    assert fold.differences == []
    assert list(lost_lots(fold)) == []


def test_and_to_the_state_it_led_to() -> None:
    """But for the birth date, which is personal and read by no proof."""
    fold, state = folded(LIVED.groups), LIVED.judge.state
    assert fold.wallets == state.wallets == fold.state.wallets
    assert fold.state.lots == state.lots
    assert (fold.state.seq, fold.state.counts, fold.state.uses) == (state.seq, state.counts, state.uses)
    assert (fold.state.tier, fold.state.tier_since, fold.state.tiers) == (state.tier, state.tier_since, state.tiers)
    assert (fold.state.orders, fold.state.order_states) == (state.orders, state.order_states)
    assert (fold.state.reservations, fold.state.redemptions) == (state.reservations, state.redemptions)
    passed = msgspec.structs.replace(state.calendar, birthday_passed=0)  # a birth date is personal: the fold has none
    assert fold.state.calendar == passed
    due = due_moment(fold, LIVED.judge.shelf)
    assert due is not None
    assert state.due_at is not None
    assert state.due_at <= due
    ends = settled_lot_ends(fold, LIVED.judge.shelf)
    assert ends.keys() == state.lots.keys()


# What is changed is found

Change = Callable[[PastEvent], PastEvent]


def changed(at: int, change: Change, n: int = 0) -> list[Group]:
    groups = [list(group) for group in LIVED.groups]
    groups[at][n] = change(groups[at][n])
    return groups


def where(type_id: str) -> int:
    return next(at for at, group in enumerate(LIVED.groups) if group[0].type == type_id and group[0].postings)


def with_posting(item: PastEvent, **fields: object) -> PastEvent:
    first, *others = item.postings
    return msgspec.structs.replace(item, postings=(msgspec.structs.replace(first, **fields), *others))


@pytest.mark.parametrize(
    ("type_id", "change", "kinds"),
    [
        ("purchase", lambda item: with_posting(item, points=item.postings[0].points + 1), {"posting", "lot"}),
        ("sale", lambda item: with_posting(item, rule="sold2"), {"posting"}),
        ("purchase", lambda item: with_posting(item, qualifying=False), {"posting"}),
        ("reward_claimed", lambda item: with_posting(item, lot_n=7), {"posting", "lot"}),
        ("points_expired", lambda item: msgspec.structs.replace(item, postings=()), {"posting", "lot"}),
        ("purchase", lambda item: msgspec.structs.replace(item, seq=item.seq + 1), {"event"}),
        ("sale", lambda item: msgspec.structs.replace(item, outcome="waiting_for_order"), {"event"}),
        ("purchase", lambda item: msgspec.structs.replace(item, inputs=None), {"event"}),
        ("sale", lambda item: msgspec.structs.replace(item, caused=item.caused + 1), {"event"}),
        ("sale", lambda item: msgspec.structs.replace(item, after={**item.after, "tier": None, "x": 1}), {"event"}),
    ],
)
def test_a_tampered_event_is_found(type_id: str, change: Change, kinds: set[str]) -> None:
    at = where(type_id)
    found = differences(changed(at, change))
    assert {difference.kind for difference in found} == kinds
    assert any(difference.id.removeprefix("evt_")[:32] == LIVED.groups[at][0].id.hex for difference in found)


@pytest.mark.parametrize("type_id", ["points_released", "checkout_accept", "points_expired", "birthday", "purchase"])
def test_an_event_that_is_missing_is_found(type_id: str) -> None:
    at = where(type_id)
    assert differences([*LIVED.groups[:at], *LIVED.groups[at + 1 :]])


def test_due_work_that_was_left_out_is_named() -> None:
    at = where("points_expired")
    found = differences([*LIVED.groups[:at], *LIVED.groups[at + 1 :]])
    assert found[0].kind == "due"


def test_due_work_at_another_moment_is_found() -> None:
    at = where("points_released")
    later = changed(at, lambda item: msgspec.structs.replace(item, occurred_at=item.occurred_at + timedelta(hours=1)))
    assert "due" in {difference.kind for difference in differences(later)}


def test_a_caused_event_that_is_missing_is_found() -> None:
    at = next(at for at, group in enumerate(LIVED.groups) if len(group) > 1)
    groups = [list(group) for group in LIVED.groups]
    del groups[at][1]
    assert "events written together" in {difference.detail for difference in differences(groups)}


def test_an_event_that_could_not_have_been_recorded_is_found() -> None:
    """A claim of more than there was."""
    at = where("reward_claimed")
    groups = [LIVED.groups[0], LIVED.groups[at]]
    found = differences(groups)
    assert "it could not have been recorded" in {difference.detail for difference in found}


def test_another_content_of_an_order_is_found() -> None:
    at = where("sale")
    tampered = changed(
        at, lambda item: msgspec.structs.replace(item, properties={**item.properties, "amount": "91.50"})
    )
    assert {difference.kind for difference in differences(tampered)} == {"posting", "event"}
