"""What is wrong with an expression, and where.

In: a source text and findings. Out: diagnostics sorted by place, each finding once.
Never raises: a rule that cannot be read is an expected outcome.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, Protocol

from troth import limits

WARNINGS = frozenset({"never_true", "useless_default", "inexact_division"})
SUGGESTED_LENGTH = 64  # longer names are no slips of the pen, and comparing them is slow
SUGGESTED_COMPARISONS = 1_000  # of one source; whoever misspells more names has the first hints to go by

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    code: str  # stable, see WARNINGS; every other code is an error
    message: str
    start: int  # code points from the beginning of the source
    end: int  # exclusive
    line: int  # from 1
    column: int  # from 1, in code points
    hint: str | None  # what to do
    severity: Severity

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.code} {self.line}:{self.column}: {self.message}{hint}"


class Span(Protocol):
    """A piece of the source."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Piece:
    start: int
    end: int


class Problems:
    """Collects the diagnostics of one source."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._found: dict[tuple[str, int, int], Diagnostic] = {}
        self._compared = 0
        self._line_starts = [0, *(at + 1 for at, char in enumerate(source) if char == "\n")]

    def report(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        key = (code, span.start, span.end)
        severity: Severity = "warning" if code in WARNINGS else "error"
        if key in self._found or not self._has_room(severity):
            return
        line = bisect_right(self._line_starts, span.start)
        self._found[key] = Diagnostic(
            code=code,
            message=message,
            start=span.start,
            end=span.end,
            line=line,
            column=span.start - self._line_starts[line - 1] + 1,
            hint=hint,
            severity=severity,
        )

    def _has_room(self, severity: Severity) -> bool:
        """Whether one more can be kept; an error takes the place of a warning, so that it never goes unseen."""
        if len(self._found) < limits.EXPRESSION_PROBLEMS:
            return True
        warning = next((key for key in reversed(self._found) if self._found[key].severity == "warning"), None)
        if severity == "error" and warning is not None:
            del self._found[warning]
            return True
        return False

    def text(self, span: Span) -> str:
        """The source of a span, shortened for messages."""
        text = " ".join(self.source[span.start : span.end].split())
        return text if len(text) <= 40 else text[:39] + "…"

    def suggestion(self, name: str, known: Collection[str]) -> str | None:
        """The hint naming the known word nearest to `name`; None when nothing is near, or too much was compared."""
        if len(name) > SUGGESTED_LENGTH or self._compared >= SUGGESTED_COMPARISONS:
            return None
        self._compared += len(known)
        by_fold = {word.casefold(): word for word in known}
        near = get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
        return f"did you mean '{by_fold[near[0]]}'?" if near else None

    @property
    def has_error(self) -> bool:
        return any(found.severity == "error" for found in self._found.values())

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(sorted(self._found.values(), key=lambda found: (found.start, found.end)))


def shown(name: str) -> str:
    """A name as messages quote it."""
    return f"'{name}'" if len(name) <= SUGGESTED_LENGTH else f"'{name[: SUGGESTED_LENGTH - 1]}…'"
