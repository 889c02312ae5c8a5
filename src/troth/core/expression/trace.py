"""A rule told step by step: the value of every part of it, for one event.

In: a checked tree and the same values the compiled form takes. Out: steps, outermost first. Parts that the event left
unread (the other branch, the right side of a decided `&&`) have no step; the body of a list operation has one per item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from troth import limits
from troth.core.expression import runtime
from troth.core.expression.check import Checked
from troth.core.expression.operations import MACROS, OPERATIONS
from troth.core.expression.tree import Node, plain
from troth.core.expression.types import ListOf, Number, ObjectOf, Type, type_name

Shown = str | bool | None | list["Shown"] | dict[str, "Shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    start: int
    end: int
    text: str  # the source from start to end
    type: str
    value: Shown  # numbers as decimal text with the places of the type, times as ISO 8601


def trace(checked: Checked, values: Sequence[object], inputs: Sequence[object]) -> list[Traced]:
    """At most `limits.EXPRESSION_TRACE` steps; the first is the whole expression."""
    assert checked.ok
    assert checked.tree is not None
    walk = _Walk(values, inputs)
    walk.value(checked.tree)
    return [
        Traced(
            start=node.start,
            end=node.end,
            text=checked.source[node.start : node.end],
            type=type_name(node.type),
            value=shown(value, node.type),
        )
        for node, value in walk.steps
    ]


def shown(value: object, kind: Type) -> Shown:
    """A run-time value as people and JSON read it, to the last digit."""
    match value, kind:
        case None, _:
            return None
        case int(), Number(places=places):
            return decimal_text(value, places)
        case ((tuple() | list()), ListOf(item=item)):
            return [shown(each, item) for each in value]
        case tuple(), ObjectOf(fields=fields):
            pairs = zip(fields, value, strict=True)
            return {field.name: shown(each, field.type) for field, each in pairs if not field.pii}
        case (date(), _):
            return value.isoformat()
        case ((str() | bool()), _):
            return value
    raise AssertionError(f"no value of a rule: {value!r}")


def decimal_text(units: int, places: int) -> str:
    digits = str(abs(units)).rjust(places + 1, "0")
    whole, fraction = digits[: len(digits) - places], digits[len(digits) - places :]
    return f"{'-' * (units < 0)}{whole}{'.' * (places > 0)}{fraction}"


class _Walk:
    def __init__(self, values: Sequence[object], inputs: Sequence[object]) -> None:
        self.steps: list[tuple[Node, object]] = []
        self._slots = {"property": values, "input": inputs}
        self._items: dict[object, object] = {}

    def value(self, node: Node) -> object:
        at = len(self.steps)
        spoken = node.start >= 0 and at < limits.EXPRESSION_TRACE and (at == 0 or not node.is_constant)
        if spoken:
            self.steps.append((node, None))
        value = self._evaluated(node)
        if spoken:
            self.steps[at] = (node, value)
        return value

    def _evaluated(self, node: Node) -> object:
        match node.operation, node.arguments:
            case "constant", ():
                return node.detail if isinstance(node.detail, frozenset) else plain(node)
            case (("property" | "input"), ()):
                assert isinstance(node.detail, int)
                return self._slots[node.operation][node.detail]
            case "item", ():
                return self._items[node.detail]
            case (("field" | "optional_field"), (target,)):
                assert isinstance(node.detail, int)
                # a path is one step
                return runtime.field(_sequence(self._evaluated(target)), node.detail)
            case "and", (left, right):
                return self.value(left) and self.value(right)
            case "or", (left, right):
                return self.value(left) or self.value(right)
            case "choose", (test, yes, no):
                return self.value(yes if self.value(test) else no)
            case _, (items, body) if node.operation in MACROS:
                return self._over_list(node, items, body)
        return self._apply(node, [self.value(argument) for argument in node.arguments])

    def _over_list(self, node: Node, items: Node, body: Node) -> object:
        collection = _sequence(self.value(items)) or ()
        values = []
        for item in collection:
            self._items[node.detail] = item
            values.append(self.value(body))
        return self._apply(node, [collection, values])

    def _apply(self, node: Node, arguments: list[object]) -> object:
        apply = OPERATIONS[node.operation].apply
        assert apply is not None
        return apply(*arguments)


def _sequence(value: object) -> tuple[object, ...] | list[object] | None:
    assert value is None or isinstance(value, tuple | list)
    return value
