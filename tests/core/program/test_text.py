"""Texts become exact values with positions, or problems; nothing hostile gets far."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth import limits
from troth.core.program.items import plain_document
from troth.core.program.text import TextFormat, parse_document
from troth.core.program.writer import write_yaml

VALUES = [
    ("a: 1", {"a": 1}),
    ("a: 1.25", {"a": Decimal("1.25")}),
    ("a: 0.1", {"a": Decimal("0.1")}),
    ("a: 1e3", {"a": Decimal("1e3")}),
    ("a: 9007199254740993", {"a": 9007199254740993}),
    ('a: "1.25"', {"a": "1.25"}),
    ("a: !!str 5", {"a": "5"}),
    ("a: 007", {"a": "007"}),
    ("a: 0x10", {"a": "0x10"}),
    ("a: .inf", {"a": ".inf"}),
    ("a: 2026-12-01", {"a": "2026-12-01"}),
    ("a: yes", {"a": "yes"}),
    ("a: true", {"a": True}),
    ("a: ~", {"a": None}),
    ("a:", {"a": None}),
    ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
    ("", {}),
    ("# nothing\n", {}),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text for text, _ in VALUES])
def test_yaml_is_read_exactly(text: str, value: object) -> None:
    parsed = parse_document(text)
    assert (parsed.raw, parsed.problems) == (value, ())
    assert type(_first(parsed.raw)) is type(_first(value))


def _first(value: object) -> object:
    return next(iter(value.values()), None) if isinstance(value, dict) else value


FLAWS = [  # text, format, code, pointer, (line, column), readable
    ("a: 1\nb: 2\na: 3", "yaml", "duplicate_key", "/a", (3, 1), True),
    ("x:\n  - {k: 1, k: 2}", "yaml", "duplicate_key", "/x/0/k", (2, 12), True),
    ("a: [1, 2", "yaml", "syntax", "", (1, 9), False),
    ("when: a: b", "yaml", "syntax", "", (1, 8), False),
    ("a: 1\n---\nb: 2", "yaml", "syntax", "", (3, 1), False),
    ("a: *nowhere", "yaml", "alias", "", (1, 4), False),
    ("a: &a [*a]", "yaml", "alias", "", (1, 8), False),
    ("[a]: 1", "yaml", "syntax", "", (1, 1), False),
    ("a: !!python/object:os.system x", "yaml", "tag", "/a", (1, 4), True),
    ("a: !!binary aGk=", "yaml", "tag", "/a", (1, 4), True),
    ("a: 1e1000000", "yaml", "too_large", "/a", (1, 4), True),
    ("a: 1e-1000000", "yaml", "too_large", "/a", (1, 4), True),
    ("a: " + "9" * 60, "yaml", "too_large", "/a", (1, 4), True),
    ('a: "x\\0y"', "yaml", "invalid_character", "/a", (1, 4), True),
    ("a: [", "yaml", "syntax", "", (1, 5), False),
    ('{"a": 1, "a": 2}', "json", "duplicate_key", "/a", (None, None), True),
    ('{"a": 1e1000000}', "json", "too_large", "/a", (None, None), True),
    ('{"a": -Infinity}', "json", "not_a_number", "/a", (None, None), True),
    ('{"a": NaN}', "json", "not_a_number", "/a", (None, None), True),
    ('{"a": "\\u0000"}', "json", "invalid_character", "/a", (None, None), True),
    ('{"a": "\\ud800"}', "json", "invalid_character", "/a", (None, None), True),
    ('{"a": }', "json", "syntax", "", (1, 7), False),
    ("a: 1", "json", "syntax", "", (1, 1), False),
]


@pytest.mark.parametrize(
    ("text", "text_format", "code", "pointer", "place", "readable"),
    FLAWS,
    ids=[f"{row[1]} {row[0]:.30}" for row in FLAWS],
)
def test_every_flaw_of_a_text_is_named(text, text_format, code, pointer, place, readable) -> None:
    parsed = parse_document(text, text_format)
    [problem] = parsed.problems
    assert (problem.code, problem.pointer, (problem.line, problem.column)) == (code, pointer, place)
    assert parsed.readable is readable


def test_flaws_are_collected() -> None:
    parsed = parse_document("a: 1\na: 2\nb: 1e99999\nc: !x y")
    assert [problem.code for problem in parsed.problems] == ["duplicate_key", "too_large", "tag"]


def test_alias_bombs_stop_at_the_bound() -> None:
    """PROGRAM_NODES counts what aliases stand for."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    begun = time.process_time()
    parsed = parse_document("\n".join(lines))
    assert [problem.code for problem in parsed.problems] == ["too_many"]
    assert str(limits.PROGRAM_NODES) in parsed.problems[0].message
    assert not parsed.readable
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("text_format", ["yaml", "json"])
def test_nesting_is_bounded(text_format: TextFormat) -> None:
    deep = '{"a":' * (limits.PROGRAM_DEPTH + 1) + "1" + "}" * (limits.PROGRAM_DEPTH + 1)
    assert [problem.code for problem in parse_document(deep, text_format).problems] == ["too_deep"]
    fitting = '{"a":' * limits.PROGRAM_DEPTH + "1" + "}" * limits.PROGRAM_DEPTH
    assert parse_document(fitting, text_format).problems == ()
    assert [problem.code for problem in parse_document("[" * 100_000, text_format).problems] in (
        ["too_deep"],
        ["syntax"],
    )


@pytest.mark.parametrize(
    ("text_format", "bound"), [("yaml", limits.PROGRAM_YAML_BYTES), ("json", limits.PROGRAM_BYTES)]
)
def test_size_is_bounded(text_format: TextFormat, bound: int) -> None:
    parsed = parse_document(" " * bound + "{}", text_format)
    assert [problem.code for problem in parsed.problems] == ["too_long"]


def test_values_and_keys_have_places() -> None:
    positions = parse_document("rules:\n  - id: base\n    award: 'x + 1'\n").positions
    assert (positions.values["/rules/0/award"].line, positions.values["/rules/0/award"].column) == (3, 12)
    assert positions.values["/rules/0/award"].text_column == 13
    assert (positions.keys["/rules/0/award"].line, positions.keys["/rules/0/award"].column) == (3, 5)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30) | st.sampled_from(
    [
        "1e5",
        "true",
        "null",
        "~",
        "",
        "007",
        "- a",
        "a: b",
        "*x",
        "&x",
        "!x",
        "yes",
        "1.0",
        "{",
        "[",
        "#",
        "'",
        '"',
        "%",
        "|",
    ]
)
DOCUMENTS = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, DOCUMENTS, max_size=4))
def test_written_yaml_reads_back_as_the_same_values(document: dict[str, object]) -> None:
    parsed = parse_document(write_yaml(document))
    assert parsed.problems == ()
    assert parsed.raw == document


@given(st.text(max_size=200) | st.text("{}[]:,&*!|>'\"%@-? \n\ta1", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    for text_format in ("yaml", "json"):
        parsed = parse_document(text, text_format)
        assert parsed.readable or parsed.problems
        if isinstance(parsed.raw, dict):
            plain_document(parsed.raw)
