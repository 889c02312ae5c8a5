"""Every problem of a program document by code, pointer and position; all of them at once, each with what to do."""

from __future__ import annotations

import pytest

from troth.core.program.builtin_types import ORDER_FAMILY_TYPES
from troth.core.program.document import Validated, validate_document
from troth.core.program.text import parse_document


def validate(text: str) -> Validated:
    parsed = parse_document(text)
    assert not parsed.problems, parsed.problems
    return validate_document(parsed.raw, revision=1, positions=parsed.positions)


PURCHASE = """
event_types:
  - id: purchase
    properties:
      amount: {type: number, places: 2, min: 0, required: true}
      note: {type: text}
      email: {type: text, pii: true}
      at: {type: datetime}
      ok: {type: boolean}
      whole: {type: number, places: 0}
      items: {type: list, of: {sku: {type: text}, quantity: {type: number}}}
"""
AFTER = len(PURCHASE.splitlines())  # a section added behind begins on the next line


def added(section: str) -> str:
    return PURCHASE + section


def rule(fields: str) -> str:
    return added("rules:\n  - {id: r, event_type: purchase, award: 1, " + fields + "}")


def order(fields: str) -> str:
    return PURCHASE.replace("    properties:", f"    order: {{{fields}}}\n    properties:", 1)


def prop(schema: str) -> str:
    return f"event_types:\n  - id: t\n    properties:\n      p: {schema}\n"


def reward(fields: str, beside: str = "") -> str:
    return f"rewards: [{{id: a, cost: 5, {fields}}}]{beside}"


RULE_AT = AFTER + 2
LEVELS = "\ntiers: {levels: [{id: low, from: 0}, {id: high, from: 5}]}"
CASES = [  # text, code, pointer, (line, column)
    # shape
    ("[]", "type", "", (1, 1)),
    ("seting: {}", "unknown_field", "/seting", (1, 1)),
    ("settings: []", "type", "/settings", (1, 11)),
    ("rules: {}", "type", "/rules", (1, 8)),
    ("rules: [x]", "type", "/rules/0", (1, 9)),
    ("settings: {name: 5}", "type", "/settings/name", (1, 18)),
    ("settings: {nam: x}", "unknown_field", "/settings/nam", (1, 12)),
    ("settings: {name: " + "x" * 201 + "}", "too_long", "/settings/name", (1, 18)),
    # settings
    ("settings: {time_zone: Europe/Budapst}", "time_zone", "/settings/time_zone", (1, 23)),
    ("settings: {time_zone: ../etc/passwd}", "time_zone", "/settings/time_zone", (1, 23)),
    ("settings: {time_zone: Europe}", "time_zone", "/settings/time_zone", (1, 23)),
    ("settings: {currency: EURO}", "currency", "/settings/currency", (1, 22)),
    ("settings: {rounding: up}", "choice", "/settings/rounding", (1, 22)),
    ("settings: {unknown_customer: ignore}", "choice", "/settings/unknown_customer", (1, 30)),
    ("settings: {point_value: -1}", "out_of_range", "/settings/point_value", (1, 25)),
    ("settings: {point_value: 0.000000001}", "too_many_places", "/settings/point_value", (1, 25)),
    ("settings: {require_signatures: 1}", "type", "/settings/require_signatures", (1, 32)),
    ("settings: {return_days_min: -1}", "out_of_range", "/settings/return_days_min", (1, 29)),
    ("settings: {return_days_min: 0.5}", "too_many_places", "/settings/return_days_min", (1, 29)),
    ("settings: {return_days_min: P30D}", "type", "/settings/return_days_min", (1, 29)),
    ("settings: {inactivity_days: 0}", "out_of_range", "/settings/inactivity_days", (1, 29)),
    ("settings: {inactivity_days: never}", "type", "/settings/inactivity_days", (1, 29)),
    # orders
    ("orders: {acceptance: later}", "choice", "/orders/acceptance", (1, 22)),
    ("orders: {acceptance: after}", "choice", "/orders/acceptance", (1, 22)),
    ("orders: {acceptance: 14}", "choice", "/orders/acceptance", (1, 22)),
    ("orders: {acceptance: {then: accept}}", "required", "/orders/acceptance", (1, 22)),
    ("orders: {acceptance: {after: 14}}", "duration", "/orders/acceptance/after", (1, 30)),
    ("orders: {acceptance: {after: P0D}}", "out_of_range", "/orders/acceptance/after", (1, 30)),
    ("orders: {acceptance: {after: P14D, then: pay}}", "choice", "/orders/acceptance/then", (1, 42)),
    ("orders: {acceptance: {after: P14D, than: accept}}", "unknown_field", "/orders/acceptance/than", (1, 36)),
    # wallets
    ("wallets: [{label: x}]", "required", "/wallets/0", (1, 11)),
    ("wallets: [{id: a b}]", "invalid_id", "/wallets/0/id", (1, 16)),
    ("wallets: [{id: 5}]", "type", "/wallets/0/id", (1, 16)),
    ("wallets: [{id: " + "x" * 65 + "}]", "too_long", "/wallets/0/id", (1, 16)),
    ("wallets: [{id: a}, {id: a}]", "duplicate_id", "/wallets/1/id", (1, 25)),
    ("wallets: [{id: a}, {id: b, lable: x}]", "unknown_field", "/wallets/1/lable", (1, 28)),
    ("wallets: [{id: a, hold: 14 days}]", "duration", "/wallets/0/hold", (1, 25)),
    ("wallets: [{id: a, hold: P}]", "duration", "/wallets/0/hold", (1, 25)),
    ("wallets: [{id: a, hold: P9999D}]", "out_of_range", "/wallets/0/hold", (1, 25)),
    ("wallets: [{id: a, negative_balance: deny}]", "choice", "/wallets/0/negative_balance", (1, 37)),
    ("wallets: [{id: a, expiry: sometimes}]", "type", "/wallets/0/expiry", (1, 27)),
    ("wallets: [{id: a, expiry: {kind: yearly, months: 1}}]", "choice", "/wallets/0/expiry/kind", (1, 34)),
    ("wallets: [{id: a, expiry: {kind: months_after_activity}}]", "required", "/wallets/0/expiry", (1, 27)),
    (
        "wallets: [{id: a, expiry: {kind: months_after_activity, months: 0}}]",
        "out_of_range",
        "/wallets/0/expiry/months",
        (1, 65),
    ),
    ("wallets: [{id: a, expiry: {kind: months_after_earning}}]", "required", "/wallets/0/expiry", (1, 27)),
    ("wallets: [{id: a, expiry: {kind: never, months: 3}}]", "unknown_field", "/wallets/0/expiry/months", (1, 41)),
    (
        "wallets: [{id: a, expiry: {kind: months_after_earning, months: 1.5}}]",
        "too_many_places",
        "/wallets/0/expiry/months",
        (1, 64),
    ),
    (
        "wallets: [{id: a, expiry: {kind: months_after_earning, months: 1201}}]",
        "out_of_range",
        "/wallets/0/expiry/months",
        (1, 64),
    ),
    # event types
    ("event_types: [{id: a}, {id: a}]", "duplicate_id", "/event_types/1/id", (1, 29)),
    ("event_types: [{id: a, scope: x}]", "choice", "/event_types/0/scope", (1, 30)),
    (
        "event_types: [{id: a, client_allowed: true, scope: points:write}]",
        "client_scope",
        "/event_types/0/client_allowed",
        (1, 39),
    ),
    ("event_types: [{id: tier_upgraded, once: true}]", "builtin_type", "/event_types/0/once", (1, 41)),
    ("event_types: [{id: profile, scope: points:write}]", "builtin_type", "/event_types/0/scope", (1, 36)),
    ("event_types: [{id: refund, order: {}}]", "builtin_type", "/event_types/0/order", (1, 35)),
    (
        "event_types: [{id: profile, properties: {tags: {type: text}}}]",
        "builtin_type",
        "/event_types/0/properties/tags",
        (1, 48),
    ),
    (
        "event_types: [{id: profile, properties: {vip: {type: text, required: true}}}]",
        "builtin_type",
        "/event_types/0/properties/vip",
        (1, 47),
    ),
    # properties
    (prop("{places: 2, type: text}"), "unknown_field", "/event_types/0/properties/p/places", (4, 11)),
    (prop("{}"), "required", "/event_types/0/properties/p", (4, 10)),
    (prop("number"), "type", "/event_types/0/properties/p", (4, 10)),
    (prop("{type: numbr}"), "choice", "/event_types/0/properties/p/type", (4, 17)),
    (prop("{type: number, places: 17}"), "out_of_range", "/event_types/0/properties/p/places", (4, 33)),
    (prop("{type: number, min: 5, max: 1}"), "out_of_range", "/event_types/0/properties/p/min", (4, 30)),
    (prop("{type: number, places: 1, min: 0.25}"), "too_many_places", "/event_types/0/properties/p/min", (4, 41)),
    (prop("{type: number, places: 16, max: 1e21}"), "out_of_range", "/event_types/0/properties/p/max", (4, 42)),
    (prop("{type: number, default: -1, min: 0}"), "default", "/event_types/0/properties/p/default", (4, 34)),
    (prop("{type: text, enum: [a], default: b}"), "default", "/event_types/0/properties/p/default", (4, 43)),
    (prop("{type: text, default: 5}"), "default", "/event_types/0/properties/p/default", (4, 32)),
    (prop("{type: text, enum: [a, a]}"), "duplicate_value", "/event_types/0/properties/p/enum/1", (4, 33)),
    (prop("{type: text, enum: [1]}"), "type", "/event_types/0/properties/p/enum/0", (4, 30)),
    (prop("{type: text, max_length: 2, enum: [abc]}"), "too_long", "/event_types/0/properties/p/enum/0", (4, 45)),
    (prop("{type: text, max_length: 0}"), "out_of_range", "/event_types/0/properties/p/max_length", (4, 35)),
    (prop("{type: list}"), "required", "/event_types/0/properties/p", (4, 10)),
    (prop("{type: object}"), "required", "/event_types/0/properties/p", (4, 10)),
    (
        prop("{type: list, of: {type: list, of: {type: text}}}"),
        "type",
        "/event_types/0/properties/p/of/type",
        (4, 34),
    ),
    (
        prop("{type: list, of: {type: text, required: true}}"),
        "unknown_field",
        "/event_types/0/properties/p/of/required",
        (4, 50),
    ),
    (
        prop("{type: list, of: {a: {type: text, pii: true}}}"),
        "pii_nested",
        "/event_types/0/properties/p/of/a/pii",
        (4, 49),
    ),
    (
        prop("{type: list, of: {a: {type: text}}, default: [{}]}"),
        "default",
        "/event_types/0/properties/p/default",
        (4, 55),
    ),
    (prop("{type: text}\n      a-b: {type: text}"), "invalid_id", "/event_types/0/properties/a-b", (5, 12)),
    (prop("{type: text}\n      and: {type: text}"), "invalid_id", "/event_types/0/properties/and", (5, 12)),
    # order mappings
    (order("amount: amont"), "order_mapping", "/event_types/0/order/amount", (4, 21)),
    (order("amount: note"), "order_mapping", "/event_types/0/order/amount", (4, 21)),
    (order("id: amount"), "order_mapping", "/event_types/0/order/id", (4, 17)),
    (order("id: email"), "order_mapping", "/event_types/0/order/id", (4, 17)),
    (order("burned: amount"), "order_mapping", "/event_types/0/order/burned", (4, 21)),
    (order("updated_at: note"), "order_mapping", "/event_types/0/order/updated_at", (4, 25)),
    (order("auto_accept: note"), "order_mapping", "/event_types/0/order/auto_accept", (4, 26)),
    (order("items: note"), "order_mapping", "/event_types/0/order/items", (4, 20)),
    (order("line: sku"), "order_mapping", "/event_types/0/order/line", (4, 19)),
    (order("items: items, quantity: sku"), "order_mapping", "/event_types/0/order/quantity", (4, 37)),
    (order("amount: 5"), "order_mapping", "/event_types/0/order/amount", (4, 21)),
    (order("total: amount"), "unknown_field", "/event_types/0/order/total", (4, 13)),
    # rules
    ("rules: [{id: r, award: 1}]", "required", "/rules/0", (1, 9)),
    (added("rules: [{id: r, event_type: purchase}]"), "required", "/rules/0", (AFTER + 1, 9)),
    (
        added("rules: [{id: r, event_type: purchse, award: 1}]"),
        "unknown_reference",
        "/rules/0/event_type",
        (AFTER + 1, 29),
    ),
    (rule("wallet: gems"), "unknown_reference", "/rules/0/wallet", (RULE_AT, 53)),
    (rule("when: properties.amout > 1"), "unknown_property", "/rules/0/when", (RULE_AT, 62)),
    (rule("when: 'properties.amout > 1'"), "unknown_property", "/rules/0/when", (RULE_AT, 63)),
    (rule("when: properties.note > 1"), "type", "/rules/0/when", (RULE_AT, 51)),
    (rule("when: []"), "type", "/rules/0/when", (RULE_AT, 51)),
    (rule("segments: [vip]"), "not_available", "/rules/0/segments", (RULE_AT, 55)),
    (rule("campaign: xmas"), "not_available", "/rules/0/campaign", (RULE_AT, 55)),
    (rule("hold: 1 day"), "duration", "/rules/0/hold", (RULE_AT, 51)),
    (rule("expiry: {kind: months_after_activity}"), "required", "/rules/0/expiry", (RULE_AT, 53)),
    (rule("active: {from: soon}"), "datetime", "/rules/0/active/from", (RULE_AT, 60)),
    (rule("active: {from: 2026-12-01, until: 2026-12-01}"), "out_of_range", "/rules/0/active/until", (RULE_AT, 79)),
    (rule("limits: [{times: 1}]"), "required", "/rules/0/limits/0", (RULE_AT, 54)),
    (rule("limits: [{window: day}]"), "required", "/rules/0/limits/0", (RULE_AT, 54)),
    (rule("limits: [{window: hour, times: 1}]"), "choice", "/rules/0/limits/0/window", (RULE_AT, 63)),
    (rule("limits: [{window: day, times: 0}]"), "out_of_range", "/rules/0/limits/0/times", (RULE_AT, 75)),
    (rule("limits: [{window: day, points: 1000000000001}]"), "out_of_range", "/rules/0/limits/0/points", (RULE_AT, 76)),
    (rule("group: a b"), "invalid_id", "/rules/0/group", (RULE_AT, 52)),
    (rule("priority: 1000001"), "out_of_range", "/rules/0/priority", (RULE_AT, 55)),
    (rule("qualifying: maybe"), "type", "/rules/0/qualifying", (RULE_AT, 57)),
    (rule("wen: true"), "unknown_field", "/rules/0/wen", (RULE_AT, 45)),
    *(
        (f"rules: [{{id: r, award: 1, enabled: {enabled}, event_type: {known}}}]", *expected)
        for known in sorted(ORDER_FAMILY_TYPES)
        for enabled, *expected in (
            ("true", "order_family_rule", "/rules/0/event_type", (1, 54)),
            ("false", "order_family_rule", "/rules/0/event_type", (1, 55)),
        )
    ),
    (
        added(
            "wallets: [{id: a}, {id: b}]\nrules:\n  - {id: r, event_type: purchase, award: 1, wallet: b, group: g}\n"
            "  - {id: s, event_type: purchase, award: 1, group: g}"
        ),
        "group_wallet",
        "/rules/1/wallet",
        (AFTER + 4, 5),
    ),
    (
        added("rules:\n  - {id: r, event_type: purchase, award: 1}\n  - {id: r, event_type: purchase, award: 1}"),
        "duplicate_id",
        "/rules/1/id",
        (AFTER + 3, 10),
    ),
    # tiers
    ("tiers: {levels: [{id: a}]}", "required", "/tiers/levels/0", (1, 18)),
    ("tiers: {levels: [{id: a, from: -1}]}", "out_of_range", "/tiers/levels/0/from", (1, 32)),
    ("tiers: {levels: [{id: a, from: 5}, {id: b, from: 5}]}", "not_ascending", "/tiers/levels/1/from", (1, 50)),
    ("tiers: {levels: [{id: a, from: 0}, {id: a, from: 5}]}", "duplicate_id", "/tiers/levels/1/id", (1, 41)),
    ("tiers: {levels: [{id: a, from: 0, multiplier: 100.5}]}", "out_of_range", "/tiers/levels/0/multiplier", (1, 47)),
    (
        "tiers: {levels: [{id: a, from: 0, multiplier: 1.00001}]}",
        "too_many_places",
        "/tiers/levels/0/multiplier",
        (1, 47),
    ),
    ("tiers: {basis: {wallet: gems}}", "unknown_reference", "/tiers/basis/wallet", (1, 25)),
    ("tiers: {basis: {window: weekly}}", "choice", "/tiers/basis/window", (1, 25)),
    ("tiers: {basis: {window: rolling, months: 0}}", "out_of_range", "/tiers/basis/months", (1, 42)),
    ("tiers: {basis: {window: lifetime, months: 12}}", "unknown_field", "/tiers/basis/months", (1, 35)),
    ("tiers: {basis: {window: calendar_year, months: 12}}", "unknown_field", "/tiers/basis/months", (1, 40)),
    ("tiers: {basis: {window: weekly, months: 3}, downgrade: immediately}", "choice", "/tiers/basis/window", (1, 25)),
    ("tiers: {downgrade: sometimes, grace_days: 3}", "choice", "/tiers/downgrade", (1, 20)),
    ("tiers: {downgrade: sometimes}", "choice", "/tiers/downgrade", (1, 20)),
    ("tiers: {grace_days: -1}", "out_of_range", "/tiers/grace_days", (1, 21)),
    ("tiers: {downgrade: at_period_end}", "tier_policy", "/tiers/downgrade", (1, 20)),
    ("tiers: {downgrade: immediately}", "tier_policy", "/tiers/downgrade", (1, 20)),
    ("tiers: {downgrade: at_period_end, basis: {window: lifetime}}", "tier_policy", "/tiers/downgrade", (1, 20)),
    ("tiers: {downgrade: immediately, basis: {window: calendar_year}}", "tier_policy", "/tiers/downgrade", (1, 20)),
    ("tiers: {grace_days: 3}", "tier_policy", "/tiers/grace_days", (1, 21)),
    ("tiers: {grace_days: 3, basis: {window: rolling}}", "tier_policy", "/tiers/grace_days", (1, 21)),
    # rewards
    ("rewards: {}", "type", "/rewards", (1, 10)),
    ("rewards: [mug]", "type", "/rewards/0", (1, 11)),
    ("rewards: [{cost: 5}]", "required", "/rewards/0", (1, 11)),
    ("rewards: [{id: a b, cost: 5}]", "invalid_id", "/rewards/0/id", (1, 16)),
    ("rewards: [{id: a}]", "required", "/rewards/0", (1, 11)),
    ("rewards: [{id: a, cost: 5}, {id: a, cost: 6}]", "duplicate_id", "/rewards/1/id", (1, 34)),
    (reward("prise: 5"), "unknown_field", "/rewards/0/prise", (1, 28)),
    ("rewards: [{id: a, cost: 0}]", "out_of_range", "/rewards/0/cost", (1, 25)),
    ("rewards: [{id: a, cost: 1.5}]", "too_many_places", "/rewards/0/cost", (1, 25)),
    ("rewards: [{id: a, cost: free}]", "type", "/rewards/0/cost", (1, 25)),
    (reward("label: 5"), "type", "/rewards/0/label", (1, 35)),
    (reward("description: 5"), "type", "/rewards/0/description", (1, 41)),
    (reward("wallet: gems"), "unknown_reference", "/rewards/0/wallet", (1, 36)),
    (reward("stock: -1"), "out_of_range", "/rewards/0/stock", (1, 35)),
    (reward("stock: many"), "type", "/rewards/0/stock", (1, 35)),
    (reward("per_customer: 0"), "out_of_range", "/rewards/0/per_customer", (1, 42)),
    (reward("per_customer: 1.5"), "too_many_places", "/rewards/0/per_customer", (1, 42)),
    (reward("tiers: gold"), "type", "/rewards/0/tiers", (1, 35)),
    (reward("tiers: [gold]"), "unknown_reference", "/rewards/0/tiers/0", (1, 36)),
    (reward("tiers: [low, hgh]", LEVELS), "unknown_reference", "/rewards/0/tiers/1", (1, 41)),
    (reward("tiers: [low, low]", LEVELS), "duplicate_value", "/rewards/0/tiers/1", (1, 41)),
    (reward("tiers: [5]", LEVELS), "type", "/rewards/0/tiers/0", (1, 36)),
    (reward("active: 2026-12-01"), "type", "/rewards/0/active", (1, 36)),
    (reward("active: {from: soon}"), "datetime", "/rewards/0/active/from", (1, 43)),
    (reward("active: {since: 2026-12-01}"), "unknown_field", "/rewards/0/active/since", (1, 37)),
    (reward("active: {from: 2026-12-01, until: 2026-12-01}"), "out_of_range", "/rewards/0/active/until", (1, 62)),
    (reward("codes: 5"), "type", "/rewards/0/codes", (1, 35)),
    (reward("enabled: 1"), "type", "/rewards/0/enabled", (1, 37)),
    (reward("segments: [vip]"), "not_available", "/rewards/0/segments", (1, 38)),
    # what this version does not build
    ("segments: [{id: vip}]", "not_available", "/segments", (1, 11)),
    ("automations: [{id: x}]", "not_available", "/automations", (1, 14)),
    ("campaigns: [{id: x}]", "not_available", "/campaigns", (1, 12)),
]


@pytest.mark.parametrize(
    ("text", "code", "pointer", "place"),
    CASES,
    ids=[f"{code} {pointer} {n}" for n, (_, code, pointer, _) in enumerate(CASES)],
)
def test_each_problem_has_code_pointer_and_position(text: str, code: str, pointer: str, place: tuple[int, int]) -> None:
    validated = validate(text)
    assert validated.program is None
    found = [(problem.code, problem.pointer, (problem.line, problem.column)) for problem in validated.errors]
    assert found == [(code, pointer, place)]
    assert all(problem.message and not problem.message.endswith(".") for problem in validated.errors)


def test_all_problems_come_at_once() -> None:
    """One document with one flaw in each of its sections."""
    text = """\
settings: {time_zone: Mars}
wallets: [{id: points, hold: 1 day}]
event_types: [{id: purchase, properties: {amount: {type: number}, amount2: {type: nmber}}}]
rules:
  - {id: a, event_type: purchase, award: properties.amout, when: properties.amount > "x"}
  - {id: a, event_type: nothing, award: 1}
tiers: {downgrade: immediately, levels: [{id: x}]}
rewards: [{}]
"""
    found = [(problem.line, problem.code) for problem in validate(text).errors]
    assert found == [
        (1, "time_zone"),
        (2, "duration"),
        (3, "choice"),
        (5, "unknown_property"),
        (5, "maybe_missing"),
        (5, "type"),
        (6, "duplicate_id"),
        (6, "unknown_reference"),
        (7, "tier_policy"),
        (7, "required"),
        (8, "required"),
        (8, "required"),
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("seting: {}", "did you mean 'settings'?"),
        ("settings: {currency: EURO}", "did you mean 'EUR'?"),
        ("settings: {time_zone: Europe/Budapst}", "did you mean 'Europe/Budapest'?"),
        (added("rules: [{id: r, event_type: purchse, award: 1}]"), "did you mean 'purchase'?"),
        (rule("when: properties.amout > 1"), "did you mean 'amount'?"),
        (prop("{type: numbr}"), "did you mean 'number'?"),
        ("wallets: [{id: a, hold: 14 days}]", "write it as ISO 8601: P14D is 14 days, PT12H is 12 hours"),
        ("orders: {acceptance: {then: accept}}", "write {after: P14D, then: accept}"),
        ("orders: {acceptance: {after: P0D}}", "write acceptance: immediate"),
        ("rules: [{id: r, event_type: refund, award: 1}]", "map an order on an event type"),
        (order("id: note") + "rules: [{id: r, event_type: refund, award: 1}]", "put the rule on 'purchase'"),
        ("tiers: {downgrade: immediately}", "write never, or choose the window rolling or calendar_year"),
        (reward("tiers: [hgh]", LEVELS), "did you mean 'high'?"),
        (reward("wallet: gems", "\nwallets: [{id: gem}]"), "did you mean 'gem'?"),
    ],
)
def test_problems_say_what_to_do(text: str, hint: str) -> None:
    [problem] = validate(text).errors
    assert hint in str(problem.hint)


def test_expression_problems_carry_their_span() -> None:
    [problem] = validate(rule("when: 'has(properties.ok) && properties.amout > 1'")).errors
    assert problem.span is not None
    source = "has(properties.ok) && properties.amout > 1"
    assert source[problem.span.start : problem.span.end] == "amout"
    assert (problem.span.line, problem.span.column) == (1, source.index("amout") + 1)
