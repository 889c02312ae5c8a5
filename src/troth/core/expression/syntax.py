"""The syntax tree: what was written, before it means anything.

`shape` is equal for pieces that are written alike (whatever their place): pure expressions written alike have equal
values, so what a condition proves about one holds for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    start: int
    end: int
    shape: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(Syntax):
    value: Fraction | str | bool | None
    places: int = 0  # decimals as written


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Syntax):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Syntax):
    target: Expression
    name: str
    name_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Syntax):
    name: str
    name_start: int
    target: Expression | None  # of a method
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Syntax):
    operator: str  # - !
    operand: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Syntax):
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional(Syntax):
    test: Expression
    yes: Expression
    no: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLiteral(Syntax):
    items: tuple[Expression, ...]


Expression = Literal | Name | Member | Call | Unary | Binary | Conditional | ListLiteral
