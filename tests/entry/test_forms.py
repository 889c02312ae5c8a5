"""Form-encoded events: bracket paths and JSON fields become the same values as JSON."""

from __future__ import annotations

import pytest

from troth import limits
from troth.entry.forms import read_form
from troth.entry.json_text import JsonReader, UnreadableError

READ = [
    (b"customer=1&type=purchase", {"customer": "1", "type": "purchase"}),
    (b"customer=a%40b+c", {"customer": "a@b c"}),
    (b"properties[amount]=125.00", {"properties": {"amount": "125.00"}}),
    (
        b"data[items][0][price]=200&data[items][1][price]=5&data[items][0][quantity]=2",
        {"data": {"items": [{"price": "200", "quantity": "2"}, {"price": "5"}]}},
    ),
    (b"properties[items][1]=b&properties[items][0]=a", {"properties": {"items": ["a", "b"]}}),
    (b"properties[tags][]=a&properties[tags][]=b", {"properties": {"tags": ["a", "b"]}}),
    (b"properties[years][2024]=a", {"properties": {"years": {"2024": "a"}}}),
    (b"properties=%7B%22amount%22%3A125%7D", {"properties": {"amount": 125}}),
    (b"reference=", {"reference": ""}),
]


@pytest.mark.parametrize(("raw", "value"), READ)
def test_reads_fields(raw: bytes, value: object) -> None:
    document = read_form(raw, JsonReader())
    assert (document.value, document.flaws) == (value, ())


FLAWED = [
    (b"type=a&type=b", [("/type", "duplicate_key")]),
    (b"a[b]=1&a=2", [("/a", "duplicate_key")]),
    (b"a=1&a[b]=2", [("/a", "duplicate_key")]),
    (b"customer=%00", [("/customer", "nul_character")]),
    (b"properties=%7B%22a%22%3ANaN%7D", [("/properties/a", "not_a_number")]),
    (b"data=%7B", [("/data", "invalid_json")]),
    (b"p" + b"[x]" * 10 + b"=1", [("/p", "too_deep")]),
]


@pytest.mark.parametrize(("raw", "flaws"), FLAWED)
def test_names_every_flaw(raw: bytes, flaws: list[tuple[str, str]]) -> None:
    assert [(flaw.pointer, flaw.code) for flaw in read_form(raw, JsonReader()).flaws] == flaws


UNREADABLE = [
    (b"", "empty_body"),
    (b"customer", "invalid_form"),
    (b"a[b=1", "invalid_form"),
    (b"[a]=1", "invalid_form"),
    (b"&".join(b"f%d=1" % n for n in range(limits.FORM_FIELDS + 1)), "invalid_form"),
    (b"a=%ff", "invalid_utf8"),
    ("a=ő".encode(), "invalid_utf8"),
]


@pytest.mark.parametrize(("raw", "code"), UNREADABLE)
def test_refuses_what_is_no_form(raw: bytes, code: str) -> None:
    with pytest.raises(UnreadableError) as refusal:
        read_form(raw, JsonReader())
    assert refusal.value.code == code
