"""Settings of a source: JSON → the struct of its kind, or every field that is wrong. Pure.

Each kind has a struct of its own beside this file, built on `SourceSettings`; a field that it does not have is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec

from troth import limits
from troth.core.coercion import Problem, escape

S = TypeVar("S", bound=msgspec.Struct)

TypeId = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.PROGRAM_ID_LENGTH)]
Types = Annotated[tuple[TypeId, ...], msgspec.Meta(max_length=limits.SOURCE_TYPES)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.IDENTIFIER_LENGTH)]

_PLACE = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every kind can be told."""

    types: Types | None = None  # the event types it may send; None: whatever it maps to

    def may_send(self, type_id: object) -> bool:
        return self.types is None or type_id in self.types

    def names(self, type_id: object) -> bool:
        """Whether a type that needs a scope was allowed by its name: nothing else gives a source such a right."""
        return self.types is not None and type_id in self.types

    @property
    def is_public(self) -> bool:
        """Whether anybody may know the secret, so that it sends what `client_allowed` marks and nothing else."""
        return False

    def flaws(self) -> tuple[Problem, ...]:
        """What is wrong with settings that are each of the right form."""
        return ()


def read_settings(kind: type[S], document: Mapping[str, object]) -> S | tuple[Problem, ...]:
    """The settings, or what is wrong with each field. Pointers lead into `document`."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems: list[Problem] = []
    for name, value in document.items():
        if name not in fields:
            detail = f"Known settings are {', '.join(sorted(fields))}."
            problems.append(Problem(pointer=f"/{escape(name)}", code="unknown_field", detail=detail))
            continue
        try:
            msgspec.convert(value, type=fields[name].type)
        except msgspec.ValidationError as error:
            problems.append(_problem(f"/{escape(name)}", str(error)))
    return tuple(problems) if problems else msgspec.convert(document, type=kind)


def _problem(pointer: str, text: str) -> Problem:
    """What msgspec says, with its place as a pointer; it names no value."""
    place = _PLACE.search(text)
    if place is not None:
        text = text[: place.start()]
        pointer += "".join(f"/{escape(name or number)}" for name, number in _STEP.findall(place[1]))
    return Problem(pointer=pointer, code="invalid_setting", detail=f"{text}.")
