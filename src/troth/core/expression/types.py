"""What kinds of value an expression can have, with the bounds that are proven of them.

A number is an integer of units: its value is units / 10^places. Whether a value may be missing is not part of its type
but of the node that has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from troth.core.program import Property


@dataclass(frozen=True, slots=True)
class Number:
    places: int
    low: int  # units, inclusive
    high: int
    nonzero: bool = False  # proven although 0 lies between the bounds

    @property
    def excludes_zero(self) -> bool:
        return self.nonzero or self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Text:
    enum: frozenset[str] | None = None  # the only values it can have; None means any


@dataclass(frozen=True, slots=True)
class Boolean: ...


@dataclass(frozen=True, slots=True)
class Date: ...


@dataclass(frozen=True, slots=True)
class DateTime: ...


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Type
    size_max: int
    holds_missing: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type
    optional: bool  # may be missing
    pii: bool = False


@dataclass(frozen=True, slots=True)
class ObjectOf:
    fields: tuple[Field, ...]  # in the order of the run-time tuple


@dataclass(frozen=True, slots=True)
class Nothing:
    """The type of `null` and of the items of an empty list: fits every other type."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The type of what was refused: says nothing, so that one mistake is reported once."""


Type = Number | Text | Boolean | Date | DateTime | ListOf | ObjectOf | Nothing | Unknown

_NAMES: dict[type, str] = {
    Number: "number",
    Text: "text",
    Boolean: "boolean",
    Date: "date",
    DateTime: "datetime",
    ListOf: "list",
    ObjectOf: "object",
    Nothing: "null",
    Unknown: "unknown",
}


def type_name(of: Type | type) -> str:
    return _NAMES[of if isinstance(of, type) else type(of)]


def field_of(declared: Property) -> Field:
    """A declared property as rules see it: required, or with a default, it is never missing."""
    optional = not declared.required and declared.default is None
    return Field(declared.name, type_of(declared), optional, declared.pii)


def type_of(declared: Property) -> Type:
    match declared.kind:
        case "number":
            low, high = (Fraction(bound) * 10**declared.places for bound in (declared.minimum, declared.maximum))
            return Number(declared.places, math.ceil(low), math.floor(high))
        case "text":
            return Text(frozenset(declared.enum) if declared.enum else None)
        case "boolean":
            return Boolean()
        case "date":
            return Date()
        case "datetime":
            return DateTime()
        case "list":
            item = type_of(declared.item) if declared.item else ObjectOf(tuple(map(field_of, declared.of)))
            return ListOf(item, declared.max_items)
        case "object":
            return ObjectOf(tuple(map(field_of, declared.of)))


def unified(types: Iterable[Type]) -> Type | None:
    """The type that holds the values of all of them; None when there is none."""
    result: Type = Nothing()
    for each in types:
        merged = _pair(result, each)
        if merged is None:
            return None
        result = merged
    return result


def _pair(one: Type, other: Type) -> Type | None:
    match one, other:
        case (Unknown(), _) | (_, Nothing()):
            return one
        case (_, Unknown()) | (Nothing(), _):
            return other
        case Number(), Number():
            places = max(one.places, other.places)
            one, other = widened(one, places), widened(other, places)
            nonzero = one.excludes_zero and other.excludes_zero
            return Number(places, min(one.low, other.low), max(one.high, other.high), nonzero)
        case Text(), Text():
            return Text(None if one.enum is None or other.enum is None else one.enum | other.enum)
        case ListOf(), ListOf():
            item = _pair(one.item, other.item)
            size_max, holds_missing = max(one.size_max, other.size_max), one.holds_missing or other.holds_missing
            return None if item is None else ListOf(item, size_max, holds_missing)
    return one if one == other else None


def widened(number: Number, places: int) -> Number:
    factor = 10 ** (places - number.places)
    return Number(places, number.low * factor, number.high * factor, number.nonzero)
