"""CSV files: which events their rows are, which rows are refused, and what a refused row looks like in its file."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from troth import limits
from troth.entry.csv_import import CsvRows
from troth.entry.import_file import ImportFile, UnreadableFileError
from troth.entry.import_rows import Reading, Row, read_targets
from troth.pipeline.outcome import RawEvent

HEAD = "customer,type,reference,amount\n"
STRUCTURED = {"purchase": frozenset({"items"}), "review": frozenset[str]()}
FIELDS = ("customer", "type", "reference", "occurred_at", "properties")


def read(path: Path, **reading: object) -> list[Row]:
    with ImportFile(path) as file:
        rows = CsvRows(file, Reading(source_detail=path.name, **reading))  # type: ignore[arg-type]
        return list(rows.read(STRUCTURED))


def rows_of(folder: Path, content: str | bytes, **reading: object) -> list[Row]:
    path = folder / "events.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(path, **reading)


def event_of(row: Row) -> RawEvent:
    assert row.event is not None, row.problems
    return row.event


def told(row: Row) -> tuple[object, ...]:
    """(line, customer, type, reference, properties) of an event, or (line, code, …) of what is none."""
    if row.event is None:
        return (row.line, *(problem.code for problem in row.problems))
    event = row.event
    return (row.line, event.customer, event.type, event.reference, event.properties)


READ: list[tuple[str, str | bytes, list[tuple[object, ...]]]] = [
    ("plain", HEAD + "ada,purchase,r1,12.50\n", [(2, "ada", "purchase", "r1", {"amount": "12.50"})]),
    ("no last newline", HEAD + "ada,purchase,r1,1", [(2, "ada", "purchase", "r1", {"amount": "1"})]),
    ("empty cells are absent", HEAD + ",purchase,r1,\n", [(2, None, "purchase", "r1", {})]),
    ("blank lines", HEAD + "\n\nada,purchase,r1,1\n\n", [(4, "ada", "purchase", "r1", {"amount": "1"})]),
    ("mark", "\ufeff" + HEAD + "ada,purchase,r1,1\n", [(2, "ada", "purchase", "r1", {"amount": "1"})]),
    ("crlf", (HEAD + "ada,purchase,r1,1\n").replace("\n", "\r\n"), [(2, "ada", "purchase", "r1", {"amount": "1"})]),
    ("old mac", (HEAD + "ada,purchase,r1,1\n").replace("\n", "\r"), [(2, "ada", "purchase", "r1", {"amount": "1"})]),
    ("spaces stay", HEAD + " ada ,purchase,r1, 1\n", [(2, " ada ", "purchase", "r1", {"amount": " 1"})]),
    ("spaces in the header do not", "customer , type\nada,purchase\n", [(2, "ada", "purchase", None, {})]),
    (
        "quotes",
        'customer,type,reference,note\nada,review,r1,"two\nlines, ""said"""\nbob,review,r2,"5"" pipe"\n',
        [
            (2, "ada", "review", "r1", {"note": 'two\nlines, "said"'}),
            (4, "bob", "review", "r2", {"note": '5" pipe'}),
        ],
    ),
    (
        "lists are JSON where a list is declared",
        'customer,type,reference,items\na,purchase,r1,"[{""q"":1.50}]"\na,review,r2,[not json\n',
        [(2, "a", "purchase", "r1", {"items": [{"q": 1.50}]}), (3, "a", "review", "r2", {"items": "[not json"})],
    ),
    (
        "properties",
        'customer,type,reference,properties.amount,properties\na,purchase,r1,5,"{""n"":7}"\n',
        [(2, "a", "purchase", "r1", {"amount": "5", "n": 7})],
    ),
    ("synonyms", "customer,action,reference\na,review,r1\n", [(2, "a", "review", "r1", {})]),
    (
        "a synonym beside its word is a property",
        "customer,type,action,reference\na,review,left,r1\n",
        [(2, "a", "review", "r1", {"action": "left"})],
    ),
    ("nothing", HEAD, []),
]


@pytest.mark.parametrize(("content", "expected"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_rows_are_events(tmp_path: Path, content: str | bytes, expected: list[tuple[object, ...]]) -> None:
    found = [told(row) for row in rows_of(tmp_path, content)]
    blank = [row if row[3] is not None else (*row[:3], found[place][3], *row[4:]) for place, row in enumerate(expected)]
    assert found == blank


REFUSED: list[tuple[str, bytes, str]] = [
    ("too few cells", b"ada,purchase,r1\n", "ragged_row"),
    ("too many cells", b"ada,purchase,r1,1,\n", "ragged_row"),
    ("text after a quote", b'"a"da,purchase,r1,1\n', "unreadable_row"),
    ("not UTF-8", b"ad\xe9,purchase,r1,1\n", "invalid_utf8"),
    ("UTF-8 cut short", b"ad\xc3,purchase,r1,1\n", "invalid_utf8"),
    ("too long", b"ada,purchase,r1," + b"1" * limits.IMPORT_ROW_CHARACTERS + b"\n", "too_long"),
    ("no JSON", b"ada,purchase,r1,{\n", "invalid_json"),
    ("a key twice", b'ada,purchase,r1,"[{""a"":1,""a"":2}]"\n', "duplicate_key"),
    ("not a number", b"ada,purchase,r1,[NaN]\n", "not_a_number"),
    ("nested too deep", b"ada,purchase,r1," + b"[" * 9 + b"]" * 9 + b"\n", "too_deep"),
]


@pytest.mark.parametrize(("line", "code"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_bad_row_is_refused_alone(tmp_path: Path, line: bytes, code: str) -> None:
    good = b"bob,purchase,r0,[]\n"
    rows = rows_of(tmp_path, b"customer,type,reference,items\n" + good + line + good)
    assert [told(row)[1] for row in rows] == ["bob", code, "bob"]
    assert [row.line for row in rows] == [2, 3, 4]


def test_a_row_at_the_bound_is_read(tmp_path: Path) -> None:
    start = "ada,review,r1,"
    note = "n" * (limits.IMPORT_ROW_CHARACTERS - len(start) - 1)
    (row,) = rows_of(tmp_path, f"customer,type,reference,note\n{start}{note}\n")
    assert event_of(row).properties == {"note": note}


def test_a_missing_quote_costs_one_row_at_a_time(tmp_path: Path) -> None:
    """The text after it belongs to its cell until the bound; then reading begins anew."""
    filler = "bob,purchase,r0,1\n" * (limits.IMPORT_ROW_CHARACTERS // 17)
    rows = rows_of(tmp_path, HEAD + 'ada,purchase,r1,"1\n' + filler + "cleo,purchase,r2,1\n")
    assert told(rows[0]) == (2, "too_long")
    assert told(rows[-1])[1:] == ("cleo", "purchase", "r2", {"amount": "1"})


def test_what_json_holds_twice_is_refused(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, 'customer,type,amount,properties\nada,purchase,1,"{""amount"":2}"\n')
    assert told(row) == (2, "duplicate_key")


UNREADABLE = [
    ("", "is empty"),
    ("customer,amount\na,1\n", "--type"),
    ("type,amount\na,1\n", "no column is called 'customer'"),
    ("customer;type\na;b\n", "--delimiter ';'"),
    ("customer,,type\n", "column 2 of the header has no name"),
    ("customer,type,a,a\n", "two columns of the header are called 'a'"),
    ("customer,type,amount,properties.amount\n", "both 'properties.amount'"),
    ("customer,type\0\n", "is no text"),
    ('"customer"x,type\n', "quotes"),
]


@pytest.mark.parametrize(("content", "reason"), UNREADABLE)
def test_a_header_must_name_the_columns(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(UnreadableFileError, match=reason):
        rows_of(tmp_path, content)


MAPPED: list[tuple[tuple[str, ...], str, Mapping[str, object]]] = [
    (("who=customer",), "who,type\nada,review\n", {"customer": "ada", "type": "review"}),
    (("total=properties.amount",), "customer,type,total\nada,purchase,5\n", {"properties": {"amount": "5"}}),
    (("note=-",), "customer,type,note\nada,review,x\n", {"properties": {}}),
    (("a=b=reference",), "customer,type,a=b\nada,review,r9\n", {"reference": "r9"}),
    (("when=occurred_at",), "customer,type,when\nada,review,now\n", {"occurred_at": "now"}),
    (("type=properties.kind", "what=type"), "customer,type,what\na,big,review\n", {"properties": {"kind": "big"}}),
]


@pytest.mark.parametrize(("mappings", "content", "expected"), MAPPED)
def test_columns_go_where_they_are_mapped(
    tmp_path: Path, mappings: tuple[str, ...], content: str, expected: Mapping[str, object]
) -> None:
    (row,) = rows_of(tmp_path, content, targets=read_targets(mappings))
    event = event_of(row)
    assert {name: getattr(event, name) for name in expected} == expected


@pytest.mark.parametrize("mapping", ["", "who", "=customer", "who=", "who=name", "who=properties.", "who=customers"])
def test_a_mapping_names_a_column_and_a_field(mapping: str) -> None:
    with pytest.raises(ValueError, match="is no mapping"):
        read_targets([mapping])


@pytest.mark.parametrize("mappings", [["nobody=customer"], ["type=customer"]])
def test_a_mapping_fits_the_file(tmp_path: Path, mappings: list[str]) -> None:
    with pytest.raises(UnreadableFileError, match=r"there is no column 'nobody'|are both 'customer'"):
        rows_of(tmp_path, HEAD, targets=read_targets(mappings))


def test_a_type_for_rows_without_one(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, HEAD + "ada,,r1,1\nada,review,r2,1\n", type="purchase")
    assert [event_of(row).type for row in rows] == ["purchase", "review"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    (row,) = rows_of(tmp_path, (HEAD + "ada,purchase,r1,1\n").replace(",", delimiter), delimiter=delimiter)
    assert told(row) == (2, "ada", "purchase", "r1", {"amount": "1"})


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    text = HEAD.encode() + b"ada,purchase,,1\n\nada,purchase,,1\n"
    packed, plain = tmp_path / "packed.csv", tmp_path / "plain.csv.gz"
    packed.write_bytes(gzip.compress(text[:20]) + gzip.compress(text[20:]))
    plain.write_bytes(text)
    references = [f"file:{hashlib.sha256(text).hexdigest()}:{record}" for record in (1, 2)]
    for path in (packed, plain):
        assert [event_of(row).reference for row in read(path)] == references


def test_events_say_where_they_come_from(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, HEAD + "ada,purchase,r1,1\n")
    assert (event_of(row).source, event_of(row).source_detail) == ("import", "events.csv")


# Rejected rows


def rejected(path: Path, rows: list[Row], **reading: object) -> bytes:
    with ImportFile(path) as file:
        source = CsvRows(file, Reading(source_detail=path.name, **reading))  # type: ignore[arg-type]
        return source.rejected_head() + b"".join(source.rejected_row(row, row.problems) for row in rows)


def test_rejected_rows_can_be_mended_and_imported(tmp_path: Path) -> None:
    """Each keeps the reference of its first place, whatever file it stands in."""
    content = 'customer;type;reference;note\nada;review;;"a;b"\nbob;review;r2;"two\nlines"\n"c"leo;review;r3;\ndora\n'
    rows = rows_of(tmp_path, content.encode() + b"\xe9va;review;r5;\n", delimiter=";")
    again = tmp_path / "rejected.csv"
    again.write_bytes(rejected(tmp_path / "events.csv", rows, delimiter=";"))
    second = read(again, delimiter=";")
    assert [told(row)[1:] for row in second[:2]] == [told(row)[1:] for row in rows[:2]]
    assert [told(row)[1:] for row in second[2:]] == [("ragged_row",), ("ragged_row",), ("invalid_utf8",)]
    assert rejected(again, second, delimiter=";").count(b"rejected_line") == 1
    again.write_bytes(again.read_bytes().replace(b"\xe9va", b"eva"))
    assert told(read(again, delimiter=";")[-1])[1:] == ("eva", "review", "r5", {})


def test_rejected_rows_say_line_code_and_reason(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, HEAD + "ada,purchase\n")
    text = rejected(tmp_path / "events.csv", rows).decode()
    head, row = csv.reader(text.splitlines())
    assert head[4:] == HEAD.strip().split(",")
    assert row == ["2", "ragged_row", "the row has 2 cells, the header 4", "", "ada", "purchase"]
