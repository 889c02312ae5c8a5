"""Strict JSON: bytes as sent → plain values, plus every flaw JSON itself cannot express safely.

In: the bytes of one JSON text. Out: a `Document` with exact numbers: int, or Decimal where a fraction, an exponent or
more than 36 digits were written. Must never: let a float, a lost duplicate key, a NUL or half a character through, or
spend more than linear time on a hostile body.

Bytes that are no JSON at all raise `UnreadableError`. What parses but must not be believed (a key given twice, NaN,
a NUL, nesting too deep) is collected with its pointer, so that one bad item of a bulk spoils no neighbour.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from troth import limits

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BACKSLASH = ord("\\")
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")  # a NUL, or one half of a surrogate pair
_WHITE_SPACE = " \t\n\r"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_FLAWS_MAX = limits.PROBLEMS_PER_EVENT


class UnreadableError(Exception):
    """The bytes are not the JSON or form text they claim to be."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One place of a readable text that must not be believed."""

    pointer: str  # JSON pointer (RFC 6901) from the top of the text
    code: str
    detail: str


class Document(msgspec.Struct, frozen=True, kw_only=True):
    value: object  # dict, list, str, int, Decimal, bool or None
    flaws: tuple[Flaw, ...]  # in document order, at most PROBLEMS_PER_EVENT


@dataclass(frozen=True, slots=True)
class _RepeatedKeys:
    """Stands where an object gave a key more than once."""

    pairs: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class _NotANumber:
    """Stands where NaN, Infinity or a number beyond any decimal was written."""

    code: str
    detail: str


class JsonReader:
    """Reads JSON texts one after another. Not for use from two threads at once."""

    __slots__ = ("_decoder", "_marked")

    def __init__(self) -> None:
        self._marked = False  # whether a marker was put into the value being read
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=_whole_number,
            parse_float=self._fraction,
            parse_constant=self._constant,
        )

    def read(self, raw: bytes, *, depth: int = limits.NESTING_DEPTH) -> Document:
        """The value of `raw`; containers may nest `depth` deep. Raises UnreadableError."""
        value, is_suspect = self.scan(raw, depth=depth)
        return Document(value=value, flaws=find_flaws(value, depth) if is_suspect else ())

    def scan(self, raw: bytes, *, depth: int) -> tuple[object, bool]:
        """The value of `raw`, and whether it may have flaws for `find_flaws` to name. Raises UnreadableError."""
        self._marked = False
        value = self._decode(_text(raw))
        if self._marked or (_BACKSLASH in raw and _SUSPECT_ESCAPE.search(raw) is not None):
            return value, True
        may_be_deep = raw.count(b"{") + raw.count(b"[") > depth
        return value, may_be_deep and _is_deeper_than(value, depth)

    def _decode(self, text: str) -> object:
        try:
            value, end = self._decoder.raw_decode(text, len(text) - len(text.lstrip(_WHITE_SPACE)))
            return value if not text[end:].strip(_WHITE_SPACE) else self._decoder.decode(text)  # which tells the place
        except json.JSONDecodeError as error:
            detail = f"{error.msg} at line {error.lineno}, column {error.colno}."
            raise UnreadableError("invalid_json", detail) from None
        except RecursionError:
            raise UnreadableError("too_deep", f"Containers may nest at most {limits.NESTING_DEPTH} deep.") from None

    def _object(self, pairs: list[tuple[str, object]]) -> object:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        self._marked = True
        return _RepeatedKeys(tuple(pairs))

    def _fraction(self, text: str) -> object:
        try:
            return Decimal(text)
        except InvalidOperation:  # an exponent that no decimal can hold
            self._marked = True
            return _NotANumber("too_large", f"Numbers have exponents within ±{limits.NUMBER_EXPONENT}.")

    def _constant(self, text: str) -> object:
        self._marked = True
        return _NotANumber("not_a_number", f"{text} is not a number.")


def find_flaws(value: object, depth: int = limits.NESTING_DEPTH) -> tuple[Flaw, ...]:
    """Every flaw of a value already read, at most PROBLEMS_PER_EVENT of them."""
    found: list[Flaw] = []
    for flaw in _walk(value, "", depth):
        found.append(flaw)
        if len(found) == _FLAWS_MAX:
            break
    return tuple(found)


def show_flawed(value: object, depth: int = limits.NESTING_DEPTH + 2) -> str:
    """A value that must not be believed, as JSON for people to read: a key given twice is shown twice."""
    match value:
        case dict() | list() | _RepeatedKeys() if depth == 0:
            return '"…"'
        case list():
            return f"[{','.join(show_flawed(item, depth - 1) for item in value)}]"
        case dict():
            return _shown_pairs(tuple(value.items()), depth)
        case _RepeatedKeys(pairs):
            return _shown_pairs(pairs, depth)
        case _NotANumber(code):
            return f'"{code}"'
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value)


def _shown_pairs(pairs: tuple[tuple[str, object], ...], depth: int) -> str:
    return f"{{{','.join(f'{json.dumps(name)}:{show_flawed(member, depth - 1)}' for name, member in pairs)}}}"


def pointer_to(parent: str, name: str | int) -> str:
    """The JSON pointer of a member of what `parent` points to (RFC 6901)."""
    step = str(name).replace("~", "~0").replace("/", "~1")
    return f"{parent}/{_printable(step)}"


def _text(raw: bytes) -> str:
    if raw.startswith(_BYTE_ORDER_MARK):
        raise UnreadableError("byte_order_mark", "JSON begins without a byte order mark.")
    if not raw.strip():
        raise UnreadableError("empty_body", "The body is empty; a JSON object is expected.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError("invalid_utf8", f"Byte {error.start} of the body is not UTF-8.") from None


def _whole_number(text: str) -> object:
    """Numbers beyond the bound stay decimals: those are cheap to hold, and validation names them by pointer."""
    return int(text) if len(text) <= limits.NUMBER_DIGITS else Decimal(text)


def _is_deeper_than(value: object, depth: int) -> bool:
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _walk(value: object, pointer: str, depth: int) -> Iterator[Flaw]:
    match value:
        case str():
            yield from _text_flaws(value, pointer)
        case dict() | list() | _RepeatedKeys() if depth == 0:
            yield Flaw(pointer=pointer, code="too_deep", detail="Containers nest too deep here.")
        case list():
            for index, item in enumerate(value):
                yield from _walk(item, f"{pointer}/{index}", depth - 1)
        case dict():
            yield from _members(tuple(value.items()), pointer, depth)
        case _RepeatedKeys(pairs):
            yield from _repeats(pairs, pointer)
            yield from _members(pairs, pointer, depth)
        case _NotANumber(code, detail):
            yield Flaw(pointer=pointer, code=code, detail=detail)


def _members(pairs: tuple[tuple[str, object], ...], pointer: str, depth: int) -> Iterator[Flaw]:
    for name, member in pairs:
        place = pointer_to(pointer, name)
        yield from _text_flaws(name, place)
        yield from _walk(member, place, depth - 1)


def _repeats(pairs: tuple[tuple[str, object], ...], pointer: str) -> Iterator[Flaw]:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            detail = "This key is given more than once; only one value can be meant."
            yield Flaw(pointer=pointer_to(pointer, name), code="duplicate_key", detail=detail)
        seen.add(name)


def _text_flaws(text: str, pointer: str) -> Iterator[Flaw]:
    if "\0" in text:
        yield Flaw(pointer=pointer, code="nul_character", detail="Text may not contain the NUL character.")
    if not text.isascii() and _HALF_CHARACTER.search(text) is not None:
        yield Flaw(pointer=pointer, code="invalid_character", detail="Text may not contain half a surrogate pair.")


def _printable(step: str) -> str:
    """Pointers are sent back and must be UTF-8 themselves."""
    return step.encode("utf-8", "replace").decode("utf-8")
