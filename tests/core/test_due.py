"""Due work: in order of due time, each thing as at its own moment, the same in one go or in many. Numbers by hand."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import msgspec
import pytest

from tests.core.judging import NOON, Judge, document, hour, judge_of, moment, moves, rule, sale_rule, tiers
from troth.core.due import next_step
from troth.core.judging import Judged
from troth.core.state import CalendarState, Lacking

MONTHLY = {"kind": "months_after_earning", "months": "1"}
STEPS = tiers(bronze=("0", "1"), silver=("100", "1"), gold=("500", "1"))
DECEMBER = moment("2026-12-01T00:00Z")


def told(due: tuple[Judged, ...]) -> list[tuple[str, datetime]]:
    return [(judged.event.type.id, judged.event.occurred_at) for judged in due]


def test_ties_go_release_order_reservation_expiry_review_calendar() -> None:
    """Everything of this story falls due with the first instant of December."""
    judge = judge_of(
        document(
            sale_rule("1"),
            settings={"name": "T", "inactivity_days": "13"},
            orders={"acceptance": {"after": "P14D", "then": "accept"}},
            wallets=[{"id": "points"}, {"id": "stars"}],
            tiers=STEPS,
        ),
        calendar=CalendarState(joined_at=moment("2020-12-01T09:00Z"), opted_in=True, anniversary=5),
    )
    start = moment("2026-11-17T00:00Z")
    judge.send("profile", now=start, birth_date="1990-12-01")
    judge.send("sale", now=start, amount="1")  # activity for the last time: silent for 13 days with the 30th
    judge.send("point_add", now=start, points="5", expires_at="2026-11-30T08:00:00Z")
    judge.send("point_add", now=start, points="7", wallet="stars")
    judge.send("point_add", now=moment("2026-11-21T00:00Z"), points="9", hold="P10D")
    judge.send("points_reserved", now=moment("2026-11-21T00:00Z"), points="2", wallet="stars", timeout="P10D")
    judge.send("tier_set", now=start, tier="gold", until="2026-12-01T00:00:00Z")
    due = judge.settle(DECEMBER)
    assert [type_id for type_id, _ in told(due)] == [
        "points_released",
        "checkout_accept",
        "reservation_released",
        "points_expired",
        "tier_downgraded",
        "anniversary",
        "birthday",
        "inactivity",
    ]
    assert {at for _, at in told(due)} == {DECEMBER}
    assert [moves(judged.postings) for judged in due[:4]] == [
        ["9 pending→available release"],
        ["1 pending→available release"],
        ["2 reserved→available return"],
        ["5 available→expired expiry"],
    ]
    assert json.loads(due[5].event.properties) == {"years": "6"}
    assert json.loads(due[7].event.properties) == {"days": "13"}


def test_one_release_and_one_expiry_per_wallet_and_instant() -> None:
    wallets = [{"id": "points", "hold": "P10D", "expiry": MONTHLY}, {"id": "stars", "hold": "P10D", "expiry": MONTHLY}]
    rules = [rule("1", id="a"), rule("2", id="b", qualifying=False), rule("4", id="c", wallet="stars")]
    judge = judge_of(document(*rules, wallets=wallets))
    judge.send(amount="1")
    judge.send(amount="1")
    judge.send(now=hour(1), amount="1")
    due = judge.settle(moment("2027-03-01T00:00Z"))
    released = NOON + timedelta(days=10)  # 30 November: good to the end of 30 December
    assert told(due) == [
        ("points_released", released),
        ("points_released", released),
        ("points_released", released + timedelta(hours=1)),
        ("points_released", released + timedelta(hours=1)),
        ("points_expired", moment("2026-12-31T00:00Z")),
        ("points_expired", moment("2026-12-31T00:00Z")),
    ]
    assert [json.loads(judged.event.properties) for judged in due] == [
        {"wallet": "points", "points": "6"},
        {"wallet": "stars", "points": "8"},
        {"wallet": "points", "points": "3"},
        {"wallet": "stars", "points": "4"},
        {"wallet": "points", "points": "9"},
        {"wallet": "stars", "points": "12"},
    ]
    assert judge.state.wallet("points").qualifying == 3, "a of each event"


def test_each_step_is_judged_at_its_own_moment() -> None:
    """What a release gives ends a month after the release, though the worker came years later."""
    judge = judge_of(document(rule("100"), wallets=[{"id": "points", "hold": "P10D", "expiry": MONTHLY}]))
    judge.send(amount="1")
    due = judge.settle(moment("2029-01-01T00:00Z"))
    assert told(due) == [
        ("points_released", NOON + timedelta(days=10)),
        ("points_expired", moment("2026-12-31T00:00Z")),
    ]
    assert [judged.event.judged_at for judged in due] == [at for _, at in told(due)]
    assert judge.in_states() == {"expired": 100}


def test_a_rule_reads_what_was_there_at_that_moment() -> None:
    """10 end on 30 November, 5 on 1 December: the comfort of the first day sees 5 left, that of the second none."""
    comfort = rule("customer.balance * 10 + 1", event_type="points_expired", id="comfort", tier_multiplier=False)
    judge = judge_of(document(comfort))
    judge.send("point_add", points="10", expires_at="2026-11-30T08:00:00Z")
    judge.send("point_add", points="5", expires_at="2026-12-01T08:00:00Z")
    first, second = judge.settle(moment("2027-01-01T00:00Z"))
    assert moves(first.postings) == ["10 available→expired expiry", "151 program→available comfort"]  # before: 15
    assert moves(second.postings) == ["5 available→expired expiry", "1561 program→available comfort"]  # 156


def full_year() -> Judge:
    """A customer of whom something falls due in many ways within a year."""
    judge = judge_of(
        document(
            rule("properties.amount", hold="P10D"),
            sale_rule("properties.amount", id="sold"),
            rule("20", event_type="birthday", id="cake", expiry=MONTHLY, tier_multiplier=False),
            rule("3", event_type="inactivity", id="miss", tier_multiplier=False),
            rule("5", event_type="tier_downgraded", id="sorry", tier_multiplier=False),
            settings={"name": "T", "inactivity_days": "60", "time_zone": "Europe/Budapest"},
            wallets=[{"id": "points", "expiry": {"kind": "months_after_activity", "months": "6"}}],
            orders={"acceptance": {"after": "P14D", "then": "accept"}},
            tiers={
                "basis": {"wallet": "points", "window": "rolling", "months": "3"},
                "downgrade": "immediately",
                "levels": [
                    {"id": "bronze", "from": "0"},
                    {"id": "silver", "from": "100"},
                    {"id": "gold", "from": "150"},
                ],
            },
        ),
        calendar=CalendarState(joined_at=moment("2024-02-29T09:00Z"), opted_in=True, anniversary=2),
    )
    judge.send("profile", birth_date="1990-03-29")
    judge.send(amount="80")
    judge.send("sale", now=hour(1), amount="90")
    judge.send("tier_set", now=hour(2), tier="gold", until="2027-01-05T00:00:00Z")
    return judge


def test_a_year_in_days_equals_a_year_in_one_go() -> None:
    jumped, walked = full_year(), full_year()
    end = NOON + timedelta(days=365)
    once = jumped.settle(end)
    daily = tuple(judged for day in range(1, 366) for judged in walked.settle(NOON + timedelta(days=day)))
    assert told(once) == told(daily)
    assert [judged.seq for judged in once] == [judged.seq for judged in daily]
    assert [moves(judged.postings) for judged in once] == [moves(judged.postings) for judged in daily]
    assert {type_id for type_id, _ in told(once)} >= {
        "points_released",
        "checkout_accept",
        "points_expired",
        "tier_downgraded",
        "anniversary",
        "birthday",
        "inactivity",
    }
    assert jumped.in_states() == walked.in_states()
    assert (jumped.state.tier, jumped.state.due_at) == (walked.state.tier, walked.state.due_at)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_bounded_number_of_steps_at_a_time(most: int) -> None:
    whole, parted = full_year(), full_year()
    end = NOON + timedelta(days=365)
    expected, found = whole.settle(end), []
    while parted.state.due_at is not None and parted.state.due_at <= end:
        due = parted.settle(end, most)
        assert sum(judged.event.parent is None for judged in due) <= most
        found.extend(due)
    assert told(tuple(found)) == told(expected)
    assert parted.in_states() == whole.in_states()


def test_ids_of_due_events_come_before_and_in_order() -> None:
    decision = full_year().decide("signup", NOON + timedelta(days=365), None, {})
    ids = [found.event.id for found in decision.recorded]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) > 8


def test_a_review_that_changes_nothing_leaves_no_event() -> None:
    """Silver by hand until 5 December, silver by points too."""
    judge = judge_of(document(tiers=STEPS))
    judge.send("tier_set", tier="silver", until="2026-12-05T00:00:00Z")
    judge.send("point_add", now=hour(1), points="100")
    seq = judge.state.seq
    assert judge.settle(moment("2026-12-06T00:00Z")) == ()
    assert (judge.state.seq, judge.state.tier, judge.state.tiers.manual) == (seq, "silver", None)
    step = next_step(judge.state, judge.shelf)
    assert step is not None
    assert not step.is_review


def test_nothing_is_due_before_its_moment_and_all_at_it() -> None:
    judge = judge_of(document())
    judge.send("point_add", points="10", expires_at="2026-11-30T08:00:00Z")
    assert judge.state.due_at == DECEMBER
    assert judge.settle(DECEMBER - timedelta(microseconds=1)) == ()
    assert told(judge.settle(DECEMBER)) == [("points_expired", DECEMBER)]
    assert judge.settle(DECEMBER) == ()


def test_what_is_due_must_be_loaded() -> None:
    judge = judge_of(document())
    judge.send("point_add", points="10", expires_at="2026-11-30T08:00:00Z")
    judge.send("point_add", points="10", expires_at="2026-12-30T08:00:00Z")
    loaded = judge.state
    judge.state = msgspec.structs.replace(loaded, is_whole=False, due_to=hour(1))
    assert judge.settle(DECEMBER - timedelta(seconds=1)) == ()
    with pytest.raises(Lacking) as lacking:
        judge.settle(DECEMBER)
    assert lacking.value.need.due
    # Loaded are those due until then; the next that is not loaded falls due on the 31st.
    until = {key: lot for key, lot in loaded.lots.items() if lot.expires_at == DECEMBER}
    later = moment("2026-12-31T00:00Z")
    judge.state = msgspec.structs.replace(loaded, is_whole=False, lots=until, due_to=DECEMBER, later=later)
    assert told(judge.settle(DECEMBER)) == [("points_expired", DECEMBER)]
    assert judge.state.due_at == later


def test_an_upgrade_that_a_release_brings_is_told_with_it() -> None:
    """Pending points lift no tier; released, they count at the day they were earned."""
    judge = judge_of(document(rule("100", hold="P10D"), tiers=STEPS))
    assert judge.send(amount="1").caused == ()
    released, upgraded = judge.settle(NOON + timedelta(days=10))
    assert upgraded.event.parent == released.event.id
    assert upgraded.event.occurred_at == NOON + timedelta(days=10)
    assert judge.state.tier == "silver"


def test_activity_saves_points_that_would_have_ended() -> None:
    """Six months after the last activity: the purchase of 20 April moves 20 May to 20 October."""
    wallets = [{"id": "points", "expiry": {"kind": "months_after_activity", "months": "6"}}]
    judge = judge_of(document(rule("properties.amount"), wallets=wallets))
    judge.send(amount="10")
    judge.send(now=moment("2027-04-20T12:00Z"), amount="0")
    assert judge.settle(moment("2027-10-20T23:59Z")) == ()
    assert told(judge.settle(moment("2027-10-21T00:00Z"))) == [("points_expired", moment("2027-10-21T00:00Z"))]
