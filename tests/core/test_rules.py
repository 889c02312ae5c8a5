"""Rules: which apply, what they award, and the first reason why not. Every number is worked out beside its case."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from tests.core.judging import NOON, Document, document, judge_of, moment, rule, tiers
from troth import limits
from troth.core.event import Event
from troth.core.inputs import Inputs
from troth.core.program import RoundingMode
from troth.core.rules import Verdict, _round, judge, rooms, use_keys
from troth.core.state import NO_USE, Use


def verdicts(
    source: Document, inputs: Inputs | None = None, at: datetime = NOON, **raw: object
) -> list[tuple[str, str, int]]:
    """(rule, reason, points) of every rule."""
    return [(found.rule.id, found.reason, found.points) for found in verdicts_of(source, inputs, at, **raw)]


def verdicts_of(source: Document, inputs: Inputs | None = None, at: datetime = NOON, **raw: object) -> list[Verdict]:
    customer = judge_of(source)
    event: Event = customer.event("purchase", NOON, at, {"amount": "100", **raw})
    book = customer.book
    return judge(book.by_type["purchase"], event, inputs or Inputs(values={}), book.program.settings.rounding)


def award(formula: str, rounding: RoundingMode = "floor", multiplier: str = "1", amount: str = "100") -> int:
    source = document(rule(formula), settings={"name": "T", "rounding": rounding})
    ((_, _, points),) = verdicts(source, Inputs(values={}, multiplier=Decimal(multiplier)), amount=amount)
    return points


WORKED = "properties.amount × 1 + (properties.amount > 100 ? 50 : 0)"


@pytest.mark.parametrize(
    ("formula", "amount", "points"),
    [
        ("properties.amount * 1", "125", 125),
        (WORKED, "50", 50),
        (WORKED, "100", 100),  # not more than 100
        (WORKED, "100.01", 150),  # 100.01 + 50 = 150.01
        (WORKED, "150", 200),
        ("properties.amount × 2", "12.50", 25),
        ("100", "0", 100),
        ("properties.amount * 100", "19.99", 1999),  # no binary 1998.9999999999998
        ("properties.amount * 0.1", "9.99", 0),  # 0.999
    ],
)
def test_worked_examples(formula: str, amount: str, points: int) -> None:
    assert award(formula, amount=amount) == points


@pytest.mark.parametrize(
    ("formula", "floor", "half_up", "ceil"),
    [
        ("2.5", 2, 3, 3),
        ("2.49", 2, 2, 3),
        ("2.5000000000000001", 2, 3, 3),
        ("3", 3, 3, 3),
        ("0.5", 0, 1, 1),
        ("0.49", 0, 0, 1),
        ("-0.5", 0, 0, 0),  # −1, −1 and 0: nothing below one point is awarded
        ("-2.5", 0, 0, 0),
        ("0", 0, 0, 0),
        ("5 / 2", 2, 3, 3),
    ],
)
def test_rounding(formula: str, floor: int, half_up: int, ceil: int) -> None:
    assert [award(formula, "floor"), award(formula, "half_up"), award(formula, "ceil")] == [floor, half_up, ceil]


@pytest.mark.parametrize(
    ("formula", "mode", "rounded"),
    [
        ("-2.5", "floor", -3),
        ("-2.5", "half_up", -3),
        ("-2.5", "ceil", -2),
        ("-2.4", "half_up", -2),
        ("-0.5", "half_up", -1),
    ],
)
def test_negative_amounts_round_by_their_mode_and_award_nothing(formula: str, mode: RoundingMode, rounded: int) -> None:
    (found,) = verdicts_of(document(rule(formula), settings={"name": "T", "rounding": mode}))
    assert (found.reason, found.points, found.base) == ("nothing_to_award", 0, Decimal(formula))
    assert _round(int(Decimal(formula) * 10), 10, mode) == rounded


@pytest.mark.parametrize(
    ("formula", "multiplier", "mode", "points"),
    [
        ("properties.amount", "1.25", "floor", 125),  # 100 × 1.25
        ("0.99", "1.5", "floor", 1),  # 1.485: rounded once, after the multiplier; 0 × 1.5 would be nothing
        ("0.99", "1.5", "half_up", 1),
        ("1.5", "1.5", "half_up", 2),  # 2.25; rounded before, 2 × 1.5 would be 3
        ("1", "0.0001", "ceil", 1),
        ("1", "0", "ceil", 0),
        ("3", "33.3333", "floor", 99),  # 99.9999
    ],
)
def test_the_multiplier_comes_before_rounding(formula: str, multiplier: str, mode: RoundingMode, points: int) -> None:
    assert award(formula, mode, multiplier) == points


def test_a_rule_may_decline_the_multiplier() -> None:
    source = document(rule("10", tier_multiplier=False), rule("10", id="multiplied"), tiers=tiers(base=("0", "2")))
    found = verdicts_of(source, Inputs(values={}, multiplier=Decimal(2)))
    assert [(verdict.points, verdict.multiplier) for verdict in found] == [(10, 1), (20, 2)]


def test_the_multiplier_leaves_negative_amounts_alone() -> None:
    (found,) = verdicts_of(document(rule("-10")), Inputs(values={}, multiplier=Decimal(2)))
    assert (found.base, found.multiplier, found.points) == (-10, 1, 0)


@pytest.mark.parametrize(
    ("fields", "at", "reason"),
    [
        ({"enabled": False, "when": "false"}, NOON, "disabled"),
        ({"active": {"from": "2026-11-21T00:00:00Z"}, "when": "false"}, NOON, "not_active"),
        ({"when": 'properties.category == "electronics"'}, NOON, "condition_false"),
        ({"active": {"from": "2026-11-20T12:00:00Z"}}, NOON, "applied"),  # inclusive
        ({"active": {"until": "2026-11-20T12:00:00Z"}}, NOON, "not_active"),  # exclusive
        ({"active": {"until": "2026-11-20T12:00:01Z"}}, NOON, "applied"),
        # Only occurred_at counts, however late the event arrives.
        ({"active": {"from": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"}}, NOON, "not_active"),
        (
            {"active": {"from": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"}},
            moment("2020-12-31T23:59:59Z"),
            "applied",
        ),
    ],
)
def test_the_first_reason(fields: Document, at: datetime, reason: str) -> None:
    assert verdicts(document(rule("1", **fields)), at=at) == [("base", reason, int(reason == "applied"))]


def test_all_matching_rules_add_up_in_document_order() -> None:
    source = document(rule("1", id="one"), rule("2", id="two", when="false"), rule("3", id="three"))
    assert verdicts(source) == [("one", "applied", 1), ("two", "condition_false", 0), ("three", "applied", 3)]


@pytest.mark.parametrize(
    ("rules", "winner"),
    [
        ([("one", "1", 0), ("two", "2", 0)], "two"),  # most points
        ([("one", "2", 0), ("two", "2", 0)], "one"),  # a tie: document order
        ([("one", "2", 0), ("two", "2", 1)], "two"),  # a tie: higher priority
        ([("one", "2", 0), ("two", "1", 9)], "one"),  # priority only breaks ties
        ([("one", "2.1", 0), ("two", "2.9", 0)], "one"),  # rounded points are compared: 2 and 2
        ([("one", "2", -1), ("two", "2", -2)], "one"),
    ],
)
def test_of_a_group_only_the_best_applies(rules: list[tuple[str, str, int]], winner: str) -> None:
    made = [rule(points, id=name, priority=str(priority), group="g") for name, points, priority in rules]
    found = verdicts(document(*made, rule("7", id="alone")))
    assert [name for name, reason, _ in found if reason == "applied"] == [winner, "alone"]
    assert {reason for name, reason, _ in found if name not in (winner, "alone")} == {"group"}


def test_a_group_compares_what_limits_leave() -> None:
    limited = rule("100", id="limited", group="g", limits=[{"points": "10", "window": "day"}])
    source = document(limited, rule("11", id="plain", group="g"))
    inputs = Inputs(values={}, rooms={"limited": ((None, 10),)})
    assert verdicts(source, inputs) == [("limited", "group", 0), ("plain", "applied", 11)]


def test_a_rule_that_gives_nothing_takes_no_place_in_its_group() -> None:
    source = document(rule("0", id="none", group="g", priority="9"), rule("1", id="one", group="g"))
    assert verdicts(source) == [("none", "nothing_to_award", 0), ("one", "applied", 1)]


def test_groups_do_not_touch_each_other() -> None:
    source = document(*(rule("1", id=f"r{n}", group=group) for n, group in enumerate("aabb")))
    assert [reason for _, reason, _ in verdicts(source)] == ["applied", "group", "applied", "group"]


DAY = {"times": "2", "window": "day"}
MONTH = {"points": "150", "window": "month"}
EVER = {"times": "5", "points": "120", "window": "ever"}


@pytest.mark.parametrize(
    ("room", "points", "cap"),
    [
        ([(2, None), (None, 150), (5, 120)], 100, None),
        ([(0, None), (None, 150), (5, 120)], 0, "times day"),
        ([(1, None), (None, 30), (5, 120)], 30, "points month"),
        ([(1, None), (None, 30), (5, 20)], 20, "points ever"),  # the tightest one is named
        ([(1, None), (None, 30), (5, 30)], 30, "points month"),  # of equals the first
        ([(1, None), (None, 0), (5, 120)], 0, "points month"),
        ([(1, None), (None, 150), (0, 120)], 0, "times ever"),
        ([(1, None), (None, 100), (1, 100)], 100, None),  # exactly enough room
    ],
)
def test_limits_cut_the_rounded_amount(room: list[tuple[int | None, int | None]], points: int, cap: str | None) -> None:
    source = document(rule("properties.amount", limits=[DAY, MONTH, EVER]))
    (found,) = verdicts_of(source, Inputs(values={}, rooms={"base": tuple(room)}))
    assert (found.points, found.cap, found.rounded) == (points, cap, 100)
    assert found.reason == ("applied" if points else "limit_reached")


def test_room_is_what_earlier_uses_leave_and_never_negative() -> None:
    customer = judge_of(document(rule("1", limits=[DAY, MONTH, EVER])))
    rules, zone = customer.book.by_type["purchase"], customer.book.zone
    keys = use_keys(rules, NOON, zone)
    assert keys == [("base", "day 2026-11-20"), ("base", "month 2026-11"), ("base", "ever")]
    uses = {keys[0]: Use(3, 30), keys[1]: Use(9, 90), keys[2]: NO_USE}
    assert rooms(rules, NOON, zone, uses) == {"base": ((0, None), (None, 60), (5, 120))}


def test_a_window_is_the_period_of_the_event_in_program_time() -> None:
    """23:30Z on 31 December is the next year in Budapest."""
    settings = {"name": "T", "time_zone": "Europe/Budapest"}
    customer = judge_of(document(rule("1", limits=[DAY, {"times": "1", "window": "year"}]), settings=settings))
    keys = use_keys(customer.book.by_type["purchase"], moment("2026-12-31T23:30Z"), customer.book.zone)
    assert keys == [("base", "day 2027-01-01"), ("base", "year 2027")]


@pytest.mark.parametrize(
    ("formula", "points", "is_cut"),
    [("1000000000000", limits.AWARD_POINTS, False), ("1000000000001", limits.AWARD_POINTS, True)],
)
def test_an_award_is_cut_to_the_largest_there_is(formula: str, points: int, is_cut: bool) -> None:
    (found,) = verdicts_of(document(rule(formula)))
    assert (found.points, found.is_cut) == (points, is_cut)


@pytest.mark.parametrize(("multiplier", "points"), [("100", 100), ("0.0001", 0)])
def test_the_multiplier_has_bounds(multiplier: str, points: int) -> None:
    """MULTIPLIER_MAX and MULTIPLIER_PLACES are exact to the last point."""
    assert Decimal("100") == limits.MULTIPLIER_MAX
    assert award("1", multiplier=multiplier) == points
    assert award("1" + "0" * limits.MULTIPLIER_PLACES, multiplier="0.0001") == 1


def test_a_type_without_rules_has_none() -> None:
    assert set(judge_of(document(rule("1"))).book.by_type) == {"purchase"}
