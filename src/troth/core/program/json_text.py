"""JSON text → the plain values of a program document.

In: text. Out: dicts, lists, text, int, Decimal, bool and None. Must never: let a float, NaN, a lost duplicate key or a
number beyond the bounds through. JSON carries no positions but those of its syntax errors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NoReturn

from troth import limits
from troth.core.program.problem import (
    NOWHERE,
    Positions,
    Problems,
    ProgramProblem,
    UnreadableTextError,
    pointer_to,
    read_number,
    read_text,
)


@dataclass(frozen=True, slots=True)
class _Members:
    """An object as it was written, every key in order, repeated ones too."""

    pairs: list[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it was written."""

    text: str


@dataclass(slots=True)
class JsonReader:
    text: str
    problems: Problems
    nodes: int = 0

    def document(self) -> object:
        """The value of the text; raises UnreadableTextError after collecting why."""
        if not self.text.strip():
            return {}
        try:
            written = json.loads(
                self.text, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number, parse_constant=_Number
            )
        except json.JSONDecodeError as error:
            self._refuse("syntax", error.msg, line=error.lineno, column=error.colno)
        except RecursionError:
            self._refuse("too_deep", f"values may nest at most {limits.PROGRAM_DEPTH} deep")
        return self._value(written, "", 0)

    def positions(self) -> Positions:
        return NOWHERE

    def _value(self, written: object, pointer: str, depth: int) -> object:
        self.nodes += 1
        if depth > limits.PROGRAM_DEPTH:
            self._refuse("too_deep", f"values may nest at most {limits.PROGRAM_DEPTH} deep", pointer)
        if self.nodes > limits.PROGRAM_NODES:
            self._refuse("too_many", f"a program may hold at most {limits.PROGRAM_NODES} values", pointer)
        match written:
            case _Members(pairs):
                return self._members(pairs, pointer, depth)
            case list():
                return [self._value(item, pointer_to(pointer, n), depth + 1) for n, item in enumerate(written)]
            case _Number(text):
                return read_number(text, pointer, self.problems)
            case str():
                return read_text(written, pointer, self.problems)
        return written

    def _members(self, pairs: list[tuple[str, object]], pointer: str, depth: int) -> dict[str, object]:
        value: dict[str, object] = {}
        for written_name, written in pairs:
            name = read_text(written_name, pointer, self.problems)
            place = pointer_to(pointer, name)
            if name in value:
                message = f"{name!r} is given more than once; only one value can be meant"
                self.problems.add(ProgramProblem(pointer=place, code="duplicate_key", message=message, at_key=True))
            value.setdefault(name, self._value(written, place, depth + 1))
        return value

    def _refuse(
        self, code: str, message: str, pointer: str = "", *, line: int | None = None, column: int | None = None
    ) -> NoReturn:
        self.problems.add(ProgramProblem(pointer=pointer, code=code, message=message, line=line, column=column))
        raise UnreadableTextError
