"""Strict JSON: what is read, what is refused, and where the flaws are."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.entry.json_text import JsonReader, UnreadableError, pointer_to

READABLE = [
    (
        b'{"amount": "125.00", "count": 3, "ok": true, "none": null}',
        {"amount": "125.00", "count": 3, "ok": True, "none": None},
    ),
    (b"0.30000000000000004", Decimal("0.30000000000000004")),
    (b"1e2", Decimal("1E+2")),
    (b"9007199254740993", 9007199254740993),
    (b"1" * 36, int("1" * 36)),
    (b"1" * 37, Decimal("1" * 37)),
    (b"1e1000000", Decimal("1E+1000000")),
    (b'"\\ud83d\\ude00"', "😀"),
    ('"Győr"'.encode(), "Győr"),
    (b" [] ", []),
    (b'"\\\\u0000"', "\\u0000"),
]


@pytest.mark.parametrize(("raw", "value"), READABLE, ids=lambda item: repr(item)[:30])
def test_reads_exact_values(raw: bytes, value: object) -> None:
    document = JsonReader().read(raw)
    assert (document.value, document.flaws) == (value, ())
    assert type(document.value) is type(value)


UNREADABLE = [
    (b"", "empty_body"),
    (b"  \n", "empty_body"),
    (b" {} x", "invalid_json"),
    (b"{}\x0c", "invalid_json"),
    (b"\xef\xbb\xbf{}", "byte_order_mark"),
    (b'{"a": "\xff"}', "invalid_utf8"),
    ("{}".encode("utf-16"), "invalid_utf8"),
    (b'"\xed\xa0\x80"', "invalid_utf8"),  # a surrogate, encoded as if it were a character
    (b'{"a": "\x00"}', "invalid_json"),
    (b"{'a': 1}", "invalid_json"),
    (b'{"a": 1} {}', "invalid_json"),
    (b'{"a": 1', "invalid_json"),
    (b"[1,]", "invalid_json"),
    (b"01", "invalid_json"),
    (b"+1", "invalid_json"),
    (b'"\t"', "invalid_json"),
    (b"[" * 100_000, "too_deep"),
    (b'{"a":' * 100_000, "too_deep"),
]


@pytest.mark.parametrize(("raw", "code"), UNREADABLE, ids=lambda item: repr(item)[:30])
def test_refuses_what_is_no_json(raw: bytes, code: str) -> None:
    with pytest.raises(UnreadableError) as refusal:
        JsonReader().read(raw)
    assert refusal.value.code == code


FLAWED = [
    (b'{"a": 1, "a": 1}', [("/a", "duplicate_key")]),
    (b'{"a": {"b": 1, "c": 2, "b": 3}}', [("/a/b", "duplicate_key")]),
    (b'{"a": 1, "a": NaN}', [("/a", "duplicate_key"), ("/a", "not_a_number")]),
    (b'[0, {"x": -Infinity}]', [("/1/x", "not_a_number")]),
    (b"1e99999999999999999999", [("", "too_large")]),
    (b'{"a": "\\u0000"}', [("/a", "nul_character")]),
    (b'{"\\u0000": 1}', [("/\0", "nul_character")]),
    (b'{"a": "\\ud83d"}', [("/a", "invalid_character")]),
    (b'{"x\\udc00": 1}', [("/x?", "invalid_character")]),
    (b'{"a/b~c": NaN}', [("/a~1b~0c", "not_a_number")]),
    (b"[" * 11 + b"]" * 11, [("/0" * 10, "too_deep")]),
    (b'{"a": ' * 11 + b"1" + b"}" * 11, [("/a" * 10, "too_deep")]),
]


@pytest.mark.parametrize(("raw", "flaws"), FLAWED, ids=lambda item: repr(item)[:30])
def test_names_every_flaw(raw: bytes, flaws: list[tuple[str, str]]) -> None:
    assert [(flaw.pointer, flaw.code) for flaw in JsonReader().read(raw).flaws] == flaws


def test_nesting_of_ten_is_read() -> None:
    raw = b"[" * 10 + b"]" * 10
    assert JsonReader().read(raw).flaws == ()


def test_a_reader_forgets_the_flaws_of_the_text_before() -> None:
    reader = JsonReader()
    assert reader.read(b'{"a": NaN}').flaws
    assert reader.read(b'{"a": 1}').flaws == ()


def test_flaws_are_bounded() -> None:
    raw = b"[" + b"NaN," * 1_000 + b"NaN]"
    assert len(JsonReader().read(raw).flaws) == 100


HOSTILE = [
    b"1e1000000",
    b"1e-1000000",
    b"-" + b"9" * 1_000_000,
    b"0." + b"9" * 1_000_000,
    b"[" + b"[]," * 300_000 + b"[]]",
    b"[" + b"{" + b'"a":1,' * 150_000 + b'"a":1}' + b"]",
    b'"' + b"\\u0000" * 150_000 + b'"',
]


@pytest.mark.parametrize("raw", HOSTILE, ids=lambda raw: repr(raw)[:20])
def test_hostile_texts_cost_no_more_than_their_size(raw: bytes) -> None:
    started = time.process_time()  # not the wall's: other tests run beside this one
    JsonReader().read(raw)
    assert time.process_time() - started < 1.5


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**35), 10**35)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc/~", max_size=3), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(plain, st.booleans())
def test_reads_what_json_writes(value: object, ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    document = JsonReader().read(raw, depth=100)
    assert (document.value, document.flaws) == (value, ())


@pytest.mark.parametrize(("name", "pointer"), [("a", "/a"), ("a/b", "/a~1b"), ("~1", "/~01"), (3, "/3"), ("", "/")])
def test_pointers_escape(name: str | int, pointer: str) -> None:
    assert pointer_to("", name) == pointer
