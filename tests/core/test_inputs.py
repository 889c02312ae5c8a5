"""Inputs: what rules read of the customer, taken once and carried through the record unchanged."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal

import msgspec
import pytest

from tests.core.judging import document, judge_of, rule
from troth.core.inputs import Inputs, from_json, to_json

PROFILE = {
    "id": "profile",
    "properties": {
        "city": {"type": "text"},
        "children": {"type": "number", "places": "0"},
        "member_since": {"type": "date"},
        "email": {"type": "text", "pii": True},
    },
}
READS = {
    "settings": {"name": "T", "time_zone": "Europe/Budapest"},
    "event_types": [{"id": "purchase", "properties": {}}, PROFILE],
}


def read_by(condition: str, **attributes: object) -> object:
    """What a rule with this condition saw, after one earlier purchase at the same time."""
    judge = judge_of(document(rule("1", when=condition, tier_multiplier=False), **READS))
    judge.send()
    judge.state = msgspec.structs.replace(judge.state, attributes=attributes, tags=("vip",))
    (seen,) = judge.send().inputs.values.values()
    return seen


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('customer.count("purchase") >= 0', 1),  # earlier events only, not this one
        ("customer.orders == 0", 0),
        ("customer.tags.size >= 0", ("vip",)),
        ("event.time.hour() >= 0", datetime.fromisoformat("2026-11-20T13:00:00")),  # 12:00Z in winter
        ("event.type == 'purchase'", "purchase"),
        ("customer.created_at.year() > 2000", datetime.fromisoformat("2020-01-01T01:00:00")),
        ("customer.attributes.city == 'Pécs'", "Pécs"),
        ("customer.attributes.children == 2", 2),
        ("customer.attributes.member_since == null", date(2020, 2, 29)),
    ],
)
def test_what_a_rule_reads_is_recorded(condition: str, expected: object) -> None:
    attributes = {"city": "Pécs", "children": "2", "member_since": "2020-02-29"}
    assert read_by(condition, **attributes) == expected


@pytest.mark.parametrize("condition", ["customer.balance == 1", "customer.lifetime == 1"])
def test_points_read_are_those_before_the_event(condition: str) -> None:
    judge = judge_of(document(rule("1"), rule("1", id="second", when=condition)))
    first, second = judge.send(amount="1"), judge.send(amount="1")
    assert [posting.rule for posting in first.postings] == ["base"]
    assert [posting.rule for posting in second.postings] == ["base", "second"]


def test_an_attribute_that_no_longer_fits_its_declaration_is_missing() -> None:
    assert read_by("customer.attributes.children == 2", children="two") is None


def test_only_what_is_read_is_recorded() -> None:
    judge = judge_of(document(rule("1", tier_multiplier=False)))
    assert to_json(judge.send(amount="1").inputs) is None


@pytest.mark.parametrize(
    "inputs",
    [
        Inputs(values={}),
        Inputs(values={"customer.tier": None, "customer.balance": 5}),
        Inputs(values={"event.time": datetime.fromisoformat("2026-11-20T13:00:00.123456")}),
        Inputs(values={"customer.attributes.member_since": date(2024, 2, 29), "customer.tags": ("a", "b")}),
        Inputs(values={}, multiplier=Decimal("1.25")),
        Inputs(values={"customer.orders": 0}, multiplier=Decimal("0"), rooms={"base": ((None, 5), (0, None))}),
    ],
)
def test_inputs_survive_the_record(inputs: Inputs) -> None:
    written = json.dumps(to_json(inputs))
    assert from_json(json.loads(written, parse_float=Decimal)) == inputs
