"""Programs as a terminal shows them: problems with their places, changes item by item, revisions one per line.

In: problems, changes, revisions. Out: lines of text. Must never: shorten an expression or a pointer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import click

from troth.core.program.diff import Change
from troth.core.program.problem import ProgramProblem
from troth.store.programs import RevisionSummary

_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow"), "reordered": ("~", "yellow")}


def problem_line(problem: ProgramProblem, file: str) -> str:
    """`file:line:column: code: message (hint)`; what is no error says that it is a warning."""
    place = ":".join(str(part) for part in (file, problem.line, problem.column) if part is not None)
    pointer = f"{problem.pointer}: " if problem.line is None and problem.pointer else ""
    severity = "warning: " if problem.severity == "warning" else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{place}: {severity}{problem.code}: {pointer}{problem.message}{hint}"


def change_lines(changes: Iterable[Change]) -> Iterator[str]:
    """One line per item, below it the fields that differ."""
    for change in changes:
        mark, colour = _MARKS[change.kind]
        what = " (order)" if change.kind == "reordered" else ""
        yield click.style(f"{mark} {change.item}{what}", fg=colour)
        yield from (f"    {line}" for line in _details(change))


def _details(change: Change) -> Iterator[str]:
    match change.kind:
        case "changed":
            yield from (
                f"{part.pointer.removeprefix('/')}: {show_value(part.old)} → {show_value(part.new)}"
                for part in change.fields
            )
        case "reordered":
            yield f"{show_value(change.old)} → {show_value(change.new)}"
        case "added" if isinstance(change.new, Mapping):
            yield from (f"{name}: {show_value(value)}" for name, value in change.new.items() if name != "id")
        case _:
            pass


def show_value(value: object) -> str:
    """Text as it is, everything else as JSON; nothing for what is absent."""
    if value is None:
        return "(nothing)"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def revision_line(revision: RevisionSummary) -> str:
    note = f"  {revision.note}" if revision.note else ""
    return f"{revision.number:>6}  {revision.published_at:%Y-%m-%d %H:%M:%S}Z  {revision.author}{note}"
