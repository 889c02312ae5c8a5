"""Random well-typed rules, each with a slow evaluator of its own that shares no code with the compiler.

A rule is built together with a closure over plain rows (fractions, texts, dates, None), so that lexer, precedence,
alignment, folding, narrowing and generation are all judged from outside. Division rounds with `decimal`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
_EXACT = Context(prec=200)
_ATOM, _DEFAULT, _SIGN, _PRODUCT, _SUM, _COMPARISON, _NOT, _AND, _OR, _CHOICE = range(10, 0, -1)


@dataclass(frozen=True)
class Made:
    text: str
    level: int
    value: Callable[[Row], Any]
    constant: bool = False


def quantized(value: Fraction, places: int, mode: str = ROUND_HALF_UP) -> Fraction:
    decimal = _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Fraction(decimal.quantize(Decimal(1).scaleb(-places), mode, _EXACT))


def settled(made: Made, row: Row) -> Any:
    """A constant fraction without an end is kept until it meets something else: here."""
    value = made.value(row)
    if not (made.constant and isinstance(value, Fraction)):
        return value
    return value if 10**16 % value.denominator == 0 else quantized(value, 8)


class Maker:
    """Makes rules of a given depth; `facts` are the optional names that are known to be there."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self._facts: set[str] = set()
        self._items = 0

    def condition(self) -> Made:
        return self.boolean(5)

    def formula(self) -> Made:
        return self.number(5)

    def boolean(self, depth: int) -> Made:
        makers = [self._flag, self._comparison, self._text_equality, self._member, self._presence]
        if depth > 0:
            makers = [
                self._comparison,
                self._member,
                self._logic,
                self._logic,
                self._not,
                self._guarded_logic,
                self._some_items,
                self._text_test,
            ]
        return self.random.choice(makers)(depth - 1)

    def number(self, depth: int) -> Made:
        makers = [self._literal, self._property, self._property, self._defaulted, self._input]
        if depth > 0:
            makers = [
                self._property,
                self._sum,
                self._sum,
                self._product,
                self._quotient,
                self._remainder,
                self._negative,
            ]
            makers += [self._rounded, self._extreme, self._choice, self._guarded, self._list_number, self._time_part]
        return self.random.choice(makers)(depth - 1)

    def _infix(self, sign: str, level: int, operands: tuple[Made, Made], apply: Callable[[Any, Any], Any]) -> Made:
        """Left-associative; constants meet exactly, others as they settle."""
        left, right = operands
        text = f"{self._in(left, level)} {self._spelled(sign)} {self._in(right, level + 1)}"
        if left.constant and right.constant and sign not in ("&&", "||", "??", "in"):
            return Made(text, level, lambda row: apply(left.value(row), right.value(row)), constant=True)
        return Made(text, level, lambda row: apply(settled(left, row), settled(right, row)))

    def _in(self, made: Made, level: int) -> str:
        bare = made.level >= level and self.random.random() < 0.9
        return made.text if bare else f"({made.text})"

    def _spelled(self, sign: str) -> str:
        others = {"*": "×", "/": "÷", "-": "−", "<=": "≤", ">=": "≥", "!=": "≠", "&&": "and", "||": "or"}
        return others[sign] if sign in others and self.random.random() < 0.3 else sign

    def _call(self, name: str, arguments: list[Made], apply: Callable[..., Any]) -> Made:
        if self.random.random() < 0.3:
            text = f"{self._in(arguments[0], _ATOM)}.{name}({', '.join(each.text for each in arguments[1:])})"
        else:
            text = f"{name}({', '.join(each.text for each in arguments)})"
        if all(each.constant for each in arguments):
            return Made(text, _ATOM, lambda row: apply(*(each.value(row) for each in arguments)), constant=True)
        return Made(text, _ATOM, lambda row: apply(*(settled(each, row) for each in arguments)))

    # numbers

    def _literal(self, _: int) -> Made:
        places = self.random.choice((0, 0, 0, 1, 2, 3))
        value = Fraction(self.random.choice((0, 1, 2, 3, 5, 7, 10, 50, 100, 999)), 10**places)
        text = f"{Decimal(value.numerator * 10**places // value.denominator).scaleb(-places):.{places}f}"
        return Made(text, _ATOM, lambda _: value, constant=True)

    def _property(self, _: int) -> Made:
        name = self.random.choice(("amount", "change", "pieces", "wide", *sorted(self._facts & {"rating", "discount"})))
        return Made(f"properties.{name}", _ATOM, lambda row: row[name])

    def _input(self, _: int) -> Made:
        name = self.random.choice(("customer.orders", "customer.balance", 'customer.count("signup")'))
        return Made(name, _ATOM, lambda row: row[name])

    def _optional(self) -> Made:
        name = self.random.choice(("rating", "discount"))
        return Made(f"properties.{name}", _ATOM, lambda row: row[name])

    def _defaulted(self, depth: int) -> Made:
        default = self.number(min(depth, 0))
        return self._infix("??", _DEFAULT, (self._optional(), default), lambda a, b: b if a is None else a)

    def _sum(self, depth: int) -> Made:
        operands = (self.number(depth), self.number(depth))
        if self.random.random() < 0.5:
            return self._infix("+", _SUM, operands, lambda a, b: a + b)
        return self._infix("-", _SUM, operands, lambda a, b: a - b)

    def _product(self, depth: int) -> Made:
        return self._infix("*", _PRODUCT, (self.number(depth), self.number(min(depth, 1))), lambda a, b: a * b)

    def _divisor(self, depth: int) -> Made:
        literal = self._literal(0)
        if self.random.random() < 0.6 and literal.value({}) != 0:
            return literal
        one = Made("1", _ATOM, lambda _: Fraction(1), constant=True)
        return self._call("max", [self.number(min(depth, 1)), one], max)

    def _quotient(self, depth: int) -> Made:
        made = self._infix("/", _PRODUCT, (self.number(depth), self._divisor(depth)), lambda a, b: a / b)
        return made if made.constant else Made(made.text, made.level, lambda row: quantized(made.value(row), 8))

    def _remainder(self, depth: int) -> Made:
        def rest(dividend: Fraction, divisor: Fraction) -> Fraction:
            size = abs(dividend) - abs(divisor) * (abs(dividend) // abs(divisor))
            return size if dividend >= 0 else -size

        return self._infix("%", _PRODUCT, (self.number(depth), self._divisor(depth)), rest)

    def _negative(self, depth: int) -> Made:
        inner = self.number(depth)
        text = f"-{self._in(inner, _SIGN)}"
        read = inner.value if inner.constant else lambda row: settled(inner, row)
        return Made(text, _SIGN, lambda row: -read(row), constant=inner.constant)

    def _rounded(self, depth: int) -> Made:
        inner = self.number(depth)
        places = self.random.randrange(5)
        digits = Made(str(places), _ATOM, lambda _: Fraction(places), constant=True)
        kind = self.random.randrange(4)
        if kind == 0:
            return self._call("round", [inner, digits], lambda value, to: quantized(value, int(to)))
        if kind == 1:
            return self._call("floor", [inner], lambda value: quantized(value, 0, ROUND_FLOOR))
        if kind == 2:
            return self._call("ceil", [inner], lambda value: quantized(value, 0, ROUND_CEILING))
        return self._call("abs", [inner], abs)

    def _extreme(self, depth: int) -> Made:
        parts = [self.number(depth), self.number(depth), self.number(min(depth, 1))]
        if self.random.random() < 0.4:
            return self._call("clamp", parts, lambda value, low, high: max(low, min(value, high)))
        name, apply = self.random.choice((("min", min), ("max", max)))
        return self._call(name, parts[: self.random.choice((2, 3))], apply)

    def _choice(self, depth: int) -> Made:
        return self._chosen(self.boolean(depth), self.number(depth), self.number(depth))

    def _chosen(self, test: Made, yes: Made, no: Made) -> Made:
        text = f"{self._in(test, _OR)} ? {yes.text} : {self._in(no, _CHOICE)}"
        return Made(text, _CHOICE, lambda row: settled(yes, row) if test.value(row) else settled(no, row))

    def _guarded(self, depth: int) -> Made:
        """Narrowing: presence, or a divisor that is tested first."""
        if self.random.random() < 0.5:
            test, name = self._test_of_presence()
            with_it = self._knowing(name, lambda: self.number(depth))
            return self._chosen(test, with_it, self.number(depth))
        divisor, dividend = self._property(0), self.number(depth)
        sign = self.random.choice(("!=", ">"))
        zero = Made("0", _ATOM, lambda _: Fraction(0), constant=True)
        test = self._infix(sign, _COMPARISON, (divisor, zero), lambda a, b: a != b if sign == "!=" else a > b)
        quotient = self._infix("/", _PRODUCT, (dividend, divisor), lambda a, b: quantized(a / b, 8))
        return self._chosen(test, quotient, self.number(depth))

    def _list_number(self, depth: int) -> Made:
        kind = self.random.randrange(5)
        if kind == 0:
            name = self.random.choice(("items", "codes", "scores"))
            return Made(f"properties.{name}.size", _ATOM, lambda row: Fraction(len(row[name] or ())))
        if kind == 1:
            return self._over_items("count", self.boolean(depth), lambda values: Fraction(sum(values)))
        body = self._item_number(min(depth, 1))
        if kind == 2:
            return self._over_items("sum", body, lambda values: sum(values, Fraction(0)))
        name, apply = self.random.choice((("min", min), ("max", max)))
        extreme = self._over_items(name, body, lambda values: apply(values, default=None))
        default = self._literal(0)
        return self._infix("??", _DEFAULT, (extreme, default), lambda a, b: b if a is None else a)

    def _item_number(self, depth: int) -> Made:
        """A number of the item at hand, mostly."""
        name = self.random.choice(("price", "quantity"))
        made = Made(f"@.{name}", _ATOM, lambda row: row["@"][name])
        if self.random.random() < 0.3:
            weight = Made("@.weight", _ATOM, lambda row: row["@"]["weight"])
            made = self._infix("??", _DEFAULT, (weight, self._literal(0)), lambda a, b: b if a is None else a)
        if depth > 0 and self.random.random() < 0.6:
            other = self.random.choice((self._item_number, self.number))(depth - 1)
            sign, apply = self.random.choice((("+", lambda a, b: a + b), ("*", lambda a, b: a * b)))
            return self._infix(sign, _SUM if sign == "+" else _PRODUCT, (made, other), apply)
        return made

    def _over_items(self, name: str, body: Made, collect: Callable[[list[Any]], Any]) -> Made:
        """A list operation over the items, sometimes over those that a filter leaves."""
        self._items += 1
        variable = f"i{self._items}"
        text = f"properties.items.{name}({variable}, {body.text.replace('@', variable)})"
        kept: Callable[[Row], bool] = lambda _: True  # noqa: E731
        if self.random.random() < 0.4:
            limit = self.random.randrange(0, 200, 25)
            text = text.replace("items.", f"items.filter(f, f.price > {limit}).", 1)
            kept = lambda item: bool(item["price"] > limit)  # noqa: E731

        def value(row: Row) -> Any:
            items = [item for item in row["items"] or () if kept(item)]
            return collect([settled(body, {**row, "@": item}) for item in items])

        return Made(text, _ATOM, value)

    def _time_part(self, _: int) -> Made:
        part, apply = self.random.choice(
            (
                ("weekday", datetime.isoweekday),
                ("hour", lambda time: time.hour),
                ("day", lambda time: time.day),
                ("month", lambda time: time.month),
                ("year", lambda time: time.year),
            )
        )
        name = self.random.choice(("event.time", "properties.shipped"))
        if self.random.random() < 0.3:
            text = f"daysSince({name})"
            return Made(text, _ATOM, lambda row: Fraction((row["event.time"].date() - row[name].date()).days))
        return Made(f"{name}.{part}()", _ATOM, lambda row: Fraction(apply(row[name])))

    # conditions

    def _knowing(self, name: str, make: Callable[[], Made]) -> Made:
        known, self._facts = self._facts, self._facts | {name}
        made = make()
        self._facts = known
        return made

    def _test_of_presence(self) -> tuple[Made, str]:
        name = self.random.choice(("rating", "discount"))
        if self.random.random() < 0.5:
            return Made(f"has(properties.{name})", _ATOM, lambda row: row[name] is not None), name
        return Made(f"properties.{name} != null", _COMPARISON, lambda row: row[name] is not None), name

    def _presence(self, _: int) -> Made:
        return self._test_of_presence()[0]

    def _flag(self, _: int) -> Made:
        if self.random.random() < 0.2:
            return Made("true", _ATOM, lambda _: True)
        if self.random.random() < 0.4:
            return Made("properties.gift == true", _COMPARISON, lambda row: row["gift"] is True)
        return Made("properties.first", _ATOM, lambda row: row["first"])

    def _comparison(self, depth: int) -> Made:
        sign, apply = self.random.choice(_COMPARISONS)
        left, right = self.number(min(depth, 2)), self.number(min(depth, 2))
        if sign in ("==", "!=") and self.random.random() < 0.5:
            left = self._optional()
        return self._infix(sign, _COMPARISON, (left, right), apply)

    def _text(self) -> Made:
        word = self.random.choice(WORDS)
        choices = (
            Made(f'"{word}"', _ATOM, lambda _: word),
            Made("properties.sku", _ATOM, lambda row: row["sku"]),
            Made("properties.sku.lower()", _ATOM, lambda row: row["sku"].lower()),
            Made('(properties.note ?? "none")', _ATOM, lambda row: "none" if row["note"] is None else row["note"]),
        )
        return self.random.choice(choices)

    def _text_equality(self, _: int) -> Made:
        name = self.random.choice(("category", "note", "sku"))
        left = Made(f"properties.{name}", _ATOM, lambda row: row[name])
        sign, apply = self.random.choice(_COMPARISONS[:2])
        return self._infix(sign, _COMPARISON, (left, self._text()), apply)

    def _text_test(self, _: int) -> Made:
        name, apply = self.random.choice(
            (("startsWith", str.startswith), ("endsWith", str.endswith), ("contains", str.__contains__))
        )
        return self._call(name, [self._text(), self._text()], apply)

    def _member(self, depth: int) -> Made:
        kind = self.random.randrange(4)
        if kind == 0:
            return Made('"vip" in customer.tags', _COMPARISON, lambda row: "vip" in row["customer.tags"])
        if kind == 1:
            words = self.random.sample(WORDS, 2)
            text = f'properties.category in ["{words[0]}", "{words[1]}", null]'
            return Made(text, _COMPARISON, lambda row: row["category"] in (*words, None))
        value = self._optional() if kind == 2 else self.number(min(depth, 1))
        if self.random.random() < 0.5:
            values = [self.number(0) for _ in range(3)]
            text = f"{self._in(value, _SUM)} in [{', '.join(each.text for each in values)}]"
            return Made(text, _COMPARISON, lambda row: settled(value, row) in [settled(each, row) for each in values])
        text = f"{self._in(value, _SUM)} in properties.scores"
        return Made(text, _COMPARISON, lambda row: settled(value, row) in (row["scores"] or ()))

    def _logic(self, depth: int) -> Made:
        operands = (self.boolean(depth), self.boolean(depth))
        if self.random.random() < 0.5:
            return self._infix("&&", _AND, operands, lambda a, b: a and b)
        return self._infix("||", _OR, operands, lambda a, b: a or b)

    def _guarded_logic(self, depth: int) -> Made:
        """The right side of && knows what the left side tested; that of ||, what its negation did."""
        test, name = self._test_of_presence()
        right = self._knowing(name, lambda: self.boolean(depth))
        if self.random.random() < 0.5:
            text = f"{self._in(test, _AND)} && {self._in(right, _NOT)}"
            return Made(text, _AND, lambda row: test.value(row) and right.value(row))
        absent = Made(f"properties.{name} == null", _COMPARISON, lambda row: row[name] is None)
        text = f"{absent.text} || {self._in(right, _AND)}"
        return Made(text, _OR, lambda row: absent.value(row) or right.value(row))

    def _not(self, depth: int) -> Made:
        inner = self.boolean(depth)
        if self.random.random() < 0.5:
            return Made(f"not {self._in(inner, _NOT)}", _NOT, lambda row: not inner.value(row))
        return Made(f"!{self._in(inner, _SIGN)}", _SIGN, lambda row: not inner.value(row))

    def _some_items(self, depth: int) -> Made:
        sign, apply = self.random.choice(_COMPARISONS)
        body = self._infix(sign, _COMPARISON, (self._item_number(0), self.number(min(depth, 1))), apply)
        name, collect = self.random.choice((("any", any), ("all", all)))
        return self._over_items(name, body, collect)


WORDS = ("books", "toys", "electronics", "AB-1", "ab-1", "A", "-1", "none")
_COMPARISONS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    ("==", lambda a, b: a == b),
    ("!=", lambda a, b: a != b),
    ("<", lambda a, b: a < b),
    ("<=", lambda a, b: a <= b),
    (">", lambda a, b: a > b),
    (">=", lambda a, b: a >= b),
)
