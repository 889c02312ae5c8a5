"""Direct effects: points added and taken by hand, points set aside for a payment. Numbers by hand."""

from __future__ import annotations

import pytest

from tests.core.judging import NOON, Judge, document, hour, judge_of, moment, moves, named, rule
from troth import limits
from troth.core.state import Lacking

YEARLY = [{"id": "points", "expiry": {"kind": "months_after_earning", "months": "12"}}, {"id": "stars"}]


def holder(points: str = "100", **sections: object) -> Judge:
    judge = judge_of(document(**{"wallets": YEARLY, **sections}))
    judge.send("point_add", now=hour(-10), points=points)
    return judge


# Adding


def test_added_points_are_available_at_once_and_end_as_the_wallet_says() -> None:
    judge = judge_of(document(wallets=[{**YEARLY[0], "hold": "P10D"}]))
    judged = judge.send("point_add", points="25", reason="sorry")
    assert moves(judged.postings) == ["25 program→available adjustment"], "a wallet's hold is for rules (answer 29)"
    assert judge.lot(judged).expires_at == moment("2027-11-21T00:00Z")
    wallet = judge.state.wallet("points")
    assert (wallet.available, wallet.lifetime, wallet.qualifying) == (25, 25, 25)


@pytest.mark.parametrize(
    ("stated", "ends"), [("2026-12-24T10:00:00Z", "2026-12-24T23:00Z"), (None, "2027-11-20T23:00Z")]
)
def test_a_stated_end_is_the_end_of_its_local_day(stated: str | None, ends: str) -> None:
    judge = judge_of(document(wallets=YEARLY, settings={"name": "T", "time_zone": "Europe/Budapest"}))
    given = {} if stated is None else {"expires_at": stated}
    assert judge.lot(judge.send("point_add", points="25", **given)).expires_at == moment(ends)


def test_a_named_hold_counts_from_the_event() -> None:
    """Earned on 1 October, entered on 20 November with a hold of 5 days: usable and counted on from the 25th."""
    judge = judge_of(document(wallets=YEARLY))
    judged = judge.send("point_add", points="25", hold="P5D", earned_at="2026-10-01T12:00:00Z")
    assert moves(judged.postings) == ["25 program→pending adjustment"]
    assert (judge.lot(judged).release_at, judge.lot(judged).expires_at) == (moment("2026-11-25T12:00Z"), None)
    assert judge.state.wallet("points").qualifying == 0
    (released,) = judge.settle(moment("2026-11-26T00:00Z"))
    assert released.postings[0].earned_at == moment("2026-10-01T12:00Z")
    assert judge.lot(judged).expires_at == moment("2027-11-26T00:00Z")
    assert judge.state.wallet("points").qualifying == 25


def test_a_hold_that_is_over_holds_nothing() -> None:
    judge = judge_of(document(wallets=YEARLY))
    judged = judge.send("point_add", at=moment("2026-11-10T12:00Z"), points="25", hold="P5D")
    assert moves(judged.postings) == ["25 program→available adjustment"]
    assert judge.lot(judged).expires_at == moment("2027-11-16T00:00Z"), "12 months from the end of the hold"


def test_points_earned_long_ago_are_gone_at_once() -> None:
    judge = judge_of(document(wallets=YEARLY))
    judged = judge.send("point_add", points="25", earned_at="2025-01-01T12:00:00Z")
    assert moves(judged.postings) == ["25 program→available adjustment", "25 available→expired expiry"]


def test_what_does_not_count_for_tiers() -> None:
    judge = judge_of(document())
    judge.send("point_add", points="25", qualifying=False)
    assert (judge.state.wallet("points").lifetime, judge.state.wallet("points").qualifying) == (25, 0)


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ({"points": "1", "wallet": "moons"}, "/properties/wallet", "unknown_wallet"),
        ({"points": "1", "hold": "soon"}, "/properties/hold", "invalid_duration"),
        ({"points": "1", "earned_at": "2026-11-20T12:05:01Z"}, "/properties/earned_at", "in_future"),
        ({"points": "1000000000000"}, None, None),  # AWARD_POINTS
    ],
)
def test_what_cannot_be_added(given: dict[str, object], pointer: str | None, code: str | None) -> None:
    judge = judge_of(document())
    decision = judge.decide("point_add", NOON, NOON, given)
    found = decision.refusal
    assert ((found.pointer, found.code) if found else (None, None)) == (pointer, code)


# Taking


@pytest.mark.parametrize(
    ("given", "expected", "lifetime", "qualifying"),
    [
        ({}, ["30 available→spent adjustment"], 100, 100),
        ({"reverse": True}, ["30 available→program adjustment"], 70, 70),
        ({"allow_debt": True}, ["30 available→spent adjustment"], 100, 100),
    ],
)
def test_points_are_taken(given: dict[str, object], expected: list[str], lifetime: int, qualifying: int) -> None:
    judge = holder()
    assert moves(judge.send("point_sub", points="30", **given).postings) == expected
    wallet = judge.state.wallet("points")
    assert (wallet.available, wallet.lifetime, wallet.qualifying) == (70, lifetime, qualifying)


def test_more_than_there_is_is_refused_unless_debt_is_allowed() -> None:
    """Answer 30: the rest is debt → spent; with reverse debt → program."""
    judge = holder()
    refusal = judge.refuse("point_sub", points="101")
    assert (refusal.code, refusal.pointer) == ("insufficient_points", "/properties/points")
    taken = judge.send("point_sub", now=hour(1), points="130", allow_debt=True)
    assert moves(taken.postings) == ["100 available→spent adjustment", "30 debt→spent adjustment"]
    assert (judge.balance, judge.state.wallet("points").lifetime) == (-30, 100)
    reversed_too = judge.send("point_sub", now=hour(2), points="20", allow_debt=True, reverse=True)
    assert moves(reversed_too.postings) == ["20 debt→program adjustment"]
    assert (judge.balance, judge.state.wallet("points").lifetime) == (-50, 80)


def test_a_reversal_takes_no_more_from_tiers_than_counted() -> None:
    """60 that count, 40 that do not: 100 reversed take the 60."""
    judge = holder("60")
    judge.send("point_add", now=hour(-9), points="40", qualifying=False)
    judge.send("point_sub", points="100", reverse=True)
    wallet = judge.state.wallet("points")
    assert (wallet.available, wallet.lifetime, wallet.qualifying) == (0, 0, 0)


# Reservations


def test_reserved_points_are_set_aside_until_captured() -> None:
    judge = holder()
    held = judge.send("points_reserved", points="30")
    assert moves(held.postings) == ["30 available→reserved reservation"]
    assert judge.state.reservations[held.event.id] is not None
    assert judge.in_states() == {"available": 70, "reserved": 30}
    assert judge.refuse("points_reserved", now=NOON, points="71").code == "insufficient_points"
    captured = judge.send("reservation_captured", now=NOON, reservation=named("res", held))
    assert moves(captured.postings) == ["30 reserved→spent spend"]
    assert judge.in_states() == {"available": 70, "spent": 30}
    assert judge.state.wallet("points").lifetime == 100


def test_a_partial_capture_releases_the_rest() -> None:
    """Answer 45. Of lots 40 (ends first) and 60 are 50 reserved; 45 captured: 40 + 5; 5 of the second come back."""
    judge = judge_of(document())
    second = judge.send("point_add", now=hour(-2), points="60")
    judge.send("point_add", now=hour(-1), points="40", expires_at="2027-01-01T00:00:00Z")
    held = judge.send("points_reserved", points="50")
    captured = judge.send("reservation_captured", now=NOON, reservation=named("res", held), points="45")
    assert moves(captured.postings) == [
        "40 reserved→spent spend",
        "5 reserved→spent spend",
        "5 reserved→available return",
    ]
    assert judge.lot(second).remaining == 55
    assert judge.in_states() == {"available": 55, "spent": 45}


@pytest.mark.parametrize(("timeout", "moment_"), [(None, "2026-11-20T12:30Z"), ("PT2H", "2026-11-20T14:00Z")])
def test_a_reservation_times_out(timeout: str | None, moment_: str) -> None:
    judge = holder()
    given = {} if timeout is None else {"timeout": timeout}
    held = judge.send("points_reserved", points="30", **given)
    (released,) = judge.settle(moment("2026-11-20T20:00Z"))
    assert (released.event.type.id, released.event.occurred_at) == ("reservation_released", moment(moment_))
    assert moves(released.postings) == ["30 reserved→available return"]
    found = judge.state.reservations[held.event.id]
    assert found is not None
    assert found.status == "released"
    assert judge.in_states() == {"available": 100}


def test_released_points_past_their_date_end_in_the_same_event() -> None:
    """Answer 11: reserved on 20 November, their lot ended with that day, released on the 22nd."""
    judge = judge_of(document())
    judge.send("point_add", now=hour(-1), points="30", expires_at="2026-11-20T23:00:00Z")
    held = judge.send("points_reserved", points="30", timeout="P5D")
    assert judge.settle(moment("2026-11-22T00:00Z")) == (), "reserved points do not expire"
    released = judge.send("reservation_released", now=moment("2026-11-22T12:00Z"), reservation=named("res", held))
    assert moves(released.postings) == ["30 reserved→available return", "30 available→expired expiry"]


@pytest.mark.parametrize("end", ["reservation_captured", "reservation_released"])
def test_a_reservation_ends_once(end: str) -> None:
    judge = holder()
    held = judge.send("points_reserved", points="30")
    judge.send(end, now=NOON, reservation=named("res", held))
    for again in ("reservation_captured", "reservation_released"):
        refusal = judge.refuse(again, now=NOON, reservation=named("res", held))
        assert (refusal.code, refusal.pointer) == ("reservation_ended", "/properties/reservation")


@pytest.mark.parametrize("name", ["res_00", "rdm_0197", "nonsense", "res_" + "0" * 32])
def test_an_unknown_reservation(name: str) -> None:
    assert holder().refuse("reservation_captured", reservation=name).code == "unknown_reservation"


def test_more_than_is_reserved_cannot_be_captured() -> None:
    judge = holder()
    held = judge.send("points_reserved", points="30")
    refusal = judge.refuse("reservation_captured", now=NOON, reservation=named("res", held), points="31")
    assert refusal.code == "insufficient_points"
    assert judge.in_states() == {"available": 70, "reserved": 30}


@pytest.mark.parametrize(("timeout", "code"), [("P367D", "out_of_range"), ("later", "invalid_duration")])
def test_a_time_out_has_bounds(timeout: str, code: str) -> None:
    assert holder().refuse("points_reserved", points="1", timeout=timeout).code == code


def test_a_reservation_that_is_not_loaded_is_asked_for() -> None:
    judge = holder()
    held = judge.send("points_reserved", points="30")
    found = judge.state
    judge.state = type(found)(created_at=found.created_at, wallets=found.wallets)
    with pytest.raises(Lacking) as lacking:
        judge.send("reservation_captured", now=NOON, reservation=named("res", held))
    assert lacking.value.need.reservation == held.event.id


# And rules beside it


def test_rules_on_direct_types_earn_too() -> None:
    judge = judge_of(document(rule("1", event_type="points_reserved", id="thanks")))
    judge.send("point_add", points="10")
    held = judge.send("points_reserved", now=NOON, points="10")
    assert moves(held.postings) == ["10 available→reserved reservation", "1 program→available thanks"]


def test_an_addition_says_when_its_points_end_as_activity_has_moved_it() -> None:
    """Earned on 1 December 2025, entered after the purchase of today: 12 months from today."""
    wallets = [{"id": "points", "expiry": {"kind": "months_after_activity", "months": "12"}}]
    judge = judge_of(document(rule("1"), wallets=wallets))
    judge.send(amount="1")
    added = judge.send("point_add", now=hour(1), points="10", earned_at="2025-12-01T12:00:00Z")
    assert moves(added.postings) == ["10 program→available adjustment"]
    assert added.postings[0].expires_at == moment("2027-11-21T00:00Z")


def test_a_reservation_lasts_as_long_as_it_says_or_half_an_hour() -> None:
    assert (limits.RESERVATION_MINUTES, limits.RESERVATION_DAYS_MAX) == (30, 366)
    judge = holder()
    judge.send("points_reserved", points="1", timeout=f"P{limits.RESERVATION_DAYS_MAX}D")
    assert (
        judge.refuse("points_reserved", points="1", timeout=f"P{limits.RESERVATION_DAYS_MAX}DT1M").code
        == "out_of_range"
    )
    assert judge.refuse("points_reserved", points="1", timeout="PT0M").code == "out_of_range"
