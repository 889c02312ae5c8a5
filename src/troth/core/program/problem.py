"""What is wrong with a program document, and where.

In: findings of the readers and checks. Out: a bounded list of problems, each with JSON pointer, stable code and, when
the text is known, line and column. Must never: stop at the first problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from typing import Literal

from troth import limits

Severity = Literal["error", "warning"]

_WHOLE = re.compile(r"-?[0-9]+")
_BAD_CHARACTER = re.compile("[\\0\\ud800-\\udfff]")
_NUMBER_CHARACTERS = limits.NUMBER_DIGITS + 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands in a text."""

    line: int  # from 1
    column: int  # from 1, in code points
    text_column: int | None = None  # column where the text of a one-line string begins; None: not one to one


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of an expression, in code points of its own source."""

    start: int  # from 0
    end: int  # exclusive
    line: int  # from 1
    column: int  # from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramProblem:
    """One problem. `message` says what and which id; `hint` says what to do."""

    pointer: str  # JSON pointer (RFC 6901) from the top of the document
    code: str
    message: str
    hint: str | None = None
    severity: Severity = "error"
    span: Span | None = None  # within the expression at `pointer`
    at_key: bool = False  # the field's name is wrong, not its value
    line: int | None = None  # in the text the document came from
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Positions:
    """Places of the values and of the keys of a text, by JSON pointer."""

    values: Mapping[str, Place]
    keys: Mapping[str, Place]

    def place(self, problem: ProgramProblem) -> ProgramProblem:
        """The same problem with line and column of the nearest thing in the text that is there."""
        if problem.line is not None:
            return problem
        if problem.at_key and (key := self.keys.get(problem.pointer)):
            return replace(problem, line=key.line, column=key.column)
        place = self._nearest(problem.pointer)
        if place is None:
            return problem
        column = place.column
        if problem.span is not None and problem.span.line == 1 and place.text_column is not None:
            column = place.text_column + problem.span.column - 1
        return replace(problem, line=place.line, column=column)

    def _nearest(self, pointer: str) -> Place | None:
        while pointer:
            if place := self.values.get(pointer):
                return place
            pointer = pointer.rpartition("/")[0]
        return self.values.get("")


NOWHERE = Positions({}, {})


class Problems:
    """Collects problems up to `limits.PROGRAM_PROBLEMS`; what comes after is counted, not kept."""

    __slots__ = ("_kept", "dropped")

    def __init__(self) -> None:
        self._kept: list[ProgramProblem] = []
        self.dropped = 0

    def add(self, problem: ProgramProblem) -> None:
        if len(self._kept) < limits.PROGRAM_PROBLEMS:
            self._kept.append(problem)
        else:
            self.dropped += 1

    def error(self, pointer: str, code: str, message: str, hint: str | None = None) -> None:
        self.add(ProgramProblem(pointer=pointer, code=code, message=message, hint=hint))

    def warning(self, pointer: str, code: str, message: str, hint: str | None = None) -> None:
        self.add(ProgramProblem(pointer=pointer, code=code, message=message, hint=hint, severity="warning"))

    def __len__(self) -> int:
        return len(self._kept) + self.dropped

    def listed(self, positions: Positions = NOWHERE) -> tuple[ProgramProblem, ...]:
        """In order of the document as far as positions are known, errors and warnings together."""
        placed = [positions.place(problem) for problem in self._kept]
        if self.dropped:
            message = f"{self.dropped} more problems are not listed."
            placed.append(ProgramProblem(pointer="", code="too_many_problems", message=message))
        return in_order(placed)


def in_order(problems: Iterable[ProgramProblem]) -> tuple[ProgramProblem, ...]:
    """By place in the text; those without a place keep their order, last."""
    far = 1 << 62
    return tuple(sorted(problems, key=lambda problem: (problem.line or far, problem.column or far)))


class UnreadableTextError(Exception):
    """The text is no document at all; why is already among the problems."""


def pointer_to(parent: str, name: str | int) -> str:
    """The JSON pointer of a member of what `parent` points to (RFC 6901)."""
    step = str(name).replace("~", "~0").replace("/", "~1")
    return f"{parent}/{step}"


def closest(wrong: str, known: Sequence[str]) -> str | None:
    """The known name that `wrong` was probably meant to be."""
    found = get_close_matches(wrong[: limits.PROGRAM_ID_LENGTH], known, n=1, cutoff=0.6)
    return found[0] if found else None


def meant(wrong: str, known: Sequence[str]) -> str | None:
    """A hint that names the closest known name, or all of them when they are few."""
    if (name := closest(wrong, known)) is not None:
        return f"did you mean {name!r}?"
    if known and len(known) <= 12:
        return "known: " + ", ".join(known)
    return None


def read_number(text: str, pointer: str, problems: Problems) -> int | Decimal:
    """The exact value of a JSON number; one too large for any use is a problem and stands as 0."""
    if not text[-1].isdigit():
        problems.error(pointer, "not_a_number", f"{text} is not a number")
        return 0
    exponent = text.lower().partition("e")[2]
    if len(text) > _NUMBER_CHARACTERS or len(exponent) > 4 or abs(_exponent(exponent)) > limits.NUMBER_EXPONENT:
        bound = f"numbers have at most {limits.NUMBER_DIGITS} digits and exponents within ±{limits.NUMBER_EXPONENT}"
        problems.error(pointer, "too_large", bound)
        return 0
    return int(text) if _WHOLE.fullmatch(text) else Decimal(text)


def read_text(text: str, pointer: str, problems: Problems) -> str:
    """The text itself; characters no store can keep are a problem and replaced."""
    if _BAD_CHARACTER.search(text) is None:
        return text
    problems.error(pointer, "invalid_character", "text may not contain NUL or half a surrogate pair")
    return _BAD_CHARACTER.sub("\ufffd", text)


def _exponent(text: str) -> int:
    return int(text) if text else 0
