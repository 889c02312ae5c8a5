"""The filter of a generic webhook: a condition in the language of rules, over values of the body. Pure.

In: the declared fields and a condition. Out: what is wrong with it, or a function that says whether an event counts.
A value that is absent, or of another kind than declared, is missing, as for any rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from troth import limits
from troth.core.coercion import INVALID, Reading, read_fields
from troth.core.expression import Checked, Scope, check, common_to, compile_expression, scope_for
from troth.core.program import EventType, Property
from troth.core.sources.paths import Path, at
from troth.core.sources.settings import Name

_PLACES = 8
_TEXT_LENGTH = 10_000
_UTC = ZoneInfo("UTC")  # of moments

FieldKind = Literal["text", "number", "boolean", "datetime"]


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that the filter reads as `properties.<name>`; missing where it is absent, or of another kind."""

    path: Path
    kind: FieldKind = "text"


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events count: a condition in the language of rules, over values of the body."""

    fields: Annotated[Mapping[Name, Field], msgspec.Meta(min_length=1, max_length=limits.SOURCE_MAPPINGS)]
    when: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.EXPRESSION_CHARACTERS)]


def diagnose(filters: Filter) -> tuple[str, ...]:
    """What is wrong with the condition, each with its place and what to do."""
    checked = _check(filters)
    return () if checked.ok else tuple(map(str, checked.diagnostics))


def counts(filters: Filter, event: object) -> bool:
    """Whether an event counts; the condition is sound."""
    return _compiled(msgspec.json.encode(filters))(event)


@lru_cache(maxsize=limits.SOURCES)
def _compiled(text: bytes) -> Callable[[object], bool]:
    filters = msgspec.json.decode(text, type=Filter)
    function = compile_expression(_check(filters)).function
    fields = _properties(filters)

    def passes(event: object) -> bool:
        raw = {name: at(event, field.path) for name, field in filters.fields.items()}
        read = read_fields(fields, raw, "", Reading(_UTC, []))
        return bool(function(tuple(None if value is INVALID else value for _, value in read), ()))

    return passes


def _check(filters: Filter) -> Checked:
    payload = EventType(id="payload", label="", properties=_properties(filters))
    scope = scope_for(payload, common_to(profile=EventType(id="profile", label=""), levels=(), event_types=()))
    known = Scope(namespaces={"properties": scope.namespaces["properties"]}, counts={}, inputs=())
    return check(filters.when, known, "condition")


def _properties(filters: Filter) -> tuple[Property, ...]:
    return tuple(
        Property(name=name, kind=field.kind, places=_PLACES, max_length=_TEXT_LENGTH, excess_places="round")
        for name, field in filters.fields.items()
    )
