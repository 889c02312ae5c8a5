"""NDJSON files: which events their lines are, which lines are refused, and what a refused line looks like."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path

import pytest

from troth import limits
from troth.entry.import_file import ImportFile
from troth.entry.import_rows import Reading, Row, read_targets
from troth.entry.ndjson_import import NdjsonRows


def rows_of(folder: Path, content: bytes, **reading: object) -> list[Row]:
    path = folder / "events.ndjson"
    path.write_bytes(content)
    with ImportFile(path) as file:
        return list(NdjsonRows(file, Reading(source_detail=path.name, **reading)).read({}))  # type: ignore[arg-type]


def told(row: Row) -> tuple[object, ...]:
    if row.event is None:
        return (row.line, *(problem.code for problem in row.problems))
    event = row.event
    return (row.line, event.customer, event.type, event.reference, event.properties, dict(event.extra))


NESTED = b'{"customer":"ada","type":"purchase","reference":"r1","properties":{"amount":1.50}}'
AMOUNT = {"amount": Decimal("1.50")}

READ: list[tuple[str, bytes, tuple[object, ...]]] = [
    ("as over HTTP", NESTED, (1, "ada", "purchase", "r1", AMOUNT, {})),
    ("mark and CRLF", b"\xef\xbb\xbf" + NESTED + b"\r\n\r\n", (1, "ada", "purchase", "r1", AMOUNT, {})),
    ("empty lines", b"\n  \n" + NESTED, (3, "ada", "purchase", "r1", AMOUNT, {})),
    (
        "synonyms",
        b'{"customer":"ada","action":"review","reference":"r1","data":{"a":1}}',
        (1, "ada", "review", "r1", {"a": 1}, {}),
    ),
    (
        "flat",
        b'{"customer":"ada","type":"review","reference":"r1","rating":5,"tags":["x"]}',
        (1, "ada", "review", "r1", {"rating": 5, "tags": ["x"]}, {}),
    ),
    (
        "beside properties nothing is unknown silently",
        b'{"customer":"ada","type":"review","reference":"r1","rating":5,"properties":{}}',
        (1, "ada", "review", "r1", {}, {"rating": 5}),
    ),
    ("values stay as they are", b'{"customer":7,"reference":"r1","properties":[]}', (1, 7, None, "r1", [], {})),
]


@pytest.mark.parametrize(("content", "expected"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_lines_are_events(tmp_path: Path, content: bytes, expected: tuple[object, ...]) -> None:
    assert [told(row) for row in rows_of(tmp_path, content)] == [expected]


REFUSED = [
    (b'{"customer":', "invalid_json"),
    (b"[]", "type"),
    (b"12", "type"),
    (b'{"customer":"a","customer":"b"}', "duplicate_key"),
    (b'{"customer":"ad\xe9"}', "invalid_utf8"),
    (b'{"amount":NaN}', "not_a_number"),
    (b'{"customer":"\\ud800"}', "invalid_character"),
    (b'{"a":' + b"[" * 12 + b"]" * 12 + b"}", "too_deep"),
    (b'{"a":"' + b"x" * limits.IMPORT_ROW_CHARACTERS + b'"}', "too_long"),
]


@pytest.mark.parametrize(("line", "code"), REFUSED, ids=[case[1] for case in REFUSED])
def test_a_bad_line_is_refused_alone(tmp_path: Path, line: bytes, code: str) -> None:
    rows = rows_of(tmp_path, b"\n".join((NESTED, line, NESTED)))
    assert [told(row)[1] for row in rows] == ["ada", code, "ada"]
    assert [row.line for row in rows] == [1, 2, 3]


def test_members_go_where_they_are_mapped(tmp_path: Path) -> None:
    line = b'{"user":"ada","kind":"review","reference":"r1","stars":5,"internal":1}'
    targets = read_targets(["user=customer", "kind=type", "stars=properties.rating", "internal=-"])
    assert [told(row) for row in rows_of(tmp_path, line, targets=targets)] == [
        (1, "ada", "review", "r1", {"rating": 5}, {})
    ]


@pytest.mark.parametrize(
    "line", [b'{"user":"ada","customer":"bob"}', b'{"customer":"a","total":1,"properties":{"amount":2}}']
)
def test_two_members_for_one_field_are_refused(tmp_path: Path, line: bytes) -> None:
    targets = read_targets(["user=customer", "total=properties.amount"])
    assert [told(row) for row in rows_of(tmp_path, line, targets=targets)] == [(1, "duplicate_key")]


def test_a_line_without_a_reference_is_known_by_its_place(tmp_path: Path) -> None:
    content = b'{"customer":"a"}\n\n{"customer":"b","reference":null}\n'
    digest = hashlib.sha256(content).hexdigest()
    assert [told(row)[3] for row in rows_of(tmp_path, content)] == [f"file:{digest}:1", f"file:{digest}:2"]


def test_a_type_for_lines_without_one(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b'{"customer":"a"}\n{"customer":"b","type":"signup"}', type="review")
    assert [told(row)[2] for row in rows] == ["review", "signup"]


def test_rejected_lines_can_be_mended_and_imported(tmp_path: Path) -> None:
    """However often a line is rejected, it carries one reason and the reference of its first place."""
    lines = [b'{"customer":"a"}', b"{}", b'{"customer":"\xe9"}', b"[1]", b'{"customer":', NESTED]
    rows = rows_of(tmp_path, b"\n".join(lines))
    for _ in range(2):
        with ImportFile(tmp_path / "events.ndjson") as file:
            source = NdjsonRows(file, Reading(source_detail="x"))
            content = source.rejected_head() + b"".join(source.rejected_row(row, row.problems) for row in rows)
        assert [line.count(b'"rejected"') for line in content.splitlines()] == [1] * len(lines)
        again = rows_of(tmp_path, content)
        assert [told(again[place]) for place in (0, 1, 5)] == [told(rows[place]) for place in (0, 1, 5)]
        rows = again
    assert json.loads(content.splitlines()[3])["text"] == "[1]"
    assert b"\xe9" in content
