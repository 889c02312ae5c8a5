"""What a file of events is made of: rows, and the fields of an event that their columns hold.

Shared by the readers of CSV and of NDJSON. Nothing here reads a file or judges an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

import msgspec

from troth.api.export_columns import RECORDED_NAMES
from troth.core.coercion import Problem
from troth.core.ids import mark_of
from troth.core.program import Program
from troth.pipeline.outcome import RawEvent

EVENT_FIELDS = ("customer", "type", "reference", "occurred_at", "properties")
SYNONYMS = {"action": "type", "data": "properties"}  # Antavo's names → ours
PROFILE_FIELDS = ("customer", "reference", "occurred_at", "properties")
PROFILE_SYNONYMS = {"attributes": "properties"}
PROPERTY = "properties."
LEFT_OUT = "-"  # the target of a column that is not to be read

Structured = Mapping[str, frozenset[str]]  # event type → its properties that are lists or objects


class MappingError(ValueError):
    """A mapping names no column and field, or does not fit the file."""


class BadValue(Exception):
    """Part of a row cannot be read; the row is rejected for these problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


class Row(msgspec.Struct, frozen=True):
    """One record of a file: an event, or why it cannot be read as one."""

    line: int  # where it begins, from 1
    size: int  # characters or bytes of it
    original: Sequence[str] | str | bytes  # cells, or the text where there are none
    event: RawEvent | None
    problems: tuple[Problem, ...] = ()


class Rows(Protocol):
    """A file of events in one format."""

    @property
    def ending(self) -> str:
        """How the name of its rejected rows' file ends."""
        ...

    def read(self, structured: Structured, *, first: int = 0) -> Iterator[Row]:
        """Every record behind the first ones, in the order of the file, once. Raises UnreadableFileError."""
        ...

    def rejected_head(self) -> bytes:
        """How a file of rejected rows begins."""
        ...

    def rejected_row(self, row: Row, problems: Sequence[Problem]) -> bytes:
        """One rejected row, with line and reasons, in a form that can be mended and imported."""
        ...

    def as_sent(self, row: Row) -> str | dict[str, str]:
        """A row that is no event: its cells by the names of their columns, else its text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the sender wants the file read."""

    source_detail: str  # the file's name, as events keep it
    targets: Mapping[str, str] = field(default_factory=dict)  # column → field, `properties.NAME`, or LEFT_OUT
    type: str | None = None  # of rows that name none
    delimiter: str = ","  # CSV
    quote: str = '"'  # CSV
    is_of_customers: bool = False  # every row is a profile; what is no field of an event is an attribute
    owner: UUID | None = None  # the import: ids of its events tell which row they came from
    scopes: frozenset[str] | None = None  # of the sender; None: everything is allowed
    is_trusted: bool = False  # from whoever holds the data
    is_historical: bool = False
    may_earn: bool = True

    @property
    def fields(self) -> Sequence[str]:
        """What a row says beside properties."""
        return PROFILE_FIELDS if self.is_of_customers else EVENT_FIELDS

    @property
    def synonyms(self) -> Mapping[str, str]:
        return PROFILE_SYNONYMS if self.is_of_customers else SYNONYMS

    def event(
        self,
        number: int,
        *,
        customer: object,
        type_id: object,
        reference: object,
        occurred_at: object,
        properties: object,
        extra: Mapping[str, object] = {},
    ) -> RawEvent:
        """The event of the record with this number."""
        return RawEvent(
            customer=customer,
            type=type_id,
            reference=reference,
            occurred_at=occurred_at,
            properties=properties,
            source="import",
            source_detail=self.source_detail,
            is_trusted=self.is_trusted,
            is_historical=self.is_historical,
            may_earn=self.may_earn,
            mark=mark_of(self.owner, number) if self.owner is not None else None,
            scopes=self.scopes,
            extra=extra,
        )


def read_targets(texts: Sequence[str]) -> dict[str, str]:
    """`COLUMN=FIELD` texts as a mapping. Raises MappingError."""
    targets: dict[str, str] = {}
    for text in texts:
        column, equals, target = text.rpartition("=")
        if not equals or not column or not _is_target(target):
            raise MappingError(
                f"'{text}' is no mapping; write COLUMN=customer, type, reference, occurred_at or properties.NAME, "
                f"and COLUMN={LEFT_OUT} for a column to leave out"
            )
        if column in targets:
            raise MappingError(f"the column '{column}' is mapped twice")
        targets[column] = target
    return targets


def targets_of(names: Sequence[str], reading: Reading) -> list[str]:
    """The target of each column: as mapped, else by its name; what is no field of an event is a property.

    What an export tells of what Troth recorded (`troth_id`, …) is none, so that it can be imported again.
    """
    unknown = [column for column in reading.targets if column not in names]
    if unknown:
        raise MappingError(f"there is no column '{unknown[0]}'; there are: {', '.join(names)}")
    targets = [reading.targets.get(name) or _target(name, reading.fields) for name in names]
    for synonym, target in reading.synonyms.items():
        if synonym in names and synonym not in reading.targets and target not in targets:
            targets[names.index(synonym)] = target
    for place, target in enumerate(targets):
        if target != LEFT_OUT and target in targets[:place]:
            first = names[targets.index(target)]
            raise MappingError(f"the columns '{first}' and '{names[place]}' are both '{target}'; map one of them")
    return targets


def structured_properties(program: Program) -> Structured:
    """Which properties of each event type are lists or objects: a cell holds them as JSON."""
    return {
        event_type.id: frozenset(item.name for item in event_type.properties if item.kind in ("list", "object"))
        for event_type in program.event_types.values()
    }


def told(problems: Sequence[Problem]) -> tuple[str, str]:
    """(codes, reasons) of a rejected row, each code once."""
    codes = " ".join(dict.fromkeys(problem.code for problem in problems))
    return codes, "; ".join(f"{problem.pointer}: {problem.detail}".removeprefix(": ") for problem in problems)


def own_reference(row: Row) -> str:
    """The reference that a row without one was given; empty when it has one of its own."""
    reference = row.event.reference if row.event is not None else None
    return reference if isinstance(reference, str) and reference.startswith("file:") else ""


def rejected_path(path: Path, ending: str) -> Path:
    """Where the rejected rows of a file go: beside it, under its name."""
    return path.with_name(rejected_name(path.name, ending))


def rejected_name(name: str, ending: str) -> str:
    """What the file of rejected rows is called."""
    for known in (".gz", ".csv", ".tsv", ".txt", ".ndjson", ".jsonl", ".json"):
        name = name.removesuffix(known)
    return f"{name}.rejected.{ending}"


def _is_target(text: str) -> bool:
    is_property = text.startswith(PROPERTY) and text != PROPERTY
    return is_property or text == LEFT_OUT or text in EVENT_FIELDS


def _target(name: str, fields: Sequence[str]) -> str:
    if name in RECORDED_NAMES:
        return LEFT_OUT
    return name if name in fields or name.startswith(PROPERTY) else PROPERTY + name
