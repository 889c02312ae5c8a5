"""Tokens → syntax tree: a Pratt parser, bounded in depth, chain and height.

In: the source in `Problems`. Out: one expression, or None when it cannot be read (the first syntax error is reported;
what follows it would be guesswork).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import NoReturn, TypeVar

from troth import limits
from troth.core.expression.diagnostic import Piece, Problems, Span, shown
from troth.core.expression.lexer import Token, lex
from troth.core.expression.syntax import (
    Binary,
    Call,
    Conditional,
    Expression,
    ListLiteral,
    Literal,
    Member,
    Name,
    Syntax,
    Unary,
)

_Kind = TypeVar("_Kind", bound=Syntax)
_CONDITIONAL, _NOT, _COMPARISON, _UNARY = 10, 35, 40, 70
_BINARY = {"||": 20, "&&": 30, "+": 50, "-": 50, "*": 60, "/": 60, "%": 60, "??": 80}
_BINARY |= dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in"), _COMPARISON)
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def parse(problems: Problems) -> Expression | None:
    source = problems.source
    if len(source) > limits.EXPRESSION_CHARACTERS:
        message = f"an expression has at most {limits.EXPRESSION_CHARACTERS} characters, this has {len(source)}"
        problems.report("too_long", message, Piece(0, len(source)), "split the rule")
        return None
    tokens = lex(problems)
    if len(tokens) - 1 > limits.EXPRESSION_TOKENS:
        message = f"an expression has at most {limits.EXPRESSION_TOKENS} words and signs, this has {len(tokens) - 1}"
        problems.report("too_complex", message, tokens[limits.EXPRESSION_TOKENS], "split the rule")
        return None
    if problems.diagnostics:
        return None
    try:
        return _Parser(tokens, problems).whole()
    except _RefusedError:
        return None


class _RefusedError(Exception):
    """The diagnostic is already reported."""


class _Parser:
    def __init__(self, tokens: list[Token], problems: Problems) -> None:
        self._tokens = tokens
        self._problems = problems
        self._at = 0
        self._depth = 0
        self._shapes: dict[tuple[str, ...], int] = {}
        self._heights: dict[int, int] = {}

    def whole(self) -> Expression:
        if len(self._tokens) == 1:
            self._refuse("the expression is empty", self._token)
        tree = self._expression(0)
        if self._token.kind != "end":
            self._unexpected("an operator")
        return tree

    def _expression(self, power: int) -> Expression:
        left = self._prefix()
        compared = False
        for operators in range(limits.EXPRESSION_CHAIN + 1):
            operator = self._operator()
            strength = _BINARY.get(operator, -1)
            if strength <= power:
                break
            if operators == limits.EXPRESSION_CHAIN:
                self._too_complex(f"at most {limits.EXPRESSION_CHAIN} operators follow each other", self._token)
            if compared and strength == _COMPARISON:
                self._refuse("comparisons cannot be chained", self._token, "join two comparisons with &&")
            compared = strength == _COMPARISON
            left = self._binary(operator, strength, left)
        return self._conditional(left) if power < _CONDITIONAL and self._sees("?") else left

    def _operator(self) -> str:
        """The binary operator that comes next, or "" if none does."""
        token = self._token
        if token.kind != "symbol":
            return ""
        following = self._tokens[self._at + 1]
        return "not in" if token.text == "not" and following.text == "in" else token.text

    def _binary(self, operator: str, strength: int, left: Expression) -> Expression:
        self._at += 2 if operator == "not in" else 1
        right = self._expression(strength)
        span = (left.start, right.end)
        if operator != "not in":
            return self._make(Binary, span, operator=operator, left=left, right=right)
        inside = self._make(Binary, span, operator="in", left=left, right=right)
        return self._make(Unary, span, operator="!", operand=inside)

    def _conditional(self, test: Expression) -> Expression:
        """`a ? x : b ? y : z`, its tail read in a loop: long ladders are common and must not nest."""
        rungs: list[tuple[Expression, Expression]] = []
        tail = test
        while self._sees("?"):
            if len(rungs) == limits.EXPRESSION_CHAIN:
                self._too_complex(f"at most {limits.EXPRESSION_CHAIN} conditions follow each other", self._token)
            self._at += 1
            yes = self._deeper(lambda: self._expression(0))
            self._expect(":", "the other branch of '?'")
            rungs.append((tail, yes))
            tail = self._expression(_CONDITIONAL)
        for condition, yes in reversed(rungs):
            tail = self._make(Conditional, (condition.start, tail.end), test=condition, yes=yes, no=tail)
        return tail

    def _prefix(self) -> Expression:
        token = self._token
        if token.kind == "symbol" and token.text in ("-", "!", "not"):
            self._at += 1
            power = _NOT if token.text == "not" else _UNARY
            operand = self._deeper(lambda: self._expression(power))
            operator = "!" if token.text == "not" else token.text
            return self._make(Unary, (token.start, operand.end), operator=operator, operand=operand)
        return self._postfix(self._primary())

    def _primary(self) -> Expression:
        token = self._token
        self._at += 1
        match token.kind, token.text:
            case "number", digits:
                places = len(digits.partition(".")[2])
                value = Fraction(int(digits.replace(".", "")), 10**places)
                return self._make(Literal, token, value=value, places=places)
            case "text", text:
                return self._make(Literal, token, value=text)
            case "word", ("true" | "false" | "null") as word:
                return self._make(Literal, token, value=_CONSTANTS[word])
            case "word", name:
                return self._call(token, None) if self._sees("(") else self._make(Name, token, name=name)
            case "symbol", "(":
                inside = self._deeper(lambda: self._expression(0))
                self._expect(")", "the closing bracket")
                return replace(inside, start=token.start, end=self._previous.end)
            case "symbol", "[":
                items = self._arguments("]")
                return self._make(ListLiteral, (token.start, self._previous.end), items=items)
        self._at -= 1
        return self._unexpected("a value")

    def _postfix(self, target: Expression) -> Expression:
        for links in range(limits.EXPRESSION_DEPTH + 1):
            if not self._sees("."):
                break
            if links == limits.EXPRESSION_DEPTH:
                self._too_complex(f"at most {limits.EXPRESSION_DEPTH} dots follow each other", self._token)
            self._at += 1
            name = self._token
            if not name.word:
                self._unexpected("a name")
            self._at += 1
            if self._sees("("):
                target = self._call(name, target)
            else:
                target = self._make(
                    Member, (target.start, name.end), target=target, name=name.word, name_start=name.start
                )
        return target

    def _call(self, name: Token, target: Expression | None) -> Expression:
        self._at += 1
        arguments = self._arguments(")")
        span = (target.start if target else name.start, self._previous.end)
        parts = {"name": name.word, "name_start": name.start, "target": target, "arguments": arguments}
        return self._make(Call, span, **parts)

    def _arguments(self, closing: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        while not self._sees(closing):
            if items:
                self._expect(",", f"',' or '{closing}'")
            if len(items) == limits.EXPRESSION_ARGUMENTS:
                self._too_complex(f"at most {limits.EXPRESSION_ARGUMENTS} values in a list", self._token)
            items.append(self._deeper(lambda: self._expression(0)))
        self._at += 1
        return tuple(items)

    def _deeper(self, read: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > limits.EXPRESSION_DEPTH:
            self._too_complex(f"nested deeper than {limits.EXPRESSION_DEPTH}", self._token)
        expression = read()
        self._depth -= 1
        return expression

    def _make(self, kind: type[_Kind], place: Token | tuple[int, int], **parts: object) -> _Kind:
        """A node with its shape; refused when the tree grows too high for the walks that follow."""
        start, end = (place.start, place.end) if isinstance(place, Token) else place
        marks = [kind.__name__]
        height = 0
        for name, part in parts.items():
            for child in part if isinstance(part, tuple) else (part,):
                if isinstance(child, Syntax):
                    height = max(height, self._heights[child.shape] + 1)
                    marks.append(f"#{child.shape}")
                elif name != "name_start":
                    marks.append(repr(child))
        if height > limits.EXPRESSION_HEIGHT:
            self._too_complex("too many operators inside each other", Piece(start, end))
        shape = self._shapes.setdefault(tuple(marks), len(self._shapes))
        self._heights[shape] = height
        return kind(start=start, end=end, shape=shape, **parts)

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    @property
    def _previous(self) -> Token:
        return self._tokens[self._at - 1]

    def _sees(self, symbol: str) -> bool:
        return self._token.kind == "symbol" and self._token.text == symbol

    def _expect(self, symbol: str, wanted: str) -> None:
        if not self._sees(symbol):
            self._unexpected(wanted)
        self._at += 1

    def _unexpected(self, wanted: str) -> NoReturn:
        token = self._token
        found = "the end" if token.kind == "end" else shown(self._problems.source[token.start : token.end])
        hint = "decimals are written with a point: 12.5" if token.text == "," and wanted == "an operator" else None
        self._refuse(f"expected {wanted}, found {found}", token, hint)

    def _too_complex(self, why: str, span: Span) -> NoReturn:
        self._problems.report("too_complex", why, span, "split the rule, or compute less in one expression")
        raise _RefusedError

    def _refuse(self, message: str, span: Span, hint: str | None = None) -> NoReturn:
        self._problems.report("syntax", message, span, hint)
        raise _RefusedError
