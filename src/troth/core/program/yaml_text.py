"""YAML text → the plain values of a program document, with the place of every value.

In: text. Out: dicts, lists, text, int, Decimal, bool and None, and positions by JSON pointer. Must never: execute
anything, let a float or a lost duplicate key through, or let aliases grow beyond `limits.PROGRAM_NODES` values.

YAML is read by the core schema of YAML 1.2: `yes` and `on` are text, numbers are exact. Merge keys are not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from troth import limits
from troth.core.program.problem import (
    Place,
    Positions,
    Problems,
    ProgramProblem,
    UnreadableTextError,
    pointer_to,
    read_number,
    read_text,
)

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class YamlReader:
    """Builds values straight from the parser's events, so no tag can construct anything."""

    text: str
    problems: Problems
    values: dict[str, Place] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    anchors: dict[str, object] = field(default_factory=dict)
    nodes: int = 0
    events: Iterator[Event] = field(default_factory=lambda: iter(()))

    def document(self) -> object:
        """The one document of the text; an empty text is an empty program."""
        try:
            self.events = YAML(typ="safe", pure=True).parse(self.text)
            first = self._skip_to_document()
            if first is None:
                return {}
            raw = self._value(next(self.events), "", 0)
            if self._skip_to_document() is not None:
                self._refuse(next(self.events), "syntax", "a program is one YAML document; a second one begins here")
        except YAMLError as error:
            self._syntax(error)
        else:
            return {} if raw is None else raw

    def positions(self) -> Positions:
        return Positions(self.values, self.keys)

    def _skip_to_document(self) -> Event | None:
        return next((event for event in self.events if isinstance(event, DocumentStartEvent)), None)

    def _value(self, event: Event, pointer: str, depth: int) -> object:
        self.values.setdefault(pointer, _place(event, self.text))
        if depth > limits.PROGRAM_DEPTH:
            self._refuse(event, "too_deep", f"values may nest at most {limits.PROGRAM_DEPTH} deep")
        if isinstance(event, AliasEvent):
            return self._alias(event, pointer)
        self._count(event, 1)
        self._check_tag(event, pointer)
        value = self._content(event, pointer, depth)
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self.anchors[event.anchor] = value
        return value

    def _content(self, event: Event, pointer: str, depth: int) -> object:
        if isinstance(event, MappingStartEvent):
            return self._mapping(pointer, depth)
        if isinstance(event, CollectionStartEvent):
            return self._sequence(pointer, depth)
        assert isinstance(event, ScalarEvent)
        return self._scalar(event, pointer)

    def _alias(self, event: AliasEvent, pointer: str) -> object:
        if event.anchor not in self.anchors:
            self._refuse(event, "alias", f"no value before this one is marked &{event.anchor}")
        value = self.anchors[event.anchor]
        self._count(event, _size(value, limits.PROGRAM_NODES))
        return value

    def _count(self, event: Event, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > limits.PROGRAM_NODES:
            self._refuse(
                event, "too_many", f"a program may hold at most {limits.PROGRAM_NODES} values, aliases included"
            )

    def _check_tag(self, event: Event, pointer: str) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and not (tag == _TEXT_TAG and isinstance(event, ScalarEvent)):
            self.problems.error(pointer, "tag", f"the tag {tag!r} is not known", "leave the tag out")

    def _mapping(self, pointer: str, depth: int) -> dict[str, object]:
        value: dict[str, object] = {}
        while isinstance(event := next(self.events), NodeEvent):
            name = self._key(event, pointer)
            place = pointer_to(pointer, name)
            if name in value:
                self._duplicate(event, place, name)
            self.keys.setdefault(place, _place(event, self.text))
            member = self._value(next(self.events), place, depth + 1)
            value.setdefault(name, member)
        return value

    def _key(self, event: Event, pointer: str) -> str:
        if not isinstance(event, ScalarEvent):
            self._refuse(event, "syntax", "a name is expected here, not a list or a mapping")
        return read_text(str(event.value), pointer, self.problems)

    def _duplicate(self, event: Event, pointer: str, name: str) -> None:
        line, column = _line_column(event)
        message = f"{name!r} is given more than once; only one value can be meant"
        self.problems.add(
            ProgramProblem(pointer=pointer, code="duplicate_key", message=message, line=line, column=column)
        )

    def _sequence(self, pointer: str, depth: int) -> list[object]:
        value: list[object] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            value.append(self._value(event, pointer_to(pointer, len(value)), depth + 1))
        return value

    def _scalar(self, event: ScalarEvent, pointer: str) -> object:
        text = read_text(str(event.value), pointer, self.problems)
        if event.style is not None or event.tag == _TEXT_TAG:
            return text
        return plain_scalar(text, pointer, self.problems)

    def _refuse(self, event: Event, code: str, message: str) -> NoReturn:
        line, column = _line_column(event)
        self.problems.add(ProgramProblem(pointer="", code=code, message=message, line=line, column=column))
        raise UnreadableTextError

    def _syntax(self, error: YAMLError) -> NoReturn:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        message = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(error).splitlines()[0]
        hint = "quote a text that contains ': ' or begins with a special character"
        line, column = (mark.line + 1, mark.column + 1) if isinstance(mark, StringMark) else (None, None)
        self.problems.add(
            ProgramProblem(pointer="", code="syntax", message=message, hint=hint, line=line, column=column)
        )
        raise UnreadableTextError


def plain_scalar(text: str, pointer: str, problems: Problems) -> object:
    """What an unquoted scalar means."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _DECIMAL.fullmatch(text):
        return read_number(text, pointer, problems)
    return text


def _place(event: Event, text: str) -> Place:
    line, column = _line_column(event)
    if not isinstance(event, ScalarEvent) or event.style in {"|", ">"}:
        return Place(line=line, column=column)
    begin = event.start_mark.index + (0 if event.style is None else 1)
    same = text[begin : begin + len(event.value)] == event.value and "\n" not in event.value
    shift = begin - event.start_mark.index
    return Place(line=line, column=column, text_column=column + shift if same else None)


def _line_column(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    return int(mark.line) + 1, int(mark.column) + 1


def _size(value: object, bound: int) -> int:
    """How many values `value` holds; stops counting soon after `bound`."""
    total, waiting = 0, [value]
    while waiting and total <= bound:
        current = waiting.pop()
        total += 1
        if isinstance(current, dict):
            waiting.extend(current.values())
        elif isinstance(current, list):
            waiting.extend(current)
    return total
