"""Properties other than numbers: text, booleans, dates, times, lists, objects, defaults, and what nobody declared."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.core.judging import moment, read
from troth import limits
from troth.core.coercion import Problem, Reading, escape, parse_moment, read_unknown
from troth.core.program import Property

local = datetime.fromisoformat
BUDAPEST = ZoneInfo("Europe/Budapest")
TEXT = Property(name="p", kind="text", max_length=5)
SIZE = Property(name="p", kind="text", enum=("small", "large"))
FLAG = Property(name="p", kind="boolean")
DAY = Property(name="p", kind="date")
TIME = Property(name="p", kind="datetime")
TAGS = Property(name="p", kind="list", max_items=2, item=Property(name="", kind="text", max_length=3))
LINES = Property(
    name="p",
    kind="list",
    of=(Property(name="sku", kind="text", required=True), Property(name="price", kind="number", places=2)),
)
PLACE = Property(name="p", kind="object", of=(Property(name="city", kind="text"),))


def one(field: Property, raw: object) -> object:
    """(stored, value), or [(pointer, code), …]."""
    (found,), problems = read((field,), {"p": raw}, BUDAPEST)
    return [(problem.pointer, problem.code) for problem in problems] or found


@pytest.mark.parametrize(
    ("field", "raw", "expected"),
    [
        (TEXT, "", ("", "")),
        (TEXT, "ab cd", ("ab cd", "ab cd")),
        (TEXT, "éééé\U0001f600", ("éééé\U0001f600", "éééé\U0001f600")),  # five code points
        (SIZE, "small", ("small", "small")),
        (FLAG, True, (True, True)),
        (FLAG, "false", (False, False)),
        (DAY, "2024-02-29", ("2024-02-29", date(2024, 2, 29))),
        # 23:30Z is 00:30 of the next day in Budapest in winter, and 01:30 in summer.
        (TIME, "2026-11-20T23:30:00Z", ("2026-11-20T23:30:00Z", local("2026-11-21T00:30"))),
        (TIME, "2026-07-20T23:30:00Z", ("2026-07-20T23:30:00Z", local("2026-07-21T01:30"))),
        (TIME, "2026-11-20T10:00:00+05:30", ("2026-11-20T04:30:00Z", local("2026-11-20T05:30"))),
        (TAGS, [], ([], ())),
        (TAGS, ["a", "abc"], (["a", "abc"], ("a", "abc"))),
        (LINES, [{"sku": "s", "price": "2"}], ([{"sku": "s", "price": "2.00"}], (("s", 200),))),
        (LINES, [{"sku": "s"}], ([{"sku": "s"}], (("s", None),))),
        (LINES, [{"sku": "s", "note": "kept"}], ([{"sku": "s", "note": "kept"}], (("s", None),))),
        (PLACE, {"city": "Pécs"}, ({"city": "Pécs"}, ("Pécs",))),
        (PLACE, {}, ({}, (None,))),
    ],
)
def test_values(field: Property, raw: object, expected: tuple[object, object]) -> None:
    assert one(field, raw) == expected


P = "/properties/p"


@pytest.mark.parametrize(
    ("field", "raw", "expected"),
    [
        (TEXT, "abcdef", [(P, "too_long")]),
        (TEXT, 5, [(P, "type")]),
        (TEXT, True, [(P, "type")]),
        (SIZE, "medium", [(P, "not_in_enum")]),
        (SIZE, "Small", [(P, "not_in_enum")]),
        (FLAG, 1, [(P, "type")]),
        (FLAG, "True", [(P, "type")]),
        (FLAG, "yes", [(P, "type")]),
        (DAY, "2026-02-29", [(P, "invalid_date")]),
        (DAY, "2026-2-1", [(P, "invalid_date")]),
        (DAY, "2026-W47-5", [(P, "invalid_date")]),
        (DAY, "2026-11-20T10:00:00Z", [(P, "invalid_date")]),
        (DAY, 20261120, [(P, "invalid_date")]),
        (TIME, "2026-11-20", [(P, "invalid_datetime")]),
        (TIME, "2026-11-20T10:00:00", [(P, "invalid_datetime")]),  # no offset: whose clock?
        (TIME, "2026-11-20T25:00:00Z", [(P, "invalid_datetime")]),
        (TIME, 1795168800, [(P, "invalid_datetime")]),
        (TAGS, "a", [(P, "type")]),
        (TAGS, ["a", "b", "c"], [(P, "too_many_items")]),
        (TAGS, ["a", 5], [(f"{P}/1", "type")]),
        (TAGS, ["abcd", None], [(f"{P}/0", "too_long"), (f"{P}/1", "type")]),
        (LINES, [{"price": "x"}, 7], [(f"{P}/0/sku", "missing"), (f"{P}/0/price", "type"), (f"{P}/1", "type")]),
        (PLACE, [], [(P, "type")]),
    ],
)
def test_problems(field: Property, raw: object, expected: list[tuple[str, str]]) -> None:
    assert one(field, raw) == expected


DEFAULTED = Property(name="p", kind="number", places=2, default="1.5")
REQUIRED = Property(name="p", kind="text", required=True)


@pytest.mark.parametrize(
    ("field", "raw", "expected"),
    [
        (TEXT, {}, (None, None)),
        (TEXT, {"p": None}, (None, None)),
        (DEFAULTED, {}, ("1.50", 150)),
        (DEFAULTED, {"p": None}, ("1.50", 150)),
        (DEFAULTED, {"p": 0}, ("0.00", 0)),
        (Property(name="p", kind="boolean", default=False), {}, (False, False)),
        (REQUIRED, {"p": ""}, ("", "")),
    ],
)
def test_absent_and_null_are_one(field: Property, raw: Mapping[str, object], expected: object) -> None:
    (found,), problems = read((field,), raw)
    assert (found, problems) == (expected, [])


@pytest.mark.parametrize("raw", [{}, {"p": None}])
def test_a_required_property_may_not_be_absent(raw: Mapping[str, object]) -> None:
    _, problems = read((REQUIRED,), raw)
    assert [(problem.pointer, problem.code) for problem in problems] == [(P, "missing")]


def test_every_problem_is_collected() -> None:
    fields = tuple(Property(name=name, kind="number", places=0) for name in "abc")
    _, problems = read(fields, {"a": "x", "b": 1, "c": "1.5"})
    assert [(problem.pointer, problem.code) for problem in problems] == [
        ("/properties/a", "type"),
        ("/properties/c", "too_many_places"),
    ]


def test_problems_are_bounded() -> None:
    fields = tuple(Property(name=f"f{place}", kind="boolean") for place in range(limits.PROBLEMS_PER_EVENT + 1))
    _, problems = read(fields, {field.name: "maybe" for field in fields})
    assert len(problems) == limits.PROBLEMS_PER_EVENT


@pytest.mark.parametrize(("name", "step"), [("a/b", "a~1b"), ("a~b", "a~0b"), ("~1", "~01"), ("plain", "plain")])
def test_pointers_are_escaped(name: str, step: str) -> None:
    assert escape(name) == step


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
        ("2026-11-20t10:00:00z", "2026-11-20T10:00:00Z"),
        ("2026-11-20 10:00:00+01:00", "2026-11-20T09:00:00Z"),
        ("2026-11-20T10:00:00.123456-03:30", "2026-11-20T13:30:00.123456Z"),
        (datetime(2026, 11, 20, 10, tzinfo=UTC), "2026-11-20T10:00:00Z"),
    ],
)
def test_moments(raw: object, expected: str) -> None:
    assert parse_moment(raw) == moment(expected)


@pytest.mark.parametrize(
    "raw",
    [
        local("2026-11-20T10:00"),
        "2026-11-20T10:00:00",
        "2026-11-20T10:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T10:00:60Z",
        "2026-11-20T10:00:00+25:00",
        "2026-02-30T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",  # a zone east of Greenwich would leave the calendar
        "9999-12-31T23:59:59Z",
        "2026-11-20T10:00:00Z" + " " * 20,
        "\uff12\uff10\uff12\uff16-11-20T10:00:00Z",
        None,
        5,
    ],
)
def test_what_is_no_moment(raw: object) -> None:
    assert parse_moment(raw) is None


def unknown(raw: object) -> tuple[object, list[Problem]]:
    reading = Reading(BUDAPEST, [])
    return read_unknown(raw, "/properties/x", reading), reading.problems


@pytest.mark.parametrize("raw", [None, True, "text", 5, Decimal("1.50"), 2**53 + 1, ["a", {"b": [1]}], {}])
def test_undeclared_values_are_kept_as_they_came(raw: object) -> None:
    assert unknown(raw) == (raw, [])


def nested(depth: int) -> object:
    value: object = "core"
    for _ in range(depth):
        value = [value]
    return value


def test_undeclared_values_are_bounded() -> None:
    """The event, its properties and the value itself are the first three of NESTING_DEPTH levels."""
    deepest = limits.NESTING_DEPTH - 3
    assert unknown(nested(deepest))[1] == []
    _, (problem,) = unknown(nested(deepest + 1))
    assert (problem.code, problem.pointer) == ("too_deep", "/properties/x" + "/0" * (deepest + 1))
    _, problems = unknown({"a": Decimal("1E+1000000"), "b/c": Decimal("NaN"), "d": 1.5})
    assert [(problem.pointer, problem.code) for problem in problems] == [
        ("/properties/x/a", "too_large"),
        ("/properties/x/b~1c", "not_finite"),
        ("/properties/x/d", "type"),
    ]
