"""Checked tree → Python functions: one event at a time, and in bulk.

In: a tree that is ok. Out: functions over scaled integers. The code is put together from the templates of
`operations.py`; texts and sets are passed by slot, so that nothing a rule's author wrote gets into it. The functions
have no builtins, and every name in them, at every depth, is on a list of allowed names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType, NoneType

from troth.core.expression import runtime
from troth.core.expression.check import Checked
from troth.core.expression.operations import CONDITION, MACROS, OPERATIONS, OR, SIGN
from troth.core.expression.tree import Node, plain
from troth.core.expression.types import Number

Values = tuple[object, ...]
Inputs = Sequence[object]

_GLOBALS: dict[str, Callable[..., object]] = {
    "abs": abs,
    "all": all,
    "any": any,
    "len": len,
    "max": max,
    "min": min,
    "sum": sum,
    "zip": zip,
    "field": runtime.field,
    "greatest_of": runtime.greatest_of,
    "half_up": runtime.half_up,
    "least_of": runtime.least_of,
    "pick": runtime.pick,
    "remainder": runtime.remainder,
    "scale": runtime.scale,
}
_ATTRIBUTES = frozenset(
    {"startswith", "endswith", "lower", "upper", "isoweekday", "hour", "day", "month", "year", "date", "days"}
)
_SLOT_NAMES = {"property": "p{}", "input": "n{}"}
_SLOT = re.compile(r"[vnpik][0-9]*|\.0")  # values, inputs, their loaded slots, items, constants; an iterator
_FUNCTION_NAMES = frozenset({"rule", "rules", "<listcomp>", "<genexpr>"})
_CONSTANT_TYPES = (int, bool, NoneType, CodeType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A rule's expression, ready to run on valid events."""

    function: Callable[[Values, Inputs], int | bool]  # inputs by slot of Scope.inputs; unread ones may be None
    bulk: Callable[[Sequence[Values], Sequence[Inputs]], list[int | bool]]
    places: int  # of a number: its value is the result / 10^places; 0 for a condition
    reads: frozenset[str]


class ForbiddenCodeError(Exception):
    """Generated code holds something that no template has: a defect of this compiler."""


def compile_expression(checked: Checked) -> Compiled:
    assert checked.ok
    assert checked.tree is not None
    writer = _Writer(checked.tree)
    body = writer.write(checked.tree, CONDITION)
    loads = "".join(f"    {name} = {source}\n" for name, source in writer.loads)
    bulk_loads = "".join(f" for {name} in [{source}]" for name, source in writer.loads)
    rows = "for v, n in zip(v, n)" if checked.reads else "for v in v"
    namespace = {**_GLOBALS, **writer.constants, "__builtins__": {}}
    single = _function(f"def rule(v, n):\n{loads}    return {body}\n", namespace)
    bulk = _function(f"def rules(v, n):\n    return [{body} {rows}{bulk_loads}]\n", namespace)
    places = checked.type.places if isinstance(checked.type, Number) else 0
    return Compiled(function=single, bulk=bulk, places=places, reads=checked.reads)


class _Writer:
    """Fills templates, from the leaves up."""

    def __init__(self, tree: Node) -> None:
        self.constants: dict[str, object] = {}
        uses = Counter(_slots(tree, 1))
        self._loaded = {use: _SLOT_NAMES[use[0]].format(use[1]) for use, count in sorted(uses.items()) if count > 1}

    @property
    def loads(self) -> list[tuple[str, str]]:
        """The slots worth a local variable: its name, and where it is loaded from."""
        return [(name, OPERATIONS[kind].template.format(detail=slot)) for (kind, slot), name in self._loaded.items()]

    def write(self, node: Node, need: int) -> str:
        """The node as Python, in brackets if it binds more loosely than its surroundings need."""
        if node.operation == "constant":
            return self._constant(node, need)
        operation = OPERATIONS[node.operation]
        if isinstance(node.detail, int) and (node.operation, node.detail) in self._loaded:
            return self._loaded[node.operation, node.detail]
        if node.operation in MACROS:
            body = self.write(node.arguments[1], OR)
            text = operation.template.format(body=body, rows=self._rows(node), detail=node.detail)
        else:
            needs = operation.needs
            parts = [self.write(part, needs[min(at, len(needs) - 1)]) for at, part in enumerate(node.arguments)]
            text = operation.template.format(*parts, detail=node.detail, all=", ".join(parts))
        return text if operation.level >= need else f"({text})"

    def _rows(self, node: Node) -> str:
        """The loop of a list operation; one over a filtered list needs no list in between."""
        items = node.arguments[0]
        if items.operation != "filter":
            return f"for i{node.detail} in {self.write(items, OR)}"
        condition = self.write(items.arguments[1], OR)
        return f"{self._rows(items)} if {condition} for i{node.detail} in [i{items.detail}]"

    def _constant(self, node: Node, need: int) -> str:
        if isinstance(node.type, Number):
            units = plain(node)
            text = str(units)
            return f"({text})" if text.startswith("-") and need > SIGN else text
        if node.detail is None or isinstance(node.detail, bool):
            return str(node.detail)
        name = f"k{len(self.constants)}"
        self.constants[name] = node.detail
        return name


def _slots(node: Node, uses: int) -> Iterator[tuple[str, int]]:
    """Each use of a property or input; those in the body of a list operation, or of a default, count as several."""
    if node.operation in _SLOT_NAMES and isinstance(node.detail, int):
        yield from [(node.operation, node.detail)] * uses
    for at, argument in enumerate(node.arguments):
        repeated = node.operation == "plain_default" or (at and node.operation in MACROS)
        yield from _slots(argument, 2 if repeated else uses)


def _function(source: str, namespace: dict[str, object]) -> FunctionType:
    module = compile(source, "<rule>", "exec", dont_inherit=True, optimize=0)
    code = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
    verify(code, frozenset(namespace))
    return FunctionType(code, namespace)


def verify(code: CodeType, known: frozenset[str]) -> None:
    """Refuses code with a name or constant that no template has, in itself or in any code inside it."""
    allowed = (known | _ATTRIBUTES) - {"__builtins__"}
    variables = (*code.co_varnames, *code.co_freevars, *code.co_cellvars)
    forbidden = [name for name in code.co_names if name not in allowed]
    forbidden += [name for name in variables if not _SLOT.fullmatch(name)]
    forbidden += [repr(constant) for constant in _flat(code.co_consts) if type(constant) not in _CONSTANT_TYPES]
    if forbidden or code.co_name not in _FUNCTION_NAMES:
        raise ForbiddenCodeError(", ".join((code.co_name, *forbidden)))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            verify(constant, known)


def _flat(constants: tuple[object, ...]) -> Iterator[object]:
    """The constants, and those in the tuples that Python makes of constant lists."""
    for constant in constants:
        if type(constant) is tuple:
            yield from _flat(constant)
        else:
            yield constant
