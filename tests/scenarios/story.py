"""Stories in the domain's notation: a program, then what happens at which time, and what must come of it.

    story: An order sent twice pays once
    program:
      rules: …                                       whole sections; the rest is as in `stories/README.md`
    steps:
      at 2026-11-20T10:00Z
      anna purchase amount=125 ref=order_123         => 125 points, base:125, balance 125
      anna purchase amount=125 ref=order_123         => duplicate
      anna                                           => balance 125, lots 125/125
      postings anna                                  => program>available 125 base

Every fact after `=>` must be among the facts of that moment; the message of a failure shows them all.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from troth.core.program.text import parse_document

FOLDER = Path(__file__).with_name("stories")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    line: int
    text: str  # what happens or is asked
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    file: str
    title: str
    program: Mapping[str, object]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.title}"


def read_stories() -> list[Story]:
    return [story for path in sorted(FOLDER.glob("*.txt")) for story in _read(path)]


def _read(path: Path) -> Iterator[Story]:
    lines = path.read_text().splitlines()
    starts = [place for place, line in enumerate(lines) if line.startswith("story:")]
    assert starts, path
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        part = lines[start:end]
        program, steps = part.index("program:"), part.index("steps:")
        source = parse_document(dedent("\n".join(part[program + 1 : steps])))
        assert not source.problems, (path, source.problems)
        assert isinstance(source.raw, Mapping | None), path
        numbered = enumerate(part[steps + 1 :], start + steps + 2)
        yield Story(
            file=path.stem,
            title=part[0].removeprefix("story:").strip(),
            program=source.raw or {},
            steps=tuple(_step(number, line) for number, line in numbered if line.strip() and not _is_remark(line)),
        )


def _is_remark(line: str) -> bool:
    return line.lstrip().startswith("#")


def _step(number: int, line: str) -> Step:
    text, _, facts = line.partition("=>")
    expected = tuple(fact.strip() for fact in facts.split(",")) if facts else ()
    return Step(line=number, text=text.strip(), expected=expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One event of a story: who, what, and properties; `ref` and `at` are the event's own."""

    customer: str
    type: str
    reference: str | None
    occurred_at: str | None
    properties: Mapping[str, str]


def read_act(text: str) -> Act:
    customer, type_id, *pairs = shlex.split(text)
    properties = dict(pair.split("=", 1) for pair in pairs)
    return Act(
        customer=customer,
        type=type_id,
        reference=properties.pop("ref", None),
        occurred_at=properties.pop("at", None),
        properties=properties,
    )
