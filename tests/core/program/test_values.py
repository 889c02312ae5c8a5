"""What a valid document becomes: defaults, built-in types and what extends them, warnings, the bounds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from troth import limits
from troth.core.program import Expiry, Level, OrderMapping, Program, Wallet
from troth.core.program.builtin_types import ABSENT_TYPES, BUILTIN_TYPES, ORDER_FAMILY_TYPES, SYSTEM_TYPES
from troth.core.program.document import Validated, validate_document
from troth.core.program.items import plain_document
from troth.core.program.shown_types import show_event_type
from troth.core.program.text import parse_document
from troth.starter import starter_document

EXAMPLE = Path(__file__).parents[3] / "examples" / "programs" / "shop.yaml"


def validate(text: str) -> Validated:
    parsed = parse_document(text)
    assert not parsed.problems, parsed.problems
    return validate_document(parsed.raw, revision=7, positions=parsed.positions)


def program_of(text: str) -> Program:
    validated = validate(text)
    assert validated.program is not None, validated.problems
    return validated.program


def test_the_design_example_is_a_program_without_warnings() -> None:
    validated = validate(EXAMPLE.read_text(encoding="utf-8"))
    assert validated.problems == ()
    program = validated.program
    assert program is not None
    assert program.settings.time_zone == "Europe/Budapest"
    assert program.settings.point_value == Decimal("0.01")
    assert [rule.id for rule in program.rules] == ["base", "electronics-2x", "welcome", "photo-review"]
    assert program.wallets == (
        Wallet(id="points", label="Points", expiry=Expiry(kind="months_after_earning", months=12)),
    )
    assert program.event_types["purchase"].order == OrderMapping(
        id="order_id", amount="amount", items="items", line="product_id", quantity="quantity", price="price"
    )
    assert program.tiers is not None
    assert [reward.tiers for reward in program.rewards.values()] == [("silver", "gold")]
    assert program.tiers.levels[1] == Level(id="silver", label="Silver", threshold=1000, multiplier=Decimal("1.25"))


def test_the_starter_is_a_program_without_warnings() -> None:
    validated = validate_document(starter_document(), revision=1)
    assert validated.problems == ()
    assert validated.program is not None
    types = validated.program.event_types
    declared = {item["id"] for item in plain_document(starter_document())["event_types"]}  # type: ignore[attr-defined]
    assert declared >= set(BUILTIN_TYPES), "the starter names every type there is"
    assert [item.name for item in types["checkout"].properties] == [
        *("transaction_id", "total", "currency", "points_burned", "updated_at", "auto_accept", "items")
    ]
    assert [(reward.cost, reward.codes, reward.enabled) for reward in validated.program.rewards.values()] == [
        (500, False, True),
        (1200, False, True),
    ]
    items = types["purchase"].properties[-1]
    assert [item.name for item in items.of] == [
        *("line_id", "product_id", "product_name", "product_category", "product_url", "sku", "quantity", "price"),
        "subtotal",
    ]


def test_stored_documents_mean_the_same() -> None:
    """Numbers kept as decimal text read back as the numbers they were."""
    raw = parse_document("settings: {point_value: 0.05}\ntiers: {levels: [{id: a, from: 0, multiplier: 1.5}]}").raw
    stored = plain_document(raw)
    assert stored["settings"] == {"point_value": "0.05"}
    assert validate_document(stored, revision=1).program == validate_document(raw, revision=1).program


def test_an_empty_document_is_a_program_of_defaults() -> None:
    for text in (
        "",
        "{}",
        "settings: {}\nwallets: []\nevent_types: []\nrules: []\ntiers: []\nsegments: []\norders: {}\nrewards: []",
    ):
        program = program_of(text)
        assert program.revision == 7
        assert program.wallets == (Wallet(id="points", label="Points"),)
        assert (program.settings.rounding, program.settings.unknown_customer) == ("floor", "create")
        assert (program.settings.time_zone, program.settings.require_signatures) == ("UTC", False)
        assert program.orders.acceptance == "immediate"
        assert (program.settings.return_days_min, program.settings.inactivity_days) == (30, None)
        assert (program.rules, program.tiers, program.rewards) == ((), None, {})
        assert set(program.event_types) == set(BUILTIN_TYPES)


def test_defaults_of_a_rule() -> None:
    [rule] = program_of("rules: [{id: r, event_type: opt_in, award: 1.50}]").rules
    assert (rule.label, rule.when, rule.award, rule.wallet) == ("r", "true", "1.50", "points")
    assert (rule.tier_multiplier, rule.qualifying, rule.enabled, rule.priority) == (True, True, True, 0)
    assert (rule.limits, rule.group, rule.hold, rule.expiry, rule.active_from, rule.active_until) == ((), *[None] * 5)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-12-01", datetime(2026, 11, 30, 23, tzinfo=UTC)),  # local midnight
        ("2026-07-01T08:00", datetime(2026, 7, 1, 6, tzinfo=UTC)),  # in summer
        ("2026-12-01T08:00:00Z", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2026-12-01T08:00:00-05:00", datetime(2026, 12, 1, 13, tzinfo=UTC)),
    ],
)
def test_times_without_offset_are_the_program_s(written: str, meant: datetime) -> None:
    rule = f"{{id: r, event_type: opt_in, award: 1, active: {{from: {written}}}}}"
    text = f"settings: {{time_zone: Europe/Budapest}}\nrules: [{rule}]"
    [found] = program_of(text).rules
    assert found.active_from == meant


def test_a_declaration_extends_a_built_in_type() -> None:
    declared = "{vip: {type: boolean}, tags: {type: list, of: {type: text}}}"
    text = f"event_types: [{{id: profile, label: Member, properties: {declared}}}]"
    before, after = BUILTIN_TYPES["profile"], program_of(text).event_types["profile"]
    assert after.label == "Member"
    assert [item.name for item in after.properties] == [*(item.name for item in before.properties), "vip"]
    assert (after.scope, after.system) == (before.scope, False)


def test_built_in_types_are_as_the_design_says() -> None:
    assert {known.id for known in BUILTIN_TYPES.values() if known.system} == set(SYSTEM_TYPES)
    active = {known.id for known in BUILTIN_TYPES.values() if known.activity}
    assert active == {"profile", "opt_in", "opt_out", "checkout_update", "reward_claimed"}
    scopes = {known: BUILTIN_TYPES[known].scope for known in ("point_add", "point_sub", "opt_in", "opt_out", "profile")}
    assert scopes == {
        "point_add": "points:write",
        "point_sub": "points:write",
        "opt_in": "customers:write",
        "opt_out": "customers:write",
        "profile": "customers:write",
    }
    assert not any(known.client_allowed for known in BUILTIN_TYPES.values())


def test_the_order_family_knows_the_opening_types() -> None:
    types = program_of(EXAMPLE.read_text(encoding="utf-8")).event_types
    assert set(types) >= ORDER_FAMILY_TYPES
    assert {item.name for item in types["checkout_update"].properties} >= {"order_id", "amount", "items"}
    assert not any(item.required for item in types["checkout_update"].properties)
    starter = validate_document(starter_document(), revision=1).program
    assert starter is not None
    assert {item.name for item in starter.event_types["refund"].properties} >= {"order_id", "transaction_id"}


def test_tier_events_name_the_levels() -> None:
    rule = "{id: r, event_type: tier_upgraded, award: 1, when: properties.to_tier == 'c'}"
    text = f"tiers: {{levels: [{{id: a, from: 0}}, {{id: b, from: 5}}]}}\nrules: [{rule}]"
    assert [(problem.code, problem.severity) for problem in validate(text).problems] == [("never_true", "warning")]


RELEASED = "rules: [{id: r, event_type: points_released, award: 1}]"
CLIENT = "event_types: [{id: share, client_allowed: true, ONCE}]\nrules: [{id: r, event_type: share, award: 1, LIMITS}]"
WARNED = [
    (CLIENT.replace(", ONCE", "").replace(", LIMITS", ""), ["client_award_unlimited"]),
    (CLIENT.replace("ONCE", "once: true").replace(", LIMITS", ""), []),
    (CLIENT.replace(", ONCE", "").replace("LIMITS", "limits: [{points: 5, window: day}]"), []),
    (CLIENT.replace(", ONCE", "").replace("LIMITS", "enabled: false"), []),
    *(
        (f"rules: [{{id: r, event_type: {known}, award: 1}}]", ["cannot_arrive"])
        for known in ("segment_entered", "segment_left", "campaign_bonus", "opt_out", "inactivity")
    ),
    ("rules: [{id: r, event_type: segment_entered, award: 1, enabled: false}]", []),
    ("settings: {inactivity_days: 90}\nrules: [{id: r, event_type: inactivity, award: 1}]", []),
    *(
        (f"rules: [{{id: r, event_type: {known}, award: 1}}]", [])
        for known in sorted(SYSTEM_TYPES - ABSENT_TYPES - {"inactivity"} | {"point_add", "point_sub", "opt_in"})
    ),
    (RELEASED, []),
    (RELEASED.replace("award: 1", "award: 1, hold: P1D"), ["feeds_itself"]),
    (RELEASED.replace("award: 1", "award: 1, hold: P1D, enabled: false"), []),
    (RELEASED.replace("award: 1", "award: 1, hold: P1D, limits: [{times: 1, window: ever}]"), []),
    ("wallets: [{id: a, hold: P1D}]\n" + RELEASED, ["feeds_itself"]),
    ("wallets: [{id: a, hold: P1D}]\n" + RELEASED.replace("award: 1", "award: 1, hold: P0D"), []),
    ("wallets: [{id: a}, {id: b, hold: P1D}]\n" + RELEASED, []),
    ("rules: [{id: r, event_type: points_expired, award: properties.points ?? 0}]", ["useless_default"]),
]


@pytest.mark.parametrize(("text", "codes"), WARNED)
def test_warnings_do_not_block(text: str, codes: list[str]) -> None:
    validated = validate(text)
    assert [problem.code for problem in validated.warnings] == codes
    assert validated.program is not None


def test_shown_types_read_back_as_they_are() -> None:
    program = validate_document(starter_document(), revision=1).program
    assert program is not None
    for known in program.event_types.values():
        if known.id not in BUILTIN_TYPES:
            again = validate_document({"event_types": [show_event_type(known)]}, revision=1).program
            assert again is not None
            assert again.event_types[known.id] == known


def properties(number: int) -> str:
    return "{" + ", ".join(f"p{n}: {{type: text}}" for n in range(number)) + "}"


def nested(depth: int) -> str:
    return "{a: {type: list, of: " * depth + "{a: {type: text}}" + "}}" * depth


def many(section: str, template: str, number: int) -> str:
    return f"{section}: [" + ", ".join(template.replace("N", str(n)) for n in range(number)) + "]"


LIMIT = "{times: 1, window: day}"
RULE = "rules: [{id: r, event_type: opt_in, award: 1, "
BOUNDS = (
    [  # within, beyond, code
        (many("event_types", "{id: tN}", n), many("event_types", "{id: tN}", n + 1), "too_many")
        for n in [limits.EVENT_TYPES]
    ]
    + [
        (
            f"event_types: [{{id: t, properties: {make(bound)}}}]",
            f"event_types: [{{id: t, properties: {make(bound + 1)}}}]",
            code,
        )
        for make, bound, code in (
            (properties, limits.PROPERTIES, "too_many"),
            (nested, limits.PROPERTY_DEPTH, "too_deep"),
            (lambda n: f"{{p: {{type: text, max_length: {n}}}}}", limits.PROPERTY_TEXT_LENGTH, "out_of_range"),
            (
                lambda n: f"{{p: {{type: list, max_items: {n}, of: {{type: text}}}}}}",
                limits.PROPERTY_LIST_ITEMS,
                "out_of_range",
            ),
            (lambda n: f"{{p: {{type: text, enum: {[f'v{i}' for i in range(n)]}}}}}", limits.ENUM_VALUES, "too_many"),
        )
    ]
    + [
        (make(bound), make(bound + 1), code)
        for make, bound, code in (
            (lambda n: many("rules", "{id: rN, event_type: opt_in, award: 1}", n), limits.RULES, "too_many"),
            (lambda n: f"{RULE}limits: [{', '.join([LIMIT] * n)}]}}]", limits.RULE_LIMITS, "too_many"),
            (lambda n: f"{RULE}priority: {n}}}]", limits.PRIORITY, "out_of_range"),
            (lambda n: f"{RULE}label: {'x' * n}}}]", limits.PROGRAM_LABEL_LENGTH, "too_long"),
            (
                lambda n: f"rules: [{{id: {'x' * n}, event_type: opt_in, award: 1}}]",
                limits.PROGRAM_ID_LENGTH,
                "too_long",
            ),
            (lambda n: f"event_types: [{{id: a, description: {'x' * n}}}]", limits.PROGRAM_TEXT_LENGTH, "too_long"),
            (lambda n: f"tiers: {{{many('levels', '{id: lN, from: N}', n)}}}", limits.LEVELS, "too_many"),
            (
                lambda n: f"wallets: [{{id: a, expiry: {{kind: months_after_earning, months: {n}}}}}]",
                limits.EXPIRY_MONTHS,
                "out_of_range",
            ),
            (lambda n: many("wallets", "{id: wN}", n), limits.WALLETS, "too_many"),
            (lambda n: f"wallets: [{{id: a, hold: P{n}D}}]", limits.DURATION_DAYS, "out_of_range"),
            (lambda n: f"{RULE}hold: P{n}D}}]", limits.DURATION_DAYS, "out_of_range"),
            (lambda n: f"orders: {{acceptance: {{after: P{n}D}}}}", limits.DURATION_DAYS, "out_of_range"),
            (lambda n: f"settings: {{return_days_min: {n}}}", limits.RETURN_DAYS, "out_of_range"),
            (lambda n: f"settings: {{inactivity_days: {n}}}", limits.DURATION_DAYS, "out_of_range"),
            (lambda n: f"tiers: {{basis: {{window: rolling, months: {n}}}}}", limits.EXPIRY_MONTHS, "out_of_range"),
            (
                lambda n: f"tiers: {{basis: {{window: rolling}}, downgrade: immediately, grace_days: {n}}}",
                limits.DURATION_DAYS,
                "out_of_range",
            ),
            (lambda n: many("rewards", "{id: rN, cost: 1}", n), limits.REWARDS, "too_many"),
            (lambda n: f"rewards: [{{id: a, cost: {n}}}]", limits.AWARD_POINTS, "out_of_range"),
            (lambda n: f"rewards: [{{id: a, cost: 1, stock: {n}}}]", limits.REWARD_STOCK, "out_of_range"),
            (lambda n: f"rewards: [{{id: a, cost: 1, per_customer: {n}}}]", limits.REWARD_CLAIMS, "out_of_range"),
            (
                lambda n: f"rewards: [{{id: a, cost: 1, description: {'x' * n}}}]",
                limits.PROGRAM_TEXT_LENGTH,
                "too_long",
            ),
            (
                lambda n: f"tiers: {{levels: [{{id: a, from: 0, multiplier: {n}}}]}}",
                limits.MULTIPLIER_MAX,
                "out_of_range",
            ),
        )
    ]
)


@pytest.mark.parametrize(
    ("within", "beyond", "code"), BOUNDS, ids=[f"{code} {n}" for n, (_, _, code) in enumerate(BOUNDS)]
)
def test_bounds_hold(within: str, beyond: str, code: str) -> None:
    assert validate(within).errors == ()
    assert code in {problem.code for problem in validate(beyond).errors}


def test_problems_are_listed_up_to_a_bound() -> None:
    """PROGRAM_PROBLEMS are listed, the rest is counted."""
    problems = validate(many("wallets", "{id: 5}", 1) + "\n" + many("rules", "{}", 400)).problems
    assert len(problems) == limits.PROGRAM_PROBLEMS + 1
    assert problems[-1].code == "too_many_problems"
