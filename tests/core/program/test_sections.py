"""What wallets, acceptance, tiers and rewards become: every field and every default."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from troth.core.program import Expiry, Orders, Program, Reward, Settings, Tiers, Wallet
from troth.core.program.document import SEMANTICS_VERSION, validate_document
from troth.core.program.items import plain_document
from troth.core.program.text import parse_document


def program_of(text: str) -> Program:
    """The program of a text, which stays the same when it is stored."""
    parsed = parse_document(text)
    assert not parsed.problems, parsed.problems
    validated = validate_document(parsed.raw, revision=1)
    assert validated.program is not None, validated.problems
    assert validate_document(plain_document(parsed.raw), revision=1).program == validated.program
    return validated.program


WALLETS = [  # fields, what they mean
    ("", {}),
    ("label: Gems", {"label": "Gems"}),
    ("expiry: never", {}),
    ("expiry: {}", {}),
    ("expiry: {kind: never}", {}),
    (
        "expiry: {kind: months_after_earning, months: 12, month_end: true}",
        {"expiry": Expiry(kind="months_after_earning", months=12, month_end=True)},
    ),
    (
        "expiry: {kind: months_after_activity, months: 6}",
        {"expiry": Expiry(kind="months_after_activity", months=6)},
    ),
    (
        "expiry: {kind: months_after_activity, months: 6, month_end: true}",
        {"expiry": Expiry(kind="months_after_activity", months=6, month_end=True)},
    ),
    ("hold: P0D", {}),
    ("hold: P14D", {"hold": timedelta(days=14)}),
    ("hold: P1WT12H30M", {"hold": timedelta(days=7, hours=12, minutes=30)}),
    ("negative_balance: allow", {}),
    ("negative_balance: forgive", {"negative_balance": "forgive"}),
]


@pytest.mark.parametrize(("fields", "meant"), WALLETS, ids=[fields for fields, _ in WALLETS])
def test_a_wallet_is_what_its_fields_say(fields: str, meant: dict[str, object]) -> None:
    expected = Wallet(**{"id": "gems", "label": "gems", **meant})  # type: ignore[arg-type]
    assert program_of(f"wallets: [{{id: gems, {fields}}}]").wallets == (expected,)


def test_wallets_keep_their_order_and_the_first_is_the_main_one() -> None:
    text = """
wallets: [{id: miles, hold: P14D}, {id: gems, negative_balance: forgive}, {id: coins}]
rules:
  - {id: a, event_type: opt_in, award: 1}
  - {id: b, event_type: opt_in, award: 1, wallet: coins, hold: P0D, expiry: never}
  - {id: c, event_type: opt_in, award: 1, wallet: gems, hold: P1D, expiry: {kind: months_after_activity, months: 3}}
rewards: [{id: a, cost: 1}, {id: b, cost: 1, wallet: gems}]
tiers: {levels: [{id: low, from: 0}]}
"""
    program = program_of(text)
    assert [wallet.id for wallet in program.wallets] == ["miles", "gems", "coins"]
    assert [(rule.wallet, rule.hold, rule.expiry) for rule in program.rules] == [
        ("miles", None, None),  # as the wallet says
        ("coins", timedelta(0), Expiry()),
        ("gems", timedelta(days=1), Expiry(kind="months_after_activity", months=3)),
    ]
    assert [reward.wallet for reward in program.rewards.values()] == ["miles", "gems"]
    assert program.tiers is not None
    assert program.tiers.wallet == "miles"


ORDERS = [
    ("{}", Orders()),
    ("{acceptance: immediate}", Orders(acceptance="immediate")),
    ("{acceptance: manual}", Orders(acceptance="manual")),
    ("{acceptance: {after: P14D}}", Orders(acceptance="after", after=timedelta(days=14), then="accept")),
    ("{acceptance: {after: PT1M, then: accept}}", Orders(acceptance="after", after=timedelta(minutes=1))),
    (
        "{acceptance: {after: P2W, then: reject}}",
        Orders(acceptance="after", after=timedelta(days=14), then="reject"),
    ),
]


@pytest.mark.parametrize(("written", "meant"), ORDERS, ids=[written for written, _ in ORDERS])
def test_acceptance_is_what_it_says(written: str, meant: Orders) -> None:
    assert program_of(f"orders: {written}").orders == meant


def test_days_of_the_settings() -> None:
    settings = program_of("settings: {return_days_min: 0, inactivity_days: 90}").settings
    assert settings == Settings(name="Loyalty program", return_days_min=0, inactivity_days=90)
    assert program_of("settings: {return_days_min: null, inactivity_days: null}").settings == Settings(
        name="Loyalty program", return_days_min=30, inactivity_days=None
    )


TIERS = [
    ("", {}),
    ("basis: {}", {}),
    ("basis: {window: lifetime}, downgrade: never, grace_days: 0", {}),
    ("basis: {window: rolling}", {"window": "rolling", "months": 12}),
    ("basis: {window: rolling, months: 6}", {"window": "rolling", "months": 6}),
    ("basis: {wallet: gems, window: calendar_year}", {"wallet": "gems", "window": "calendar_year"}),
    *(
        (
            f"basis: {{window: {window}}}, downgrade: {downgrade}, grace_days: 30",
            {"window": window, "downgrade": downgrade, "grace_days": 30},
        )
        for window, downgrade in (
            ("rolling", "immediately"),
            ("rolling", "at_period_end"),
            ("calendar_year", "at_period_end"),
        )
    ),
    ("basis: {window: calendar_year}, downgrade: never", {"window": "calendar_year"}),
]


@pytest.mark.parametrize(("fields", "meant"), TIERS, ids=[fields for fields, _ in TIERS])
def test_tiers_are_what_their_fields_say(fields: str, meant: dict[str, object]) -> None:
    text = f"wallets: [{{id: points}}, {{id: gems}}]\ntiers: {{levels: [{{id: low, from: 0}}], {fields}}}"
    tiers = program_of(text).tiers
    assert tiers is not None
    assert tiers == Tiers(**{"wallet": "points", "levels": tiers.levels, **meant})  # type: ignore[arg-type]
    assert [level.id for level in tiers.levels] == ["low"]


REWARDS = [
    ("", {}),
    ("label: Mug, description: With a logo", {"label": "Mug", "description": "With a logo"}),
    ("stock: null, per_customer: null, tiers: [], active: {}, segments: []", {}),
    ("stock: 0", {"stock": 0}),
    ("stock: 10, per_customer: 1", {"stock": 10, "per_customer": 1}),
    ("wallet: gems", {"wallet": "gems"}),
    ("tiers: [high, low]", {"tiers": ("high", "low")}),
    ("active: {from: 2026-12-01}", {"active_from": datetime(2026, 11, 30, 23, tzinfo=UTC)}),  # local midnight
    ("active: {until: '2027-07-01T08:00'}", {"active_until": datetime(2027, 7, 1, 6, tzinfo=UTC)}),
    ("codes: true", {"codes": True}),
    ("enabled: false", {"enabled": False}),
]


@pytest.mark.parametrize(("fields", "meant"), REWARDS, ids=[fields for fields, _ in REWARDS])
def test_a_reward_is_what_its_fields_say(fields: str, meant: dict[str, object]) -> None:
    text = f"""
settings: {{time_zone: Europe/Budapest}}
wallets: [{{id: points}}, {{id: gems}}]
tiers: {{levels: [{{id: low, from: 0}}, {{id: high, from: 10}}]}}
rewards: [{{id: mug, cost: 500, {fields}}}]
"""
    fields_of_it = {"id": "mug", "label": "mug", "wallet": "points", "cost": 500, **meant}
    assert program_of(text).rewards == {"mug": Reward(**fields_of_it)}  # type: ignore[arg-type]


def test_rewards_keep_their_order() -> None:
    assert list(program_of("rewards: [{id: z, cost: 1}, {id: a, cost: '2'}, {id: m, cost: 3}]").rewards) == [*"zam"]


def test_null_is_absent_in_a_limit() -> None:
    text = "rules: [{id: r, event_type: opt_in, award: 1, limits: [{window: day, times: null, points: 5}]}]"
    [limit] = program_of(text).rules[0].limits
    assert (limit.times, limit.points) == (None, 5)


def test_orders_wallets_tiers_and_rewards_are_judged_since_version_two() -> None:
    assert SEMANTICS_VERSION == 2
