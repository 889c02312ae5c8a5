"""The model by itself: the worked examples of semantics.md and its answers, each number worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tests.simulator.acts import Act, Answer
from tests.simulator.days import first_instant, moment
from tests.simulator.model import Model
from tests.simulator.model_program import Form, ModelProgram
from tests.simulator.programs import BASE, BOOKS, FIRST, FORMS, ITEMS, LARGE, VISITED, document

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
FORGIVE = {"wallets": [{"id": "points", "negative_balance": "forgive"}]}
MANUAL = {"orders": {"acceptance": "manual"}}
HOLD = {"wallets": [{"id": "points", "hold": "P14D"}]}
A_YEAR = {"kind": "months_after_earning", "months": "12"}
TIERS = {
    "levels": [{"id": "bronze", "from": "0"}, {"id": "gold", "from": "100", "multiplier": "2"}],
    "basis": {"wallet": "points", "window": "lifetime"},
}


class Told:
    """A model, and one word for each thing that happens to anna."""

    def __init__(self, *rules: Mapping[str, object], forms: Mapping[str, Form] | None = None, **sections: object):
        found = ModelProgram(document=document(*rules, **sections), forms={**FORMS, **(forms or {})})
        self.model = Model(program=found, now=NOW)
        self.count = 0

    def does(self, event_type: str, at: datetime | None = None, **properties: object) -> Answer:
        self.count += 1
        of = properties.pop("of", None)
        reference = str(properties.pop("ref", f"r{self.count}"))
        act = Act(
            customer="anna",
            type=event_type,
            reference=reference,
            occurred_at=at,
            properties=properties,
            of=None if of is None else str(of),
        )
        return self.model.judge(act)

    def after(self, **length: float) -> None:
        self.model.now += timedelta(**length)
        self.model.settle()

    def states(self, wallet: str = "points") -> dict[str, int]:
        return {state: points for state, points in self.model.books("anna").wallet(wallet).items() if points}


def order(**properties: object) -> dict[str, object]:
    return {"order_id": "o1", **properties}


def line(name: str, quantity: str, price: str, **more: object) -> dict[str, object]:
    return {"line": name, "quantity": quantity, "price": price, **more}


def test_formulas() -> None:
    told = Told(BASE, LARGE)  # amount × 1 + (amount > 100 ? 50 : 0)
    assert [told.does("checkout", amount=amount).points for amount in ("50", "150", "19.99")] == [50, 200, 19]


def test_a_refund_by_an_item_is_its_share_of_the_amount() -> None:
    """Gross 60 + 40 = 100, paid 90: the lines' shares are 54 and 36. Without b: 54 points are left."""
    told = Told(BASE)
    told.does("checkout", **order(amount="90", items=[line("a", "2", "30"), line("b", "1", "40")]))
    assert told.does("partial_refund", order_id="o1", items=[{"line": "b"}]).points == -36
    # Half of a: 54 × 1 ÷ 2 = 27.
    assert told.does("partial_refund", order_id="o1", items=[{"line": "a", "quantity": "1"}]).points == -27
    assert told.does("partial_refund", order_id="o1", items=[{"line": "a", "quantity": "9"}]).points == -27


def test_shares_add_up_to_the_amount() -> None:
    """10.00 over three equal lines: 3.33, 3.33, and the last takes 3.34. 10 − 3.34 = 6.66, 6 points."""
    told = Told(BASE)
    told.does("checkout", **order(amount="10", items=[line(name, "1", "5") for name in "abc"]))
    assert told.does("partial_refund", order_id="o1", items=[{"line": "c"}]).points == -4
    # 6.66 − 3.33 = 3.33; then nothing.
    assert told.does("partial_refund", order_id="o1", items=[{"line": "a"}]).points == -3
    assert told.does("partial_refund", order_id="o1", items=[{"line": "b"}]).points == -3


def test_an_items_rule_scales_with_a_refund_by_amount() -> None:
    """Books 2 × 20 × 0.5 = 20 points of an order of 100; 25 paid back: 20 × 75 ÷ 100 = 15. The base falls 100 → 75."""
    told = Told(BASE, BOOKS)
    items = [line("a", "2", "20", category="book"), line("b", "1", "60")]
    assert told.does("checkout", **order(amount="100", items=items)).points == 120
    assert told.does("partial_refund", order_id="o1", amount="25").points == -30


def test_a_flat_award_falls_at_zero_and_not_before() -> None:
    told = Told({**FIRST, "when": "true"}, forms={"first": Form(award=lambda _: 30)})
    told.does("checkout", **order(amount="50"))
    assert told.does("partial_refund", order_id="o1", amount="49.99").points == 0
    assert told.does("partial_refund", order_id="o1", amount="7").points == -30


def test_debt_and_forgiven() -> None:
    """100 earned, 100 spent, the order comes back: 100 are owed or forgiven."""
    for sections, state in (({}, "debt"), (FORGIVE, "forgiven")):
        told = Told(BASE, **sections)
        told.does("checkout", **order(amount="100"))
        told.does("point_sub", points="100")
        told.does("refund", order_id="o1")
        assert told.states() == {"spent": 100, state: -100}


def test_what_comes_back_to_a_forgiven_order_is_no_gift() -> None:
    """Answer 12: earn 100, reserve 100, refund (100 forgiven), release: nothing is left to spend."""
    told = Told(BASE, **FORGIVE)
    told.does("checkout", **order(amount="100"))
    told.does("points_reserved", points="100", ref="held")
    told.does("refund", order_id="o1")
    told.does("reservation_released", of="held")
    assert told.states() == {}


def test_debt_that_an_award_repaid_is_owed_again() -> None:
    """Answers 13 and 41: 60 owed, an order of 100 repays it; reversed, 40 are taken and 60 are owed, never forgiven."""
    for sections in ({}, FORGIVE):
        told = Told(BASE, **sections)
        told.does("point_sub", points="60", allow_debt=True)
        told.does("checkout", **order(amount="100"))
        assert told.states() == {"program": -100, "available": 40, "spent": 60, "qualifying": 100}
        told.does("refund", order_id="o1")
        assert told.states() == {"spent": 60, "debt": -60}


def test_three_cycles_of_spending_and_changing_gain_nothing() -> None:
    """100 → 50 → 100 with all spent each time: at the end 100 earned and 100 spent, whatever the policy."""
    for sections in ({}, FORGIVE):
        told = Told(BASE, **sections)
        told.does("checkout", **order(amount="100"))
        told.does("point_sub", points="100")
        for _ in range(3):
            told.does("checkout_update", **order(amount="50"))
            told.does("checkout_update", **order(amount="100"))
            assert told.does("point_sub", points="1").code == "insufficient_points"
        assert told.states() == {"program": -100, "spent": 100, "qualifying": 100}


def test_hold_and_acceptance_together() -> None:
    """Opened on the 20th, held for 14 days, accepted on the 21st: available on 4 December, not before."""
    told = Told(BASE, **HOLD, **MANUAL)
    told.does("checkout", **order(amount="100"))
    told.after(days=1)
    told.does("checkout_accept", order_id="o1")
    told.after(days=13, seconds=-1)
    assert told.states() == {"program": -100, "pending": 100}
    told.after(seconds=1)
    assert told.states() == {"program": -100, "available": 100, "qualifying": 100}


def test_a_refund_before_its_purchase_waits() -> None:
    told = Told(BASE)
    assert told.does("partial_refund", order_id="o1", amount="30").outcome == "waiting_for_order"
    assert told.does("checkout", **order(amount="100")).points == 70


def test_the_room_of_a_limit() -> None:
    """Answer 39 under 100 a day: A 100, A lowered to 30, B takes 70, A raised to 90: 30 stay, B keeps its 70."""
    told = Told({**BASE, "limits": [{"points": "100", "window": "day"}]})
    told.does("checkout", order_id="A", amount="100")
    told.does("checkout_update", order_id="A", amount="30")
    assert told.does("checkout", order_id="B", amount="80").points == 70
    assert told.does("checkout_update", order_id="A", amount="90").points == 0


def test_the_first_purchase_bonus_survives() -> None:
    told = Told(BASE, FIRST, **MANUAL)
    assert told.does("checkout", **order(amount="50")).points == 80
    told.does("checkout_accept", order_id="o1")
    assert told.does("partial_refund", order_id="o1", amount="10").points == -10
    assert told.does("checkout", order_id="o2", amount="50").points == 50


def test_a_group_that_switches_its_winner_nets() -> None:
    """20 items points against 30 of the amount; then 45 against 20: the fold posts the difference of 15."""
    rules = ({**BASE, "group": "g"}, {**ITEMS, "group": "g", "award": "…"})
    told = Told(*rules, forms={"items": Form(award=lambda seen: 20 * len(seen.items()), reads_items=True)})
    assert told.does("checkout", **order(amount="30", items=[line("a", "1", "30")])).points == 30
    told.does("point_sub", points="30")
    three = [line(name, "1", "10") for name in "abc"]
    assert told.does("checkout_update", **order(amount="30", items=three)).points == 30
    assert told.states() == {"program": -60, "available": 30, "spent": 30, "qualifying": 60}


def test_burned_points() -> None:
    """100 to start with; 40 burned for 60 points; changed to 70 burned; all comes back with the order."""
    told = Told(BASE, **MANUAL)
    told.does("point_add", points="100")
    told.does("checkout", **order(amount="60", burned="40"))
    assert told.states() == {"program": -160, "pending": 60, "available": 60, "reserved": 40, "qualifying": 100}
    assert told.does("checkout_update", **order(amount="60", burned="101")).code == "insufficient_points"
    told.does("checkout_update", **order(amount="60", burned="70"))
    told.does("checkout_accept", order_id="o1")
    assert told.states() == {"program": -160, "available": 90, "spent": 70, "qualifying": 160}
    told.does("partial_refund", order_id="o1", points="20")
    assert told.states()["spent"] == 50
    told.does("checkout_reject", order_id="o1")
    assert told.states() == {"program": -100, "available": 100, "qualifying": 100}


def test_expiry_ends_with_the_local_day() -> None:
    """Earned on 29 February 2028 in Budapest, twelve months: to the end of 28 February 2029, 23:00 UTC."""
    told = Told(VISITED, settings={"time_zone": "Europe/Budapest"}, wallets=[{"id": "points", "expiry": A_YEAR}])
    told.model.now = moment("2028-02-29T10:00:00+00:00")
    told.does("visit", amount="10")
    told.model.now = moment("2029-02-28T22:59:59+00:00")
    assert told.does("point_sub", points="1").code == "applied"
    told.model.now = moment("2029-02-28T23:00:00+00:00")
    assert told.does("point_sub", points="1").code == "insufficient_points"
    assert told.states() == {"program": -10, "spent": 1, "expired": 9, "qualifying": 10}


def test_points_past_their_date_are_earned_and_gone() -> None:
    told = Told(VISITED, wallets=[{"id": "points", "expiry": A_YEAR}])
    assert told.does("visit", at=moment("1997-03-01T00:00:00+00:00"), amount="10").points == 0
    assert told.states() == {"program": -10, "expired": 10, "qualifying": 10}


def test_a_cancelled_claim_lives_for_thirty_days() -> None:
    """Claimed on the last day of the points; cancelled a week later: to the end of the 30th day from then."""
    rewards = [{"id": "mug", "cost": "10"}]
    told = Told(VISITED, rewards=rewards, wallets=[{"id": "points", "expiry": A_YEAR}])
    told.does("visit", amount="10")
    told.after(days=365)
    told.does("reward_claimed", reward="mug", ref="claim")
    told.after(days=7)
    told.does("reward_cancelled", of="claim")
    told.model.now = moment("2027-12-27T23:59:59+00:00")  # 20 November 2027 + 7 + 30 days
    assert told.does("visit", amount="0.50").wallets == {
        "points": {"balance": 10, "lifetime": 10, "pending": 0, "reserved": 0}
    }
    told.after(seconds=1)
    assert told.states()["expired"] == 10


def test_a_tier_rises_and_falls_with_its_points() -> None:
    told = Told(BASE, tiers=TIERS)
    assert told.does("checkout", **order(amount="99.99")).tier == "bronze"
    assert told.does("checkout", order_id="o2", amount="1").tier == "gold"
    assert told.does("checkout", order_id="o3", amount="10").points == 20
    assert told.does("refund", order_id="o1").tier == "bronze"  # 99 of 120 are gone


def test_a_year_holds_to_the_end_of_the_next() -> None:
    """Gold by 2026's points: to the end of 2027, and fifteen days of grace."""
    basis = {"wallet": "points", "window": "calendar_year"}
    told = Told(VISITED, tiers={**TIERS, "basis": basis, "downgrade": "at_period_end", "grace_days": "15"})
    assert told.does("visit", amount="100").tier == "gold"
    told.model.now = moment("2028-01-15T23:59:59+00:00")
    assert told.does("visit", amount="1").tier == "gold"
    told.model.now = moment("2028-01-16T00:00:00+00:00")
    assert told.does("visit", amount="1").tier == "bronze"


def test_a_rolling_window_loses_its_points_with_the_day() -> None:
    told = Told(VISITED, tiers={**TIERS, "basis": {"window": "rolling", "months": "12"}, "downgrade": "immediately"})
    assert told.does("visit", amount="100").tier == "gold"
    told.model.now = moment("2027-11-20T23:59:59+00:00")
    assert told.does("visit", amount="0.50").tier == "gold"
    told.model.now = moment("2027-11-21T00:00:00+00:00")
    assert told.does("visit", amount="0.50").tier == "bronze"


def test_days_that_the_clocks_change() -> None:
    zone = Told(settings={"time_zone": "Europe/Budapest"}).model.program.zone
    day = moment("2026-03-29T12:00:00+00:00").date()
    lengths = [first_instant(zone, day + timedelta(days=n)) - first_instant(zone, day) for n in (1, 2)]
    assert lengths == [timedelta(hours=23), timedelta(hours=47)]
