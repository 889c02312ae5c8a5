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
`stories/README.md` lists what can be said and asked.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from troth.core.program.text import parse_document

FOLDER = Path(__file__).with_name("stories")
NOBODY = "-"  # in place of a customer: the event names none
_HEADS = ("program:", "next program:", "steps:")
_LINE = re.compile(
    r"(?P<line>[^:/@=]+)(/(?P<category>[^:/@=]+))?(:(?P<quantity>[\d.]+))?"
    r"(x(?P<price>[\d.]+))?(=(?P<subtotal>[\d.]+))?(@(?P<amount>[\d.]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    line: int
    text: str  # what happens or is asked
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    file: str
    title: str
    programs: tuple[Mapping[str, object], ...]  # the first at the beginning, then one for each `publish next program`
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
        heads = [place for place, line in enumerate(part) if line in _HEADS]
        steps = heads.pop()
        assert part[steps] == "steps:", (path, part[0])
        ends = [*heads[1:], steps]
        numbered = enumerate(part[steps + 1 :], start + steps + 2)
        yield Story(
            file=path.stem,
            title=part[0].removeprefix("story:").strip(),
            programs=tuple(
                _program(path, part[head + 1 : following]) for head, following in zip(heads, ends, strict=True)
            ),
            steps=tuple(_step(number, line) for number, line in numbered if line.strip() and not _is_remark(line)),
        )


def _program(path: Path, lines: list[str]) -> Mapping[str, object]:
    source = parse_document(dedent("\n".join(lines)))
    assert not source.problems, (path, lines, source.problems)
    assert isinstance(source.raw, Mapping | None), path
    return source.raw or {}


def _is_remark(line: str) -> bool:
    return line.lstrip().startswith("#")


def _step(number: int, line: str) -> Step:
    text, _, facts = line.partition("=>")
    expected = tuple(fact.strip() for fact in facts.split(",")) if facts else ()
    return Step(line=number, text=text.strip(), expected=expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One event of a story: who, what, and properties; `ref` and `at` are the event's own."""

    customer: str | None
    type: str
    reference: str | None
    occurred_at: str | None
    about: str | None  # `of`: the reference of what is captured, released, fulfilled or cancelled
    properties: Mapping[str, object]


def read_act(text: str) -> Act:
    customer, type_id, *pairs = shlex.split(text)
    properties = dict(pair.split("=", 1) for pair in pairs)
    return Act(
        customer=None if customer == NOBODY else customer,
        type=type_id,
        reference=properties.pop("ref", None),
        occurred_at=properties.pop("at", None),
        about=properties.pop("of", None),
        properties={name: _value(text) for name, text in properties.items()},
    )


def _value(text: str) -> object:
    """Text as it stands; lines of an order in brackets; `null`."""
    if text == "null":
        return None
    if not text.startswith("["):
        return text
    return [_line(item) for item in text[1:-1].split(",") if item]


def _line(text: str) -> dict[str, str]:
    """`LINE/CATEGORY:QUANTITYxPRICE=SUBTOTAL@AMOUNT`; all but the first may be left out."""
    found = _LINE.fullmatch(text)
    assert found is not None, text
    return {name: value for name, value in found.groupdict().items() if value is not None}
