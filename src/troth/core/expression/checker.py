"""Syntax tree → checked tree: what every name means, which types meet, what may be missing, which bounds hold.

In: syntax and a scope. Out: nodes, and all problems at once; a refused piece becomes a broken node, which is silent in
everything it is part of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

from troth import limits
from troth.core.expression import arithmetic, comparison, functions
from troth.core.expression.diagnostic import Piece, Problems, Span, shown
from troth.core.expression.narrowing import both, narrowed
from troth.core.expression.scope import Entry, Scope
from troth.core.expression.syntax import (
    Binary,
    Call,
    Conditional,
    Expression,
    ListLiteral,
    Literal,
    Member,
    Name,
    Unary,
)
from troth.core.expression.tree import (
    NO_FACTS,
    Facts,
    Node,
    aligned,
    broken,
    condition,
    constant,
    is_broken,
    placed,
    silent,
)
from troth.core.expression.types import (
    Boolean,
    Date,
    DateTime,
    Field,
    ListOf,
    Nothing,
    Number,
    ObjectOf,
    Text,
    Type,
    Unknown,
    type_name,
    unified,
)

_SLOTS = frozenset({"property", "input", "item"})
_PATHS = _SLOTS | {"field", "optional_field"}
_DEFAULTS: dict[type, str] = {Number: "0", Text: '""', Boolean: "false"}


class Checker:
    def __init__(self, problems: Problems, scope: Scope) -> None:
        self.problems = problems
        self.scope = scope
        self.variables: dict[str, Node] = {}
        self.reads: set[str] = set()
        self.property_reads: set[str] = set()
        self.repeats = 1  # how often the current piece is evaluated at most, for one event
        self._cost = 0
        self._variables_made = 0

    def visit(self, syntax: Expression, facts: Facts) -> Node:
        self.spend(1, syntax)
        node = self._checked(syntax, facts)
        fact = facts.get(syntax.shape)
        return narrowed(node, fact) if fact and not node.is_constant else node

    def _checked(self, syntax: Expression, facts: Facts) -> Node:
        match syntax:
            case Literal(value=Fraction() as value):
                return arithmetic.literal(self.problems, value, syntax.places, syntax)
            case Literal(value=bool() | str() | None as value):
                return constant(value, syntax)
            case Literal():
                raise AssertionError(syntax)
            case Name():
                return self._name(syntax)
            case Member():
                return self._member(syntax, facts)
            case Call():
                return functions.call(self, syntax, facts)
            case Unary():
                return self._unary(syntax, facts)
            case Binary():
                return self._binary(syntax, facts)
            case Conditional():
                return self._conditional(syntax, facts)
            case ListLiteral():
                return self._list(syntax, facts)

    def spend(self, evaluations: int, span: Span) -> None:
        """Counts the work of one event with full lists; beyond the cap the rule is refused."""
        within = self._cost <= limits.EXPRESSION_COST
        self._cost += evaluations * self.repeats
        if within and self._cost > limits.EXPRESSION_COST:
            message = f"with full lists this takes more than {limits.EXPRESSION_COST:,} steps for one event"
            self.problems.report("too_complex", message, span, "lower max_items, or do not nest lists")

    def demand(self, node: Node, kinds: tuple[type[Type], ...], user: str) -> bool:
        """Whether a node is of one of the kinds and never missing; reports why not."""
        if is_broken(node):
            return False
        if not isinstance(node.type, kinds):
            wanted = " or ".join(map(type_name, kinds))
            self.problems.report("type", f"{user} needs a {wanted}, not {type_name(node.type)}", node)
            return False
        if not node.optional:
            return True
        text = self.problems.text(node)
        default = _DEFAULTS.get(type(node.type))
        ways = [f"write {text} ?? {default}"] if default else []
        ways += [f"test has({text}) first"] if node.operation in _PATHS else []
        self.problems.report("maybe_missing", f"{text} may be missing", node, ", or ".join(ways) or None)
        return False

    def demand_all(self, nodes: tuple[Node, ...], kinds: tuple[tuple[type[Type], ...], ...], user: str) -> bool:
        """`demand` of each node; every one that does not fit is reported."""
        return all([self.demand(node, wanted, user) for node, wanted in zip(nodes, kinds, strict=True)])  # noqa: C419

    @contextmanager
    def variable(self, name: str, item: Node, size_max: int) -> Iterator[None]:
        """The variable of a list operation, while its body is visited."""
        times = max(size_max, 1)
        self.variables[name] = item
        self.repeats *= times
        yield
        self.repeats //= times
        del self.variables[name]

    def new_variable(self) -> int:
        self._variables_made += 1
        return self._variables_made

    def read(self, entry: Entry, span: Span) -> Node:
        """The node of a property or input, noted as read."""
        if entry.pii:
            return self.personal(entry.read.rpartition(".")[2], span)
        (self.reads if entry.source == "input" else self.property_reads).add(entry.read)
        return Node(
            operation=entry.source,
            type=entry.type,
            start=span.start,
            end=span.end,
            detail=entry.slot,
            optional=entry.optional,
        )

    def namespace(self, syntax: Expression) -> str | None:
        """The namespace that a name or path stands for, as `customer` or `customer.attributes`."""
        match syntax:
            case Name(name=name):
                path = name
            case Member(target=Name(name=root), name=name):
                path = f"{root}.{name}"
            case _:
                return None
        return path if path in self.scope.namespaces else None

    def unknown(self, what: str, name: str, span: Span, known: Collection[str]) -> Node:
        hint = self.problems.suggestion(name, known)
        self.problems.report("unknown_property", f"unknown {what} {shown(name)}", span, hint)
        return broken(span)

    def _name(self, syntax: Name) -> Node:
        name = syntax.name
        if name in self.variables:
            return placed(self.variables[name], syntax)
        if name in self.scope.namespaces:
            return self._not_a_value(syntax, name)
        for namespace, entries in self.scope.namespaces.items():
            if name in entries:
                hint = f"did you mean '{namespace}.{name}'?"
                self.problems.report("unknown_property", f"unknown name {shown(name)}", syntax, hint)
                return broken(syntax)
        roots = [root for root in self.scope.namespaces if "." not in root]
        return self.unknown("name", name, syntax, [*self.variables, *roots])

    def _not_a_value(self, syntax: Expression, path: str) -> Node:
        first = next(iter(self.scope.namespaces[path]), None)
        hint = f"name one of its values, such as {path}.{first}" if first else None
        self.problems.report("type", f"{path} is not a value", syntax, hint)
        return broken(syntax)

    def _member(self, syntax: Member, facts: Facts) -> Node:
        path = self.namespace(syntax)
        if path is not None:
            return self._not_a_value(syntax, path)
        place = Piece(syntax.name_start, syntax.name_start + len(syntax.name))
        namespace = self.namespace(syntax.target)
        if namespace is not None:
            return self._entry(namespace, syntax, place)
        target = self.visit(syntax.target, facts)
        match target.type:
            case Unknown():
                return broken(syntax)
            case ObjectOf(fields=fields):
                return self._field(target, fields, syntax, place)
            case ListOf() if syntax.name == "size":
                return functions.size(target, syntax)
        hint = f"write {syntax.name}()" if functions.is_known(syntax.name) else None
        message = f"a {type_name(target.type)} has no property {shown(syntax.name)}"
        self.problems.report("unknown_property", message, place, hint)
        return broken(syntax)

    def _entry(self, namespace: str, syntax: Member, place: Span) -> Node:
        entries = self.scope.namespaces[namespace]
        if syntax.name in entries:
            return placed(self.read(entries[syntax.name], place), syntax)
        deeper = self.scope.namespaces.get(f"{namespace}.attributes", {})
        if syntax.name in deeper:
            hint = f"did you mean '{namespace}.attributes.{syntax.name}'?"
            self.problems.report("unknown_property", f"unknown property {shown(syntax.name)}", place, hint)
            return broken(syntax)
        return self.unknown("property", syntax.name, place, entries)

    def _field(self, target: Node, fields: tuple[Field, ...], syntax: Member, place: Span) -> Node:
        index = next((at for at, field in enumerate(fields) if field.name == syntax.name), None)
        if index is None:
            return self.unknown("property", syntax.name, place, [field.name for field in fields])
        field = fields[index]
        if field.pii:
            return self.personal(field.name, place)
        return Node(
            operation="optional_field" if target.optional else "field",
            type=field.type,
            start=syntax.start,
            end=syntax.end,
            arguments=(target,),
            detail=index,
            optional=target.optional or field.optional,
        )

    def personal(self, name: str, span: Span) -> Node:
        hint = "decide by a property without pii"
        self.problems.report("pii_property", f"{shown(name)} is personal: rules cannot read it", span, hint)
        return broken(span)

    def _unary(self, syntax: Unary, facts: Facts) -> Node:
        operand = self.visit(syntax.operand, facts)
        if syntax.operator == "-":
            wanted = self.demand(operand, (Number,), "'-'")
            return arithmetic.calculate(self.problems, "negate", syntax, (operand,)) if wanted else broken(syntax)
        if not self.demand(operand, (Boolean,), "'!'"):
            return broken(syntax)
        return condition("not", syntax, (operand,), (operand.if_false, operand.if_true))

    def _binary(self, syntax: Binary, facts: Facts) -> Node:
        operator = syntax.operator
        if operator in ("&&", "||"):
            return self._logical(syntax, facts)
        left, right = self.visit(syntax.left, facts), self.visit(syntax.right, facts)
        if operator == "??":
            return self._default(syntax, left, right)
        operands = ((syntax.left, left), (syntax.right, right))
        if operator in ("==", "!="):
            return comparison.equal(self.problems, operator, syntax, operands)
        if operator == "in":
            self.spend(right.type.size_max if isinstance(right.type, ListOf) else 0, syntax)
            return comparison.member(self.problems, syntax, operands, self.new_variable())
        kinds = (Number,) if operator in "+-*/%" else (Number, Date, DateTime)
        if not self.demand_all((left, right), (kinds, kinds), f"'{operator}'"):
            return broken(syntax)
        if operator in "+-*/%":
            return arithmetic.calculate(self.problems, operator, syntax, (left, right))
        return comparison.order(self.problems, operator, syntax, operands)

    def _logical(self, syntax: Binary, facts: Facts) -> Node:
        """`&&` and `||`: the right side is only looked at where the left one leaves it open."""
        conjunction = syntax.operator == "&&"
        left = self.visit(syntax.left, facts)
        right = self.visit(syntax.right, both(facts, left.if_true if conjunction else left.if_false))
        if not self.demand_all((left, right), ((Boolean,), (Boolean,)), f"'{syntax.operator}'"):
            return broken(syntax)
        if conjunction:
            return condition("and", syntax, (left, right), (both(left.if_true, right.if_true), NO_FACTS))
        return condition("or", syntax, (left, right), (NO_FACTS, both(left.if_false, right.if_false)))

    def _default(self, syntax: Binary, left: Node, right: Node) -> Node:
        if is_broken(left, right):
            return broken(syntax)
        if not left.optional:
            message = f"{self.problems.text(left)} is never missing"
            self.problems.report("useless_default", message, right, "remove ?? and what follows it")
        kind = self._unified(syntax, (left, right), "?? gives")
        if kind is None:
            return broken(syntax)
        if isinstance(left.type, Nothing) or not left.optional:
            return placed(left if not left.optional else right, syntax)
        joined = self._joined("default", kind, syntax, (left, right))
        is_plain = not is_broken(joined) and joined.arguments[0].operation in _SLOTS
        return replace(joined, operation="plain_default") if is_plain else joined

    def _conditional(self, syntax: Conditional, facts: Facts) -> Node:
        test = self.visit(syntax.test, facts)
        yes = self.visit(syntax.yes, both(facts, test.if_true))
        no = self.visit(syntax.no, both(facts, test.if_false))
        wanted = self.demand(test, (Boolean,), "'?'")
        kind = self._unified(syntax, (yes, no), "'?:' gives")
        if not wanted or kind is None or is_broken(yes, no):
            return broken(syntax)
        return self._joined("choose", kind, syntax, (test, yes, no))

    def _list(self, syntax: ListLiteral, facts: Facts) -> Node:
        items = tuple(self.visit(item, facts) for item in syntax.items)
        kind = self._unified(syntax, items, "a list holds")
        if kind is None or is_broken(*items):
            return broken(syntax)
        holds_missing = any(item.optional for item in items)
        return replace(
            self._joined("list", kind, syntax, items), type=ListOf(kind, len(items), holds_missing), optional=False
        )

    def _unified(self, span: Span, nodes: tuple[Node, ...], user: str) -> Type | None:
        kind = unified(node.type for node in nodes)
        if kind is None:
            names = " and ".join(dict.fromkeys(type_name(node.type) for node in nodes))
            self.problems.report("type", f"{user} values of one type, not {names}", span)
        return kind

    def _joined(self, operation: str, kind: Type, span: Span, nodes: tuple[Node, ...]) -> Node:
        """A node that gives one of its arguments, all brought to the same units."""
        results = nodes[1:] if operation == "choose" else nodes
        inexact = any(node.inexact for node in results)
        optional = nodes[-1].optional if "default" in operation else any(node.optional for node in results)
        if isinstance(kind, Number):
            nodes = tuple(aligned(node, kind.places) if isinstance(node.type, Number) else node for node in nodes)
        joined = replace(placed(silent(operation, kind, *nodes), span), optional=optional, inexact=inexact)
        return arithmetic.fitting(self.problems, joined) if isinstance(kind, Number) else joined
