"""NDJSON → raw events: one line, one JSON object, one event, read as strictly as a request's body.

In: a file of events in the form of `POST /v1/events`, or of flat objects, whose members are columns. Out: rows in the
order of the file, each an event or the reason why it is none. Empty lines are passed over.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from troth import limits
from troth.api.export_columns import RECORDED_NAMES
from troth.core.coercion import Problem
from troth.entry.import_file import ImportFile, UnreadableFileError
from troth.entry.import_rows import (
    LEFT_OUT,
    PROPERTY,
    BadValue,
    Reading,
    Row,
    Structured,
    own_reference,
    told,
)
from troth.entry.json_text import JsonReader, UnreadableError, pointer_to
from troth.pipeline.outcome import RawEvent

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_REJECTED = "rejected"  # the member that a file of rejected rows adds to each
_MARK = b'{"rejected":'
_TOO_LONG = f"a line has at most {limits.IMPORT_ROW_CHARACTERS} bytes"
Fields = dict[str, object]


class NdjsonRows:
    """The rows of one NDJSON file."""

    ending = "ndjson"

    def __init__(self, file: ImportFile, reading: Reading) -> None:
        self._file = file
        self._reading = reading
        self._json = JsonReader()

    def read(self, structured: Structured, *, first: int = 0) -> Iterator[Row]:
        del structured  # JSON says itself what is a list
        for number, (line, text) in enumerate(self._lines(), 1):
            if number <= first:
                continue
            if len(text) > limits.IMPORT_ROW_CHARACTERS:
                yield Row(line, len(text), text, None, (Problem("", "too_long", _TOO_LONG),))
            else:
                yield self._row(line, text, number)

    def rejected_head(self) -> bytes:
        return b""

    def rejected_row(self, row: Row, problems: Sequence[Problem]) -> bytes:
        """The line as it was, with why it was rejected as its first member; what is no JSON object stands as `text`."""
        assert isinstance(row.original, bytes)
        codes, reasons = told(problems)
        reasons_told = {"line": row.line, "code": codes, "reason": reasons}
        if reference := own_reference(row):
            reasons_told["reference"] = reference
        rest = _after_mark(row.original).strip()
        if not rest.startswith(b"{") or (row.event is None and not rest.endswith(b"}")):
            rest = msgspec.json.encode({"text": rest.decode("utf-8", "replace")})
        members = rest[1:].lstrip()
        comma = b"" if members.startswith(b"}") else b", "
        return b"%b %b%b%b\n" % (_MARK, msgspec.json.encode(reasons_told), comma, members)

    def as_sent(self, row: Row) -> str | dict[str, str]:
        assert isinstance(row.original, bytes)
        return _after_mark(row.original).decode("utf-8", "surrogateescape")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """(number, text) of each line that is not empty, at most one byte more than the bound."""
        content, number = self._file.content, 0
        while True:
            try:
                text = line = content.readline(limits.IMPORT_ROW_CHARACTERS + 1)
                while len(line) > limits.IMPORT_ROW_CHARACTERS and not line.endswith(b"\n"):
                    line = content.readline(limits.IMPORT_ROW_CHARACTERS + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise UnreadableFileError(f"{self._file.name} breaks off at line {number + 1} ({error}).") from None
            if not text:
                return
            number += 1
            text = text.removeprefix(_BYTE_ORDER_MARK).rstrip(b"\r\n") if number == 1 else text.rstrip(b"\r\n")
            if text.strip():
                yield number, text

    def _row(self, line: int, text: bytes, number: int) -> Row:
        try:
            document = self._json.read(text)
        except UnreadableError as error:
            return Row(line, len(text), text, None, (Problem("", error.code, error.detail),))
        flaws = tuple(Problem(flaw.pointer, flaw.code, flaw.detail) for flaw in document.flaws)
        if not flaws and not isinstance(document.value, dict):
            flaws = (Problem("", "type", "an event is a JSON object"),)
        if flaws:
            return Row(line, len(text), text, None, flaws)
        assert isinstance(document.value, dict)
        try:
            return Row(line, len(text), text, self._event(document.value, number))
        except BadValue as bad:
            return Row(line, len(text), text, None, bad.problems)

    def _event(self, fields: Fields, number: int) -> RawEvent:
        rejected = fields.pop(_REJECTED, None)
        fields = self._named(fields)
        reference = fields.pop("reference", None)
        if reference is None:
            given = rejected.get("reference") if isinstance(rejected, dict) else None
            reference = given or f"file:{self._file.digest}:{number}"
        properties = fields.pop("properties", None)
        type_id = fields.pop("type", None)
        return self._reading.event(
            number,
            customer=fields.pop("customer", None),
            type_id=self._reading.type if type_id is None else type_id,
            reference=reference,
            occurred_at=fields.pop("occurred_at", None),
            properties={} if properties is None else properties,
            extra=fields,
        )

    def _named(self, members: Fields) -> Fields:
        """Members under the names of an event's fields. Of a flat object every other member is a property."""
        wholes = ["properties", *(name for name, target in self._reading.synonyms.items() if target == "properties")]
        is_flat = members.keys().isdisjoint(wholes)
        targets = self._reading.targets
        fields: Fields = {}
        properties: Fields = {}
        for name, value in members.items():
            target = targets.get(name) or self._target(name, members, is_flat=is_flat)
            if target.startswith(PROPERTY):
                _put(properties, target.removeprefix(PROPERTY), value, name)
            elif target != LEFT_OUT:
                _put(fields, target, value, name)
        whole = fields.get("properties") or {}
        if properties and isinstance(whole, dict):
            for name, value in whole.items():
                _put(properties, name, value, name)
            fields["properties"] = properties
        return fields

    def _target(self, name: str, members: Fields, *, is_flat: bool) -> str:
        if name in RECORDED_NAMES:
            return LEFT_OUT
        synonym = self._reading.synonyms.get(name)
        if synonym is not None and synonym not in members:
            return synonym
        is_attribute = self._reading.is_of_customers and name == "tags"
        return PROPERTY + name if is_attribute or (is_flat and name not in self._reading.fields) else name


def _put(into: Fields, name: str, value: object, member: str) -> None:
    if name in into:
        detail = f"two members of this object are '{name}', one of them '{member}'"
        raise BadValue(Problem(pointer_to("", member), "duplicate_key", detail))
    into[name] = value


def _after_mark(text: bytes) -> bytes:
    """A line without the reasons of an earlier rejection."""
    if not text.startswith(_MARK):
        return text
    whole = text.decode("utf-8", "surrogateescape")
    try:
        _, end = json.JSONDecoder().raw_decode(whole, whole.index("{", len(_MARK)))
    except ValueError:
        return text
    return b"{" + whole[end:].lstrip(" ,").encode("utf-8", "surrogateescape")
