"""Functions, methods and list operations: `f(x, y)` and `x.f(y)` mean the same.

In: a call and what is known where it stands. Out: a node. Lists that are missing count as empty lists.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from troth import limits
from troth.core.expression import arithmetic
from troth.core.expression.diagnostic import Piece, Span, shown
from troth.core.expression.narrowing import presence
from troth.core.expression.syntax import Call, Literal, Member, Name
from troth.core.expression.tree import (
    NO_FACTS,
    SILENT,
    Facts,
    Node,
    broken,
    condition,
    constant,
    is_broken,
    placed,
    silent,
    silent_integer,
)
from troth.core.expression.types import Boolean, Date, DateTime, ListOf, Number, Text, Type

if TYPE_CHECKING:
    from troth.core.expression.checker import Checker

_DAYS_MAX = 3_652_058  # from 0001-01-01 to 9999-12-31
_Kinds = tuple[type[Type], ...]
_NUMBER: _Kinds = (Number,)
_TEXT: _Kinds = (Text,)
_TIME: _Kinds = (Date, DateTime)


@dataclass(frozen=True, slots=True)
class _Signature:
    """A function of values that are never missing."""

    operation: str
    arguments: tuple[_Kinds, ...]
    result: Type


_SIMPLE = {
    "startsWith": _Signature("starts", (_TEXT, _TEXT), Boolean()),
    "endsWith": _Signature("ends", (_TEXT, _TEXT), Boolean()),
    "contains": _Signature("contains", (_TEXT, _TEXT), Boolean()),
    "lower": _Signature("lower", (_TEXT,), Text()),
    "upper": _Signature("upper", (_TEXT,), Text()),
    "weekday": _Signature("weekday", (_TIME,), Number(0, 1, 7)),  # ISO: Monday is 1
    "hour": _Signature("hour", ((DateTime,),), Number(0, 0, 23)),
    "day": _Signature("day", (_TIME,), Number(0, 1, 31)),
    "month": _Signature("month", (_TIME,), Number(0, 1, 12)),
    "year": _Signature("year", (_TIME,), Number(0, 1, 9999)),
    "date": _Signature("date", ((DateTime,),), Date()),
}
_NUMERIC = {  # least and most numbers taken
    "round": (1, 2),
    "floor": (1, 1),
    "ceil": (1, 1),
    "abs": (1, 1),
    "min": (2, limits.EXPRESSION_ARGUMENTS),
    "max": (2, limits.EXPRESSION_ARGUMENTS),
    "clamp": (3, 3),
}
_LISTS = ("sum", "filter", "map", "count", "any", "all", "min", "max")
_OTHERS = ("has", "size", "daysBetween", "daysSince")
_KNOWN = tuple(dict.fromkeys((*_SIMPLE, *_NUMERIC, *_LISTS, *_OTHERS)))


def is_known(name: str) -> bool:
    return name in _KNOWN


def call(checker: Checker, syntax: Call, facts: Facts) -> Node:
    name, target = syntax.name, syntax.target
    if name not in _KNOWN:
        place = Piece(syntax.name_start, syntax.name_start + len(name))
        hint = checker.problems.suggestion(name, _KNOWN)
        checker.problems.report("unknown_function", f"unknown function {shown(name)}", place, hint)
        for argument in syntax.arguments:
            checker.visit(argument, facts)
        return broken(syntax)
    if name == "has":
        return _has(checker, syntax, facts)
    if name == "count" and target is not None and checker.namespace(target) == "customer":
        return _count_events(checker, syntax)
    first = checker.visit(target, facts) if target is not None else None
    if name in _LISTS and first is not None and (isinstance(first.type, ListOf) or name not in _NUMERIC):
        return _over_list(checker, syntax, first, facts)
    if name in _LISTS and name not in _NUMERIC:
        return _refused(checker, syntax, f"{name} works on a list", f"write list.{name}(i, …)")
    values = [] if first is None else [first]
    values += [checker.visit(argument, facts) for argument in syntax.arguments]
    return _apply(checker, syntax, tuple(values))


def size(of: Node, span: Span) -> Node:
    """The number of items of a list."""
    assert isinstance(of.type, ListOf)
    return placed(silent("size", Number(0, 0, of.type.size_max), _items(of)), span)


def _apply(checker: Checker, syntax: Call, values: tuple[Node, ...]) -> Node:
    name = syntax.name
    if name in _NUMERIC:
        return _numeric(checker, syntax, values)
    signature = _SIMPLE.get(name)
    kinds = {"size": ((ListOf,),), "daysBetween": (_TIME, _TIME), "daysSince": (_TIME,)}
    wanted = signature.arguments if signature else kinds[name]
    if not _takes(checker, syntax, len(values), (len(wanted), len(wanted))):
        return broken(syntax)
    if name == "size" and isinstance(values[0].type, ListOf):
        return size(values[0], syntax)
    if not checker.demand_all(values, wanted, name):
        return broken(syntax)
    if signature:
        return placed(silent(signature.operation, signature.result, *values), syntax)
    if name == "daysSince":
        values = (*values, placed(checker.read(checker.scope.namespaces["event"]["time"], syntax), SILENT))
    days = Number(0, -_DAYS_MAX, _DAYS_MAX)
    return placed(silent("days", days, *map(_date, values)), syntax)


def _numeric(checker: Checker, syntax: Call, values: tuple[Node, ...]) -> Node:
    name = syntax.name
    if not _takes(checker, syntax, len(values), _NUMERIC[name]):
        return broken(syntax)
    if not checker.demand_all(values, (_NUMBER,) * len(values), name):
        return broken(syntax)
    if name == "round":
        places = values[1] if len(values) == 2 else silent_integer(0)
        if not (places.is_constant and places.detail in range(limits.NUMBER_PLACES + 1)):
            message = f"round needs a whole number from 0 to {limits.NUMBER_PLACES} for its places"
            checker.problems.report("type", message, places)
            return broken(syntax)
        values = (values[0], places)
    return arithmetic.calculate(checker.problems, name, syntax, values)


def _has(checker: Checker, syntax: Call, facts: Facts) -> Node:
    asked = (*((syntax.target,) if syntax.target else ()), *syntax.arguments)
    if not _takes(checker, syntax, len(asked), (1, 1)):
        return broken(syntax)
    if not isinstance(asked[0], Member | Name):
        return _refused(checker, syntax, "has takes a property", "write has(properties.x)")
    node = checker.visit(asked[0], facts)
    if is_broken(node):
        return broken(syntax)
    if not node.optional:
        return constant(True, syntax)
    return condition("present", syntax, (node,), (presence(asked[0], node), NO_FACTS))


def _count_events(checker: Checker, syntax: Call) -> Node:
    """`customer.count("purchase")`: a value of the customer, not a list operation."""
    if not _takes(checker, syntax, len(syntax.arguments), (1, 1)):
        return broken(syntax)
    asked = syntax.arguments[0]
    if not (isinstance(asked, Literal) and isinstance(asked.value, str)):
        hint = 'write customer.count("purchase")'
        return _refused(checker, syntax, "customer.count takes the id of an event type, in quotes", hint)
    entry = checker.scope.counts.get(asked.value)
    if entry is None:
        return checker.unknown("event type", asked.value, asked, checker.scope.counts)
    return checker.read(entry, syntax)


def _over_list(checker: Checker, syntax: Call, items: Node, facts: Facts) -> Node:
    """`list.name(variable, body)`."""
    if not checker.demand(replace(items, optional=False), (ListOf,), f".{syntax.name}"):
        return broken(syntax)
    assert isinstance(items.type, ListOf)
    if len(syntax.arguments) != 2 or not isinstance(syntax.arguments[0], Name):
        message = f".{syntax.name} takes a name for the item, and an expression"
        return _refused(checker, syntax, message, f"write .{syntax.name}(i, …)")
    variable, body_syntax = syntax.arguments[0], syntax.arguments[1]
    if variable.name in checker.variables or variable.name in checker.scope.namespaces:
        message = f"the name {shown(variable.name)} is already taken"
        checker.problems.report("type", message, variable, "choose another name for the item")
        return broken(syntax)
    number = checker.new_variable()
    item = replace(silent("item", items.type.item), detail=number, optional=items.type.holds_missing)
    with checker.variable(variable.name, item, items.type.size_max):
        body = checker.visit(body_syntax, facts)
    node = _collected(checker, syntax, items.type, body)
    return node if is_broken(node) else replace(node, arguments=(_items(items), body), detail=number)


def _collected(checker: Checker, syntax: Call, items: ListOf, body: Node) -> Node:
    """What a list operation gives, still without its arguments."""
    name = syntax.name
    if name == "map":
        kind = ListOf(body.type, items.size_max, body.optional)
        return broken(syntax) if is_broken(body) else placed(silent("map", kind), syntax)
    numeric = name in ("sum", "min", "max")
    if not checker.demand(body, _NUMBER if numeric else (Boolean,), f".{name}"):
        return broken(syntax)
    if name in ("any", "all"):
        return condition(name, syntax, ())
    if not numeric:
        return placed(silent(name, items if name == "filter" else Number(0, 0, items.size_max)), syntax)
    number = body.number
    if name != "sum":
        operation = "least_of" if name == "min" else "greatest_of"
        return replace(placed(silent(operation, number), syntax), optional=True, inexact=body.inexact)
    low, high = min(0, number.low * items.size_max), max(0, number.high * items.size_max)
    total = placed(silent("sum", Number(number.places, low, high)), syntax)
    return arithmetic.fitting(checker.problems, replace(total, inexact=body.inexact))


def _items(node: Node) -> Node:
    return silent("or_empty", node.type, node) if node.optional else node


def _date(node: Node) -> Node:
    return silent("date", Date(), node) if isinstance(node.type, DateTime) else node


def _takes(checker: Checker, syntax: Call, count: int, allowed: tuple[int, int]) -> bool:
    least, most = allowed
    if least <= count <= most:
        return True
    wanted = str(least) if least == most else f"{least} to {most}"
    _refused(checker, syntax, f"{syntax.name} takes {wanted} value{'s' * (most > 1)}, not {count}", None)
    return False


def _refused(checker: Checker, syntax: Call, message: str, hint: str | None) -> Node:
    checker.problems.report("type", message, syntax, hint)
    return broken(syntax)
